"""A bound plan as the integer tables that a kernel walks: slots (distinct input offsets), entries (taps) and phases.

Problems of one and two dimensions run as three-dimensional ones with identity axes in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import ceil
from typing import Any

import numpy as np

from trous.arrays import strides as strides_of
from trous.backends.operation import Operation
from trous.plan import IDENTITY, AxisPlan, BoundAxis

#: What stands for an axis that a problem does not have.
_MISSING = BoundAxis(IDENTITY, 1, 1)


@dataclass(frozen=True)
class Strides:
    """Strides in elements of the arrays of a call, batch and channel first."""

    x: tuple[int, ...]
    w: tuple[int, ...]
    y: tuple[int, ...]

    @classmethod
    def of(cls, x: Any, w: Any, y: Any) -> Strides:
        """The strides of three arrays. Where an axis has one element its stride says nothing and is read as 1, so that
        no kernel is chosen or compiled for it."""
        return cls(*(_normal(array.shape, strides_of(array)) for array in (x, w, y)))

    @classmethod
    def within(cls, operation: Operation, *strides: tuple[int, ...]) -> Strides:
        """The same from the strides that x, w and y of an operation have."""
        shapes = operation.input_shape, operation.weight_shape, operation.output_shape
        return cls(*map(_normal, shapes, strides))

    def spatial(self, name: str) -> tuple[int, int, int]:
        """The last axes' strides, padded in front."""
        own = getattr(self, name)[2:]
        return (*(0,) * (3 - len(own)), *own)


def _normal(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    return tuple(1 if n == 1 else s for n, s in zip(shape, strides, strict=True))


@dataclass(frozen=True)
class Entry:
    """A tap of one phase: the slot it reads, its place in the weight, and the lanes it holds for."""

    slot: int
    weight: int
    low: int
    high: int


@dataclass(frozen=True)
class Taps:
    """Slots and, for each phase, its entries. `fold` puts the phases of the last axis in the place of channels."""

    operation: Operation
    strides: Strides
    fold: bool
    lanes: int  #: lanes an entry holds for, when nothing limits it: output channels of a group, or folded phases

    @cached_property
    def axes(self) -> tuple[BoundAxis, BoundAxis, BoundAxis]:
        own = self.operation.bound.axes
        return (*(_MISSING,) * (3 - len(own)), *own)  # type: ignore[return-value]

    @cached_property
    def offsets(self) -> tuple[tuple[int, ...], ...]:
        """Distinct offsets of live taps, axis by axis."""
        return tuple(axis.live.offsets for axis in self.axes)

    @cached_property
    def slots(self) -> list[tuple[int, int, int, int]]:
        """Offsets along z, y, x and how far apart they lie in memory."""
        z, y, x = self.strides.spatial("x")
        return [(a, b, c, a * z + b * y + c * x) for a, b, c in product(*self.offsets)]

    @cached_property
    def phases(self) -> tuple[tuple[int, int, int], ...]:
        """Output phases, the last axis fastest."""
        return _phases(self._live, self.fold)

    @cached_property
    def entries(self) -> tuple[list[Entry], ...]:
        """The live taps of each phase, slots ascending."""
        return _entries(self._live, self.strides.spatial("w"), self.fold, self.lanes)

    @property
    def entry_tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Slot and place in the weight of all entries, phase by phase, and where those of each phase begin."""
        return _entry_tables(self._live, self.strides.spatial("w"), self.fold, self.lanes)

    @cached_property
    def _live(self) -> tuple[AxisPlan, ...]:
        """What phases and entries depend on: the same at most sizes."""
        return tuple(axis.live for axis in self.axes)


@lru_cache(maxsize=256)
def _phases(axes: tuple[AxisPlan, ...], fold: bool) -> tuple[tuple[int, int, int], ...]:
    z, y, x = (range(axis.up) for axis in axes)
    return tuple(product(z, y, range(1) if fold else x))


@lru_cache(maxsize=256)
def _entry_tables(*of: Any) -> tuple[np.ndarray, np.ndarray]:
    by_phase = _entries(*of)
    records = table([(entry.slot, entry.weight) for entries in by_phase for entry in entries], 2)
    starts = np.cumsum([0, *map(len, by_phase)], dtype=np.int64)
    for shared in (records, starts):
        shared.setflags(write=False)
    return records, starts


@lru_cache(maxsize=256)
def _entries(axes: tuple[AxisPlan, ...], strides: tuple[int, ...], fold: bool, lanes: int) -> tuple[list[Entry], ...]:
    counts = [len(axis.offsets) for axis in axes]
    places = [{offset: i for i, offset in enumerate(axis.offsets)} for axis in axes]

    def along(a: int, phase: int) -> list[tuple[int, int, int, int]]:
        if fold and a == 2:
            return [(places[a][o], k * strides[a], low, high) for o, k, low, high in fold_runs(axes[a]) or ()]
        return [(places[a][tap.offset], tap.kernel * strides[a], 0, lanes) for tap in axes[a].by_phase[phase]]

    found = []
    for phase in _phases(axes, fold):
        taps = product(*(along(a, phase[a]) for a in range(3)))
        entries = [
            Entry((z[0] * counts[1] + y[0]) * counts[2] + x[0], z[1] + y[1] + x[1], x[2], x[3]) for z, y, x in taps
        ]
        found.append(sorted(entries, key=lambda entry: entry.slot))
    return tuple(found)


@lru_cache(maxsize=256)
def fold_runs(axis: AxisPlan) -> list[tuple[int, int, int, int]] | None:
    """For each offset `(offset, kernel index at phase 0, first phase, phase after the last)`, if phases can stand in
    the place of channels: those that share an offset must follow each other with the kernel index. Else None."""
    runs = []
    for offset, taps in axis.by_offset.items():
        phase, kernel, _ = taps[0]
        if any((tap.phase - phase, tap.kernel - kernel) != (i, i) for i, tap in enumerate(taps)):
            return None
        runs.append((offset, kernel - phase, phase, phase + len(taps)))
    return runs


def sides(taps: Taps, operation: Operation) -> dict[str, int]:
    """The header numbers that every kernel shares: steps, sizes and strides along the axes, and of the weight."""
    numbers: dict[str, int] = {}
    for i, name in enumerate("zyx"):
        axis = taps.axes[i]
        numbers |= {
            f"steps_{name}": ceil(axis.output_size / axis.plan.up),
            f"up_{name}": axis.plan.up,
            f"down_{name}": axis.plan.down,
            f"in_{name}": axis.input_size,
            f"out_{name}": axis.output_size,
            f"x_{name}": taps.strides.spatial("x")[i],
            f"y_{name}": taps.strides.spatial("y")[i],
        }
    first, second = taps.strides.w[:2]
    by_input = operation.weight_by_input
    ins, outs = (n // operation.groups for n in (operation.in_channels, operation.out_channels))
    return numbers | {
        "x_group": ins * taps.strides.x[1],
        "x_n": taps.strides.x[0],
        "x_c": taps.strides.x[1],
        "y_n": taps.strides.y[0],
        "w_group": (ins if by_input else outs) * first,
        "w_in": first if by_input else second,
        "w_out": second if by_input else first,
    }


def table(rows: Sequence[Sequence[int]], width: int) -> np.ndarray:
    """Rows as 64-bit integers; an empty table keeps one row, so that it has an address."""
    return np.array(rows, np.int64).reshape(-1, width) if rows else np.zeros((1, width), np.int64)
