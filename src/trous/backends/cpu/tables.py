"""A bound plan as the integer tables that a kernel walks: slots (distinct input offsets), entries (taps) and phases.

Problems of one and two dimensions run as three-dimensional ones with identity axes in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import ceil
from typing import Any

import numpy as np

from trous.arrays import strides as strides_of
from trous.backends.operation import Operation
from trous.plan import IDENTITY, BoundAxis, Tap


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
        return (*(BoundAxis(IDENTITY, 1, 1),) * (3 - len(own)), *own)  # type: ignore[return-value]

    @cached_property
    def offsets(self) -> tuple[tuple[int, ...], ...]:
        """Distinct offsets of live taps, axis by axis."""
        return tuple(tuple(sorted({tap.offset for tap in axis.live_taps})) for axis in self.axes)

    @cached_property
    def slots(self) -> list[tuple[int, int, int, int]]:
        """Offsets along z, y, x and how far apart they lie in memory."""
        z, y, x = self.strides.spatial("x")
        return [(a, b, c, a * z + b * y + c * x) for a, b, c in product(*self.offsets)]

    @cached_property
    def phases(self) -> list[tuple[int, int, int]]:
        """Output phases, the last axis fastest."""
        ups = [axis.plan.up for axis in self.axes]
        if self.fold:
            ups[2] = 1
        return [(z, y, x) for z, y, x in product(*map(range, ups))]

    def entries(self, phase: tuple[int, int, int]) -> list[Entry]:
        """The live taps of a phase, slots ascending."""
        places = [{offset: i for i, offset in enumerate(axis)} for axis in self.offsets]
        counts = [len(axis) for axis in self.offsets]
        steps = self.strides.spatial("w")
        groups = [
            [(places[a][tap.offset], tap.kernel * steps[a], 0, self.lanes) for tap in taps if tap.offset in places[a]]
            for a, taps in enumerate(self._phase_taps(phase))
        ]
        if self.fold:
            groups[2] = [(places[2][o], w * steps[2], low, high) for o, w, low, high in fold_runs(self.axes[2])]
        found = [
            Entry((z[0] * counts[1] + y[0]) * counts[2] + x[0], z[1] + y[1] + x[1], x[2], x[3])
            for z, y, x in product(*groups)
        ]
        return sorted(found, key=lambda entry: entry.slot)

    def _phase_taps(self, phase: tuple[int, int, int]) -> list[Sequence[Tap]]:
        own = [axis.plan.by_phase[r] for axis, r in zip(self.axes[:2], phase[:2], strict=True)]
        return [*own, () if self.fold else self.axes[2].plan.by_phase[phase[2]]]


def fold_runs(axis: BoundAxis) -> list[tuple[int, int, int, int]]:
    """For each live offset `(offset, kernel index at phase 0, first phase, phase after the last)`.

    The phases that share an offset must follow each other with the kernel index; `folds` says whether they do.
    """
    runs: dict[int, list[Tap]] = {}
    for tap in axis.live_taps:
        runs.setdefault(tap.offset, []).append(tap)
    return [(o, taps[0].kernel - taps[0].phase, taps[0].phase, taps[-1].phase + 1) for o, taps in sorted(runs.items())]


def folds(axis: BoundAxis) -> bool:
    """Whether phases can stand in the place of channels: for each offset one stretch of phases, one weight each."""
    runs: dict[int, Tap] = {}
    for tap in axis.live_taps:
        last = runs.get(tap.offset)
        if last is not None and (tap.phase != last.phase + 1 or tap.kernel != last.kernel + 1):
            return False
        runs[tap.offset] = tap
    return True


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
