"""The forms that a weight gradient can take as a product of two sides, and the cheapest one by a count of cycles.

For every tap the gradient is a product of two matrices, channels by steps. Which array gives the vectors, how many
channels a register tile takes, and whether groups or taps stand in the place of channels is decided here, from plan,
channels and layouts: never from sizes, so that a new size compiles nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, prod

from trous.backends.cpu import panels
from trous.backends.cpu.tables import Strides, Taps
from trous.backends.operation import Operation
from trous.plan import BoundAxis, Tap

#: Rows and vectors of a register tile, and channels of a work item on either side, at most.
ROWS, VECTORS, BLOCK_CHANNELS = 16, 8, 256
#: Cycles that a multiply-add takes until its sum can be added to; that copying takes for one number, for a chunk of
#: columns, and for a number without neighbours.
LATENCY, COPY, CHUNK, GATHER = 4, 0.4, 3, 2
#: Cycles that it takes to bring a vector of a panel from the second-level cache.
BRING = 0.5


@dataclass(frozen=True)
class Side:
    """One array of the product, in the part of the plan's input (`down*m + offset`) or output (`up*m + phase`)."""

    name: str  #: the array, "x" or "y"
    is_input: bool  #: its part: the adjoint plan has the parts exchanged
    channels: int  #: of a group
    strides: tuple[int, int, int, int, int]  #: elements between neighbours: batch, channel, z, y, x
    steps: tuple[int, int, int]
    sizes: tuple[int, int, int]
    inner: int = 1  #: channels of a group, where `channels` counts the groups

    def place(self, tap: Tap) -> int:
        """Where a tap reads this side at step 0."""
        return tap.offset if self.is_input else tap.phase

    @property
    def mode(self) -> str:
        """How its windows are copied."""
        _, channel, *_, position = self.strides
        if position == 1:
            return panels.POSITIONS
        return panels.CHANNELS if channel == 1 else panels.GATHER


@dataclass(frozen=True)
class Form:
    """A way to compute the gradient. In `columns`, right taps stand in the place of right channels."""

    axes: tuple[BoundAxis, BoundAxis, BoundAxis]
    left: Side
    right: Side
    rows: int
    vectors: int
    columns: bool
    lanewise: bool
    cycles: float  #: for a step of the layer


def cheapest(operation: Operation, strides: Strides, lanes: int, registers: int) -> Form:
    """The form with the fewest cycles by the count."""
    return min(_Forms(operation, strides, lanes, registers).all(), key=lambda form: form.cycles)


