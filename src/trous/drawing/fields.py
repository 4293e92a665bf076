"""How the receptive field grows: for each layer the inputs that its central output reads, one below the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from math import ceil

import numpy as np

from trous.drawing.canvas import compose
from trous.drawing.palette import LEVELS
from trous.drawing.ruler import ruler_below
from trous.drawing.scene import Drawing, Rect, Shape, Text, text_width
from trous.errors import TrousError
from trous.inspection.layers import Layer
from trous.inspection.report import Report
from trous.inspection.values import Axis
from trous.plan.field import Seen

_WIDE = 560  #: pixels of the rows, at most
_BINS = 280
_ROW = 20
_HIGH = 12
#: The colour of a block of inputs of which none is read would be the first; of one that is read whole, the second.
_LEAST, _MOST = 2, 14


@dataclass(frozen=True)
class _Row:
    """`seen` are the inputs that are read; of a layer without a pattern, all from the first to the last."""

    name: str
    seen: Seen
    words: str


def draw_fields(title: str, report: Report, axis: int) -> Drawing:
    """A bar for each layer whose field differs from that of the one before it, along one axis of the input.

    Each bar is the field of the central output, holes included, beyond the borders too. Larger fields are drawn in
    blocks, paler where a part is read.
    """
    along = report.graph.axes[axis]
    rows = list(_rows(report, along))
    if not rows:
        raise TrousError("axis", "must be one that some layer depends on", axis)
    size = report.graph.inputs[along.input].shape[along.dim]
    start = min(0, *(row.seen.first for row in rows))
    stop = max(size, *(row.seen.interval.stop for row in rows))
    block = ceil((stop - start) / _BINS)
    bins = ceil((stop - start) / block)
    cell = max(2, min(20, _WIDE // bins))
    unit = cell / block
    left = max(text_width(row.name, 12) for row in rows) + 14
    height = _ROW * len(rows) + 8
    shapes: list[Shape] = [Rect(left - start * unit, 0, size * unit, height, "input")]
    for number, row in enumerate(rows):
        y = 8 + _ROW * number
        shapes.append(Text(0, y + _HIGH / 2, row.name, "label", "start"))
        shapes += _bar(row.seen, start, block, bins, left, y, cell)
        shapes.append(Text(left + bins * cell + 14, y + _HIGH / 2, row.words, "value", "start"))
    shapes += ruler_below(range(start, stop), left, height + 4, unit)
    name = "input" if len(report.graph.axes) == 1 else f"input, axis {axis}"
    name += f", in blocks of {block}" if block > 1 else ""
    shapes.append(Text(left + bins * cell / 2, height + 36, name, "label"))
    return compose(
        f"{title}: receptive fields",
        shapes,
        [((), f"field of the central output of {rows[-1].name}: {rows[-1].words}")],
    )


def _rows(report: Report, axis: Axis) -> Iterator[_Row]:
    """One for each layer that changes something; the network's output is always one."""
    before = None
    for place, layer in enumerate(report.layers):
        row = _row(layer, axis)
        last = place == len(report) - 1
        if row is not None and (last or (row.seen.bits, row.words) != before):
            yield row
            before = row.seen.bits, row.words


def _row(layer: Layer, axis: Axis) -> _Row | None:
    if axis not in layer.output.trails:
        return None
    name = layer.name if layer.name == layer.kind else f"{layer.name} ({layer.kind})"
    trail = layer.output.trails[axis].settled()
    beside = " + all" if trail.everywhere else ""
    if trail.field is not None and trail.dim is not None:
        seen = trail.field.at(layer.shape[trail.dim] // 2)
        holes = f", of which {seen.bits.bit_count()} are read" if seen.share < 1 else ""
        return _Row(name, seen, f"{len(seen.interval)}{holes}{beside}")
    reached = [a for a in layer.axes if a in layer.output.trails]
    interval = layer.interval(tuple(n // 2 for n in layer.output_size))[reached.index(axis)]
    words = f"{len(interval)} at this size" if trail.vague else "all"
    return _Row(name, Seen(interval.start, (1 << len(interval)) - 1), words)


def _bar(seen: Seen, start: int, block: int, bins: int, left: float, y: float, cell: float) -> Iterator[Rect]:
    """Blocks of inputs with a colour for the share that is read; none where nothing is."""
    read = np.zeros(bins * block, bool)
    bits = np.frombuffer(seen.bits.to_bytes(seen.bits.bit_length() // 8 + 1, "little"), np.uint8)
    places = np.flatnonzero(np.unpackbits(bits, bitorder="little"))
    read[places + seen.first - start] = True
    shares = read.reshape(bins, block).mean(axis=1)
    levels = [round(_LEAST + share * (_MOST - _LEAST)) if share else 0 for share in shares.tolist()]
    x = left
    for level, group in groupby(levels):
        width = cell * len(list(group))
        if level:
            yield Rect(x, y, width, _HIGH, f"level{min(level, LEVELS - 1)}")
        x += width
