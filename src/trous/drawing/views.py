"""`draw`: a layer or several, in one of the views."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from trous.drawing.channels import draw_channels
from trous.drawing.layer import Numbers, draw_layer
from trous.drawing.maps import draw_coverage, draw_matrix, draw_overlap
from trous.drawing.models import MODEL_VIEWS, draw_model, is_model
from trous.drawing.row import draw_row
from trous.drawing.scene import Drawing
from trous.drawing.stack import draw_tree, draw_windows
from trous.drawing.subject import Layer, check_cells, layers
from trous.drawing.values import apply, example, kernel_size
from trous.errors import TrousError
from trous.plan import BoundPlan
from trous.plan.grid import Grid
from trous.plan.reach import receptive_field
from trous.spec import integers

VIEWS = ("taps", "matrix", "channels", "overlap", "coverage", "stack")
#: Of several layers in sequence.
STACK_VIEWS = ("stack", "overlap", "coverage")
#: An animation of more takes minutes to watch.
MOST_FRAMES = 400


def draw(
    spec: Any,
    size: Any = None,
    *,
    view: str | None = None,
    numbers: bool = False,
    weight: Any = None,
    channels: Sequence[int] | None = None,
    step: int | Sequence[int] | None = None,
    layer: str | None = None,
    axis: int | None = None,
) -> Drawing:
    """A picture of a layer, made from its taps, or of a whole model: what `spec` computes, for inputs of `size`.

    `spec` is a `Conv`, a `ConvTranspose`, a tap plan, or a list of them that run in sequence. `size` is one integer for
    one axis, or one for each of one to three axes. The result has `save("x.svg")`, also `.png`, `.gif` and `.html`, and
    shows itself in notebooks. Views:

    - "taps", the default: input with its holes and padding, kernel, output; a step for each output;
    - "matrix": a row for each output, a column for each input;
    - "channels", the default where `channels` is given as (in, out): which channels each output channel reads;
    - "overlap": how many taps each output gets, or with a `weight` of the kernel's shape their sum (checkerboards);
    - "coverage": which inputs of its receptive field an output reads (gridding);
    - "stack", the default of several layers: a tree for one axis, nested receptive fields for two.

    `numbers` writes small integers and what the layer makes of them into the cells of "taps" and "matrix"; `weight`, an
    array of the kernel's shape, has them made with weights of your own. `step` is the one step to show: an output, flat
    or one index for each axis, else a place in the animation.

    `spec` may also be a torch module, or the path of an ONNX file; `size` is then what `trous.inspect` takes: the shape
    of the input, `(batch, channels, *size)`, the size alone, or tensors. Views:

    - "effective", the default for one and two axes of a torch module: how much each input acts on the central output
      of the model, or of `layer`, by derivatives (Luo, Li, Urtasun & Zemel, "Understanding the effective receptive
      field in deep convolutional neural networks", 2016), with the theoretical field, which is exact, and the effective
      one: on each axis the interval that holds 95 % (see `trous.inspection.influence`). `axis`, counted from 0 behind
      batch and channels, sums over the others;
    - "network", the default otherwise: a diagram of the layers, with sizes, fields, skip connections and warnings;
    - "fields": how the receptive field grows from layer to layer along `axis` (0 if not given), holes included.

    Lists of specs have the latter two as well. Raises TrousError for what cannot be, and for sizes too large to see.

    >>> drawing = draw(ConvTranspose(3, stride=2, padding=1), (3, 3))
    >>> drawing.title, len(drawing.frames)
    ('Transposed convolution 3×3, stride 2, padding 1', 25)
    >>> drawing.frames[6].caption
    'output (1, 1): 4 of 9 taps, 5 on holes'
    """
    if is_model(spec) or view in MODEL_VIEWS:
        others = {"numbers": numbers or None, "weight": weight, "channels": channels, "step": step}
        for name, value in others.items():
            if value is not None:
                raise TrousError(name, "must be left out for a model", value)
        return draw_model(spec, size, view=view, layer=layer, axis=axis)
    for name, option in (("layer", layer), ("axis", axis)):
        if option is not None:
            raise TrousError(name, f"must be left out but for models and the views {', '.join(MODEL_VIEWS)}", option)
    found = layers(spec, size)
    view = _view(view, found, channels, several=isinstance(spec, (list, tuple)))
    last = found[-1].bound.output_size
    title = _title(found)
    array = _weight(weight, found, view)
    if numbers and view not in ("taps", "matrix"):
        raise TrousError("numbers", "must be left out but for the views taps and matrix", view)
    output = None if step is None else _step(step, last)
    animated = view == "taps" or (view == "stack" and len(last) == 1)
    if animated and output is None and prod(last) > MOST_FRAMES:
        rule = f"must give at most {MOST_FRAMES} outputs to be animated; step shows one of more"
        raise TrousError("size", rule, size)
    bounds = [layer.bound for layer in found]
    match view:
        case "taps":
            grids = [Grid(axis) for axis in bounds[0].axes]
            check_cells(*(len(grid.places) for grid in grids))
            check_cells(*(len(grid.window) for grid in grids))
            filled = _numbers(bounds[0], array) if numbers or array is not None else None
            drawing = (draw_row if len(last) == 1 else draw_layer)(title, bounds[0], filled)
        case "matrix":
            own = example(kernel_size(bounds[0]), 3) if numbers and array is None else array
            drawing = draw_matrix(title, bounds[0], own)
        case "channels":
            drawing = draw_channels(found[0], channels or (found[0].groups, found[0].groups))
        case "overlap":
            drawing = draw_overlap(title, bounds, array)
        case "coverage":
            return draw_coverage(title, bounds, _index(output, last))
        case _:
            drawing = (draw_tree if len(last) == 1 else draw_windows)(title, found)
    return drawing if output is None else drawing.at(output)


def _title(found: list[Layer]) -> str:
    if len(found) == 1:
        return found[0].title
    field = "×".join(map(str, receptive_field([layer.bound.plan for layer in found])))
    return f"{len(found)} layers, receptive field {field}"


def _view(view: str | None, found: list[Layer], channels: Any, several: bool) -> str:
    """The view asked for, or the default; one that these layers have."""
    if view is None:
        view = "stack" if several else "taps" if channels is None else "channels"
    if view not in VIEWS:
        raise TrousError("view", f"must be one of {', '.join(VIEWS)}", view)
    if len(found) > 1 and view not in STACK_VIEWS:
        raise TrousError("view", f"must be one of {', '.join(STACK_VIEWS)} for several layers", view)
    if channels is not None and view != "channels":
        raise TrousError("channels", "must be left out but for the view channels", channels)
    if found[0].bound.plan.ndim == 3 and view != "taps":
        raise TrousError("size", f"must have one or two axes for the view {view}", found[0].bound.input_size)
    return view


def _step(step: Any, last: tuple[int, ...]) -> int:
    """A flat step from one index for each axis of the output."""
    steps = integers("step", step, 0)
    if isinstance(steps, int):
        return steps
    if len(steps) != len(last) or any(at >= n for at, n in zip(steps, last, strict=False)):
        raise TrousError("step", f"must be an output of {last}, one index for each axis", step)
    return int(np.ravel_multi_index(steps, last))


def _index(output: int | None, last: tuple[int, ...]) -> tuple[int, ...]:
    """The output as one index for each axis; without one, the middle."""
    if output is None:
        return tuple(n // 2 for n in last)
    if output >= prod(last):
        raise TrousError("step", f"must be from 0 to {prod(last) - 1}", output)
    return tuple(int(n) for n in np.unravel_index(output, last))


def _weight(weight: Any, found: list[Layer], view: str) -> np.ndarray | None:
    """The weight as an array of the kernel's shape."""
    if weight is None:
        return None
    if view not in ("taps", "matrix", "overlap") or len(found) > 1:
        raise TrousError("weight", "must be left out but for the views taps, matrix and overlap of one layer", view)
    try:
        array = np.asarray(weight)
        numeric = array.dtype.kind in "iuf" and bool(np.isfinite(array).all())
    except (TypeError, ValueError):
        numeric = False
    if not numeric:
        raise TrousError("weight", "must be an array of finite real numbers", weight)
    if array.shape != kernel_size(found[0].bound):
        raise TrousError("weight", f"must have the kernel's shape {kernel_size(found[0].bound)}", array.shape)
    return array


def _numbers(bound: BoundPlan, weight: np.ndarray | None) -> Numbers:
    x = example(bound.input_size, 4)
    w = example(kernel_size(bound), 3) if weight is None else weight
    return Numbers(x, w, apply(bound, x, w))
