"""Depthwise and small groups in channels-last memory: vectors along the channels, inputs read where they lie.

All groups of a vector's lanes are computed at once: lane `c` multiplies the inputs of its own group. For the common
depthwise case those are lane `c` of the input too, and loads are contiguous; otherwise they are gathered. The weights
of one block of channels are copied to the cache, tap by tap. The steps of a tile share each vector of weights, and in
depthwise layers, through runs of taps, the inputs. Where some tap misses a step of a tile, each step asks each tap.

Roofline: memory for few taps: input and output once, a large output past the caches, which would read it first. Many
taps come to the FMA rate, less what inputs take on their way from the second-level cache, gathered ones to less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import llvmlite.ir as ll

from trous.backends.cpu.activations import Finish
from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.live import LiveTaps
from trous.backends.cpu.runs import Run
from trous.backends.cpu.values import ELEMENTS, I1, Accumulator, Int
from trous.backends.epilogue import NOTHING, Epilogue

FIELDS = Fields(
    numbers=(
        *("channels", "per_group", "blocks", "row_parts", "rows_each", "column_parts", "columns_each"),
        *("plane_parts", "planes_each", "slope", "large", "phases", "entry_count", "panel", "inner_first"),
        *("inner_last", "steps_z", "steps_y", "steps_x", "up_z", "up_y", "up_x", "down_z", "down_y", "down_x"),
        *("in_z", "in_y", "in_x", "out_z", "out_y", "out_x", "low_z", "high_z", "low_y", "high_y"),
        *("x_group", "x_n", "x_c", "x_z", "x_y", "x_x", "y_n", "y_z", "y_y", "y_x", "w_group", "w_in", "w_out"),
    ),
    arrays=("x", "w", "bias", "residual", "y", "slots", "entries", "entry_at", "phase_list", "x_lanes", "w_lanes"),
    scratch=("weights", "zeros", "live", "live_at"),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for."""

    element: str
    lanes: int
    positions: int
    vectors: int
    depthwise: bool  #: one input channel for each output channel
    full: int  #: first vectors of every block whose lanes are all channels; the others are masked
    run: Run  #: of depthwise layers
    streams: bool = False  #: large outputs are written past the caches
    checked: bool = False
    epilogue: Epilogue = NOTHING

    @property
    def name(self) -> str:
        flags = "".join("01"[flag] for flag in (self.depthwise, self.streams, self.checked))
        tile = f"{self.positions}x{self.vectors}x{self.lanes}"
        return f"channelwise_{self.element}_{tile}_full{self.full}_{self.run.word}_{flags}{self.epilogue.word}"


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Channelwise(shape).build()


