"""Few channels in a group: the output row by row, inputs read where they lie.

With so few multiply-adds for each input there is nothing to gain from copying tiles or packing weights. A block of
`vectors` neighbouring vectors of one output row is summed in registers over input channels and live taps, loading
straight from the input rows. Blocks in which a tap leaves the row mask it; rows in which a tap leaves the image use a
shorter list of taps. Neighbouring phases of the last axis are summed side by side
and interleaved as they are stored.

Roofline: a tap of one channel costs a load for each multiply-add, mostly across a cache line, so half the FMA rate at
best; layers this small are bound by memory sooner.
"""

from __future__ import annotations

from dataclasses import dataclass

from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Accumulator, Array, Int
from trous.backends.cpu.live import LiveTaps
from trous.backends.cpu.tiles import SLOT

FIELDS = Fields(
    numbers=(
        *("groups", "in_channels", "row_vectors", "slot_count", "head", "tail", "row_parts", "rows_each", "phases"),
        *("steps_z", "steps_y", "steps_x", "up_z", "up_y", "up_x", "down_z", "down_y", "down_x"),
        *("in_z", "in_y", "in_x", "out_z", "out_y", "out_x"),
        *("x_group", "x_n", "x_c", "x_z", "x_y", "x_x"),
        *("y_group", "y_n", "y_c", "y_z", "y_y", "y_x"),
        *("w_group", "w_in", "w_out", "low_z", "high_z", "low_y", "high_y"),
    ),
    arrays=("x", "w", "bias", "y", "slots", "entries", "entry_at", "phase_list"),
    scratch=("masks", "live", "live_at"),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for."""

    element: str
    lanes: int
    rows: int  #: output channels of a group
    vectors: int
    interleaved: int
    step: int  #: inputs between neighbouring outputs
    checked: bool = False

    @property
    def name(self) -> str:
        tile = f"{self.rows}x{self.vectors}x{self.lanes}"
        return f"direct_{self.element}_{tile}_p{self.interleaved}_s{self.step}_{'01'[self.checked]}"


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Direct(shape).build()


class _Direct:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        self.x, self.w, self.bias, self.y = (k.array(name, shape.element) for name in FIELDS.arrays[:4])
        self.slots, self.phase_list = k.array("slots", "int64"), k.array("phase_list", "int64")
        self.masks = k.part("masks", "int64")
        self.live = LiveTaps(k, self.fn.number(shape.interleaved) * k.phases)

    def build(self) -> str:
        k, fn = self.k, self.fn
        self.make_masks()
        with fn.loop(k.begin, k.end) as item:
            part, rest = item % k.row_parts, item // k.row_parts
            mz, rest = rest % k.steps_z, rest // k.steps_z
            group, n = rest % k.groups, rest // k.groups
            first = part * k.rows_each
            x = self.x.at(n * k.x_n + group * k.x_group)
            y = self.y.at(n * k.y_n + group * k.y_group)
            w = self.w.at(group * k.w_group)
            with fn.loop(first, fn.min(first + k.rows_each, k.steps_y)) as my:
                z, row = mz * k.down_z, my * k.down_y
                self.live.update(z, row)
                line = x.at(z * k.x_z + row * k.x_y)
                with fn.loop(0, k.phases) as phase:
                    place = self.phase_list.at(phase * 3)
                    oz, oy = mz * k.up_z + place[0], my * k.up_y + place[1]
                    with fn.when((oz < k.out_z) & (oy < k.out_y)):
                        self.row(line, w, y.at(oz * k.y_z + oy * k.y_y), group, phase)
        return k.finish()

    def make_masks(self) -> None:
        """`masks[vector][slot]`: the lanes of a row's vector that the slot finds inside the row.

        Only for vectors before `head` and from `tail` on: every slot finds those between whole.
        """
        k, fn, lanes, step = self.k, self.fn, self.shape.lanes, self.shape.step
        with fn.loop(0, k.row_vectors + 1 - k.tail + k.head) as number, fn.loop(0, k.slot_count) as slot:
            vector = fn.choose(number < k.head, number, number - k.head + k.tail)
            edge = vector * (lanes * step) + self.slots[slot * SLOT + 2]
            low, high = ((fn.max(n, 0) + (step - 1)) // step for n in (0 - edge, k.in_x - edge))
            self.masks[number * k.slot_count + slot] = fn.bits(low, high, lanes)

    def row(self, line: Array, w: Array, out: Array, group: Int, phase: Int) -> None:
        """One phase of an output row: whole blocks, then what is left in narrower ones."""
        k, fn, shape = self.k, self.fn, self.shape
        whole = k.row_vectors // shape.vectors * shape.vectors
        with fn.loop(0, whole, shape.vectors) as vector:
            inner = (vector >= k.head) & (vector < k.tail)
            with fn.either(inner) as (then, otherwise):
                with then:
                    self.block(shape.vectors, line, w, out, group, phase, vector, False)
                with otherwise:
                    self.block(shape.vectors, line, w, out, group, phase, vector, True)
        narrow = min(2, shape.vectors)
        with fn.loop(whole, k.row_vectors, narrow) as vector:
            self.block(narrow, line, w, out, group, phase, vector, True)

    def block(
        self, vectors: int, line: Array, w: Array, out: Array, group: Int, phase: Int, vector: Int, masked: bool
    ) -> None:
        """`vectors` neighbours of one output row, from number `vector` on: sum, interleave, store."""
        k, fn, shape = self.k, self.fn, self.shape
        tiles = [self.accumulators(vectors, group) for _ in range(shape.interleaved)]
        first = vector * shape.lanes
        number = fn.choose(vector < k.head, vector, vector - k.tail + k.head)
        masks = self.masks.at(number * k.slot_count) if masked else None
        self.sum_taps(tiles, line.at(first * shape.step), w, phase, masks)
        for r in range(shape.rows):
            target = out.at(k.y_c * r + first * shape.interleaved)
            for v in range(vectors):
                for part, value in enumerate(fn.interleave([tile[r][v].get() for tile in tiles])):
                    edge = (v * shape.interleaved + part) * shape.lanes
                    kept = fn.bits(0, k.out_x - first * shape.interleaved - edge, shape.lanes)
                    target.set_masked(edge, value, fn.mask(kept, shape.lanes))

    def accumulators(self, vectors: int, group: Int) -> list[list[Accumulator]]:
        """One phase's sums, starting at the bias."""
        fn, shape = self.fn, self.shape
        tile = []
        for r in range(shape.rows):
            bias = fn.splat(self.bias[group * shape.rows + r], shape.lanes)
            row = [Accumulator(fn, shape.element, shape.lanes) for _ in range(vectors)]
            for accumulator in row:
                accumulator.set(bias)
            tile.append(row)
        return tile

    def sum_taps(self, tiles: list, line: Array, w: Array, phase: Int, masks: Array | None) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        with fn.loop(0, k.in_channels) as channel:
            inputs, weights = line.at(channel * k.x_c), w.at(channel * k.w_in)
            for inner, tile in enumerate(tiles):
                at = phase * shape.interleaved + inner
                with self.live.taps(at) as live:
                    source, weight = inputs.at(live[0]), weights.at(live[2])
                    scalars = [fn.splat(weight[k.w_out * r], shape.lanes) for r in range(shape.rows)]
                    for v in range(len(tile[0])):
                        edge = v * shape.lanes * shape.step
                        if masks is None:
                            value = source.strided(edge, shape.step, shape.lanes)
                        else:
                            mask = fn.mask(masks[k.slot_count * v + live[4]], shape.lanes)
                            value = source.spread(edge, shape.step, mask)
                        for r, scalar in enumerate(scalars):
                            tile[r][v].multiply_add(scalar, value)
