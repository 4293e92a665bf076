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

from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Accumulator, Array, Int, Variable
from trous.backends.cpu.live import LiveTaps

FIELDS = Fields(
    numbers=(
        *("channels", "per_group", "batch", "row_parts", "rows_each", "phases", "entry_count", "inner_first"),
        *("inner_last", "steps_z", "steps_y", "steps_x", "up_z", "up_y", "up_x", "down_z", "down_y", "down_x"),
        *("in_z", "in_y", "in_x", "out_z", "out_y", "out_x", "low_z", "high_z", "low_y", "high_y"),
        *("x_group", "x_n", "x_c", "x_z", "x_y", "x_x", "y_n", "y_z", "y_y", "y_x", "w_group", "w_in", "w_out"),
    ),
    arrays=("x", "w", "bias", "y", "slots", "entries", "entry_at", "phase_list", "x_lanes", "w_lanes"),
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
    checked: bool = False

    @property
    def name(self) -> str:
        flags = "".join("01"[flag] for flag in (self.depthwise, self.checked))
        return f"channelwise_{self.element}_{self.positions}x{self.vectors}x{self.lanes}_{flags}"


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Channelwise(shape).build()


class _Channelwise:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        self.x, self.w, self.bias, self.y = (k.array(name, shape.element) for name in FIELDS.arrays[:4])
        self.entries, self.phase_list, self.x_lanes, self.w_lanes = (
            k.array(name, "int64") for name in ("entries", "phase_list", "x_lanes", "w_lanes")
        )
        self.weights = k.part("weights", shape.element)
        self.live = LiveTaps(k, k.phases)
        self.width = shape.vectors * shape.lanes

    def build(self) -> str:
        k, fn = self.k, self.fn
        packed = Variable(fn, -1)
        with fn.loop(k.begin, k.end) as item:
            part, rest = item % k.row_parts, item // k.row_parts
            mz, rest = rest % k.steps_z, rest // k.steps_z
            n, block = rest % k.batch, rest // k.batch
            first = block * self.width
            masks = [
                fn.mask(fn.bits(0, k.channels - first - v * self.shape.lanes, self.shape.lanes), self.shape.lanes)
                for v in range(self.shape.vectors)
            ]
            with fn.when(packed.get().differs(block)):
                self.pack_weights(first, masks)
                packed.set(block)
            x, y, row = self.x.at(n * k.x_n), self.y.at(n * k.y_n + first), part * k.rows_each
            with fn.loop(row, fn.min(row + k.rows_each, k.steps_y)) as my:
                z, input_row = mz * k.down_z, my * k.down_y
                self.live.update(z, input_row)
                line = x.at(z * k.x_z + input_row * k.x_y)
                with fn.loop(0, k.phases) as phase:
                    place = self.phase_list.at(phase * 3)
                    oz, oy = mz * k.up_z + place[0], my * k.up_y + place[1]
                    with fn.when((oz < k.out_z) & (oy < k.out_y)):
                        out = y.at(oz * k.y_z + oy * k.y_y + place[2] * k.y_x)
                        count = (fn.max(k.out_x - place[2], 0) + k.up_x - 1) // k.up_x
                        self.row(line, out, first, phase, count, masks)
        return k.finish()

    def pack_weights(self, first: Int, masks: list[ll.Value]) -> None:
        """`weights[entry][input of the group][lane]`"""
        k, fn, shape = self.k, self.fn, self.shape
        with fn.loop(0, k.entry_count) as entry, fn.loop(0, k.per_group) as inner:
            panel = self.weights.at((entry * k.per_group + inner) * self.width)
            for v, mask in enumerate(masks):
                lanes = self.w_lanes.vector(first + v * shape.lanes, shape.lanes)
                panel.set_vector(
                    v * shape.lanes, self.w.gather(self.entries[entry * 2 + 1] + inner * k.w_in, lanes, mask)
                )

    def row(self, line: Array, out: Array, first: Int, phase: Int, count: Int, masks: list[ll.Value]) -> None:
        """One phase of an output row: positions that some tap misses one by one, those between in blocks."""
        k, fn, shape = self.k, self.fn, self.shape
        inner_first, inner_last = fn.min(k.inner_first, count), fn.min(k.inner_last, count)
        blocks = fn.max(inner_last - inner_first, 0) // shape.positions
        last = inner_first + blocks * shape.positions
        with fn.loop(0, inner_first) as m:
            self.positions(line, out, first, phase, m, 1, masks)
        with fn.loop(inner_first, last, shape.positions) as m:
            self.positions(line, out, first, phase, m, shape.positions, masks)
        with fn.loop(last, count) as m:
            self.positions(line, out, first, phase, m, 1, masks)

    def positions(
        self, line: Array, out: Array, first: Int, phase: Int, m: Int, count: int, masks: list[ll.Value]
    ) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        tile = [[Accumulator(fn, shape.element, shape.lanes) for _ in masks] for _ in range(count)]
        for v, mask in enumerate(masks):
            bias = self.bias.masked(first + v * shape.lanes, mask)
            for row in tile:
                row[v].set(bias)
        x = m * k.down_x
        with self.live.taps(phase) as live:
            panel = self.weights.at(live[3] * k.per_group * self.width)
            source = line.at(live[0] + x * k.x_x)
            if count == 1:
                with fn.when((x + live[1] >= 0) & (x + live[1] < k.in_x)):
                    self.add_tap(tile, source, panel, first, masks)
            else:
                self.add_tap(tile, source, panel, first, masks)
        for r, row in enumerate(tile):
            target = out.at((m + r) * k.up_x * k.y_x)
            for v, mask in enumerate(masks):
                target.set_masked(v * shape.lanes, row[v].get(), mask)

    def add_tap(self, tile: list, source: Array, panel: Array, first: Int, masks: list[ll.Value]) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        with fn.loop(0, k.per_group) as inner:
            for v, mask in enumerate(masks):
                edge = v * shape.lanes
                weight = panel.vector(inner * self.width + edge, shape.lanes)
                for r, row in enumerate(tile):
                    origin = source.at(k.down_x * k.x_x * r + inner)
                    if shape.depthwise:
                        value = origin.masked(first + edge, mask)
                    else:
                        value = origin.gather(0, self.x_lanes.vector(first + edge, shape.lanes), mask)
                    row[v].multiply_add(weight, value)
