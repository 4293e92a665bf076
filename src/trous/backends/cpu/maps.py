"""Depthwise layers on small maps: vectors along the channels, whole maps in the cache.

The maps of a block of channels are copied into a frame of zeros as wide as the taps reach, and the outputs back into
theirs; channels-first maps are transposed on the way. In between every tap finds an input everywhere: tiles of
neighbouring steps are summed one after the other, and tables say where each begins, in the inputs and in the outputs.

Roofline: FMA rate where runs of taps share their inputs, else a load for each multiply-add; for channels-first maps 64
shuffles for 256 numbers on either side.
"""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.ir as ll

from trous.backends.cpu.activations import Finish
from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.runs import Run
from trous.backends.cpu.values import ELEMENTS, Accumulator, Int
from trous.backends.epilogue import NOTHING, Epilogue

#: Records: tiles (places of their inputs and outputs, first entry, the one after the last run, the one after the last),
#: entries (distance of the input, place in the weight).
TILE, ENTRY = 5, 2

FIELDS = Fields(
    numbers=(
        *("batch", "channels", "inputs", "outputs", "tile_count", "entry_count", "out_step"),
        *("w_group", "x_n", "x_c", "x_place", "y_n", "y_c", "y_place", "slope"),
    ),
    arrays=("x", "w", "bias", "residual", "y", "tile_list", "entry_list", "x_places", "y_places"),
    scratch=("staged", "sums", "weights"),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for."""

    element: str
    lanes: int
    positions: int  #: steps of a tile
    vectors: int
    run: Run
    channels_last: bool = False  #: channels are neighbours in memory, so that nothing is transposed
    checked: bool = False
    epilogue: Epilogue = NOTHING

    @property
    def width(self) -> int:
        """Channels of a block."""
        return self.vectors * self.lanes

    @property
    def name(self) -> str:
        tile = f"{self.positions}x{self.vectors}x{self.lanes}"
        flags = "".join("01"[flag] for flag in (self.channels_last, self.checked))
        return f"maps_{self.element}_{tile}_{self.run.word}_{flags}{self.epilogue.word}"


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Maps(shape).build()


class _Maps:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        self.x, self.w, self.bias, self.y = (k.array(name, shape.element) for name in ("x", "w", "bias", "y"))
        self.tile_list, self.entry_list, self.x_places, self.y_places = (
            k.array(name, "int64") for name in FIELDS.arrays[5:]
        )
        self.staged, self.sums, self.weights = (k.part(name, shape.element) for name in FIELDS.scratch)
        self.finish = Finish(k, shape.epilogue, shape.element, shape.lanes)

    def build(self) -> str:
        k, fn, shape = self.k, self.fn, self.shape
        zero = ll.Constant(ll.VectorType(ELEMENTS[shape.element], shape.lanes), None)
        with fn.loop(0, k.staged_length, shape.lanes) as i:
            self.staged.set_vector(i, zero)
        packed = self.k.mark()
        with fn.loop(k.begin, k.end) as item:
            block, n = item // k.batch, item % k.batch
            first = block * shape.width
            with fn.when(packed.get().differs(block)):
                self.pack(first)
                packed.set(block)
            left = k.channels - first
            self.fill(self.x.at(n * k.x_n + first * k.x_c), left)
            with fn.loop(0, k.tile_count) as number:
                self.tile(self.tile_list.at(number * TILE))
            self.drain(self.y.at(n * k.y_n + first * k.y_c), left)
        return k.finish()

    def pack(self, first: Int) -> None:
        """Weights and bias of a block of channels: `[entry][lane]`, the bias last."""
        k, fn, lanes = self.k, self.fn, self.shape.lanes
        bias = self.weights.at(k.entry_count * self.shape.width)
        for v, mask in enumerate(self.masks(k.channels - first)):
            channel = first + v * lanes
            bias.set_vector(v * lanes, self.bias.masked(channel, mask))
            with fn.loop(0, k.entry_count) as entry:
                source = self.w.at(channel * k.w_group + self.entry_list[entry * ENTRY + 1])
                self.weights.set_vector(entry * self.shape.width + v * lanes, source.gather(0, k.w_group, mask))

    def fill(self, x: Array, left: Int) -> None:
        """The maps of `left` channels, position by position where the table says."""
        k, fn, lanes = self.k, self.fn, self.shape.lanes
        if self.shape.channels_last:
            with fn.loop(0, k.inputs) as position:
                line, place = x.at(position * k.x_place), self.x_places[position]
                for part, mask in enumerate(self.masks(left)):
                    self.staged.set_vector(place + part * lanes, line.masked(part * lanes, mask))
            return
        with fn.loop(0, self.shape.vectors) as v, fn.loop(0, k.inputs, lanes) as position:
            line, present = x.at(v * lanes * k.x_c + position), fn.bits(0, k.inputs - position, lanes)
            rows = [line.masked(k.x_c * n, self.channel(left, v, n, present)) for n in range(lanes)]
            for n, value in enumerate(fn.transpose(rows)):
                self.staged.at(v * lanes).set_vector(self.x_places[position + n], value)

    def drain(self, y: Array, left: Int) -> None:
        """The outputs back into their maps."""
        k, fn, lanes = self.k, self.fn, self.shape.lanes
        if self.shape.channels_last:
            with fn.loop(0, k.outputs) as position:
                line, place = y.at(position * k.y_place), self.y_places[position]
                for part, mask in enumerate(self.masks(left)):
                    value = self.sums.vector(place + part * lanes, lanes)
                    self.finish.set_masked(line, part * lanes, value, mask)
            return
        with fn.loop(0, self.shape.vectors) as v, fn.loop(0, k.outputs, lanes) as position:
            line, present = y.at(v * lanes * k.y_c + position), fn.bits(0, k.outputs - position, lanes)
            rows = [self.sums.at(v * lanes).vector(self.y_places[position + n], lanes) for n in range(lanes)]
            for n, value in enumerate(fn.transpose(rows)):
                self.finish.set_masked(line.at(k.y_c * n), 0, value, self.channel(left, v, n, present))

    def masks(self, left: Int) -> list[ll.Value]:
        """The lanes of a block's vectors that are channels."""
        fn, lanes = self.fn, self.shape.lanes
        return [fn.mask(fn.bits(0, left - v * lanes, lanes), lanes) for v in range(self.shape.vectors)]

    def channel(self, left: Int, v: Int, lane: int, present: Int) -> ll.Value:
        """The positions present, if the channel in a lane of a vector is one of those left."""
        fn, lanes = self.fn, self.shape.lanes
        return fn.mask(fn.choose(left - v * lanes > lane, present, 0), lanes)

    def tile(self, record: Array) -> None:
        """Neighbouring steps of one phase."""
        k, fn, shape = self.k, self.fn, self.shape
        vectors, lanes, steps = range(shape.vectors), shape.lanes, range(shape.positions)
        sums = [[Accumulator(fn, shape.element, lanes) for _ in vectors] for _ in steps]
        for v in vectors:
            bias = self.weights.vector(k.entry_count * shape.width + v * lanes, lanes)
            for row in sums:
                row[v].set(bias)
        origin = self.staged.at(record[0]).anchored()
        for number, run in enumerate((shape.run, shape.run.single)):
            with fn.loop(record[2 + number], record[3 + number], run.taps) as entry:
                self.add_run(run, sums, origin.at(self.entry_list[entry * ENTRY]), self.weights.at(entry * shape.width))
        for r, row in enumerate(sums):
            target = self.sums.at(record[1] + k.out_step * r)
            for v, accumulator in enumerate(row):
                target.set_vector(v * lanes, accumulator.get())

    def add_run(self, run: Run, sums: list, source: Array, panel: Array) -> None:
        """Multiply the inputs from `source` on, where the first step reads the first tap, with a run's weights."""
        lanes, width, vectors = self.shape.lanes, self.shape.width, range(self.shape.vectors)
        weights = [[panel.vector(tap * width + v * lanes, lanes) for v in vectors] for tap in range(run.taps)]
        run.multiply(
            sums,
            weights,
            lambda column: [source.vector(self.fn.number(column * width + v * lanes), lanes) for v in vectors],
        )