class _Channelwise:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        self.x, self.w, self.bias, self.y = (k.array(name, shape.element) for name in ("x", "w", "bias", "y"))
        self.entries, self.phase_list, self.x_lanes, self.w_lanes = (
            k.array(name, "int64") for name in ("entries", "phase_list", "x_lanes", "w_lanes")
        )
        self.weights, self.zeros = k.part("weights", shape.element), k.part("zeros", shape.element)
        self.live = LiveTaps(k, k.phases * 2, k.panel)
        self.width = shape.vectors * shape.lanes
        self.streamed = k.large.equals(1) & self.y.line_starts(0)
        self.finish = Finish(k, shape.epilogue, shape.element, shape.lanes)

    def build(self) -> str:
        k, fn = self.k, self.fn
        zero = ll.Constant(ll.VectorType(ELEMENTS[self.shape.element], self.shape.lanes), None)
        for v in range(self.shape.vectors):
            self.zeros.set_vector(v * self.shape.lanes, zero)
        with fn.loop(0, k.blocks) as block:
            self.pack_weights(block)
        with fn.loop(k.begin, k.end) as item:
            column, rest = item % k.column_parts, item // k.column_parts
            part, rest = rest % k.row_parts, rest // k.row_parts
            plane, n = rest % k.plane_parts * k.planes_each, rest // k.plane_parts
            x, y, row = self.x.at(n * k.x_n), self.y.at(n * k.y_n), part * k.rows_each
            first = column * k.columns_each
            last = fn.min(first + k.columns_each, k.steps_x)
            with (
                fn.loop(plane, fn.min(plane + k.planes_each, k.steps_z)) as mz,
                fn.loop(row, fn.min(row + k.rows_each, k.steps_y)) as my,
            ):
                z, input_row = mz * k.down_z, my * k.down_y
                self.live.update(z, input_row)
                line = x.at(z * k.x_z + input_row * k.x_y)
                with fn.loop(0, k.phases, k.up_x) as phase:  # those of one output row lie side by side
                    place = self.phase_list.at(phase * 3)
                    oz, oy = mz * k.up_z + place[0], my * k.up_y + place[1]
                    with fn.when((oz < k.out_z) & (oy < k.out_y)):
                        self.row(line, y.at(oz * k.y_z + oy * k.y_y), phase, first, last)
        if self.shape.streams:
            fn.fence()
        return k.finish()

    def masks(self, first: Int) -> list[ll.Value | None]:
        """The lanes of a block's vectors that are channels; None for all."""
        k, fn, lanes = self.k, self.fn, self.shape.lanes
        left = [k.channels - first - v * lanes for v in range(self.shape.vectors)]
        return [None if v < self.shape.full else fn.mask(fn.bits(0, n, lanes), lanes) for v, n in enumerate(left)]

    def pack_weights(self, block: Int) -> None:
        """`weights[block][entry][input of the group][lane]`"""
        k, fn, shape = self.k, self.fn, self.shape
        first = block * self.width
        masks = [
            fn.mask(fn.bits(0, k.channels - first - v * shape.lanes, shape.lanes), shape.lanes)
            for v in range(shape.vectors)
        ]
        with fn.loop(0, k.entry_count) as entry, fn.loop(0, k.per_group) as inner:
            panel = self.panels(block).at(entry * k.panel + inner * self.width)
            source = self.w.at(self.entries[entry * 2 + 1] + inner * k.w_in)
            for v, mask in enumerate(masks):
                lanes = self.w_lanes.vector(first + v * shape.lanes, shape.lanes)
                panel.set_vector(v * shape.lanes, source.gather(0, lanes, mask))

    def row(self, line: Array, out: Array, phase: Int, start: Int, stop: Int) -> None:
        """A piece of an output row, all phases of its steps."""
        k, fn, most = self.k, self.fn, self.shape.positions
        # The last tile ends with the last step, and computes some again, unless the piece is shorter than a tile.
        last, count = fn.max(stop - most, start), fn.min(stop - start, most)
        with fn.loop(start, stop, most) as at, self.blocks() as (block, masks), fn.loop(0, k.up_x) as beside:
            self.tile(line, out, block, phase + beside, fn.min(at, last), count, masks)

    @contextmanager
    def blocks(self) -> Iterator[tuple[Int, list[ll.Value | None]]]:
        """Loop over blocks of channels, with the lanes that are channels."""
        with self.fn.loop(0, self.k.blocks) as block:
            yield block, self.masks(block * self.width)

    def tile(
        self, line: Array, out: Array, block: Int, phase: Int, m: Int, count: Int, masks: list[ll.Value | None]
    ) -> None:
        """`count` steps of a phase; a short row computes some behind its end."""
        k, fn, most = self.k, self.fn, self.shape.positions
        tile, panels, origins = self.sums(block, masks), self.panels(block), self.origins(line, block, m)
        with fn.either((m >= k.inner_first) & (m + most <= k.inner_last)) as (then, otherwise):
            with then:
                self.whole(tile, origins, panels, block, phase, masks)
            with otherwise:
                self.ragged(tile, origins, panels, block, phase, m, masks)
        column = m * k.up_x + self.phase_list[phase * 3 + 2]
        target = out.at(column * k.y_x + block * self.width)
        with fn.either((count >= most) & (column + k.up_x * (most - 1) < k.out_x)) as (then, otherwise):
            with then:
                if self.shape.streams:
                    with fn.either(self.streamed) as (past, through):
                        with past:
                            self.store(tile, target, masks, self.finish.stream)
                        with through:
                            self.store(tile, target, masks, self.finish.set_vector)
                else:
                    self.store(tile, target, masks, self.finish.set_vector)
            with otherwise:
                for r, row in enumerate(tile):
                    with fn.when((count > r) & (column + k.up_x * r < k.out_x)):
                        self.store([row], target.at(k.up_x * k.y_x * r), masks, self.finish.set_vector)

    def whole(
        self, tile: list, origins: list[Array], panels: Array, block: Int, phase: Int, masks: list[ll.Value | None]
    ) -> None:
        """The taps of steps that each of them finds inside."""
        shape = self.shape
        if shape.depthwise:
            for number, run in enumerate((shape.run, shape.run.single)):
                with self.live.taps(phase * 2 + number, phase * 2 + number + 1, run.taps) as live:
                    self.add_run(run, tile, origins[0].at(live[0]), panels.at(live[2]), masks)
        else:
            with self.live.taps(phase * 2, phase * 2 + 2) as live:
                self.gather_tap(tile, [origin.at(live[0]) for origin in origins], panels.at(live[2]), block, masks)

    def ragged(
        self,
        tile: list,
        origins: list[Array],
        panels: Array,
        block: Int,
        phase: Int,
        m: Int,
        masks: list[ll.Value | None],
    ) -> None:
        """The taps of steps that some of them finds outside, where they read zeros."""
        k, fn = self.k, self.fn
        columns = [(m + r) * k.down_x for r in range(self.shape.positions)]
        zeros = replace(self.zeros, element=self.shape.element)
        with self.live.taps(phase * 2, phase * 2 + 2) as live:
            distance, ahead, panel = live[0], live[1], panels.at(live[2])
            with fn.when((columns[-1] + ahead >= 0) & (columns[0] + ahead < k.in_x)):
                for row, origin, column in zip(tile, origins, columns, strict=True):
                    # One comparison of numbers without a sign: below zero is far above any size.
                    inside = Int(fn, fn.builder.icmp_unsigned("<", (column + ahead).value, k.in_x.value))
                    if self.shape.depthwise:
                        source = fn.choose_array(inside, origin.at(distance), zeros)
                        self.add_run(self.shape.run.single, [row], source, panel, masks)
                        continue
                    with fn.when(inside):
                        self.gather_tap([row], [origin.at(distance)], panel, block, masks)

    def origins(self, line: Array, block: Int, m: Int) -> list[Array]:
        """Where the inputs of a tile's steps begin, offsets of taps to come."""
        k = self.k
        own = block * self.width if self.shape.depthwise else 0
        return [line.at((m + r) * (k.down_x * k.x_x) + own).anchored() for r in range(self.shape.positions)]

    def sums(self, block: Int, masks: list[ll.Value | None]) -> list[list[Accumulator]]:
        """`[step][vector]`, starting at the bias."""
        fn, shape = self.fn, self.shape
        tile = [[Accumulator(fn, shape.element, shape.lanes) for _ in masks] for _ in range(shape.positions)]
        for v, mask in enumerate(masks):
            bias = self.load(self.bias, block * self.width + v * shape.lanes, mask)
            for row in tile:
                row[v].set(bias)
        return tile

    def panels(self, block: Int) -> Array:
        """The weights of a block."""
        return self.weights.at(block * self.k.entry_count * self.k.panel).anchored()

    def store(self, tile: list, target: Array, masks: list[ll.Value | None], put: Callable[..., None]) -> None:
        k, lanes = self.k, self.shape.lanes
        for r, row in enumerate(tile):
            line = target.at(k.up_x * k.y_x * r)
            for v, mask in enumerate(masks):
                if mask is None:
                    put(line, v * lanes, row[v].get())
                else:
                    self.finish.set_masked(line, v * lanes, row[v].get(), mask)

    def load(self, array: Array, index: Int, mask: ll.Value | None) -> ll.Value:
        return array.vector(index, self.shape.lanes) if mask is None else array.masked(index, mask)

    def add_run(self, run: Run, tile: list, source: Array, panel: Array, masks: list[ll.Value | None]) -> None:
        """Multiply the inputs from `source` on, where the first step reads the first tap, with a run's weights."""
        k, fn, lanes = self.k, self.fn, self.shape.lanes
        weights = [
            [panel.vector(tap * self.width + v * lanes, lanes) for v in range(len(masks))] for tap in range(run.taps)
        ]
        line, at = source.anchored(), 0

        def load(column: int) -> list[ll.Value]:
            nonlocal line, at
            if column > at:  # from one column to the next, which takes no register for each
                line, at = line.at(k.x_x * (column - at)).anchored(), column
            return [self.load(line, fn.number(v * lanes), mask) for v, mask in enumerate(masks)]

        run.multiply(tile, weights, load)

    def gather_tap(
        self, tile: list, sources: list[Array], panel: Array, block: Int, masks: list[ll.Value | None]
    ) -> None:
        """Multiply the inputs of the lanes' groups at `sources`, one for each row of a tile, with a tap's weights."""
        k, fn, lanes = self.k, self.fn, self.shape.lanes
        every = ll.Constant(ll.VectorType(I1, lanes), [1] * lanes)
        with fn.loop(0, k.per_group) as inner:
            for v, mask in enumerate(masks):
                weight = panel.vector(inner * self.width + v * lanes, lanes)
                places = self.x_lanes.vector(block * self.width + v * lanes, lanes)
                for row, source in zip(tile, sources, strict=True):
                    value = source.gather(inner, places, every if mask is None else mask)
                    row[v].multiply_add(weight, value)
