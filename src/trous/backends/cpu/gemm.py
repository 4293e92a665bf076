"""Dense layers: for every tile of positions, one matrix product over the live taps and their channels.

A tile of the input is copied, tap by tap, into a few hundred kilobytes that stay in the cache (never a whole im2col
matrix); weights are copied once into panels. Copying costs one load and store for as many multiply-adds as there are
output channels. The product itself keeps `rows x vectors` accumulators in registers.

Two orientations share everything else:

- `positions` along the vectors, output channels broadcast (channels-first): neighbouring phases of the last axis are
  computed in one go and interleaved in registers as they are stored;
- `channels` along the vectors, positions broadcast (channels-last; and, with the phases of a long stride in the place
  of channels, inverse-STFT-like layers).

Roofline: with 14 x 2 accumulators a step is 28 multiply-adds for 2 loads and 14 broadcasts, so the FMA units bound it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Accumulator, Array, Int, Variable

#: Records in the tables, in 64-bit words.
RUN, COPY, SLOT, ENTRY, CHUNK, PHASE, PAIR = 10, 4, 4, 5, 4, 3, 2

FIELDS = Fields(
    numbers=(
        *("groups_per_input", "channel_tiles", "tiles_per_block", "channel_blocks"),
        *("positions", "position_tiles", "tiles_per_item", "items_per_block", "chunks", "phases"),
        *("out_channels", "lane_extent"),
        *("steps_z", "steps_y", "steps_x", "up_z", "up_y", "up_x", "down_z", "down_y", "down_x"),
        *("in_z", "in_y", "in_x", "out_z", "out_y", "out_x"),
        *("x_group", "x_n", "x_c", "x_z", "x_y", "x_x"),
        *("w_group", "w_sub", "w_lane", "w_in"),
        *("y_group", "y_n", "y_c", "y_z", "y_y", "y_x"),
        *("bias_group", "bias_lane", "panel", "tile_sums"),
    ),
    arrays=("x", "w", "bias", "y", "slots", "entries", "entry_at", "chunk_list", "phase_list"),
    scratch=("weights", "inputs", "sums", "runs", "copies", "places", "pairs", "pair_at"),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for. Sizes, taps, channels and strides are not among it."""

    element: str
    lanes: int
    rows: int  #: broadcast operands of a tile
    vectors: int  #: vectors of a tile
    positions_along_vectors: bool
    interleaved: int = 1  #: phases of the last axis that are stored together
    contiguous_x: bool = True  #: neighbours along the copied direction are adjacent in memory
    contiguous_y: bool = True
    row_stride: int = 0  #: channels kept for each position of a tile, when channels run along the vectors
    checked: bool = False

    @property
    def positions(self) -> int:
        """Positions in a tile."""
        return self.lanes * self.vectors if self.positions_along_vectors else self.rows

    @property
    def channels(self) -> int:
        """Output channels in a tile."""
        return self.rows if self.positions_along_vectors else self.lanes * self.vectors

    @property
    def name(self) -> str:
        flags = "".join("01"[flag] for flag in (self.contiguous_x, self.contiguous_y, self.checked))
        way = "positions" if self.positions_along_vectors else "channels"
        return (
            f"gemm_{way}_{self.element}_{self.rows}x{self.vectors}x{self.lanes}"
            f"_p{self.interleaved}_s{self.row_stride}_{flags}"
        )


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Gemm(shape).build()


