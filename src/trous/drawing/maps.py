"""Maps of a layer or of several in sequence: how often outputs are reached, which inputs are read, the matrix."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from trous.drawing.canvas import LABEL, Panel, cell_size, compose
from trous.drawing.layer import output_hue
from trous.drawing.palette import HEATS
from trous.drawing.scene import Drawing, Shape, Text
from trous.drawing.values import apply, kernel_size, reached, shown, taps
from trous.errors import TrousError
from trous.plan import BoundPlan
from trous.plan.reach import reads_through

_LARGEST_MATRIX = 64


def draw_overlap(title: str, bounds: Sequence[BoundPlan], weight: np.ndarray | None = None) -> Drawing:
    """How many ways lead to each output, or, of one layer with its weight, the sum of the weights that it gets.

    What a constant input gives: differences between neighbours are the checkerboard of uneven overlap (Odena,
    Dumoulin & Olah, 2016).
    """
    values = np.ones(bounds[0].input_size, np.int64)
    for bound in bounds:
        values = apply(bound, values, np.ones(kernel_size(bound), np.int64) if weight is None else weight)
    least, most = values.min(), values.max()
    unit = "sum of weights" if weight is not None else "taps" if len(bounds) == 1 else "ways"
    counts = shown(most) if least == most else f"{shown(least)} to {shown(most)}"
    caption = f"{counts} {unit} by output" if weight is None else f"{unit} by output: {counts}"
    shapes, panel = _heat(values)
    shapes.append(panel.below(f"output {_size(values.shape)}"))
    return compose(f"{title}: overlap", shapes, [((), caption)])


def draw_coverage(title: str, bounds: Sequence[BoundPlan], output: tuple[int, ...]) -> Drawing:
    """Which inputs one output of the last layer reads, in how many ways, and which of its field it leaves out."""
    ways = reached(list(bounds), output)[0]
    field = []
    for axis, o in enumerate(output):
        interval = reads_through([bound.plan.axes[axis] for bound in bounds], range(o, o + 1))
        field.append(range(max(0, interval.start), max(0, min(interval.stop, ways.shape[axis]))))
    rows, columns = ([range(1)] * 2 + field)[-2:]
    shapes, panel = _heat(ways, blank="input")
    inside = [(row, column) for row in rows for column in columns]
    unread = [place for place in inside if not _plane(ways)[place]]
    shapes += [panel.rect(place, "unread") for place in unread]
    shapes += [line for place in unread for line in panel.cross(place)]
    if inside:
        shapes.append(panel.window(rows, columns, "window"))
    shapes.append(panel.below(f"input {_size(ways.shape)}"))
    caption = f"output {_place(output)} reads {np.count_nonzero(ways)} of the {len(inside)} inputs in its field"
    return compose(f"{title}: coverage", shapes, [((), caption)])


def draw_matrix(title: str, bound: BoundPlan, weight: np.ndarray | None = None) -> Drawing:
    """The layer as a matrix: a row for each output, a column for each input, in each cell the weight that joins them.

    Colours are phases. Raises TrousError for matrices too large to be read.
    """
    outputs, inputs = prod(bound.output_size), prod(bound.input_size)
    if max(outputs, inputs) > _LARGEST_MATRIX:
        raise TrousError("size", f"must give a matrix of at most {_LARGEST_MATRIX} rows and columns", bound.input_size)
    names = [f"w{k}" for k in range(prod(kernel_size(bound)))]
    if weight is not None:
        names = [shown(value) for value in weight.ravel().tolist()]
    panel = Panel(0, LABEL, cell_size(outputs, inputs, texts=names, most=720), range(outputs), range(inputs))
    filled: list[Shape] = []
    letters: list[Shape] = []
    for output, source, kernel in sorted(taps(bound)):
        index = tuple(int(o) for o in np.unravel_index(output, bound.output_size))
        filled.append(panel.rect((output, source), f"hue{output_hue(bound.axes, index)}"))
        letters += panel.text((output, source), names[kernel], "on-hue")
    every = [panel.rect((row, column), "plain") for row in panel.rows for column in panel.columns]
    words = f"a row for each output ({_size(bound.output_size)}), a column for each input ({_size(bound.input_size)})"
    share = f"{len(filled)} of {outputs * inputs} entries are weights"
    heading = Text(0, 6, words, "label", "start")
    return compose(f"{title}: matrix", [heading, *every, *filled, *letters], [((), share)])


def _heat(values: np.ndarray, blank: str = "") -> tuple[list[Shape], Panel]:
    """A cell for each value, its colour stronger for more, its number where that fits; `blank` is the style of 0."""
    plane = _plane(values)
    texts = [shown(value) for value in plane.ravel().tolist()]
    rows, columns = plane.shape
    cell = cell_size(rows, columns, texts=texts if max(rows, columns) <= 24 else ())
    panel = Panel(0, 0, cell, range(rows), range(columns))
    positive = plane[plane != 0] if blank else plane
    least, most = (positive.min(), positive.max()) if positive.size else (0, 0)
    cells: list[Shape] = []
    letters: list[Shape] = []
    for place, value in np.ndenumerate(plane):
        level = round((HEATS - 1) * float((value - least) / (most - least))) if most > least else HEATS // 2
        empty = blank and not value
        cells.append(panel.rect(place, blank if empty else f"heat{level}"))
        if not empty:
            letters += panel.text(place, shown(value), f"on-heat{level}")
    return [*sorted(cells, key=lambda shape: shape.style), *sorted(letters, key=lambda shape: shape.style)], panel


def _plane(values: np.ndarray) -> np.ndarray:
    return values.reshape((1,) * (2 - values.ndim) + values.shape)


def _size(size: tuple[int, ...]) -> str:
    return "×".join(map(str, size))


def _place(index: tuple[int, ...]) -> str:
    return str(index if len(index) > 1 else index[0])
