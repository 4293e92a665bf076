"""A bound plan as the integer tables that a kernel walks: slots (distinct input offsets), entries (taps) and phases.

Problems of one and two dimensions run as three-dimensional ones with identity axes in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from trous.arrays import strides as strides_of
from trous.backends.cpu.windows import near
from trous.backends.operation import Operation
from trous.plan import IDENTITY, AxisPlan, BoundAxis

_RATES = "up", "down"
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

    @property
    def near(self) -> Strides:
        """What of them decides which code runs: the weight's, and of x and y those of the channels and the last axis
        that are small. At most sizes of a layer they are the same."""
        x, y, between = self.x, self.y, (0,) * (len(self.x) - 3)
        return Strides((0, near(x[1]), *between, near(x[-1])), self.w, (0, near(y[1]), *between, near(y[-1])))

    def spatial(self, name: str) -> tuple[int, int, int]:
        """The last axes' strides, padded in front."""
        own = getattr(self, name)[2:]
        return (*(0,) * (3 - len(own)), *own)


def _normal(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    return tuple([1 if n == 1 else s for n, s in zip(shape, strides, strict=True)])


class Layer(NamedTuple):
    """What an operation is whatever its sizes: what is alive of its plan, along z, y, x, and its channels."""

    axes: tuple[AxisPlan, AxisPlan, AxisPlan]
    kernel: tuple[int, ...]
    in_channels: int
    out_channels: int
    groups: int
    weight_by_input: bool

    @classmethod
    def of(cls, operation: Operation) -> Layer:
        return cls(
            three([axis.live for axis in operation.bound.axes], IDENTITY),
            operation.kernel,
            operation.in_channels,
            operation.out_channels,
            operation.groups,
            operation.weight_by_input,
        )

    @property
    def channels(self) -> tuple[int, int]:
        """Of a group: inputs and outputs."""
        return self.in_channels // self.groups, self.out_channels // self.groups


def three(own: list[Any], missing: Any) -> Any:
    """Something of every axis, along z, y, x."""
    return (*[missing] * (3 - len(own)), *own)


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
        return bound_axes(self.operation)

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
        return phases(self._live, self.fold)

    @cached_property
    def entries(self) -> tuple[list[Entry], ...]:
        """The live taps of each phase, slots ascending."""
        return entries(self._live, self.strides.spatial("w"), self.fold, self.lanes)

    @property
    def entry_tables(self) -> tuple[np.ndarray, np.ndarray]:
        """Slot and place in the weight of all entries, phase by phase, and where those of each phase begin."""
        return _entry_tables(self._live, self.strides.spatial("w"), self.fold, self.lanes)

    @cached_property
    def _live(self) -> tuple[AxisPlan, ...]:
        """What phases and entries depend on: the same at most sizes."""
        return tuple(axis.live for axis in self.axes)


@lru_cache(maxsize=256)
def phases(axes: tuple[AxisPlan, ...], fold: bool) -> tuple[tuple[int, int, int], ...]:
    """Output phases of live plans along z, y, x, the last axis fastest."""
    z, y, x = (range(axis.up) for axis in axes)
    return tuple(product(z, y, range(1) if fold else x))


@lru_cache(maxsize=256)
def _entry_tables(*of: Any) -> tuple[np.ndarray, np.ndarray]:
    by_phase = entries(*of)
    records = table([(entry.slot, entry.weight) for entries in by_phase for entry in entries], 2)
    starts = np.cumsum([0, *map(len, by_phase)], dtype=np.int64)
    for shared in (records, starts):
        shared.setflags(write=False)
    return records, starts


@lru_cache(maxsize=256)
def entries(axes: tuple[AxisPlan, ...], strides: tuple[int, ...], fold: bool, lanes: int) -> tuple[list[Entry], ...]:
    """What `Taps.entries` are, from live plans and the weight's strides along z, y, x."""
    counts = [len(axis.offsets) for axis in axes]
    places = [{offset: i for i, offset in enumerate(axis.offsets)} for axis in axes]

    def along(a: int, phase: int) -> list[tuple[int, int, int, int]]:
        if fold and a == 2:
            return [(places[a][o], k * strides[a], low, high) for o, k, low, high in fold_runs(axes[a]) or ()]
        return [(places[a][tap.offset], tap.kernel * strides[a], 0, lanes) for tap in axes[a].by_phase[phase]]

    found = []
    for phase in phases(axes, fold):
        taps = product(*(along(a, phase[a]) for a in range(3)))
        of_phase = [
            Entry((z[0] * counts[1] + y[0]) * counts[2] + x[0], z[1] + y[1] + x[1], x[2], x[3]) for z, y, x in taps
        ]
        found.append(sorted(of_phase, key=lambda entry: entry.slot))
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


def bound_axes(operation: Operation) -> tuple[BoundAxis, BoundAxis, BoundAxis]:
    """Along z, y, x."""
    found: tuple[BoundAxis, BoundAxis, BoundAxis] = three(list(operation.bound.axes), _MISSING)
    return found


def sides(taps: Taps, operation: Operation) -> dict[str, int]:
    """The header numbers that every kernel shares: steps, sizes and strides along the axes, and of the weight."""
    layer = Layer.of(operation)
    return constant_sides(layer, taps.strides) | sized_sides(taps.axes, taps.strides, layer.channels[0])


def constant_sides(layer: Layer, strides: Strides) -> dict[str, int]:
    """Those that all sizes of a layer share."""
    first, second = strides.w[:2]
    by_input, (ins, outs) = layer.weight_by_input, layer.channels
    (up_z, up_y, up_x), (down_z, down_y, down_x) = ([getattr(axis, rate) for axis in layer.axes] for rate in _RATES)
    return {
        **{"up_z": up_z, "up_y": up_y, "up_x": up_x},
        **{"down_z": down_z, "down_y": down_y, "down_x": down_x},
        "w_group": (ins if by_input else outs) * first,
        "w_in": first if by_input else second,
        "w_out": second if by_input else first,
    }


def sized_sides(axes: tuple[BoundAxis, ...], strides: Strides, in_channels: int) -> dict[str, int]:
    """Those that change with the sizes; input channels are those of a group."""
    z, y, x = axes
    (x_z, x_y, x_x), (y_z, y_y, y_x) = strides.spatial("x"), strides.spatial("y")
    return {
        **{"steps_z": z.step_count, "steps_y": y.step_count, "steps_x": x.step_count},
        **{"in_z": z.input_size, "in_y": y.input_size, "in_x": x.input_size},
        **{"out_z": z.output_size, "out_y": y.output_size, "out_x": x.output_size},
        **{"x_z": x_z, "x_y": x_y, "x_x": x_x},
        **{"y_z": y_z, "y_y": y_y, "y_x": y_x},
        "x_group": in_channels * strides.x[1],
        **{"x_n": strides.x[0], "x_c": strides.x[1], "y_n": strides.y[0]},
    }


def table(rows: Sequence[Sequence[int]], width: int) -> np.ndarray:
    """Rows as 64-bit integers; an empty table keeps one row, so that it has an address."""
    return np.array(rows, np.int64).reshape(-1, width) if rows else np.zeros((1, width), np.int64)
