"""Few output channels in a group: strips of output rows, computed from inputs staged in the cache.

A tile holds, in registers, `vectors` neighbouring vectors of steps of several output rows: the phases of a step, and
rows so far apart that their taps read common input rows. Every input vector is loaded once for all outputs of the tile
that use it. Which ones do is known when the code is compiled: the inputs are walked class by class, `row_masks` and
`column_masks` being the sets of rows and of phases that a class feeds. Which inputs are in a class is a table.

Roofline: FMA rate from some four uses of a loaded vector on, below that half of it; few taps are bound by memory, where
the next strip is prefetched while one is computed.
"""

from __future__ import annotations

from dataclasses import dataclass

from trous.backends.cpu.activations import Finish
from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.staging import NUMBERS, Stage, Strip
from trous.backends.cpu.values import Accumulator, Int, Variable
from trous.backends.epilogue import NOTHING, Epilogue

#: Records: passes (first row of theirs, weights of a channel, where their weights begin), rows of a tile (z, y).
PASS, ROW = 3, 2

FIELDS = Fields(
    numbers=(
        *NUMBERS,
        *("groups", "strips_z", "strips_y", "strips_x", "each_z", "each_y", "each_x", "advance", "spacing", "height"),
        *("passes", "out_tiles", "tile_weights", "steps_z", "steps_y", "steps_x", "up_z", "up_y", "high_z", "high_y"),
        *("out_z", "out_y", "out_x", "x_group", "x_n", "y_n", "y_group", "y_c", "y_z", "y_y"),
        *("w_group", "w_in", "w_tile", "slope", "large"),
    ),
    arrays=(
        *("x", "w", "bias", "residual", "y"),
        *("pass_list", "tile_rows", "row_at", "row_list", "column_at", "column_list", "weight_list"),
    ),
    scratch=("staged", "weights"),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for."""

    element: str
    lanes: int
    vectors: int
    rows: int  #: output rows of a tile, phases across rows among them
    phases: int  #: of the last axis; interleaved on store
    outs: int  #: output channels of a tile
    row_masks: tuple[int, ...]
    column_masks: tuple[int, ...]
    source: str  #: see `staging.Stage`
    step: int  #: input columns between neighbouring steps, where columns are adjacent
    channels_last: bool = False  #: output channels are neighbours in memory
    streams: bool = False  #: large outputs are written past the caches
    checked: bool = False
    epilogue: Epilogue = NOTHING

    @property
    def narrow(self) -> int:
        """Vectors of the blocks at the end of a row; 0 for none."""
        return 2 if self.vectors > 2 else self.vectors // 2

    @property
    def name(self) -> str:
        tile = f"{self.outs}x{self.rows}x{self.phases}x{self.vectors}x{self.lanes}"
        masks = "_".join("".join(f"{mask:x}." for mask in masks) for masks in (self.row_masks, self.column_masks))
        flags = "".join("01"[flag] for flag in (self.channels_last, self.streams, self.checked))
        return f"strips_{self.element}_{tile}_{masks}_{self.source}{self.step}_{flags}{self.epilogue.word}"


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Strips(shape).build()


class _Strips:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        self.x, self.w, self.bias, self.y = (k.array(name, shape.element) for name in ("x", "w", "bias", "y"))
        (
            self.pass_list,
            self.tile_rows,
            self.row_at,
            self.row_list,
            self.column_at,
            self.column_list,
            self.weight_list,
        ) = (k.array(name, "int64") for name in FIELDS.arrays[5:])
        self.weights = k.part("weights", shape.element)
        self.stage = Stage(k, shape.element, shape.lanes, shape.source, shape.step)
        self.staged = self.stage.memory
        self.finish = Finish(k, shape.epilogue, shape.element, shape.lanes)

    def build(self) -> str:
        k, fn = self.k, self.fn
        sizes = (k.strips_x, k.strips_y, k.strips_z, k.groups)
        digits = [Variable(fn, 0) for _ in range(5)]  # of the item: strip along x, y, z, group, batch
        rest = k.begin
        for digit, size in zip(digits[:-1], sizes, strict=True):
            digit.set(rest % size)
            rest = rest // size
        digits[-1].set(rest)
        packed = self.k.mark()
        with fn.loop(k.begin, k.end):
            bx, by, bz, group, n = (digit.get() for digit in digits)
            with fn.when(packed.get().differs(group)):
                self.pack(group)
                packed.set(group)
            strip = self.strip(bx, by, bz, group, n)
            self.count_on(digits, sizes)
            self.stage.fill(strip)
            self.compute(strip, self.strip(*(digit.get() for digit in digits)), group, n)
        if self.shape.streams:
            fn.fence()
        return k.finish()

    def strip(self, bx: Int, by: Int, bz: Int, group: Int, n: Int) -> Strip:
        k = self.k
        column = bx * k.each_x
        return Strip(self.x.at(n * k.x_n + group * k.x_group), bz * k.each_z, by * k.each_y, column)

    def count_on(self, digits: list[Variable], sizes: tuple[Int, ...]) -> None:
        """To the next item, without a division."""
        carry = self.fn.number(1)
        for digit, size in zip(digits[:-1], sizes, strict=True):
            value = digit.get() + carry
            full = value.equals(size)
            digit.set(self.fn.choose(full, 0, value))
            carry = self.fn.choose(full, 1, 0)
        digits[-1].set(digits[-1].get() + carry)

    def pack(self, group: Int) -> None:
        """Weights of a group in the order of their use: `[tile of channels][pass][channel][input][row][phase][out]`."""
        k, fn = self.k, self.fn
        with fn.loop(0, k.out_tiles) as tile:
            source = self.w.at(group * k.w_group + tile * k.w_tile)
            target = self.weights.at(tile * k.tile_weights)
            with fn.loop(0, k.passes) as number:
                record = self.pass_list.at(number * PASS)
                places = self.weight_list.at(record[0])
                with fn.loop(0, k.in_channels) as channel, fn.loop(0, record[1]) as use:
                    value = source[places[use] + channel * k.w_in]
                    target[record[2] + channel * record[1] + use] = value

    def compute(self, strip: Strip, following: Strip, group: Int, n: Int) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        y = self.y.at(n * k.y_n + group * k.y_group)
        columns = (fn.min(k.each_x, k.steps_x - strip.column) + (shape.lanes - 1)) // shape.lanes
        whole = (columns + (shape.vectors - shape.narrow - 1)) // shape.vectors * shape.vectors
        with (
            fn.loop(0, fn.min(k.each_y, k.steps_y - strip.y), k.advance) as first,
            fn.loop(0, fn.min(k.each_z, k.steps_z - strip.z)) as z,
            fn.loop(first, fn.min(first + k.spacing, k.steps_y - strip.y)) as row,
            fn.loop(0, k.passes) as number,
            fn.loop(0, k.out_tiles) as outs,
        ):
            source = self.staged.at(z * k.down_z * k.stage_z + row * k.down_y * k.stage_y)
            weights = self.weights.at(outs * k.tile_weights + self.pass_list[number * PASS + 2])
            channel = outs * shape.outs
            ahead = self.ahead(following, z, row)
            fetched = fn.choose((number + outs).equals(0), k.height, 0)
            for vectors, start, stop in ((shape.vectors, fn.number(0), whole), (shape.narrow, whole, columns)):
                if not vectors:
                    continue
                with fn.loop(start, stop, vectors) as block:
                    step = block * shape.lanes
                    tile = self.sums(vectors, group, channel)
                    self.sum_taps(tile, source.at(step), weights, number, ahead.at(step * k.down_x * k.x_x), fetched)
                    place = (strip.z + z) * k.up_z, (strip.y + row) * k.up_y, strip.column + step
                    self.store(tile, y.at(channel * k.y_c), place, number)

    def ahead(self, following: Strip, z: Int, row: Int) -> Array:
        """Inputs of the following strip, where the last of the taps of this row and column lies."""
        k = self.k
        z, y = (following.z + z) * k.down_z + k.high_z, (following.y + row) * k.down_y + k.high_y
        return following.x.at(z * k.x_z + y * k.x_y + following.column * k.down_x * k.x_x)

    def fetch(self, vectors: int, ahead: Array, channel: Int, rows: Int) -> None:
        """Ask for a part of the inputs of the following strip, as many as a tile has of its own."""
        k, fn, shape = self.k, self.fn, self.shape
        if shape.source == "gathered":
            return
        part = ahead.at(channel * (k.x_c if shape.source == "columns" else vectors * shape.lanes))
        with fn.loop(0, rows) as number:
            line = part.at(number * k.spacing * k.down_y * k.x_y)
            for v in range(vectors * shape.step):
                line.prefetch(v * shape.lanes, near=2)

    def approach(self, vectors: int, inputs: Array, row_at: Array, wanted: Int) -> None:
        """Bring the next channel's inputs of a tile from the second-level cache into the first."""
        fn, shape = self.fn, self.shape
        last = fn.choose(wanted, row_at[len(shape.row_masks)], 0)
        line = inputs.at(self.column_list[0])
        with fn.loop(row_at[0], last) as row:
            part = line.at(self.row_list[row])
            for v in range(vectors + 1):
                part.prefetch(v * shape.lanes)

    def sums(self, vectors: int, group: Int, channel: Int) -> list[list[list[list[Accumulator]]]]:
        """`[row][phase][out][vector]`, starting at the bias."""
        k, fn, shape = self.k, self.fn, self.shape
        first = group * (k.out_tiles * shape.outs) + channel
        biases = [fn.splat(self.bias[first + out], shape.lanes) for out in range(shape.outs)]
        tile: list[list[list[list[Accumulator]]]] = []
        for _ in range(shape.rows):
            tile.append([])
            for _ in range(shape.phases):
                tile[-1].append([])
                for bias in biases:
                    row = [Accumulator(fn, shape.element, shape.lanes) for _ in range(vectors)]
                    for accumulator in row:
                        accumulator.set(bias)
                    tile[-1][-1].append(row)
        return tile

    def sum_taps(self, tile: list, source: Array, weights: Array, number: Int, ahead: Array, fetched: Int) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        row_at = self.row_at.at(number * len(shape.row_masks))
        weight = Variable(fn, 0)
        with fn.loop(0, k.in_channels) as channel:
            inputs = source.at(channel * k.stage_c)
            vectors = len(tile[0][0][0])
            self.fetch(vectors, ahead, channel, fetched)
            self.approach(vectors, inputs.at(k.stage_c), row_at, channel + 1 < k.in_channels)
            for column_class, column_mask in enumerate(shape.column_masks):
                phases = _members(column_mask)
                with fn.loop(self.column_at[column_class], self.column_at[column_class + 1]) as column:
                    line = inputs.at(self.column_list[column])
                    for row_class, row_mask in enumerate(shape.row_masks):
                        uses = [(row, phase) for row in _members(row_mask) for phase in phases]
                        with fn.loop(row_at[row_class], row_at[row_class + 1]) as row:
                            self.add_input(tile, line.at(self.row_list[row]), weights.at(weight.get()), uses)
                            weight.set(weight.get() + len(uses) * shape.outs)

    def add_input(self, tile: list, source: Array, weights: Array, uses: list[tuple[int, int]]) -> None:
        fn, shape = self.fn, self.shape
        vectors = len(tile[0][0][0])
        values = [source.vector(v * shape.lanes, shape.lanes) for v in range(vectors)]
        for number, (row, phase) in enumerate(uses):
            for out in range(shape.outs):
                weight = fn.splat(weights[number * shape.outs + out], shape.lanes)
                for accumulator, value in zip(tile[row][phase][out], values, strict=True):
                    accumulator.multiply_add(weight, value)

    def store(self, tile: list, y: Array, place: tuple[Int, Int, Int], number: Int) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        z, y_row, step = place
        neighbours = shape.phases * (shape.outs if shape.channels_last else 1)
        left = (k.out_x - step * shape.phases) * (neighbours // shape.phases)
        for row, sums in enumerate(tile):
            record = self.tile_rows.at((number * shape.rows + row) * ROW)
            oz, oy = z + record[0], y_row + record[1]
            with fn.when((oz < k.out_z) & (oy < k.out_y)):
                target = y.at(oz * k.y_z + oy * k.y_y + step * neighbours)
                outs = range(shape.outs)
                together = [[(p, o) for p in range(shape.phases) for o in outs]]
                if not shape.channels_last:
                    together = [[(p, o) for p in range(shape.phases)] for o in outs]
                for out, sides in enumerate(together):
                    line = target.at(k.y_c * out)
                    values = []
                    for v in range(len(sums[0][0])):
                        values += fn.interleave([sums[p][o][v].get() for p, o in sides])
                    self.finish.set_vectors(line, values, left, k.large.equals(1) if shape.streams else None)


def _members(mask: int) -> list[int]:
    return [n for n in range(mask.bit_length()) if mask >> n & 1]