@dataclass(frozen=True)
class _Forms:
    operation: Operation
    strides: Strides
    lanes: int
    registers: int

    def all(self) -> Iterator[Form]:
        op = self.operation
        x, y = self.sides
        yield self.outer(y, x)
        yield self.outer(x, y)
        if op.groups > 1:
            yield self.lanewise()
        plans = [axis.plan for axis in self.axes]
        if all(plan.up == 1 for plan in plans):
            yield self.in_columns(self.axes, y, x)
        if all(plan.down == 1 for plan in plans):
            adjoint = [BoundAxis(axis.plan.adjoint(), axis.output_size, axis.input_size) for axis in self.axes]
            as_y, as_x = replace(x, is_input=False), replace(y, is_input=True)
            yield self.in_columns((adjoint[0], adjoint[1], adjoint[2]), as_y, as_x)

    @cached_property
    def axes(self) -> tuple[BoundAxis, BoundAxis, BoundAxis]:
        return Taps(self.operation, self.strides, fold=False, lanes=0).axes

    @cached_property
    def sides(self) -> tuple[Side, Side]:
        op, axes = self.operation, self.axes
        ins, outs = op.in_channels // op.groups, op.out_channels // op.groups
        x = (*self.strides.x[:2], *self.strides.spatial("x"))
        y = (*self.strides.y[:2], *self.strides.spatial("y"))
        down, up = (tuple(getattr(axis.plan, name) for axis in axes) for name in ("down", "up"))
        in_size, out_size = (tuple(getattr(axis, f"{name}_size") for axis in axes) for name in ("input", "output"))
        return Side("x", True, ins, x, down, in_size), Side("y", False, outs, y, up, out_size)  # type: ignore[arg-type]

    @cached_property
    def taps(self) -> int:
        """Taps of a step."""
        return prod(len(axis.plan.taps) for axis in self.axes)

    def outer(self, left: Side, right: Side) -> Form:
        rows, vectors, cycles = self.register_tile(left.channels, right.channels)
        lefts, rights = (ceil(side.channels / BLOCK_CHANNELS) for side in (left, right))
        copying = self.copying(left) * rights + self.copying(right) * lefts
        total = self.operation.groups * (self.taps * cycles + copying)
        return Form(self.axes, left, right, rows, vectors, False, False, total)

    def lanewise(self) -> Form:
        op, (x, y) = self.operation, self.sides
        vectors = min(4, ceil(op.groups / self.lanes))
        cycles = ceil(op.groups / self.lanes) * self.taps * max(1, LATENCY / vectors)
        copying = sum(self.copying(replace(side, channels=1)) for side in (x, y)) * op.groups
        total = x.channels * y.channels * (cycles + copying)
        # Groups are its channels: inputs and outputs of a group are pairs for which the product is made in turn.
        left, right = (
            replace(s, strides=(s.strides[0], s.strides[1] * s.channels, *s.strides[2:]), channels=op.groups, inner=n)
            for s, n in ((y, y.channels), (x, x.channels))
        )
        return Form(self.axes, left, right, 1, vectors, False, True, total)

    def in_columns(self, axes: tuple[BoundAxis, BoundAxis, BoundAxis], left: Side, right: Side) -> Form:
        columns = right.channels * self.taps
        rows, vectors, cycles = self.register_tile(left.channels, columns)
        offsets = axes[2].plan.offsets
        if right.mode == panels.CHANNELS:
            run, adjacent = right.channels, True
        else:
            run, adjacent = len(offsets), right.strides[4] * (offsets[-1] - offsets[0]) == len(offsets) - 1
        chunks = columns / run * ceil(run / self.lanes)
        filling = (chunks * CHUNK if adjacent else columns * GATHER) * ceil(left.channels / BLOCK_CHANNELS)
        copying = self.copying(left) * ceil(columns / BLOCK_CHANNELS)
        total = self.operation.groups * (cycles + filling + copying)
        return Form(axes, left, right, rows, vectors, True, False, total)

    def copying(self, side: Side) -> float:
        """Cycles of copying a side, for a step of one group."""
        each = GATHER if side.mode == panels.GATHER else COPY
        return side.channels * each * prod(side.steps)

    def register_tile(self, lefts: int, rights: int) -> tuple[int, int, float]:
        """Rows and vectors of accumulators, and the cycles of all tiles for one step and tap.

        A tile costs what its multiply-adds, its loads (a broadcast for each row), or a chain of sums take, whichever is
        most (two of either are done in a cycle), and the way of its vectors to the first-level cache.
        """
        best: tuple[float, int, int] | None = None
        for vectors in range(1, min(VECTORS, ceil(rights / self.lanes)) + 1):
            most = min(ROWS, (self.registers - 1 - vectors) // vectors)
            if most < 1:
                break
            row_tiles = ceil(lefts / most)
            rows = ceil(lefts / row_tiles)
            tiles = row_tiles * ceil(rights / (vectors * self.lanes))
            brought = vectors + ceil(rows / self.lanes)
            cycles = tiles * (max(rows * vectors / 2, (rows + vectors) / 2, LATENCY) + brought * BRING)
            if best is None or cycles < best[0]:
                best = cycles, rows, vectors
        assert best is not None
        return best[1], best[2], best[0]


def step_count(axis: BoundAxis) -> int:
    """Steps up to the last that any tap takes."""
    return max((axis.steps(tap).stop for tap in axis.live_taps), default=0)
