"""Axes of pictures in inputs: ticks at round numbers."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from trous.drawing.scene import Line, Shape, Text, text_width

_SIZE = 11
_TICK = 5


def ticks(shown: range, step_at_least: float) -> range:
    """Round numbers within `shown`, at least so far apart: 1, 2 or 5 times a power of ten."""
    step = next(s for power in range(12) for s in (10**power, 2 * 10**power, 5 * 10**power) if s >= step_at_least)
    return range(ceil(shown.start / step) * step, shown.stop, step)


def ruler_below(shown: range, left: float, y: float, unit: float) -> Iterator[Shape]:
    """A ruler for cells of `unit` pixels from `left` on: each number stands under the middle of its input."""
    widest = max(text_width(_number(n), _SIZE) for n in (shown.start, shown[-1])) + 10
    for n in ticks(shown, widest / unit):
        x = left + (n - shown.start + 0.5) * unit
        yield Line(x, y, x, y + _TICK, "arrow")
        yield Text(x, y + _TICK + 9, _number(n), "ghost")


def ruler_beside(shown: range, right: float, top: float, unit: float) -> Iterator[Shape]:
    """The same to the left of cells that go down from `top`, its ticks ending at `right`."""
    for n in ticks(shown, 20 / unit):
        y = top + (n - shown.start + 0.5) * unit
        yield Line(right - _TICK, y, right, y, "arrow")
        yield Text(right - _TICK - 5, y, _number(n), "ghost", "end")


def ruler_room(shown: range) -> float:
    """How much `ruler_beside` takes to the left."""
    return _TICK + 5 + max(text_width(_number(n), _SIZE) for n in (shown.start, shown[-1]))


def _number(n: int) -> str:
    return str(n).replace("-", "−")
