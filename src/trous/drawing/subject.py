"""What may be drawn: everything is brought to plans with a name, here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from trous.errors import TrousError
from trous.plan import BoundPlan, Plan
from trous.spec import ConvTranspose, Spec, integers

#: A side beyond which no cell can be told from its neighbour.
_LONGEST = 256
_MOST = 4096


@dataclass(frozen=True)
class Layer:
    """A layer between its sizes. `title` is a whole line, `brief` what tells it from its neighbours in a stack."""

    bound: BoundPlan
    title: str
    brief: str
    groups: int = 1


def layers(what: Any, size: Any) -> list[Layer]:
    """The layers that `what` names, one spec or plan or several in sequence, the first with inputs of `size`.

    Raises TrousError for anything else, for sizes that do not fit, and for those too large to be seen.
    """
    given = list(what) if isinstance(what, (list, tuple)) else [what]
    if not given:
        raise TrousError("spec", "must be at least one layer", what)
    sizes = integers("size", size, 1, _LONGEST)
    here: tuple[int, ...] = (sizes,) if isinstance(sizes, int) else sizes
    if len(here) > 3:
        raise TrousError("size", "must have one to three axes", size)
    found = []
    for item in given:
        layer = _layer(item, here, size)
        for side in (layer.bound.input_size, layer.bound.output_size):
            check_cells(*side)
        found.append(layer)
        here = layer.bound.output_size
    return found


def check_cells(*lengths: int) -> None:
    """Refuse a grid of more cells than can be seen, or drawn in a moment."""
    if prod(lengths) > _MOST or max(lengths) > _LONGEST:
        rule = f"must be small enough to be seen: at most {_MOST} cells, holes and padding counted"
        raise TrousError("size", rule, "×".join(map(str, lengths)))


def _layer(item: Any, here: tuple[int, ...], size: Any) -> Layer:
    if isinstance(item, Spec):
        outputs = item.output_size(here)
        bound = item.plan(len(here)).bind(here, outputs)
        layer = Layer(bound, *_names(item, len(here)), item.groups)
    elif isinstance(item, Plan):
        if not all(axis.taps for axis in item.axes):
            raise TrousError("spec", "must be a plan with taps on every axis", item)
        bound = item.bind(here)
        name = f"plan of {'×'.join(str(len(axis.taps)) for axis in item.axes)} taps"
        layer = Layer(bound, name.capitalize(), name)
    else:
        raise TrousError("spec", "must be a Conv, a ConvTranspose, a plan, or a list of these", item)
    if min(layer.bound.output_size) < 1:
        raise TrousError("size", f"must give an output; {layer.brief} gives size {layer.bound.output_size}", size)
    return layer


def _names(spec: Spec, ndim: int) -> tuple[str, str]:
    """Title and brief."""
    arguments = _arguments(spec, ndim)
    groups = f", groups {spec.groups}" if spec.groups > 1 else ""
    if isinstance(spec, ConvTranspose):
        return f"Transposed convolution {arguments}{groups}", f"transposed {arguments}"
    return f"Convolution {arguments}{groups}", arguments


def _arguments(spec: Spec, ndim: int) -> str:
    """Kernel, and whatever else is not its default."""
    axes = [spec.axis_arguments(axis) for axis in range(ndim)]
    kernel = "×".join(str(a["kernel"]) for a in axes)
    parts = [f"kernel {kernel}" if ndim == 1 else kernel]
    for name, default in (("stride", "1"), ("padding", "0"), ("output_padding", "0"), ("dilation", "1")):
        text = _argument([a.get(name, 0) for a in axes])
        if text != default:
            parts.append(f"{name.replace('_', ' ')} {text}")
    return ", ".join(parts)


def _argument(values: Sequence[Any]) -> str:
    """The values of one argument, once where all axes agree; a pair only where its two numbers differ."""
    texts = [
        f"{v[0]}:{v[1]}" if isinstance(v, tuple) and v[0] != v[1] else str(v[0] if isinstance(v, tuple) else v)
        for v in values
    ]
    return texts[0] if len(set(texts)) == 1 else "×".join(texts)
