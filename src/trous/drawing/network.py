"""The diagram of a network: a row for each block, the further to the right the coarser; arcs for what skips rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import cos, log2, pi, sin

from trous.drawing.blocks import Block, blocks
from trous.drawing.canvas import compose
from trous.drawing.palette import HUES
from trous.drawing.repeats import Folded, folded
from trous.drawing.scene import Drawing, Line, Rect, Shape, Text, text_width
from trous.inspection.report import Report
from trous.inspection.text import count as short

_HIGH = 24
_ROW = 37
_LANE = 11
_INDENT = 18
_APART = 22  #: between columns
_TURN = 6  #: radius of the corners of arcs
_STYLES = {
    "end": "input",
    "conv": "tint1",
    "transposed": "tint0",
    "pool": "tint3",
    "product": "tint4",
    "join": "tint2",
    "other": "node",
}
_LONGEST_NAME = 28
_MOST_WARNINGS = 3


def draw_network(title: str, report: Report) -> Drawing:
    """Boxes from the input down to the output, with output sizes, receptive fields and names beside them."""
    found = folded(blocks(report))
    shapes = list(_Diagram(found).shapes())
    output = report.output
    field = "×".join(map(str, output.receptive_field))
    parts = [f"{short(report.parameters)} parameters", f"{short(report.macs)} multiply-adds"]
    if output.everywhere:
        parts.insert(0, "outputs depend on all inputs")
    elif field:
        parts.insert(0, f"receptive field {field}")
    return compose(f"{title}: {len(report)} layers", shapes, [((), ", ".join(parts))])


class _Diagram:
    def __init__(self, found: Folded):
        self.blocks, self.repeats = found.blocks, found.repeats
        self.lanes = _lanes(self.blocks)
        self.levels = _levels(self.blocks)
        self.left = _LANE * (1 + max(self.lanes.values(), default=-1)) + (18 if self.lanes else 0)
        self.width = max(text_width(_label(block), 11) for block in self.blocks) + 20
        self.numbers = {row: n + 1 for n, row in enumerate(r for r, b in enumerate(self.blocks) if b.warnings)}

    def shapes(self) -> Iterator[Shape]:
        for row, block in enumerate(self.blocks):
            x, y = self._corner(row)
            yield Rect(x, y, self.width, _HIGH, _STYLES[block.category])
            yield Text(x + 10, y + _HIGH / 2, _label(block), "value", "start")
        yield from self._steps()
        yield from self._arcs()
        x = self.left + _INDENT * max(self.levels) + self.width
        if self.numbers:
            for row, number in self.numbers.items():
                yield from _badge(x + 20, self._middle(row), number)
            x += 32
        if self.repeats:
            yield from self._brackets(x + 12)
            x += 24 + max(text_width(f"×{repeat.times}", 12) for repeat in self.repeats)
        for title, texts in self._columns():
            x += _APART
            yield Text(x, _HIGH / 2 - 6, title, "label", "start")
            for row, text in enumerate(texts):
                yield Text(x, self._middle(row), text, "ghost" if title == "name" else "value", "start")
            x += max(text_width(text, 12) for text in (title, *texts))
        yield from self._notes(max(x, 560))

    def _columns(self) -> Iterator[tuple[str, list[str]]]:
        yield "output", ["×".join(map(str, block.shape)) for block in self.blocks]
        yield "field", [block.receptive_field for block in self.blocks]
        yield "name", [_shortened(block.name) for block in self.blocks]

    def _corner(self, row: int) -> tuple[float, float]:
        return self.left + _INDENT * self.levels[row], 26 + _ROW * row

    def _middle(self, row: int) -> float:
        return self._corner(row)[1] + _HIGH / 2

    def _steps(self) -> Iterator[Line]:
        """Arrows from a row to the next."""
        for row, block in enumerate(self.blocks):
            if row - 1 in block.sources:
                x = max(self._corner(row)[0], self._corner(row - 1)[0]) + 22
                yield from _arrow_down(x, self._corner(row - 1)[1] + _HIGH, self._corner(row)[1])

    def _arcs(self) -> Iterator[Line]:
        """What rows further down read goes along a lane to the left of all boxes, one for each block that is read."""
        for source, lane in self.lanes.items():
            style = f"skip{lane % len(HUES)}"
            x = self.left - 18 - _LANE * lane
            targets = _further(self.blocks, source)
            start = self._middle(source) + 5
            yield Line(self._corner(source)[0], start, x + _TURN, start, style)
            yield from _bent(x + _TURN, start + _TURN, pi * 1.5, style)
            yield Line(x, start + _TURN, x, self._middle(targets[-1]) - 5 - _TURN, style)
            for target in targets:
                end, edge = self._middle(target) - 5, self._corner(target)[0]
                yield from _bent(x + _TURN, end - _TURN, pi, style)
                yield Line(x + _TURN, end, edge, end, style)
                yield from (Line(edge - 5, end + side, edge, end, style) for side in (-4, 4))

    def _brackets(self, x: float) -> Iterator[Shape]:
        """How often rows repeat."""
        for start, period, times in self.repeats:
            top, bottom = self._corner(start)[1], self._corner(start + period - 1)[1] + _HIGH
            yield Line(x - 5, top, x, top, "arrow")
            yield Line(x, top, x, bottom, "arrow")
            yield Line(x - 5, bottom, x, bottom, "arrow")
            yield Text(x + 8, (top + bottom) / 2, f"×{times}", "caption", "start")

    def _notes(self, width: float) -> Iterator[Shape]:
        """The warnings, each with the number of its badge."""
        y = self._corner(len(self.blocks) - 1)[1] + _HIGH + 24
        for row, number in self.numbers.items():
            block = self.blocks[row]
            warnings = block.warnings[:_MOST_WARNINGS]
            more = len(block.warnings) - len(warnings)
            text = f"{block.name}: {'; '.join(warnings)}" + (f"; and {more} more" if more else "")
            yield from _badge(10, y, number)
            for line in _wrapped(text, width - 28):
                yield Text(28, y, line, "label", "start")
                y += 18
            y += 6
        if any("*" in block.receptive_field for block in self.blocks):
            yield Text(0, y, "* at this size: there is no pattern that holds at others", "label", "start")


def _label(block: Block) -> str:
    """`Conv2d 3×3, stride 2, dilation 1 to 16 · BatchNorm2d, ReLU`."""
    arguments = list(block.arguments)
    if set(block.dilations) - {1}:
        few = len(block.dilations) < 4
        ends = f"{min(block.dilations)} to {max(block.dilations)}"
        arguments.append(f"dilation {', '.join(map(str, block.dilations)) if few else ends}")
    words = f"{block.kind} {', '.join(arguments)}".strip()
    return " · ".join([words, *([", ".join(block.follows[:3])] if block.follows else [])])


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"…{name[1 - _LONGEST_NAME :]}"


def _further(found: Sequence[Block], source: int) -> list[int]:
    """The rows that read a block and do not come next."""
    return [row for row, block in enumerate(found) if source in block.sources and row > source + 1]


def _lanes(found: Sequence[Block]) -> dict[int, int]:
    """A lane for each block that is read further down, short ones near the boxes; no two share a part of one."""
    spans = {source: rows[-1] for source in range(len(found)) if (rows := _further(found, source))}
    taken: list[list[tuple[int, int]]] = []
    lanes = {}
    for source, end in sorted(spans.items(), key=lambda span: (span[1] - span[0], span[0])):
        free = (n for n, lane in enumerate(taken) if all(end <= a or b <= source for a, b in lane))
        lane = next(free, len(taken))
        taken += [[]] if lane == len(taken) else []
        taken[lane].append((source, end))
        lanes[source] = lane
    return lanes


def _levels(found: Sequence[Block]) -> list[int]:
    """How far each row is indented: a step for every halving of the resolution, the finest at the left."""
    depths: list[int] = []
    for block in found:
        known = block.jump is not None and block.jump > 0
        depths.append(round(log2(block.jump)) if known and block.jump else (depths[-1] if depths else 0))
    return [depth - min(depths) for depth in depths]


def _badge(x: float, y: float, number: int) -> Iterator[Shape]:
    yield Rect(x - 9, y - 9, 18, 18, "hue0")
    yield Text(x, y, str(number), "on-hue")


def _arrow_down(x: float, top: float, bottom: float) -> Iterator[Line]:
    yield Line(x, top, x, bottom, "arrow")
    yield from (Line(x + side, bottom - 5, x, bottom, "arrow") for side in (-4, 4))


def _bent(x: float, y: float, angle: float, style: str) -> Iterator[Line]:
    """A quarter of a circle around (x, y), on its left, from `angle` backwards by a right angle."""
    points = [(x + _TURN * cos(a), y + _TURN * sin(a)) for a in (angle - pi * n / 8 for n in range(5))]
    for (x1, y1), (x2, y2) in pairwise(points):
        yield Line(x1, y1, x2, y2, style)


def _wrapped(text: str, width: float) -> Iterable[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_width(longer, 12) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
