"""Few output channels and many input channels: matrix products of input rows, shifted and added.

The taps of an output row lie at few places along the last axis. For each of them, and each output channel, the sum over
all other taps and all input channels is a matrix product that reads whole input rows as they lie: one number of a
*product row* for every input column. An output is then the sum of one number of each, at the column that its tap reads.
So every loaded input serves all taps of its row, of all phases, whatever stride and dilation are, and the taps are
tables.

Rows are read where they lie; where columns are not neighbours in memory they are staged first (`staging`).

Roofline: FMA rate, with `rows x vectors` multiply-adds for `rows + vectors` loads; a product costs a store and a load
more, against one multiply-add for each channel and each tap of the other axes. A single tap is bound by memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.ir as ll

from trous.backends.cpu.activations import Finish
from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.staging import NUMBERS, Stage, Strip
from trous.backends.cpu.values import ELEMENTS, Accumulator, Int, Variable
from trous.backends.epilogue import NOTHING, Epilogue

#: Records: phases (along z, y), entries (offsets along z and y, place in the weight), pairs (place in the source, place
#: in a panel, its number).
PHASE, ENTRY, PAIR = 2, 3, 3

#: In the place of a weight, for rows of a tile that there is none for; strides may be negative.
MISSING = -(1 << 62)
#: Lines that are asked for with every pair and channel.
LINES = 2

FIELDS = Fields(
    numbers=(
        *NUMBERS,
        *("groups", "strips_z", "strips_y", "strips_x", "each_z", "each_y", "each_x", "phases", "tiles", "panel"),
        *("steps_z", "steps_y", "steps_x", "up_z", "up_y", "high_z", "high_y", "out_z", "out_y", "out_x"),
        *("x_group", "x_n", "y_n", "y_group", "y_c", "y_z", "y_y", "w_group", "w_in", "slope"),
    ),
    arrays=(
        *("x", "w", "bias", "residual", "y"),
        *("phase_list", "entry_at", "entry_list", "tile_list", "weight_list", "sum_at", "sum_list"),
    ),
    scratch=("staged", "weights", "products", "pairs"),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for."""

    element: str
    lanes: int
    rows: int  #: product rows of a tile
    vectors: int
    phases: int  #: of the last axis; interleaved on store
    outs: int  #: output channels of a group
    source: str | None  #: see `staging.Stage`; None for rows that are read where they lie
    step: int  #: input columns between neighbouring steps, where columns are neighbours
    channels_last: bool = False  #: output channels are neighbours in memory
    checked: bool = False
    epilogue: Epilogue = NOTHING

    @property
    def parts(self) -> tuple[int, ...]:
        """Vectors of a tile, and of halves of it for fewer columns."""
        return tuple(self.vectors >> n for n in range(self.vectors.bit_length()))

    @property
    def name(self) -> str:
        flags = "".join("01"[flag] for flag in (self.channels_last, self.checked))
        tile = f"{self.rows}x{self.vectors}x{self.lanes}_p{self.phases}_o{self.outs}"
        return f"overlap_{self.element}_{tile}_{self.source or 'rows'}{self.step}_{flags}{self.epilogue.word}"


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Overlap(shape).build()


