"""The effective receptive field: how much each input acts on one output, as a map, or as a profile of one axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import ceil

import numpy as np

from trous.drawing.canvas import compose
from trous.drawing.palette import LEVELS
from trous.drawing.ruler import ruler_below, ruler_beside, ruler_room
from trous.drawing.scene import Drawing, Rect, Shape, Text
from trous.inspection.influence import Influence

#: Cells of a map along an axis, and bars of a profile, at most; larger fields are drawn in blocks.
_CELLS = 96
_BARS = 160
_SIDE = 400  #: pixels
_HIGH = 150
_NAMES = "theoretical field", "effective field: 95 % on each axis"


def draw_map(found: Influence) -> Drawing:
    """A map of two axes: the colour of a block is the root of its mean strength, the largest being 1."""
    shown = [_shown(*pair) for pair in zip(found.field, found.effective, found.strength.shape, strict=True)]
    block = ceil(max(map(len, shown)) / _CELLS)
    shown = [_whole(axis, block, size) for axis, size in zip(shown, found.strength.shape, strict=True)]
    blocks = _pooled(found.strength, shown, block)
    cell = max(2, _SIDE // max(blocks.shape))
    unit = cell / block
    rows, columns = shown
    left = ruler_room(rows) + 20
    width, height = cell * blocks.shape[1], cell * blocks.shape[0]
    levels = np.rint(np.sqrt(blocks / blocks.max()) * (LEVELS - 1)).astype(int)
    shapes: list[Shape] = [Rect(left, 0, width, height, "level0")]
    cells = [rect for y, row in enumerate(levels.tolist()) for rect in _runs(row, left, y * cell, cell)]
    shapes += sorted(cells, key=lambda rect: int(rect.style.removeprefix("level")))

    def outline(field: Sequence[range], style: str) -> Rect:
        (top, bottom), (start, stop) = (
            (f.start - s.start, f.stop - s.start) for f, s in zip(field, shown, strict=True)
        )
        return Rect(left + start * unit, top * unit, (stop - start) * unit, (bottom - top) * unit, style)

    shapes += [outline(found.field, "window")] if all(found.field) else []
    shapes.append(outline(found.effective, "frame0"))
    shapes += [*ruler_below(columns, left, height + 4, unit), *ruler_beside(rows, left - 4, 0, unit)]
    shapes.append(Text(left + width / 2, height + 36, _axis_title(block), "label"))
    shapes += _legend(left + width + 28)
    return compose(_title(found), shapes, [((), _caption(found))])


def draw_profile(found: Influence, axis: int = 0) -> Drawing:
    """A profile along one axis, the others summed: a bar for each block of inputs, the largest being 1."""
    strength, field, effective = found.along(axis), found.field[axis], found.effective[axis]
    shown = _shown(field, effective, len(strength))
    block = ceil(len(shown) / _BARS)
    shown = _whole(shown, block, len(strength))
    bars = _pooled(strength, [shown], block)
    cell = max(4, min(24, 640 // len(bars)))
    unit = cell / block
    left, width = 30.0, cell * len(bars)
    shapes: list[Shape] = [Rect(left, 0, width, _HIGH, "ground")]
    for place, share in enumerate((bars / bars.max()).tolist()):
        if share > 0:
            shapes.append(Rect(left + place * cell, _HIGH * (1 - share), cell, _HIGH * share, "bar"))
    for share, text in ((0, "0"), (1, "1")):
        shapes.append(Text(left - 8, _HIGH * (1 - share), text, "ghost", "end"))
    y = _HIGH + 6
    for interval, style in ((field, "mark"), (effective, "mark0")):
        if interval:
            shapes.append(Rect(left + (interval.start - shown.start) * unit, y, len(interval) * unit, 7, style))
            y += 11
    shapes += ruler_below(shown, left, y + 2, unit)
    shapes.append(Text(left + width / 2, y + 36, _axis_title(block), "label"))
    x = left
    for words, style in zip(_NAMES, ("mark", "mark0"), strict=True):
        label = Text(x + 22, y + 56, words, "label", "start")
        shapes += [Rect(x, y + 53, 14, 7, style), label]
        x = label.box[2] + 24
    return compose(_title(found), shapes, [((), _caption(found))])


def _shown(field: range, effective: range, size: int) -> range:
    """The part of the input that is drawn: the field and a little around it."""
    start, stop = min(f.start for f in (field or effective, effective)), max(field.stop, effective.stop)
    margin = max(1, (stop - start) // 12)
    return range(max(0, start - margin), min(size, stop + margin))


def _whole(shown: range, block: int, size: int) -> range:
    """The part in whole blocks, which may reach over the last input."""
    return range(shown.start, shown.start + block * ceil(len(shown) / block))


def _pooled(strength: np.ndarray, shown: Sequence[range], block: int) -> np.ndarray:
    """The mean of each block; what lies behind the last input is 0."""
    part = strength[tuple(slice(axis.start, axis.stop) for axis in shown)]
    part = np.pad(part, [(0, len(axis) - n) for axis, n in zip(shown, part.shape, strict=True)])
    split = part.reshape([n for axis in shown for n in (len(axis) // block, block)])
    return split.mean(axis=tuple(range(1, split.ndim, 2)))


def _runs(row: Sequence[int], left: float, y: float, cell: float) -> Iterator[Rect]:
    """Neighbours of one level as one rectangle; none for the lowest, which is the ground."""
    x = left
    for level, group in groupby(row):
        width = cell * len(list(group))
        if level:
            yield Rect(x, y, width, cell, f"level{level}")
        x += width


def _legend(x: float) -> Iterator[Shape]:
    """What the outlines and the colours mean."""
    for row, (words, style) in enumerate(zip(_NAMES, ("window", "frame0"), strict=True)):
        yield Rect(x, 24 * row + 2, 14, 14, style)
        yield Text(x + 24, 24 * row + 9, words, "label", "start")
    wide = 7
    yield from (Rect(x + wide * level, 64, wide, 14, f"level{level}") for level in range(LEVELS))
    for place, share in ((0.0, "0"), (0.25, "1/16"), (0.5, "1/4"), (1.0, "1")):
        yield Text(x + wide * (0.5 + place * (LEVELS - 1)), 90, share, "ghost")
    yield Text(x, 110, "derivative, the largest being 1", "label", "start")


def _sizes(found: Influence) -> tuple[str, str]:
    """The theoretical and the effective one. Where other outputs see more, for borders or phases, it says how much."""
    inside, whole = [len(interval) for interval in found.field], found.layer.receptive_field
    names = _times(inside)
    if found.layer.everywhere:
        names = f"all ({names})"
    elif len(whole) == len(inside) and list(whole) != inside:
        names = f"{names} ({_times(whole)} at most)"
    return names, _times([len(interval) for interval in found.effective])


def _title(found: Influence) -> str:
    name = "" if found.layer.name == "output" else f" {found.layer.name}"
    return f"{found.title}{name}: effective receptive field"


def _caption(found: Influence) -> str:
    theoretical, effective = _sizes(found)
    place = str(found.position if len(found.position) != 1 else found.position[0])
    return f"output {place}: theoretical field {theoretical}, effective field {effective}"


def _axis_title(block: int) -> str:
    return "input" if block == 1 else f"input, in blocks of {block}"


def _times(sizes: Sequence[int]) -> str:
    return "×".join(map(str, sizes))