class _Gemm:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        self.x, self.w, self.bias, self.y = (k.array(name, shape.element) for name in ("x", "w", "bias", "y"))
        self.slots, self.entries, self.entry_at, self.chunk_list, self.phase_list = (
            k.array(name, "int64") for name in FIELDS.arrays[4:]
        )
        self.weights, self.inputs, self.sums = (k.part(name, shape.element) for name in FIELDS.scratch[:3])
        self.runs, self.copies, self.places, self.pairs, self.pair_at = (
            k.part(name, "int64") for name in FIELDS.scratch[3:]
        )
        self.run_count = Variable(self.fn, 0)

    def build(self) -> str:
        k, fn = self.k, self.fn
        packed = Variable(fn, -1)  # the channel block whose weights lie in the panels
        with fn.loop(k.begin, k.end) as item:
            block = item // k.items_per_block
            first_tile = item % k.items_per_block * k.tiles_per_item
            last_tile = fn.min(first_tile + k.tiles_per_item, k.position_tiles)
            group = block // k.channel_blocks
            first = block % k.channel_blocks * k.tiles_per_block
            count = fn.min(k.tiles_per_block, k.channel_tiles - first)
            with fn.loop(0, k.chunks) as chunk:
                number = block * k.chunks + chunk
                with fn.when(packed.get().differs(number)):
                    self.pack_weights(group, first, count, chunk)
                    packed.set(number)
                with fn.loop(first_tile, last_tile) as tile:
                    self.find_runs(tile)
                    self.pack_inputs(group, chunk)
                    self.find_pairs(chunk)
                    with fn.loop(0, count) as part, fn.loop(0, k.phases) as phase:
                        kept = ((tile - first_tile) * k.tiles_per_block + part) * k.phases + phase
                        sums = self.sums.at(fn.choose(k.chunks > 1, kept, 0) * k.tile_sums)
                        panels = self.weights.at(part * k.panel)
                        for inner in range(self.shape.interleaved):
                            self.multiply(panels, phase * self.shape.interleaved + inner, inner, chunk, sums)
                        with fn.when((chunk + 1).equals(k.chunks)):
                            self.store(group, (first + part) * self.shape.channels, phase, sums)
        return k.finish()

    def channel_range(self, chunk: Int) -> tuple[Int, Int]:
        """First input channel of a chunk and their number."""
        return self.chunk_list[chunk * CHUNK + 2], self.chunk_list[chunk * CHUNK + 3]

    def entry_range(self, chunk: Int, phase: Int) -> tuple[Int, Int]:
        """Entries (taps in panel order) of one phase."""
        at = chunk * self.k.phases * self.shape.interleaved + phase
        return self.entry_at[at], self.entry_at[at + 1]

    # Weights: panels [channel tile][tap][input channel][channel of the tile]

    def pack_weights(self, group: Int, first: Int, count: Int, chunk: Int) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        lanes = min(shape.lanes, max(2, _power_of_two(shape.channels)))
        start, channels = self.channel_range(chunk)
        source = self.w.at(group // k.groups_per_input * k.w_group + group % k.groups_per_input * k.w_sub)
        phases = k.phases * shape.interleaved
        begin, end = self.entry_at[chunk * phases], self.entry_at[chunk * phases + phases]
        with fn.loop(0, count) as part, fn.loop(0, channels) as channel:
            base = (first + part) * shape.channels
            with fn.loop(begin, end) as entry:
                tap = self.entries.at(entry * ENTRY)
                panel = self.weights.at(part * k.panel + (tap[0] * channels + channel) * shape.channels)
                for lane in range(0, shape.channels, lanes):
                    low, high = tap[3] - base - lane, fn.min(tap[4], k.out_channels) - base - lane
                    place = (start + channel) * k.w_in + tap[2] + (base + lane) * k.w_lane
                    some = fn.mask(fn.bits(low, high, lanes), lanes)
                    width = min(lanes, shape.channels - lane)
                    value = source.gather(place, k.w_lane, some)
                    panel.set_masked(lane, value, fn.mask(fn.int((1 << width) - 1), lanes))

    # Runs: maximal stretches of a tile's positions that lie in one row of the step grid

    def find_runs(self, tile: Int) -> None:
        k, fn = self.k, self.fn
        first = tile * self.shape.positions
        stop = fn.min(first + self.shape.positions, k.positions)
        position, count = Variable(fn, first), Variable(fn, 0)
        with self.repeat(lambda: position.get() < stop):
            at = position.get()
            row, mx = at // k.steps_x, at % k.steps_x
            plane, my = row // k.steps_y, row % k.steps_y
            n, mz = plane // k.steps_z, plane % k.steps_z
            length = fn.min(k.steps_x - mx, stop - at)
            z, y, x = mz * k.down_z, my * k.down_y, mx * k.down_x
            run = self.runs.at(count.get() * RUN)
            run[0], run[1] = at - first, length
            run[2] = n * k.x_n + z * k.x_z + y * k.x_y + x * k.x_x
            run[3], run[4], run[5] = z, y, x
            run[6] = n * k.y_n
            run[7], run[8], run[9] = mz, my, mx
            position.set(at + length)
            count.set(count.get() + 1)
        self.run_count.set(count.get())

    @contextmanager
    def repeat(self, condition):
        """`while condition()`."""
        b = self.fn.builder
        check, body, done = (b.append_basic_block(name) for name in ("while", "do", "end"))
        b.branch(check)
        b.position_at_end(check)
        b.cbranch(condition().value, body, done)
        b.position_at_end(body)
        yield
        b.branch(check)
        b.position_at_end(done)

    # Inputs: for every live offset ("slot") the tile's positions, zeros where they fall outside

    def pack_inputs(self, group: Int, chunk: Int) -> None:
        k, fn = self.k, self.fn
        first_slot, slots = self.chunk_list[chunk * CHUNK], self.chunk_list[chunk * CHUNK + 1]
        start, channels = self.channel_range(chunk)
        source = self.x.at(group // k.groups_per_input * k.x_group + start * k.x_c)
        place, copies = Variable(fn, 0), Variable(fn, 0)
        with fn.loop(0, slots) as number:
            slot = self.slots.at((first_slot + number) * SLOT)
            before, live = copies.get(), Variable(fn, 0)
            with fn.loop(0, self.run_count.get()) as run_number:
                run = self.runs.at(run_number * RUN)
                low, high = self.lanes_inside(run, slot)
                live.set(fn.choose(low < high, 1, live.get()))
                self.list_copies(run, run[2] + slot[3], low, high, place.get(), channels, copies)
            alive = live.get().differs(0)
            copies.set(fn.choose(alive, copies.get(), before))
            self.places[number] = fn.choose(alive, place.get(), -1)
            place.set(fn.choose(alive, place.get() + 1, place.get()))
        self.run_copies(source, channels, copies.get())

    def lanes_inside(self, run: Array, slot: Array) -> tuple[Int, Int]:
        """Which positions of a run a slot reaches inside the input: `low <= lane < high`, counted from its start."""
        k, fn = self.k, self.fn
        z, y, x = run[3] + slot[0], run[4] + slot[1], run[5] + slot[2]
        inside = (z >= 0) & (z < k.in_z) & (y >= 0) & (y < k.in_y)
        step = k.down_x
        low = (fn.max(0 - x, 0) + step - 1) // step
        high = fn.min((fn.max(k.in_x - x, 0) + step - 1) // step, run[1])
        return low, fn.choose(inside, high, 0)

    def list_copies(
        self, run: Array, source: Int, low: Int, high: Int, place: Int, channels: Int, copies: Variable
    ) -> None:
        """Note the copies of one run and slot; they are carried out for each channel."""
        k, fn, shape = self.k, self.fn, self.shape
        start, length = run[0], run[1]
        step = k.down_x * k.x_x
        if shape.positions_along_vectors:
            for vector in range(shape.vectors):
                edge = vector * shape.lanes
                kept = fn.bits(start - edge, start + length - edge, shape.lanes)
                with fn.when(kept.differs(0)):
                    copy = self.copies.at(copies.get() * COPY)
                    copy[0] = source + (fn.int(edge) - start) * step
                    copy[1] = place * channels * shape.positions + edge
                    copy[2] = fn.bits(start + low - edge, start + high - edge, shape.lanes)
                    copy[3] = kept
                    copies.set(copies.get() + 1)
        else:
            # One copy per position: all its channels, or zeros.
            with fn.loop(0, length) as lane:
                copy = self.copies.at(copies.get() * COPY)
                copy[0] = source + lane * step
                copy[1] = (place * shape.rows + start + lane) * shape.row_stride
                copy[2] = fn.choose((lane >= low) & (lane < high), 1, 0)
                copies.set(copies.get() + 1)

    def run_copies(self, source: Array, channels: Int, copies: Int) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        if shape.positions_along_vectors:
            with fn.loop(0, channels) as channel:
                origin = source.at(channel * k.x_c)
                target = self.inputs.at(channel * shape.positions)
                with fn.loop(0, copies) as number:
                    copy = self.copies.at(number * COPY)
                    some, kept = fn.mask(copy[2], shape.lanes), fn.mask(copy[3], shape.lanes)
                    if shape.contiguous_x:
                        value = origin.masked(copy[0], some)
                    else:
                        value = origin.gather(copy[0], k.down_x * k.x_x, some)
                    target.set_masked(copy[1], value, kept)
        else:
            with fn.loop(0, copies) as number:
                copy = self.copies.at(number * COPY)
                origin, target, present = source.at(copy[0]), self.inputs.at(copy[1]), copy[2]
                with fn.loop(0, channels, shape.lanes) as channel:
                    some = fn.mask(fn.bits(0, (channels - channel) * present, shape.lanes), shape.lanes)
                    if shape.contiguous_x:
                        value = origin.masked(channel, some)
                    else:
                        value = origin.gather(channel * k.x_c, k.x_c, some)
                    target.set_vector(channel, value)

    def find_pairs(self, chunk: Int) -> None:
        """For each phase the live taps as (panel offset, input offset)."""
        k, fn, shape = self.k, self.fn, self.shape
        _, channels = self.channel_range(chunk)
        keep = shape.positions * channels if shape.positions_along_vectors else fn.int(shape.rows * shape.row_stride)
        count = Variable(fn, 0)
        with fn.loop(0, k.phases * shape.interleaved) as phase:
            self.pair_at[phase] = count.get()
            begin, end = self.entry_range(chunk, phase)
            with fn.loop(begin, end) as number:
                entry = self.entries.at(number * ENTRY)
                place = self.places[entry[1]]
                with fn.when(place >= 0):
                    pair = self.pairs.at(count.get() * PAIR)
                    pair[0], pair[1] = entry[0] * channels * shape.channels, place * keep
                    count.set(count.get() + 1)
        self.pair_at[k.phases * shape.interleaved] = count.get()

    # The product

    def multiply(self, panels: Array, phase: Int, inner: int, chunk: Int, sums: Array) -> None:
        fn, shape = self.fn, self.shape
        _, channels = self.channel_range(chunk)
        tile = [[Accumulator(fn, shape.element, shape.lanes) for _ in range(shape.vectors)] for _ in range(shape.rows)]
        width = shape.vectors * shape.lanes
        kept = sums.at(inner * shape.rows * width)
        with fn.either(chunk.equals(0)) as (then, otherwise):
            with then:
                for row in tile:
                    for accumulator in row:
                        accumulator.clear()
            with otherwise:
                for r, row in enumerate(tile):
                    for v, accumulator in enumerate(row):
                        accumulator.set(kept.vector(r * width + v * shape.lanes, shape.lanes))
        with fn.loop(self.pair_at[phase], self.pair_at[phase + 1]) as number:
            pair = self.pairs.at(number * PAIR)
            weights, inputs = panels.at(pair[0]), self.inputs.at(pair[1])
            with fn.loop(0, channels) as channel:
                if shape.positions_along_vectors:
                    broadcast, row_step = weights.at(channel * shape.rows), 1
                    along = inputs.at(channel * width)
                else:
                    broadcast, row_step = inputs.at(channel), shape.row_stride
                    along = weights.at(channel * width)
                loaded = [along.vector(v * shape.lanes, shape.lanes) for v in range(shape.vectors)]
                for r, row in enumerate(tile):
                    scalar = fn.splat(broadcast[r * row_step], shape.lanes)
                    for v, accumulator in enumerate(row):
                        accumulator.multiply_add(scalar, loaded[v])
        for r, row in enumerate(tile):
            for v, accumulator in enumerate(row):
                kept.set_vector(r * width + v * shape.lanes, accumulator.get())

    # Results

    def store(self, group: Int, channel: Int, phase: Int, sums: Array) -> None:
        """Add the bias and write a tile's finished sums to where their phase lies in the output."""
        k, fn = self.k, self.fn
        place = self.phase_list.at(phase * PHASE)
        target = self.y.at(group * k.y_group)
        with fn.loop(0, self.run_count.get()) as number:
            run = self.runs.at(number * RUN)
            z, y, mx = run[7] * k.up_z + place[0], run[8] * k.up_y + place[1], run[9]
            with fn.when((z < k.out_z) & (y < k.out_y)):
                line = target.at(run[6] + z * k.y_z + y * k.y_y + (mx * k.up_x + place[2]) * k.y_x)
                left = k.out_x - mx * k.up_x - place[2]  # outputs from the run's first to the end of the row
                if self.shape.positions_along_vectors:
                    self.store_positions(run, line, left, group, channel, sums)
                else:
                    self.store_channels(run, line, left, group, channel, sums)

    def store_positions(self, run: Array, line: Array, left: Int, group: Int, channel: Int, sums: Array) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        phases, width = shape.interleaved, shape.vectors * shape.lanes
        start = run[0] * phases
        if phases == 1:  # one phase at a time: neighbours are `up_x` outputs apart
            stop = start + fn.min(run[1], (fn.max(left, 0) + k.up_x - 1) // k.up_x)
        else:
            stop = start + fn.min(run[1] * phases, left)
        step = k.y_x * k.up_x if phases == 1 else k.y_x
        masks = [
            fn.mask(fn.bits(start - edge, stop - edge, shape.lanes), shape.lanes)
            for edge in range(0, width * phases, shape.lanes)
        ]
        with fn.loop(0, fn.min(k.out_channels - channel, shape.rows)) as row:
            bias = fn.splat(self.bias[group * k.bias_group + (channel + row) * k.bias_lane], shape.lanes)
            out = line.at((channel + row) * k.y_c - start * step)
            for vector in range(shape.vectors):
                values = [
                    fn.builder.fadd(sums.vector((p * shape.rows + row) * width + vector * shape.lanes, shape.lanes), bias)
                    for p in [fn.int(p) for p in range(phases)]
                ]
                for part, value in enumerate(fn.interleave(values)):
                    number = vector * phases + part
                    if shape.contiguous_y:
                        out.set_masked(number * shape.lanes, value, masks[number])
                    else:
                        out.scatter(step * (number * shape.lanes), step, value, masks[number])

    def store_channels(self, run: Array, line: Array, left: Int, group: Int, channel: Int, sums: Array) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        width = shape.vectors * shape.lanes
        with fn.loop(0, run[1]) as lane:
            # `lane_extent` is 0 for channels; for phases in their place the row may end amid them.
            here = left - lane * k.up_x
            limit = fn.choose(k.lane_extent.equals(0), k.out_channels, fn.min(k.out_channels, here))
            with fn.when(here > 0):
                out = line.at(lane * k.up_x * k.y_x)
                for vector in range(shape.vectors):
                    first = channel + vector * shape.lanes
                    bits = fn.bits(0, limit - first, shape.lanes)
                    with fn.when(bits.differs(0)):
                        mask = fn.mask(bits, shape.lanes)
                        bias = self.bias.gather(group * k.bias_group + first * k.bias_lane, k.bias_lane, mask)
                        value = sums.vector((run[0] + lane) * width + vector * shape.lanes, shape.lanes)
                        value = fn.builder.fadd(value, bias)
                        if shape.contiguous_y:
                            out.set_masked(first * k.y_c, value, mask)
                        else:
                            out.scatter(first * k.y_c, k.y_c, value, mask)


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()
