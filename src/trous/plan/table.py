"""Plans as text. Axes that are alike are shown once, long lists by their ends, so that every plan fits a screen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, TypeVar

from trous.plan.axis import AxisPlan, Tap
from trous.plan.cost import nominal_multiplications

if TYPE_CHECKING:
    from trous.plan.bind import BoundAxis, BoundPlan
    from trous.plan.plan import Plan

T = TypeVar("T")

_TAPS_IN_LINE = 6
_LINES = 12


def plan_table(plan: Plan) -> str:
    """The taps of each axis by output phase.

    >>> print(ConvTranspose(3, stride=2).plan())
    Plan of 1 axis, 3 taps: 1 to 2 multiplications per output, 1.5 on average
    axis 0: o = 2m + phase, i = m + offset, output = 2*input + 1
      phase  taps  kernel -> offset
          0     2  0 -> 0, 2 -> -1
          1     1  1 -> 0
      uneven overlap: 1 to 2 taps by phase
    """
    lines = [f"Plan of {count(plan.ndim, 'axis', 'axes')}, {_product(len(axis.taps) for axis in plan.axes)}: "]
    lines[0] += _per_output(plan)
    for name, axis in _alike(plan.axes):
        lines += [f"{name}: {_steps(axis)}, output = {size_rule(axis)}", *_phases(axis)]
    return "\n".join(lines)


def bound_table(bound: BoundPlan) -> str:
    """The taps of each axis with the steps `m` at which they land inside, and what is executed of what is nominal.

    >>> print(Conv(3, padding=36, dilation=36).plan().bind(33))
    Bound plan 33 -> 33: 33 of 99 multiplications land inside, 33.3 %
    axis 0: 33 -> 33, o = m, i = m + offset, 33 of 99 multiplications, 2 of 3 taps dead
      phase  kernel  offset  steps  multiplications
          0       0     -36   none                0
          0       1       0  0..32               33
          0       2      36   none                0
    """
    nominal = prod(map(nominal_multiplications, bound.axes))
    share = f", {100 * bound.multiplications / nominal:.1f} %" if nominal else ""
    lines = [f"Bound plan {_size(bound.input_size)} -> {_size(bound.output_size)}: "]
    lines[0] += f"{bound.multiplications} of {nominal} multiplications land inside{share}"
    for name, axis in _alike(bound.axes):
        dead = len(axis.plan.taps) - len(axis.live_taps)
        executed = f"{axis.multiplications} of {nominal_multiplications(axis)} multiplications"
        lines.append(
            f"{name}: {axis.input_size} -> {axis.output_size}, {_steps(axis.plan)}, {executed}"
            + (f", {dead} of {count(len(axis.plan.taps), 'tap', 'taps')} dead" if dead else "")
        )
        header = ("phase", "kernel", "offset", "steps", "multiplications")
        lines += columns([header, *(_bound_row(axis, tap) for tap in _ends(axis.plan.taps, _LINES))])
    return "\n".join(lines)


def _phases(axis: AxisPlan) -> list[str]:
    """One line for each phase, then what is uneven about them."""
    groups: dict[int, list[Tap]] = {}
    for tap in axis.taps:
        groups.setdefault(tap.phase, []).append(tap)
    rows: list[Sequence[object] | None] = [("phase", "taps", "kernel -> offset")]
    for phase in _ends(range(axis.up), _LINES):
        taps = groups.get(phase, []) if phase is not None else []
        pairs = [f"{tap.kernel} -> {tap.offset}" if tap else "..." for tap in _ends(taps, _TAPS_IN_LINE)]
        rows.append(None if phase is None else (phase, len(taps), ", ".join(pairs) or "none"))
    lines = columns(rows, left=1)
    counts = sorted({len(taps) for taps in groups.values()})
    if len(counts) > 1:
        lines.append(f"  uneven overlap: {counts[0]} to {counts[-1]} taps by phase")
    if len(groups) < axis.up:
        empty = axis.up - len(groups)
        lines.append(f"  {empty} of {axis.up} phases without a tap: their outputs hold the bias alone")
    return lines


def _per_output(plan: Plan) -> str:
    """Multiplications per output over all phases of all axes."""
    counts = [Counter(tap.phase for tap in axis.taps) for axis in plan.axes]
    most = prod(max(by_phase.values(), default=0) for by_phase in counts)
    least = prod(
        min(by_phase.values(), default=0) if len(by_phase) == axis.up else 0
        for axis, by_phase in zip(plan.axes, counts, strict=True)
    )
    if least == most:
        return f"{count(most, 'multiplication', 'multiplications')} per output"
    mean = prod(len(axis.taps) / axis.up for axis in plan.axes)
    return f"{least} to {most} multiplications per output, {mean:.4g} on average"


def _steps(axis: AxisPlan) -> str:
    output = "m" if axis.up == 1 else f"{axis.up}m + phase"
    return f"o = {output}, i = {'' if axis.down == 1 else axis.down}m + offset"


def size_rule(axis: AxisPlan) -> str:
    scaled = "input" if axis.up == 1 else f"{axis.up}*input"
    if axis.extent:
        scaled += f" {'+' if axis.extent > 0 else '-'} {abs(axis.extent)}"
    if axis.down == 1:
        return scaled
    return f"({scaled})//{axis.down}" if " " in scaled or "*" in scaled else f"{scaled}//{axis.down}"


def _bound_row(axis: BoundAxis, tap: Tap | None) -> Sequence[object] | None:
    if tap is None:
        return None
    steps = axis.steps(tap)
    return (*tap, f"{steps[0]}..{steps[-1]}" if steps else "none", len(steps))


def _alike(axes: Sequence[T]) -> list[tuple[str, T]]:
    """Each distinct axis with the names of those that are equal to it."""
    places: dict[T, list[str]] = {}
    for place, axis in enumerate(axes):
        places.setdefault(axis, []).append(str(place))
    return [(f"{'axes' if len(where) > 1 else 'axis'} {', '.join(where)}", axis) for axis, where in places.items()]


def _ends(items: Sequence[T], most: int) -> list[T | None]:
    """The items, or where there are more than `most` the first ones, None for the gap, and the last two."""
    if len(items) <= most:
        return list(items)
    return [*items[: most - 3], None, *items[-2:]]


def columns(rows: Iterable[Sequence[object] | None], left: int = 0) -> list[str]:
    """Right-aligned columns, the last `left` of them left-aligned; None is a gap in the list."""
    texts = [None if row is None else [str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*filter(None, texts), strict=True)]
    lines = []
    for row in texts:
        if row is None:
            lines.append(f"  {'...':>{widths[0]}}")
            continue
        right = len(widths) - left
        cells = [f"{cell:>{width}}" for cell, width in zip(row[:right], widths, strict=False)]
        lines.append("  " + "  ".join([*cells, *row[right:]]))
    return lines


def count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _product(numbers: Iterable[int]) -> str:
    factors = list(numbers)
    return f"{' x '.join(map(str, factors))} {'tap' if prod(factors) == 1 else 'taps'}"


def _size(size: Sequence[int]) -> str:
    return "x".join(map(str, size))
