"""Choosing runs of taps and the tile that goes with them, for the families whose vectors lie along the channels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from math import ceil, prod

from trous.backends.cpu.runs import Run
from trous.backends.cpu.tables import Entry
from trous.plan import AxisPlan

#: Most taps of a run, steps of a tile, and multiply-adds in the code of one tile.
TAPS, STEPS, CODE = 8, 8, 128
#: Cycles of beginning a tile, of going from one run to the next, and from one column to the next.
START, NEXT, COLUMN = 20, 1.5, 0.4
#: How much more it costs where blocks do not come out even: some vectors are masked in all of them.
UNEVEN = 1.25


def gap(axis: AxisPlan) -> int:
    """Columns between neighbouring taps of every phase; 0 where they are not evenly spaced."""
    apart = {b - a for offsets in _rows(axis) for a, b in pairwise(offsets)}
    return apart.pop() if len(apart) == 1 else 0


def _rows(axis: AxisPlan) -> list[list[int]]:
    return [sorted({tap.offset for tap in taps}) for taps in axis.by_phase]


@lru_cache(maxsize=256)
def tile(axes: tuple[AxisPlan, ...], vectors: int, registers: int, most: int) -> tuple[Run, int, int]:
    """The run, vectors (`most` of them at most) and steps of the fewest cycles for each output, for so many vectors of
    channels."""
    *outer, axis = axes
    rows, starts = prod(len(plan.taps) for plan in outer), START * prod(plan.up for plan in axes)
    spacing = gap(axis)
    if spacing >= STEPS * axis.down:  # nothing would be shared, and every dilation would have code of its own
        spacing = 0
    found: list[tuple[float, int, tuple[Run, int, int]]] = []
    for taps in range(1, TAPS + 1 if spacing else 2):
        run = Run(taps, spacing if taps > 1 else 0, axis.down)
        for width in range(1, min(vectors, most) + 1):
            steps = min((registers - 2 - width * taps) // width, STEPS)
            if steps < 1 or (taps > 1 and steps * width * taps > CODE):
                continue
            each = ceil(vectors / width) * (rows * cycles(axis, run, width, steps) + starts) / steps
            found.append((each * (UNEVEN if vectors % width else 1), -width, (run, width, steps)))
    return min(found, key=lambda one: one[:2])[2]


def cycles(axis: AxisPlan, run: Run, vectors: int, steps: int) -> float:
    """Of a tile, for the taps of a row of inputs."""
    total = 0.0
    for offsets in _rows(axis):
        runs, rest = divmod(len(offsets), run.taps)
        total += runs * _each(run, vectors, steps) + rest * _each(run.single, vectors, steps)
    return total


def _each(run: Run, vectors: int, steps: int) -> float:
    """Two multiply-adds and two loads in a cycle, and what going on to the next run takes."""
    columns = len(run.columns(steps))
    return vectors * max(run.taps * steps, columns + run.taps) / 2 + COLUMN * columns + NEXT


def split(entries: Sequence[Entry], slots: Sequence[tuple[int, int, int, int]], run: Run) -> list[list[Entry]]:
    """The entries of a phase: those in whole runs, one after the other, and the rest."""
    rows: dict[tuple[int, int], list[Entry]] = {}
    for entry in entries:
        rows.setdefault(slots[entry.slot][:2], []).append(entry)
    whole: list[Entry] = []
    rest: list[Entry] = []
    for row in rows.values():
        row.sort(key=lambda entry: slots[entry.slot][2])
        while row:
            head, row = row[: run.taps], row[run.taps :]
            columns = [slots[entry.slot][2] for entry in head]
            even = all(b - a == run.gap for a, b in pairwise(columns))
            (whole if len(head) == run.taps and even else rest).extend(head)
    return [whole, rest]
