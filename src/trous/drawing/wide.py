"""The tree of a stack that sees too much for nodes: a row of strokes for each layer, and some of the lines between."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import ceil

import numpy as np

from trous.drawing.canvas import compose
from trous.drawing.palette import HUES
from trous.drawing.ruler import ruler_below, ticks
from trous.drawing.scene import Drawing, Line, Rect, Shape, Text, text_width
from trous.drawing.values import reached
from trous.errors import TrousError
from trous.plan import BoundPlan
from trous.plan.grid import Grid
from trous.plan.reach import receptive_field
from trous.spec import Spec

_WIDE = 860  #: pixels of the field
_ROW = 30  #: pixels from a row to the next
_HIGH = 8
_BIN = 2  #: pixels of a stroke: what is read within is one
_LINES = 60  #: nodes of a row whose lines are drawn, at most


def draw_wide(title: str, specs: Sequence[Spec], rate: int | None = None) -> Drawing:
    """What the last output of layers in sequence reads of each signal between them, the output above, the input below.

    Args:
        title: the heading.
        specs: layers of one axis that keep its size, causal ones.
        rate: samples a second; gives a second ruler, in milliseconds.

    Raises TrousError for layers that change the size.
    """
    field = receptive_field([spec.plan(1) for spec in specs])[0]
    for spec in specs:
        if spec.output_size((field,)) != (field,):
            raise TrousError("specs", "must keep the size of the signal", spec)
    bounds = [spec.plan(1).bind((field,), (field,)) for spec in specs]
    read = [np.flatnonzero(ways) for ways in reached(bounds, (field - 1,))]
    names = ["input", *(f"dilation {spec.axis_arguments(0)['dilation']}" for spec in specs)]
    left = max(text_width(name, 12) for name in names) + 14
    unit = _WIDE / field
    depth = len(specs)

    def middle(row: int) -> float:
        return _ROW * (depth - row) + _HIGH / 2

    shapes: list[Shape] = []
    for row in range(1, depth + 1):
        for above, below in _links(bounds[row - 1], read[row]):
            ends = (left + (node + 0.5) * unit for node in (above, below))
            x1, x2 = ends
            shapes.append(Line(x1, middle(row) + _HIGH / 2, x2, middle(row - 1) - _HIGH / 2, "link"))
    for row, name in enumerate(names):
        style = f"hue{max(row - 1, 0) % len(HUES)}"
        shapes += _strokes(read[row], left, middle(row) - _HIGH / 2, unit, style)
        shapes.append(Text(0, middle(row), name, "label", "start"))
        shapes.append(Text(left + _WIDE + 12, middle(row), f"{len(read[row]):,} read", "value", "start"))
    bottom = middle(0) + _HIGH
    shapes += ruler_below(range(1 - field, 1), left, bottom, unit)
    shapes.append(Text(0, bottom + 14, "samples", "label", "start"))
    caption = f"the last output reads {len(read[0]):,} of the {field:,} inputs in its receptive field"
    if rate is not None:
        shapes += _milliseconds(field, rate, left, bottom + 26, unit)
        shapes.append(Text(0, bottom + 40, f"ms, {rate / 1000:g} kHz", "label", "start"))
        caption += f", {1000 * field / rate:.1f} ms"
    return compose(title, shapes, [((), caption)])


def _links(bound: BoundPlan, nodes: np.ndarray) -> Iterator[tuple[int, int]]:
    """Outputs and the inputs that they read; of many, some, the last among them."""
    grid, every = Grid(bound.axes[0]), ceil(len(nodes) / _LINES)
    for output in nodes[::-1][::every].tolist():
        for source in grid.taps(output).values():
            yield output, source


def _strokes(nodes: np.ndarray, left: float, y: float, unit: float, style: str) -> Iterator[Rect]:
    """A stroke where something is read, one for neighbours that touch."""
    bins = sorted({int((node + 0.5) * unit / _BIN) for node in nodes.tolist()})
    for _, group in groupby(enumerate(bins), lambda each: each[1] - each[0]):
        run = [place for _, place in group]
        yield Rect(left + run[0] * _BIN, y, _BIN * len(run), _HIGH, style)


def _milliseconds(field: int, rate: int, left: float, y: float, unit: float) -> Iterator[Shape]:
    """A ruler in milliseconds that ends at the last sample."""
    pixels = unit * rate / 1000
    end = left + (field - 0.5) * unit
    for n in ticks(range(-int(1000 * (field - 1) / rate), 1), 40 / pixels):
        x = end + n * pixels
        yield Line(x, y, x, y + 5, "arrow")
        yield Text(x, y + 14, str(n).replace("-", "−"), "ghost")