class _Overlap:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        self.x, self.w, self.bias, self.y = (k.array(name, shape.element) for name in ("x", "w", "bias", "y"))
        (
            self.phase_list,
            self.entry_at,
            self.entry_list,
            self.tile_list,
            self.weight_list,
            self.sum_at,
            self.sum_list,
        ) = (k.array(name, "int64") for name in FIELDS.arrays[5:])
        self.weights, self.products = k.part("weights", shape.element), k.part("products", shape.element)
        self.pairs, self.pair_count = k.part("pairs", "int64"), Variable(self.fn, 0)
        self.stage = Stage(k, shape.element, shape.lanes, shape.source or "columns", shape.step, margins=False)
        self.staged = self.stage.memory
        self.finish = Finish(k, shape.epilogue, shape.element, shape.lanes)

    def build(self) -> str:
        k, fn = self.k, self.fn
        packed = self.k.mark()
        with fn.loop(k.begin, k.end) as item:
            strip, group, n = self.strip(item)
            with fn.when(packed.get().differs(group)):
                self.pack(group)
                packed.set(group)
            if self.shape.source:
                self.stage.fill(strip)
            self.compute(strip, self.strip(item + 1)[0], self.y.at(n * k.y_n + group * k.y_group), group)
        return k.finish()

    def strip(self, item: Int) -> tuple[Strip, Int, Int]:
        """A strip, its group and image."""
        k = self.k
        bx, rest = item % k.strips_x, item // k.strips_x
        by, rest = rest % k.strips_y, rest // k.strips_y
        bz, rest = rest % k.strips_z, rest // k.strips_z
        group, n = rest % k.groups, rest // k.groups
        x = self.x.at(n * k.x_n + group * k.x_group)
        return Strip(x, bz * k.each_z, by * k.each_y, bx * k.each_x), group, n

    def pack(self, group: Int) -> None:
        """Weights of a group: `[tile][entry][channel][row]`; rows of a tile that there are none for are zero."""
        k, fn, shape = self.k, self.fn, self.shape
        source = self.w.at(group * k.w_group)
        with fn.loop(0, k.tiles) as tile, fn.loop(0, shape.rows) as row:
            place = self.weight_list[tile * shape.rows + row]
            target = self.weights.at(tile * k.panel + row)
            with fn.loop(0, self.entry_at[k.phases]) as entry:
                weight = source.at(self.entry_list[entry * ENTRY + 2] + place)
                with fn.loop(0, k.in_channels) as channel:
                    number = (entry * k.in_channels + channel) * shape.rows
                    with fn.either(place.differs(MISSING)) as (then, otherwise):
                        with then:
                            target[number] = weight[channel * k.w_in]
                        with otherwise:
                            target[number] = ll.Constant(ELEMENTS[shape.element], 0.0)

    def compute(self, strip: Strip, following: Strip, y: Array, group: Int) -> None:
        """The outputs of a strip, row by row and phase by phase."""
        k, fn = self.k, self.fn
        with (
            fn.loop(0, fn.min(k.each_z, k.steps_z - strip.z)) as z,
            fn.loop(0, fn.min(k.each_y, k.steps_y - strip.y)) as row,
            fn.loop(0, k.phases) as phase,
        ):
            record = self.phase_list.at(phase * PHASE)
            oz, oy = (strip.z + z) * k.up_z + record[0], (strip.y + row) * k.up_y + record[1]
            with fn.when((oz < k.out_z) & (oy < k.out_y)):
                self.list_pairs(strip, z, row, phase)
                ahead = self.ahead(following, z, row) if self.shape.source else self.ahead(strip, z, row + 1)
                with fn.loop(0, k.tiles) as tile:
                    self.multiply_rows(strip, ahead, tile)
                self.add(strip, y.at(oz * k.y_z + oy * k.y_y), group)

    def list_pairs(self, strip: Strip, z: Int, row: Int, phase: Int) -> None:
        """The input rows that an output row reads and that exist, and where their weights lie."""
        k, fn, shape = self.k, self.fn, self.shape
        self.pair_count.set(0)
        with fn.loop(self.entry_at[phase], self.entry_at[phase + 1]) as number:
            entry = self.entry_list.at(number * ENTRY)
            at_z, at_y = (strip.z + z) * k.down_z + entry[0], (strip.y + row) * k.down_y + entry[1]
            inside = (at_z >= 0) & (at_z < k.in_z) & (at_y >= 0) & (at_y < k.in_y)
            pair = self.pairs.at(self.pair_count.get() * PAIR)
            if shape.source:
                at_z, at_y = at_z - strip.z * k.down_z - k.low_z, at_y - strip.y * k.down_y - k.low_y
                pair[0] = at_z * k.stage_z + at_y * k.stage_y
            else:
                pair[0] = at_z * k.x_z + at_y * k.x_y
            pair[1], pair[2] = number * k.in_channels * shape.rows, number
            self.pair_count.set(fn.choose(inside, self.pair_count.get() + 1, self.pair_count.get()))

    def ahead(self, strip: Strip, z: Int, row: Int) -> Array:
        """The last input row that an output row reads."""
        k = self.k
        at_z, at_y = (strip.z + z) * k.down_z + k.high_z, (strip.y + row) * k.down_y + k.high_y
        return strip.x.at(at_z * k.x_z + at_y * k.x_y + strip.column * k.down_x * k.x_x)

    def multiply_rows(self, strip: Strip, ahead: Array, tile: Int) -> None:
        """A tile of product rows: zeros where the image ends."""
        k, fn, shape = self.k, self.fn, self.shape
        lanes, residue = shape.lanes, self.tile_list[tile]
        panel, products = self.weights.at(tile * k.panel), self.products.at(tile * (k.pitch * shape.rows))
        first = strip.column - k.shift  # the step that column 0 holds
        low = fn.max(0 - first, 0)
        high = fn.max(fn.min((k.in_x - residue + k.down_x - 1) // k.down_x - first, k.pitch), low)
        end = low + (high - low + (lanes - 1)) // lanes * lanes
        self.clear(products, fn.number(0), low)
        self.clear(products, end, k.pitch)
        if shape.source:
            source, whole = self.staged.at(residue * k.pitch), end
        else:
            source = strip.x.at(first * shape.step + residue)
            # Whole vectors of strided columns read up to the column after their last.
            whole = low + fn.max(high - low - int(shape.step > 1), 0) // lanes * lanes
        start = low
        for vectors in shape.parts:
            stop = start + (whole - start) // (vectors * lanes) * (vectors * lanes)
            with fn.loop(start, stop, vectors * lanes) as column:
                self.multiply(vectors, source, ahead, panel, products, column, None)
            start = stop
        if not shape.source:
            with fn.loop(whole, high, lanes) as column:
                mask = fn.mask(fn.bits(0, high - column, lanes), lanes)
                self.multiply(1, source, ahead, panel, products, column, mask)

    def clear(self, products: Array, first: Int, last: Int) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        zero = ll.Constant(ll.VectorType(ELEMENTS[shape.element], shape.lanes), None)
        with fn.loop(first, last, shape.lanes) as column, fn.loop(0, shape.rows) as row:
            products.set_vector(row * k.pitch + column, zero)

    def multiply(
        self, vectors: int, source: Array, ahead: Array, panel: Array, products: Array, column: Int, mask: object
    ) -> None:
        """Some columns of a tile of product rows; with a mask, of one vector as much as that says."""
        k, fn, shape = self.k, self.fn, self.shape
        lanes = shape.lanes
        tile = [[Accumulator(fn, shape.element, lanes) for _ in range(vectors)] for _ in range(shape.rows)]
        for row in tile:
            for accumulator in row:
                accumulator.clear()
        step = 1 if shape.source else shape.step
        apart = k.stage_c if shape.source else k.x_c
        with fn.loop(0, self.pair_count.get()) as number:
            pair = self.pairs.at(number * PAIR)
            inputs, weights = source.at(pair[0] + column * step), panel.at(pair[1])
            # With every pair other parts of a row that is read later, as many lines as channels.
            parts = [fn.min(pair[2] * LINES + n, vectors * step - 1) * lanes for n in range(LINES)]
            across = k.in_channels if shape.source == "channels" else 1
            later = [ahead.at(column * k.down_x * k.x_x + part * across) for part in parts]
            with fn.loop(0, k.in_channels) as channel:
                origin, factors = inputs.at(channel * apart), weights.at(channel * shape.rows)
                if shape.source != "gathered":
                    for line in later:
                        line.prefetch(channel * (lanes if shape.source == "channels" else k.x_c), near=2)
                if mask is None:
                    loaded = [origin.strided(v * lanes * step, step, lanes) for v in range(vectors)]
                else:
                    loaded = [origin.spread(0, step, mask)]
                for r, row in enumerate(tile):
                    factor = fn.splat(factors[r], lanes)
                    for accumulator, value in zip(row, loaded, strict=True):
                        accumulator.multiply_add(factor, value)
        for r, row in enumerate(tile):
            for v, accumulator in enumerate(row):
                products.set_vector(k.pitch * r + column + v * lanes, accumulator.get())

    def add(self, strip: Strip, line: Array, group: Int) -> None:
        """The outputs of a row: bias and products, phases and channels interleaved where they are neighbours."""
        k, fn, shape = self.k, self.fn, self.shape
        sides = [[(p, o) for p in range(shape.phases)] for o in range(shape.outs)]
        if shape.channels_last:
            sides = [[(p, o) for p in range(shape.phases) for o in range(shape.outs)]]
        neighbours, steps = len(sides[0]), fn.min(k.each_x, k.steps_x - strip.column)
        row = line.at(strip.column * neighbours)
        left = (k.out_x - strip.column * shape.phases) * (neighbours // shape.phases)
        with fn.loop(0, steps, shape.lanes) as step:
            for channel, together in enumerate(sides):
                values = fn.interleave([self.sum(phase, out, step, group) for phase, out in together])
                target, rest = row.at(k.y_c * channel + step * neighbours), left - step * neighbours
                self.finish.set_vectors(target, values, rest)

    def sum(self, phase: int, out: int, step: Int, group: Int) -> ll.Value:
        """A vector of outputs of one phase and channel."""
        fn, shape = self.fn, self.shape
        total = Accumulator(fn, shape.element, shape.lanes)
        total.set(fn.splat(self.bias[group * shape.outs + out], shape.lanes))
        number = phase * shape.outs + out
        with fn.loop(self.sum_at[number], self.sum_at[number + 1]) as tap:
            value = self.products.at(self.sum_list[tap]).vector(step, shape.lanes)
            total.set(fn.builder.fadd(total.get(), value))
        return total.get()
