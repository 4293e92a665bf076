"""Dense layers: for every tile of positions, one matrix product over the live taps and their channels.

The inputs of a tile are copied once into a window that stays in the cache (`windows`; never an im2col matrix); a tap is
a constant distance in it. Weights are copied once into panels (`packing`), by each call or before all of them. The
product keeps `rows x vectors` accumulators in registers (`product`).

Two orientations share everything else:

- `positions` along the vectors, output channels broadcast (channels-first): neighbouring phases of the last axis are
  interleaved in registers as they are stored;
- `channels` along the vectors, positions broadcast (channels-last; and, with the phases of a long stride in the place
  of channels, inverse-STFT-like layers).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trous.backends.cpu.activations import Finish
from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.packing import CHUNK, ENTRY, Packing
from trous.backends.cpu.product import PAIR, Product
from trous.backends.cpu.values import Int, Variable
from trous.backends.cpu.windows import NUMBERS, Order, Tile, Window
from trous.backends.epilogue import NOTHING, Epilogue

#: Words of a record in the table of phases: along z, y, x.
PHASE = 3

#: Vectors of a channel's row that are stored together; see `Shape.run`.
RUN = 16

FIELDS = Fields(
    numbers=(
        *("groups_per_input", "channel_tiles", "tiles_per_block", "channel_blocks", "items_per_block"),
        *("chunks", "phases", "panels_kept", "chunk_panels", "panel", "span", "out_channels", "lane_extent"),
        *("flat_n", "flat_z", "flat_y", "sum_n", "sum_z", "sum_y"),
        *NUMBERS,
        *("steps_z", "steps_y", "steps_x", "up_z", "up_y", "up_x", "down_z", "down_y", "down_x"),
        *("in_z", "in_y", "in_x", "out_z", "out_y", "out_x"),
        *("x_group", "x_n", "x_c", "x_z", "x_y", "x_x"),
        *("w_group", "w_sub", "w_lane", "w_in", "w_run"),
        *("y_group", "y_n", "y_c", "y_z", "y_y", "y_x"),
        *("bias_group", "bias_lane", "slope", "large"),
    ),
    arrays=("x", "w", "bias", "y", "residual", "stretches", "entries", "entry_at", "chunk_list", "phase_list"),
    scratch=("weights", "inputs", "sums", "turned", "rows", "pairs", "columns"),
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
    across: bool = False  #: see `windows.Order`
    stride: int = 1
    channel_pitch: int = 0
    contiguous_y: bool = True  #: neighbouring outputs are adjacent in memory
    across_y: bool = False  #: with channels along the vectors: sums are transposed to be stored along the rows
    weights: str = ""  #: whose weights are adjacent: those of "lanes" (output channels or phases), "channels", "taps"
    streams: bool = False  #: large outputs are written past the caches
    packed: bool = False  #: the weights lie in panels before the call, as `packing.build` leaves them
    epilogue: Epilogue = NOTHING
    checked: bool = False

    @property
    def positions(self) -> int:
        """Positions in a tile of registers."""
        return self.lanes * self.vectors if self.positions_along_vectors else self.rows

    @property
    def half(self) -> int:
        """Positions in half a tile."""
        return self.vectors // 2 * self.lanes if self.positions_along_vectors else self.rows // 2

    @property
    def channels(self) -> int:
        """Output channels in a tile of registers."""
        return self.rows if self.positions_along_vectors else self.lanes * self.vectors

    @property
    def run(self) -> int:
        """Places that are stored together where channels take turns: each then has some neighbouring cache lines."""
        return self.lanes * max(1, RUN // self.interleaved)

    @property
    def order(self) -> Order:
        return Order(self.positions_along_vectors, self.lanes, self.across, self.stride, self.channel_pitch)

    @cached_property
    def name(self) -> str:
        flags = "".join(
            "01"[flag]
            for flag in (self.across, self.across_y, self.contiguous_y, self.streams, self.packed, self.checked)
        )
        way = "positions" if self.positions_along_vectors else "channels"
        return (
            f"gemm_{way}_{self.element}_{self.rows}x{self.vectors}x{self.lanes}"
            f"_p{self.interleaved}_x{self.stride}_s{self.channel_pitch}_w{self.weights}_{flags}{self.epilogue.word}"
        )


@dataclass(frozen=True)
class Spot:
    """Where a register tile lies. A strip is what its places are counted through: a row, or several strung together."""

    start: Int  #: the strip's first place in the window
    kept: Int  #: and among the sums
    strip: dict[str, Int]  #: its steps along n, z, y, where it does not run through these
    place: Int  #: the tile's first place in the strip
    length: Int  #: places of the strip
    box: dict[str, tuple[Int, Int]]  #: the first and the last step along z, y, x that the tile can hold


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Gemm(shape).build()


class _Gemm:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        self.x, self.bias, self.y = (k.array(name, shape.element) for name in ("x", "bias", "y"))
        self.entries, self.entry_at, self.chunk_list, self.phase_list = (
            k.array(name, "int64") for name in FIELDS.arrays[6:]
        )
        self.weights, self.inputs, self.sums, self.turned = (k.part(name, shape.element) for name in FIELDS.scratch[:4])
        self.packing = None if shape.packed else Packing(k, shape)
        self.pairs, self.pair_count = k.part("pairs", "int64"), Variable(self.fn, 0)
        self.finish = Finish(k, shape.epilogue, shape.element, shape.lanes)
        self.tile = Tile(k)
        self.window = Window(k, self.tile, shape.order, shape.element)

    def build(self) -> str:
        k, fn, shape = self.k, self.fn, self.shape
        product = Product(k, shape)
        kept = k.mark()  # the channel block whose weights lie in the scratch memory
        with fn.loop(k.begin, k.end) as item:
            block = item // k.items_per_block
            group = block // k.channel_blocks
            first = block % k.channel_blocks * k.tiles_per_block
            count = fn.min(k.tiles_per_block, k.channel_tiles - first)
            self.tile.find(item % k.items_per_block)
            self.window.find()
            with fn.loop(0, k.chunks) as chunk:
                record = self.chunk_list.at(chunk * CHUNK)
                start, channels = record[0], record[1]
                if self.packing is None:
                    panels = ((group * k.chunks + chunk) * k.channel_tiles + first) * k.panel
                else:
                    panels = chunk * k.chunk_panels
                    with fn.when(kept.get().differs(block)):
                        self.packing.pack(self.weights.at(panels), group, first, count, chunk)
                with fn.when(record[2].equals(0)):
                    self.window.fill(self.x.at(group // k.groups_per_input * k.x_group + start * k.x_c), channels)
                with self.places() as spot:
                    with fn.loop(0, k.phases * shape.interleaved) as phase:
                        self.list_pairs(chunk, phase, channels, spot.box)
                        with fn.loop(0, count) as part:
                            panel, left = panels + part * k.panel, spot.length - spot.place
                            sums = self.place_of(phase, part, spot.kept + spot.place)
                            pairs = self.pair_count.get()
                            product.call(panel, spot.start + spot.place, sums, left, channels, pairs, chunk)
                    with fn.when((chunk + 1).equals(k.chunks)):
                        self.store(group, first, count, spot)
            kept.set(fn.choose(k.panels_kept.equals(1), block, -1))
        if shape.streams:
            fn.fence()
        return k.finish()

    @property
    def apart(self) -> Int:
        """Sums between one phase and the next."""
        return self.k.tiles_per_block * self.k.span * self.shape.channels

    def place_of(self, phase: Int, part: Int, place: Int) -> Int:
        """Where the sums of one phase and channel tile lie, from a place on: `[channel][place]`, or `[place][channel]`
        with channels along the vectors."""
        first = phase * self.apart + part * (self.k.span * self.shape.channels)
        return first + (place if self.shape.positions_along_vectors else place * self.shape.channels)

    @contextmanager
    def places(self) -> Iterator[Spot]:
        """Loop over the register tiles of the box.

        Places are taken row by row, or through the pitch between rows, planes or images where that wastes fewer lanes.
        """
        k, fn, tile = self.k, self.fn, self.tile
        first = {axis: tile.first[axis].get() for axis in "nzyx"}
        size = {axis: tile.size[axis].get() for axis in "nzyx"}
        flat = {axis: getattr(k, f"flat_{axis}") for axis in "nzy"}
        pitch = {axis: getattr(k, f"pitch_{axis}") for axis in "nzy"}
        outer = {axis: fn.choose(flat[axis].equals(0), size[axis], 1) for axis in "nzy"}
        length = size["x"]
        for axis in "yzn":
            length = length + (size[axis] - outer[axis]) * pitch[axis] * flat[axis]
        with fn.loop(0, outer["n"]) as n, fn.loop(0, outer["z"]) as z, fn.loop(0, outer["y"]) as y:
            start = n * pitch["n"] + z * pitch["z"] + y * pitch["y"]
            kept = n * k.sum_n + z * k.sum_z + y * k.sum_y
            with fn.loop(0, length, self.shape.positions) as place:
                last = fn.min(place + (self.shape.positions - 1), length - 1)
                # Where rows are strung together, the first and the last of these; all planes where planes are.
                rows = [fn.choose(flat["y"].equals(0), y, edge // pitch["y"]) for edge in (place, last)]
                ends = zip(rows, (0, size["y"] - 1), strict=True)
                rows = [fn.choose(flat["z"].equals(0), row, whole) for row, whole in ends]
                planes = [fn.choose(flat["z"].equals(0), z, whole) for whole in (0, size["z"] - 1)]
                one = flat["y"].equals(0)
                columns = [fn.choose(one, edge, whole) for edge, whole in ((place, 0), (last, size["x"] - 1))]
                box = {
                    axis: (first[axis] + low, first[axis] + high)
                    for axis, (low, high) in zip("zyx", (planes, rows, columns), strict=True)
                }
                strip = {"n": n, "z": z, "y": y}
                yield Spot(start, kept, strip, place, length, box)

    def list_pairs(self, chunk: Int, phase: Int, channels: Int, box: dict[str, tuple[Int, Int]]) -> None:
        """The taps of one phase that find an input for any step of the box, as (panel offset, window distance)."""
        k, fn, shape = self.k, self.fn, self.shape
        phases = k.phases * shape.interleaved
        begin, at = self.entry_at[chunk * phases], chunk * phases + phase
        self.pair_count.set(0)
        with fn.loop(self.entry_at[at], self.entry_at[at + 1]) as number:
            entry = self.entries.at(number * ENTRY)
            alive = fn.number(0).equals(0)
            for field, axis in enumerate("zyx", 4):
                low, high = (steps * getattr(k, f"down_{axis}") + entry[field] for steps in box[axis])
                alive = alive & (high >= 0) & (low < getattr(k, f"in_{axis}"))
            pair = self.pairs.at(self.pair_count.get() * PAIR)
            pair[0], pair[1] = (number - begin) * channels * shape.channels, entry[0]
            self.pair_count.set(fn.choose(alive, self.pair_count.get() + 1, self.pair_count.get()))

    # Results

    def store(self, group: Int, first: Int, count: Int, spot: Spot) -> None:
        """Add the bias and write finished sums to where their phases lie in the output.

        This follows every register tile, so that the memory takes results in while the next ones are multiplied. Of a
        row that goes on in the next tile, what is less than a run is left to that.
        """
        k, fn, tile, shape = self.k, self.fn, self.tile, self.shape
        one, end = k.flat_y.equals(0), fn.min(spot.place + shape.positions, spot.length)
        rows = [fn.choose(one, 0, edge // k.pitch_y) for edge in (spot.place, end - 1)]
        with fn.loop(rows[0], rows[1] + 1) as row:
            row_start = row * k.pitch_y
            begin, stop = (self.whole(fn.max(edge - row_start, 0)) for edge in (spot.place, end))
            stop = fn.choose(end - row_start >= tile.size["x"].get(), tile.size["x"].get(), stop)
            step = self.steps_of(row, spot)
            image = self.y.at(group * k.y_group + (tile.first["n"].get() + step["n"]) * k.y_n)
            inside = (step["y"] < tile.size["y"].get()) & (step["z"] < tile.size["z"].get()) & (begin < stop)
            with fn.when(inside), fn.loop(0, k.phases) as phase:
                phases = self.phase_list.at(phase * PHASE)
                z, y, x = (
                    (tile.first[axis].get() + at) * getattr(k, f"up_{axis}") + phases[i]
                    for i, (axis, at) in enumerate(zip("zyx", (step["z"], step["y"], begin), strict=True))
                )
                with fn.when((z < k.out_z) & (y < k.out_y)), fn.loop(0, count) as part:
                    line = image.at(z * k.y_z + y * k.y_y + x * k.y_x)
                    channel, kept = (first + part) * shape.channels, spot.kept + row_start + begin
                    at = self.place_of(phase * shape.interleaved, part, kept)
                    sums = [self.sums.at(at + i * self.apart) for i in range(shape.interleaved)]
                    edges = line, k.out_x - x, stop - begin, group, channel
                    if shape.positions_along_vectors:
                        self.store_positions(*edges, sums, k.span)
                    elif shape.across_y and shape.interleaved > 1:
                        self.store_turned(*edges, sums[0])
                    elif shape.across_y:
                        self.store_across(*edges, sums[0])
                    else:
                        self.store_channels(*edges, sums[0])

    def whole(self, place: Int) -> Int:
        """The last place of a row, up to this one, at which storing may stop."""
        shape = self.shape
        along_rows = shape.positions_along_vectors or shape.across_y
        return place // shape.run * shape.run if along_rows else place

    def steps_of(self, row: Int, spot: Spot) -> dict[str, Int]:
        """The steps along n, z, y of a row of the strip."""
        k, fn = self.k, self.fn
        rows, planes = k.pitch_z // k.pitch_y, k.pitch_n // k.pitch_z
        flat = {axis: getattr(k, f"flat_{axis}").differs(0) for axis in "nzy"}
        plane = row // rows
        found = {
            "y": fn.choose(flat["z"], row % rows, row),
            "z": fn.choose(flat["n"], plane % planes, plane),
            "n": plane // planes,
        }
        return {axis: fn.choose(flat[axis], found[axis], spot.strip[axis]) for axis in "nzy"}

    def store_positions(
        self, line: Array, left: Int, steps: Int, group: Int, channel: Int, sums: list[Array], span: Int
    ) -> None:
        """Sums `[channel][place]`, channels `span` apart. `left`: outputs to the end of the row."""
        k, fn, shape = self.k, self.fn, self.shape
        phases, lanes = shape.interleaved, shape.lanes
        if phases == 1:  # one phase at a time: neighbours are `up_x` outputs apart
            stop, step = fn.min(steps, (fn.max(left, 0) + k.up_x - 1) // k.up_x), k.y_x * k.up_x
        else:
            stop, step = fn.min(steps * phases, left), k.y_x
        with fn.loop(0, fn.min(k.out_channels - channel, shape.channels)) as row:
            bias = fn.splat(self.bias[group * k.bias_group + (channel + row) * k.bias_lane], lanes)
            out, kept = line.at((channel + row) * k.y_c), [part.at(row * span) for part in sums]

            def finished(edge: Int) -> list:
                return fn.interleave([fn.builder.fadd(part.vector(edge, lanes), bias) for part in kept])

            streamed = fn.number(0)
            if shape.streams:
                whole = fn.max(stop, 0) // (lanes * phases) * lanes
                streamed = fn.choose(k.large.equals(1) & out.line_starts(0), whole, 0)
                with fn.loop(0, streamed, lanes) as edge:
                    for part, value in enumerate(finished(edge)):
                        self.finish.stream(out, edge * phases + part * lanes, value)
            with fn.loop(streamed, steps, lanes) as edge:
                for part, value in enumerate(finished(edge)):
                    at = edge * phases + part * lanes
                    mask = fn.mask(fn.bits(0, stop - at, lanes), lanes)
                    if shape.contiguous_y:
                        self.finish.set_masked(out, at, value, mask)
                    else:
                        self.finish.scatter(out, at * step, step, value, mask)

    def store_across(self, line: Array, left: Int, steps: Int, group: Int, channel: Int, sums: Array) -> None:
        """Square blocks of places and channels, transposed in registers."""
        k, fn, shape = self.k, self.fn, self.shape
        lanes, steps = shape.lanes, fn.min(steps, left)
        with fn.loop(0, shape.channels, lanes) as vector:
            first = channel + vector
            with fn.when(first < k.out_channels):
                some = fn.mask(fn.bits(0, k.out_channels - first, lanes), lanes)
                bias = self.bias.masked(group * k.bias_group + first, some)
                with fn.loop(0, steps, lanes) as step:
                    inside = fn.bits(0, steps - step, lanes)
                    rows = self.block(sums.at(step * shape.channels + vector))
                    values = fn.transpose([fn.builder.fadd(row, bias) for row in rows])
                    whole = (step + lanes <= steps) & (first + lanes <= k.out_channels)
                    with self.streaming(line.at(first * k.y_c + step), k.y_c, whole) as (then, otherwise):
                        with then:
                            for lane, value in enumerate(values):
                                self.finish.stream(line.at((first + lane) * k.y_c), step, value)
                        with otherwise:
                            for lane, value in enumerate(values):
                                mask = fn.mask(fn.choose(first + lane < k.out_channels, inside, 0), lanes)
                                self.finish.set_masked(line.at((first + lane) * k.y_c), step, value, mask)

    def store_turned(self, line: Array, left: Int, steps: Int, group: Int, channel: Int, sums: Array) -> None:
        """Square blocks of all phases, transposed, are sums as of positions along the vectors, to be interleaved."""
        k, fn, shape = self.k, self.fn, self.shape
        phases, run = shape.interleaved, shape.run
        apart = shape.channels * run
        with fn.loop(0, steps, run) as step:
            some, begin = fn.min(steps - step, run), step * phases
            with fn.loop(0, phases) as phase, fn.loop(0, shape.channels, shape.lanes) as vector:
                source = sums.at(phase * self.apart + step * shape.channels + vector)
                target = self.turned.at(phase * apart + vector * run)
                with fn.loop(0, some, shape.lanes) as place:
                    for lane, value in enumerate(fn.transpose(self.block(source.at(place * shape.channels)))):
                        target.set_vector(lane * run + place, value)
            turned = [self.turned.at(phase * apart) for phase in range(phases)]
            self.store_positions(line.at(begin * k.y_x), left - begin, some, group, channel, turned, fn.number(run))

    def block(self, sums: Array) -> list[Any]:
        """As many places as a vector has channels."""
        lanes = self.shape.lanes
        return [sums.vector(place * self.shape.channels, lanes) for place in range(lanes)]

    def store_channels(self, line: Array, left: Int, steps: Int, group: Int, channel: Int, sums: Array) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        steps = fn.min(steps, (fn.max(left, 0) + k.up_x - 1) // k.up_x)
        for vector in range(shape.vectors):
            first = channel + vector * shape.lanes
            with fn.when(first < k.out_channels):
                some = fn.mask(fn.bits(0, k.out_channels - first, shape.lanes), shape.lanes)
                bias = self.bias.gather(group * k.bias_group + first * k.bias_lane, k.bias_lane, some)
                with fn.loop(0, steps) as step:
                    # `lane_extent` is 0 for channels; for phases in their place the row may end amid them.
                    limit = fn.choose(k.lane_extent.equals(0), k.out_channels, left - step * k.up_x)
                    mask = fn.mask(fn.bits(0, fn.min(limit, k.out_channels) - first, shape.lanes), shape.lanes)
                    out = line.at(step * k.up_x * k.y_x)
                    value = sums.vector(step * shape.channels + vector * shape.lanes, shape.lanes)
                    value = fn.builder.fadd(value, bias)
                    if shape.contiguous_y:
                        whole = first + shape.lanes <= fn.min(limit, k.out_channels)
                        with self.streaming(out.at(first), fn.number(0), whole) as (then, otherwise):
                            with then:
                                self.finish.stream(out, first, value)
                            with otherwise:
                                self.finish.set_masked(out, first, value, mask)
                    else:
                        self.finish.scatter(out, first * k.y_c, k.y_c, value, mask)

    def streaming(self, out: Array, pitch: Int, whole: Int) -> AbstractContextManager[tuple[Any, Any]]:
        """Two ways to store vectors `pitch` apart: past the caches where they are whole lines of a large output."""
        k, fn = self.k, self.fn
        lines = (
            (pitch % self.shape.lanes).equals(0) & out.line_starts(0) if self.shape.streams else fn.number(0).equals(1)
        )
        return fn.either(k.large.equals(1) & whole & lines)
