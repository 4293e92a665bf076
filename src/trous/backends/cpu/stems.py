"""Few input channels in a group: one sum over taps and channels for every register tile, from staged inputs.

Where channels are few, a loop over them inside one over the taps is too short to be worth its start. So taps and
channels are one list of *entries*, each the place of an input in the staged strip; weights are packed in the same
order. Two orientations share everything but which operand is broadcast and how a tile is stored:

- `positions` along the vectors, output channels broadcast: the phases of a row are interleaved in registers;
- `channels` along the vectors, positions broadcast: outputs of a position are neighbours in memory.

Roofline: FMA rate for ten entries and more; below that memory, where the output is most of what is moved. Large outputs
are written past the caches.
"""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.ir as ll

from trous.backends.cpu.activations import Finish
from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.staging import NUMBERS, Stage, Strip
from trous.backends.cpu.values import Accumulator, Int
from trous.backends.epilogue import NOTHING, Epilogue

#: Records: phases (along z, y, x).
PHASE = 3

FIELDS = Fields(
    numbers=(
        *NUMBERS,
        *("strips_z", "strips_y", "strips_x", "each_z", "each_y", "each_x", "batch", "blocks", "group_blocks"),
        *("block_tiles", "tiles", "out_channels", "phases", "entry_count", "large"),
        *("steps_z", "steps_y", "up_z", "up_y", "up_x", "out_z", "out_y", "out_x"),
        *("x_group", "x_n", "y_n", "y_group", "y_c", "y_z", "y_y", "y_x", "w_group", "w_out", "slope"),
    ),
    arrays=(*("x", "w", "bias", "residual", "y"), *("phase_list", "entry_at", "entry_list", "weight_list")),
    scratch=("staged", "weights", "spilled"),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for."""

    element: str
    lanes: int
    rows: int  #: broadcast operands of a tile
    vectors: int
    positions_along_vectors: bool
    phases: int  #: of the last axis, interleaved on store
    source: str  #: see `staging.Stage`
    step: int
    streams: bool = False  #: large outputs are written past the caches
    checked: bool = False
    epilogue: Epilogue = NOTHING

    @property
    def positions(self) -> int:
        """Steps of a tile."""
        return self.lanes * self.vectors if self.positions_along_vectors else self.rows

    @property
    def channels(self) -> int:
        """Output channels of a tile."""
        return self.rows if self.positions_along_vectors else self.lanes * self.vectors

    @property
    def halves(self) -> tuple[tuple[int, int], ...]:
        """Rows and vectors of the whole tile, and of halves of it for fewer steps."""
        rows, vectors = self.rows, self.vectors
        if not self.positions_along_vectors:
            return ((rows, vectors), (rows // 2, vectors))
        return tuple((rows, vectors >> n) for n in range(vectors.bit_length()))

    @property
    def name(self) -> str:
        flags = "".join("01"[flag] for flag in (self.positions_along_vectors, self.streams, self.checked))
        tile = f"{self.rows}x{self.vectors}x{self.lanes}_p{self.phases}"
        return f"stems_{self.element}_{tile}_{self.source}{self.step}_{flags}{self.epilogue.word}"


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Stems(shape).build()


@dataclass(frozen=True)
class _Place:
    """A register tile in the output: where it begins, its first channel, channels and steps left, outputs left of the
    row."""

    y: Array
    channel: Int
    channels: Int
    steps: Int
    outputs: Int


class _Stems:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        self.x, self.w, self.bias, self.y = (k.array(name, shape.element) for name in ("x", "w", "bias", "y"))
        self.phase_list, self.entry_at, self.entry_list, self.weight_list = (
            k.array(name, "int64") for name in FIELDS.arrays[5:]
        )
        self.weights, self.spilled = k.part("weights", shape.element), k.part("spilled", shape.element)
        self.stage = Stage(k, shape.element, shape.lanes, shape.source, shape.step)
        self.staged = self.stage.memory
        self.finish = Finish(k, shape.epilogue, shape.element, shape.lanes)

    def build(self) -> str:
        k, fn = self.k, self.fn
        packed = self.k.mark()
        with fn.loop(k.begin, k.end) as item:
            bx, rest = item % k.strips_x, item // k.strips_x
            by, rest = rest % k.strips_y, rest // k.strips_y
            bz, rest = rest % k.strips_z, rest // k.strips_z
            n, block = rest % k.batch, rest // k.batch
            group, first = block // k.group_blocks, block % k.group_blocks * k.block_tiles
            count = fn.min(k.block_tiles, k.tiles - first)
            with fn.when(packed.get().differs(block)):
                self.pack(group, first, count)
                packed.set(block)
            x = self.x.at(n * k.x_n + group * k.x_group)
            strip = Strip(x, bz * k.each_z, by * k.each_y, bx * k.each_x)
            self.stage.fill(strip)
            self.compute(strip, n, group, first, count)
        if self.shape.streams:
            fn.fence()
        return k.finish()

    def pack(self, group: Int, first: Int, count: Int) -> None:
        """Weights of a block of channel tiles: `[tile][entry][channel]`, zeros behind the last channel."""
        k, fn, shape = self.k, self.fn, self.shape
        source = self.w.at(group * k.w_group)
        with fn.loop(0, count) as tile, fn.loop(0, k.entry_count) as entry:
            panel = self.weights.at((tile * k.entry_count + entry) * shape.channels)
            place = self.weight_list[entry] + (first + tile) * shape.channels * k.w_out
            left = k.out_channels - (first + tile) * shape.channels
            for channel in range(0, shape.channels, shape.lanes):
                some = fn.mask(fn.bits(0, left - channel, shape.lanes), shape.lanes)
                value = source.gather(place + k.w_out * channel, k.w_out, some)
                kept = min(shape.lanes, shape.channels - channel)
                panel.set_masked(channel, value, fn.mask(fn.number((1 << kept) - 1), shape.lanes))

    def compute(self, strip: Strip, n: Int, group: Int, first: Int, count: Int) -> None:
        """The outputs of a strip. Where channels are neighbours, all of a row follow each other; else those of a tile
        are finished for the whole strip, with the same few weights and places to write to."""
        k, fn, shape = self.k, self.fn, self.shape
        y = self.y.at(n * k.y_n + group * k.y_group)
        whole, one = (0, count), (0, 1)
        outer, inner = (whole, one) if shape.positions_along_vectors else (one, whole)
        with (
            fn.loop(*outer) as outer_part,
            fn.loop(0, fn.min(k.each_z, k.steps_z - strip.z)) as z,
            fn.loop(0, fn.min(k.each_y, k.steps_y - strip.y)) as row,
            fn.loop(0, k.phases) as phase,
        ):
            record = self.phase_list.at(phase * PHASE)
            oz, oy = (strip.z + z) * k.up_z + record[0], (strip.y + row) * k.up_y + record[1]
            with fn.when((oz < k.out_z) & (oy < k.out_y)):
                source = self.staged.at(z * k.down_z * k.stage_z + row * k.down_y * k.stage_y)
                line = y.at(oz * k.y_z + oy * k.y_y + (record[2] + strip.column * k.up_x) * k.y_x)
                outputs = k.out_x - record[2] - strip.column * k.up_x
                steps = fn.min(k.each_x, (fn.max(outputs, 0) + k.up_x - 1) // k.up_x)
                with fn.loop(*inner) as inner_part:
                    part = outer_part + inner_part
                    weights = self.weights.at(part * k.entry_count * shape.channels)
                    self.row(source, line, weights, phase, group, (first + part) * shape.channels, steps, outputs)

    def row(
        self,
        source: Array,
        line: Array,
        weights: Array,
        phase: Int,
        group: Int,
        channel: Int,
        steps: Int,
        outputs: Int,
    ) -> None:
        """One phase of one row for a channel tile: whole tiles of steps, and halves where fewer are left."""
        k, fn, shape = self.k, self.fn, self.shape
        start = fn.number(0)
        for number, (rows, vectors) in enumerate(shape.halves):
            each = vectors * shape.lanes if shape.positions_along_vectors else rows
            last = number == len(shape.halves) - 1
            # A whole tile is also taken where more than a half is left.
            stop = steps if last else fn.max(steps + (each - each // 2 - 1), 0) // each * each
            with fn.loop(start, stop, each) as step:
                tile = self.sums(rows, vectors, group, channel)
                for side, sums in enumerate(tile):
                    self.add_entries(sums, source.at(step), weights, phase * shape.phases + side)
                y = line.at(step * k.up_x * k.y_x + channel * k.y_c)
                left = k.out_channels - channel
                self.store(tile, _Place(y, channel, left, steps - step, outputs - step * k.up_x))
            start = stop

    def sums(self, rows: int, vectors: int, group: Int, channel: Int) -> list[list[list[Accumulator]]]:
        """`[phase][row][vector]`, starting at the bias."""
        k, fn, shape = self.k, self.fn, self.shape
        bias = self.bias.at(group * k.out_channels + channel)
        left = k.out_channels - channel
        if shape.positions_along_vectors:
            starts = [[fn.splat(bias[fn.min(r, left - 1)], shape.lanes)] * vectors for r in range(rows)]
        else:
            masks = [fn.mask(fn.bits(0, left - v * shape.lanes, shape.lanes), shape.lanes) for v in range(vectors)]
            starts = [[bias.masked(v * shape.lanes, mask) for v, mask in enumerate(masks)]] * rows
        tile = []
        for _ in range(shape.phases):
            sums = [[Accumulator(fn, shape.element, shape.lanes) for _ in range(vectors)] for _ in range(rows)]
            for row, values in zip(sums, starts, strict=True):
                for accumulator, value in zip(row, values, strict=True):
                    accumulator.set(value)
            tile.append(sums)
        return tile

    def add_entries(self, sums: list[list[Accumulator]], source: Array, weights: Array, phase: Int) -> None:
        fn, shape = self.fn, self.shape
        with fn.loop(self.entry_at[phase], self.entry_at[phase + 1]) as entry:
            inputs, panel = source.at(self.entry_list[entry]), weights.at(entry * shape.channels)
            broadcast, along = (panel, inputs) if shape.positions_along_vectors else (inputs, panel)
            loaded = [along.vector(v * shape.lanes, shape.lanes) for v in range(len(sums[0]))]
            for r, row in enumerate(sums):
                scalar = fn.splat(broadcast[r], shape.lanes)
                for accumulator, value in zip(row, loaded, strict=True):
                    accumulator.multiply_add(scalar, value)

    def store(self, tile: list[list[list[Accumulator]]], place: _Place) -> None:
        """Whole tiles from the registers; others, and those with an epilogue, row by row as far as the output goes."""
        k, fn, shape = self.k, self.fn, self.shape
        lines = self.lines(tile)
        width = len(lines[0])
        apart: Int = k.y_c if shape.positions_along_vectors else k.y_x * k.up_x
        rows, outputs = place.steps, place.channels
        if shape.positions_along_vectors:
            rows, outputs = place.channels, place.outputs

        def spill() -> None:
            for r, values in enumerate(lines):
                for v, value in enumerate(values):
                    self.spilled.set_vector((r * width + v) * shape.lanes, value)
            with fn.loop(0, fn.min(rows, len(lines))) as row:
                for v in range(width):
                    kept = fn.mask(fn.bits(0, outputs - v * shape.lanes, shape.lanes), shape.lanes)
                    value = self.spilled.vector((row * width + v) * shape.lanes, shape.lanes)
                    self.finish.set_masked(place.y.at(row * apart), v * shape.lanes, value, kept)

        if shape.epilogue != NOTHING:
            spill()
            return
        whole = (rows >= len(lines)) & (outputs >= width * shape.lanes)
        with fn.either(whole) as (then, otherwise):
            with then:
                self.store_whole(lines, place.y, apart)
            with otherwise:
                spill()

    def lines(self, tile: list[list[list[Accumulator]]]) -> list[list[ll.Value]]:
        """For each row of a tile the vectors of outputs that lie side by side."""
        lines = []
        for rows in zip(*tile, strict=True):
            vectors = zip(*([sums.get() for sums in row] for row in rows), strict=True)
            lines.append([value for sides in vectors for value in self.fn.interleave(sides)])
        return lines

    def store_whole(self, lines: list[list[ll.Value]], y: Array, apart: Int) -> None:
        fn, lanes = self.fn, self.shape.lanes

        def store_with(store: str) -> None:
            for r, values in enumerate(lines):
                for v, value in enumerate(values):
                    getattr(y.at(apart * r), store)(v * lanes, value)

        if not self.shape.streams:
            store_with("set_vector")
            return
        streamed = self.k.large.equals(1) & (apart % lanes).equals(0) & y.line_starts(0)
        with fn.either(streamed) as (then, otherwise):
            with then:
                store_with("stream")
            with otherwise:
                store_with("set_vector")
