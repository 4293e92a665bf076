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

from dataclasses import dataclass

from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Accumulator, Array, Int, Variable
from trous.backends.cpu.tiles import SLOT, AlongChannels, AlongPositions, Copies, Runs, Side

#: Records of the tables, in 64-bit words: entries (place in the panels, slot, place in the weight, first lane, lane
#: after the last), chunks (first slot, slots, first channel, channels), phases, pairs (see `find_pairs`).
ENTRY, CHUNK, PHASE, PAIR = 5, 4, 3, 2
#: Channels by which the weights asked for run ahead of those packed: they lie too far apart for the processor to guess.
AHEAD = 4

FIELDS = Fields(
    numbers=(
        *("groups_per_input", "channel_tiles", "tiles_per_block", "channel_blocks"),
        *("positions", "span", "spans", "spans_per_item", "items_per_block", "chunks", "phases"),
        *("out_channels", "lane_extent"),
        *("steps_z", "steps_y", "steps_x", "up_z", "up_y", "up_x", "down_z", "down_y", "down_x"),
        *("in_z", "in_y", "in_x", "out_z", "out_y", "out_x"),
        *("x_group", "x_n", "x_c", "x_z", "x_y", "x_x"),
        *("w_group", "w_sub", "w_lane", "w_in"),
        *("y_group", "y_n", "y_c", "y_z", "y_y", "y_x"),
        *("bias_group", "bias_lane", "panel", "span_sums"),
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
    stride_x: int = 1  #: elements between neighbours along the copied direction, as `tiles.near` has them
    contiguous_y: bool = True  #: neighbouring outputs are adjacent in memory
    contiguous_w: bool = False  #: so are the weights of neighbouring output channels (or phases)
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
        flags = "".join("01"[flag] for flag in (self.contiguous_y, self.contiguous_w, self.checked))
        way = "positions" if self.positions_along_vectors else "channels"
        return (
            f"gemm_{way}_{self.element}_{self.rows}x{self.vectors}x{self.lanes}"
            f"_p{self.interleaved}_x{self.stride_x}_s{self.row_stride}_{flags}"
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
        self.pairs, self.pair_at = k.part("pairs", "int64"), k.part("pair_at", "int64")
        self.runs = Runs(k)
        side = Side(k, "x", "down", "in", shape.lanes, shape.stride_x)
        self.copies = Copies(side, self.runs, "copies", "places")

    def build(self) -> str:
        k, fn, shape = self.k, self.fn, self.shape
        packed = Variable(fn, -1)  # the channel block whose weights lie in the panels
        with fn.loop(k.begin, k.end) as item:
            block = item // k.items_per_block
            first_span = item % k.items_per_block * k.spans_per_item
            last_span = fn.min(first_span + k.spans_per_item, k.spans)
            group = block // k.channel_blocks
            first = block % k.channel_blocks * k.tiles_per_block
            count = fn.min(k.tiles_per_block, k.channel_tiles - first)
            with fn.loop(0, k.chunks) as chunk:
                number = block * k.chunks + chunk
                with fn.when(packed.get().differs(number)):
                    self.pack_weights(group, first, count, chunk)
                    packed.set(number)
                with fn.loop(first_span, last_span) as span:
                    self.runs.find(span, k.span)
                    self.pack_inputs(group, chunk)
                    self.find_pairs(chunk)
                    with fn.loop(0, count) as part, fn.loop(0, k.phases) as phase:
                        kept = ((span - first_span) * k.tiles_per_block + part) * k.phases + phase
                        sums = self.sums.at(fn.choose(k.chunks > 1, kept, 0) * k.span_sums)
                        panels = self.weights.at(part * k.panel)
                        with fn.loop(0, shape.interleaved) as inner:
                            taps = phase * shape.interleaved + inner
                            tile = sums.at(inner * k.span * shape.channels)
                            with fn.loop(0, self.runs.steps.get(), shape.positions) as position:
                                self.multiply(panels, taps, position, chunk, tile)
                        with fn.when((chunk + 1).equals(k.chunks)):
                            self.store(group, (first + part) * shape.channels, phase, sums)
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
            with fn.loop(base, base + shape.channels) as ahead:
                source.prefetch((start + channel + AHEAD) * k.w_in + ahead * k.w_lane)
            with fn.loop(begin, end) as entry:
                tap = self.entries.at(entry * ENTRY)
                panel = self.weights.at(part * k.panel + (tap[0] * channels + channel) * shape.channels)
                for lane in range(0, shape.channels, lanes):
                    low, high = tap[3] - base - lane, fn.min(tap[4], k.out_channels) - base - lane
                    place = (start + channel) * k.w_in + tap[2] + (base + lane) * k.w_lane
                    some = fn.mask(fn.bits(low, high, lanes), lanes)
                    width = min(lanes, shape.channels - lane)
                    value = source.masked(place, some) if shape.contiguous_w else source.gather(place, k.w_lane, some)
                    panel.set_masked(lane, value, fn.mask(fn.number((1 << width) - 1), lanes))

    def pack_inputs(self, group: Int, chunk: Int) -> None:
        k, shape = self.k, self.shape
        first, slots = self.chunk_list[chunk * CHUNK], self.chunk_list[chunk * CHUNK + 1]
        start, channels = self.channel_range(chunk)
        if shape.positions_along_vectors:
            way: AlongPositions | AlongChannels = AlongPositions(k.span, channels)
        else:
            way = AlongChannels(k.span, shape.row_stride, channels)
        self.copies.find(self.slots.at(first * SLOT), slots, way)
        source = self.x.at(group // k.groups_per_input * k.x_group + start * k.x_c)
        way.carry_out(self.copies, source, self.inputs)

    def find_pairs(self, chunk: Int) -> None:
        """For each phase the live taps as (panel offset, input offset)."""
        k, fn, shape = self.k, self.fn, self.shape
        _, channels = self.channel_range(chunk)
        keep = k.span * (channels if shape.positions_along_vectors else shape.row_stride)
        count = Variable(fn, 0)
        with fn.loop(0, k.phases * shape.interleaved) as phase:
            self.pair_at[phase] = count.get()
            begin, end = self.entry_range(chunk, phase)
            with fn.loop(begin, end) as number:
                entry = self.entries.at(number * ENTRY)
                place = self.copies.places[entry[1]]
                with fn.when(place >= 0):
                    pair = self.pairs.at(count.get() * PAIR)
                    pair[0], pair[1] = entry[0] * channels * shape.channels, place * keep
                    count.set(count.get() + 1)
        self.pair_at[k.phases * shape.interleaved] = count.get()

    # The product

    def multiply(self, panels: Array, phase: Int, position: Int, chunk: Int, sums: Array) -> None:
        """Sums of one phase of a tile; a tile with no more steps than one vector holds multiplies no more than that."""
        fn, shape = self.fn, self.shape
        if shape.positions_along_vectors:
            with fn.either(self.runs.steps.get() - position <= shape.lanes) as (then, otherwise):
                with then:
                    self.multiply_vectors(1, panels, phase, position, chunk, sums)
                with otherwise:
                    self.multiply_vectors(shape.vectors, panels, phase, position, chunk, sums)
        else:
            self.multiply_vectors(shape.vectors, panels, phase, position, chunk, sums)

    def multiply_vectors(self, vectors: int, panels: Array, phase: Int, position: Int, chunk: Int, sums: Array) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        _, channels = self.channel_range(chunk)
        tile = [[Accumulator(fn, shape.element, shape.lanes) for _ in range(vectors)] for _ in range(shape.rows)]
        if shape.positions_along_vectors:
            kept = [sums.at(k.span * r + position) for r in range(shape.rows)]
        else:
            kept = [sums.at((position + r) * shape.channels) for r in range(shape.rows)]
        with fn.either(chunk.equals(0)) as (then, otherwise):
            with then:
                for row in tile:
                    for accumulator in row:
                        accumulator.clear()
            with otherwise:
                for row, line in zip(tile, kept, strict=True):
                    for v, accumulator in enumerate(row):
                        accumulator.set(line.vector(v * shape.lanes, shape.lanes))
        with fn.loop(self.pair_at[phase], self.pair_at[phase + 1]) as number:
            pair = self.pairs.at(number * PAIR)
            weights, inputs = panels.at(pair[0]), self.inputs.at(pair[1])
            with fn.loop(0, channels) as channel:
                if shape.positions_along_vectors:
                    broadcast, row_step = weights.at(channel * shape.rows), 1
                    along = inputs.at(channel * k.span + position)
                else:
                    broadcast, row_step = inputs.at(position * shape.row_stride + channel), shape.row_stride
                    along = weights.at(channel * shape.channels)
                loaded = [along.vector(v * shape.lanes, shape.lanes) for v in range(vectors)]
                for r, row in enumerate(tile):
                    scalar = fn.splat(broadcast[r * row_step], shape.lanes)
                    for v, accumulator in enumerate(row):
                        accumulator.multiply_add(scalar, loaded[v])
        for row, line in zip(tile, kept, strict=True):
            for v, accumulator in enumerate(row):
                line.set_vector(v * shape.lanes, accumulator.get())

    # Results

    def store(self, group: Int, channel: Int, phase: Int, sums: Array) -> None:
        """Add the bias and write a tile's finished sums to where their phase lies in the output."""
        k, fn = self.k, self.fn
        place = self.phase_list.at(phase * PHASE)
        target = self.y.at(group * k.y_group)
        with fn.loop(0, self.runs.count.get()) as number:
            run = self.runs[number]
            z, y, x = run[3] * k.up_z + place[0], run[4] * k.up_y + place[1], run[5] * k.up_x + place[2]
            with fn.when((z < k.out_z) & (y < k.out_y)):
                line = target.at(run[2] * k.y_n + z * k.y_z + y * k.y_y + x * k.y_x)
                left = k.out_x - x  # outputs from the run's first to the end of the row
                if self.shape.positions_along_vectors:
                    self.store_positions(run, line, left, group, channel, sums)
                else:
                    self.store_channels(run, line, left, group, channel, sums)

    def store_positions(self, run: Array, line: Array, left: Int, group: Int, channel: Int, sums: Array) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        phases, lanes = shape.interleaved, shape.lanes
        start = run[0] * phases
        if phases == 1:  # one phase at a time: neighbours are `up_x` outputs apart
            stop = start + fn.min(run[1], (fn.max(left, 0) + k.up_x - 1) // k.up_x)
        else:
            stop = start + fn.min(run[1] * phases, left)
        step = k.y_x * k.up_x if phases == 1 else k.y_x
        with fn.loop(run[0] // lanes * lanes, run[0] + run[1], lanes) as edge:
            places = [edge * phases + part * lanes for part in range(phases)]
            masks = [fn.mask(fn.bits(start - place, stop - place, lanes), lanes) for place in places]
            with fn.loop(0, fn.min(k.out_channels - channel, shape.rows)) as row:
                bias = fn.splat(self.bias[group * k.bias_group + (channel + row) * k.bias_lane], lanes)
                values = [sums.vector((row + p * shape.rows) * k.span + edge, lanes) for p in range(phases)]
                out = line.at((channel + row) * k.y_c)
                for place, mask, value in zip(
                    places, masks, fn.interleave([fn.builder.fadd(value, bias) for value in values]), strict=True
                ):
                    if shape.contiguous_y:
                        out.set_masked(place - start, value, mask)
                    else:
                        out.scatter((place - start) * step, step, value, mask)

    def store_channels(self, run: Array, line: Array, left: Int, group: Int, channel: Int, sums: Array) -> None:
        k, fn, shape = self.k, self.fn, self.shape
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
                        value = sums.vector((run[0] + lane) * shape.channels + vector * shape.lanes, shape.lanes)
                        value = fn.builder.fadd(value, bias)
                        if shape.contiguous_y:
                            out.set_masked(first * k.y_c, value, mask)
                        else:
                            out.scatter(first * k.y_c, k.y_c, value, mask)


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()
