"""Depthwise and small groups in channels-last memory: vectors along the channels, inputs read where they lie.

All groups of a vector's lanes are computed at once: lane `c` multiplies the inputs of its own group. For the common
depthwise case those are lane `c` of the input too, and loads are contiguous; otherwise they are gathered. The weights
of one block of channels are copied to the cache, tap by tap. `positions` neighbouring outputs share each vector of
weights.

Roofline: memory; a tap costs a load for each multiply-add.
"""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.ir as ll

from trous.backends.cpu.activations import Finish
from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.live import LiveTaps
from trous.backends.cpu.values import I1, Accumulator, Int
from trous.backends.epilogue import NOTHING, Epilogue

FIELDS = Fields(
    numbers=(
        *("channels", "per_group", "blocks", "row_parts", "rows_each", "column_parts", "columns_each"),
        *("plane_parts", "planes_each", "slope", "phases", "entry_count", "inner_first"),
        *("inner_last", "steps_z", "steps_y", "steps_x", "up_z", "up_y", "up_x", "down_z", "down_y", "down_x"),
        *("in_z", "in_y", "in_x", "out_z", "out_y", "out_x", "low_z", "high_z", "low_y", "high_y"),
        *("x_group", "x_n", "x_c", "x_z", "x_y", "x_x", "y_n", "y_z", "y_y", "y_x", "w_group", "w_in", "w_out"),
    ),
    arrays=("x", "w", "bias", "residual", "y", "slots", "entries", "entry_at", "phase_list", "x_lanes", "w_lanes"),
    scratch=("weights", "live", "live_at"),
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
    checked: bool = False
    epilogue: Epilogue = NOTHING

    @property
    def name(self) -> str:
        flags = "".join("01"[flag] for flag in (self.depthwise, self.checked))
        tile = f"{self.positions}x{self.vectors}x{self.lanes}"
        return f"channelwise_{self.element}_{tile}_full{self.full}_{flags}{self.epilogue.word}"


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
        self.weights = k.part("weights", shape.element)
        self.live = LiveTaps(k, k.phases)
        self.width = shape.vectors * shape.lanes
        self.finish = Finish(k, shape.epilogue, shape.element, shape.lanes)

    def build(self) -> str:
        k, fn = self.k, self.fn
        with fn.loop(0, k.blocks) as block:
            self.pack_weights(block)
        with fn.loop(k.begin, k.end) as item:
            column, rest = item % k.column_parts, item // k.column_parts
            part, rest = rest % k.row_parts, rest // k.row_parts
            plane, n = rest % k.plane_parts * k.planes_each, rest // k.plane_parts
            x, y, row = self.x.at(n * k.x_n), self.y.at(n * k.y_n), part * k.rows_each
            with (
                fn.loop(plane, fn.min(plane + k.planes_each, k.steps_z)) as mz,
                fn.loop(row, fn.min(row + k.rows_each, k.steps_y)) as my,
            ):
                z, input_row = mz * k.down_z, my * k.down_y
                self.live.update(z, input_row)
                line = x.at(z * k.x_z + input_row * k.x_y)
                with fn.loop(0, k.phases) as phase:
                    place = self.phase_list.at(phase * 3)
                    oz, oy = mz * k.up_z + place[0], my * k.up_y + place[1]
                    with fn.when((oz < k.out_z) & (oy < k.out_y)):
                        out = y.at(oz * k.y_z + oy * k.y_y + place[2] * k.y_x)
                        count = (fn.max(k.out_x - place[2], 0) + k.up_x - 1) // k.up_x
                        first = column * k.columns_each
                        last = fn.min(first + k.columns_each, count)
                        with fn.loop(0, k.blocks) as block:
                            self.row(line, out, block, phase, first, last)
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
            panel = self.weights.at(((block * k.entry_count + entry) * k.per_group + inner) * self.width)
            source = self.w.at(self.entries[entry * 2 + 1] + inner * k.w_in)
            for v, mask in enumerate(masks):
                lanes = self.w_lanes.vector(first + v * shape.lanes, shape.lanes)
                panel.set_vector(v * shape.lanes, source.gather(0, lanes, mask))

    def row(self, line: Array, out: Array, block: Int, phase: Int, start: Int, stop: Int) -> None:
        """A piece of one phase of an output row: positions that some tap misses one by one, those between in blocks."""
        k, fn, shape = self.k, self.fn, self.shape
        masks = self.masks(block * self.width)
        inner_first = fn.max(fn.min(k.inner_first, stop), start)
        inner_last = fn.max(fn.min(k.inner_last, stop), inner_first)
        # The last block ends with the last position, and computes some again.
        last = fn.choose(inner_last - inner_first >= shape.positions, inner_last, inner_first)
        for low, high, count in ((start, inner_first, 1), (inner_first, last, shape.positions), (last, stop, 1)):
            with fn.loop(low, high, count) as m:
                self.positions(line, out, block, phase, fn.min(m, high - count), count, masks)

    def positions(
        self, line: Array, out: Array, block: Int, phase: Int, m: Int, count: int, masks: list[ll.Value | None]
    ) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        first = block * self.width
        tile = [[Accumulator(fn, shape.element, shape.lanes) for _ in masks] for _ in range(count)]
        for v, mask in enumerate(masks):
            bias = self.load(self.bias, first + v * shape.lanes, mask)
            for row in tile:
                row[v].set(bias)
        weights = self.weights.at(block * k.entry_count * k.per_group * self.width)
        x = m * k.down_x
        with self.live.taps(phase) as live:
            panel = weights.at(live[3] * k.per_group * self.width)
            source = line.at(live[0] + x * k.x_x)
            if count == 1:
                with fn.when((x + live[1] >= 0) & (x + live[1] < k.in_x)):
                    self.add_tap(tile, source, panel, first, masks)
            else:
                self.add_tap(tile, source, panel, first, masks)
        for r, row in enumerate(tile):
            target = out.at((m + r) * k.up_x * k.y_x + first)
            for v, mask in enumerate(masks):
                if mask is None:
                    self.finish.set_vector(target, v * shape.lanes, row[v].get())
                else:
                    self.finish.set_masked(target, v * shape.lanes, row[v].get(), mask)

    def load(self, array: Array, index: Int, mask: ll.Value | None) -> ll.Value:
        return array.vector(index, self.shape.lanes) if mask is None else array.masked(index, mask)

    def add_tap(self, tile: list, source: Array, panel: Array, first: Int, masks: list[ll.Value | None]) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        every = ll.Constant(ll.VectorType(I1, shape.lanes), [1] * shape.lanes)
        with fn.loop(0, 1 if shape.depthwise else k.per_group) as inner:
            for v, mask in enumerate(masks):
                edge = v * shape.lanes
                weight = panel.vector(inner * self.width + edge, shape.lanes)
                for r, row in enumerate(tile):
                    origin = source.at(k.down_x * k.x_x * r + inner)
                    if shape.depthwise:
                        value = self.load(origin, first + edge, mask)
                    else:
                        lanes = self.x_lanes.vector(first + edge, shape.lanes)
                        value = origin.gather(0, lanes, every if mask is None else mask)
                    row[v].multiply_add(weight, value)
