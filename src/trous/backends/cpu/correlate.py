"""Weight gradients: for every tap, the product of output gradient and input, summed over batch and steps.

Both sides of a tile of steps are copied to the cache as in the forward pass, vectors along the steps. A register tile
of `rows x columns` accumulators (output channels x input channels) then runs down the steps of one tap, and its lanes
are summed at the end. Every element of the gradient belongs to one work item, which adds its tiles in order: the result
does not depend on the number of threads.

Roofline: with 6 x 4 accumulators a vector of steps costs 10 loads for 24 multiply-adds, so the FMA units bound it.
"""

from __future__ import annotations

from dataclasses import dataclass

from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Accumulator, Array, Int
from trous.backends.cpu.narrow import summed_in
from trous.backends.cpu.tiles import SLOT, AlongPositions, Copies, Runs, Side

#: Records: entries (slot, phase, place in the weight), chunks (first slot, slots, first phase, phases, first entry,
#: entry after the last).
ENTRY, CHUNK = 3, 6

FIELDS = Fields(
    numbers=(
        *("chunks", "in_blocks", "out_blocks", "in_block", "out_block", "in_channels", "out_channels"),
        *("positions", "position_tiles", "tile_steps"),
        *("steps_z", "steps_y", "steps_x", "up_z", "up_y", "up_x", "down_z", "down_y", "down_x"),
        *("in_z", "in_y", "in_x", "out_z", "out_y", "out_x"),
        *("x_group", "x_n", "x_c", "x_z", "x_y", "x_x"),
        *("y_group", "y_n", "y_c", "y_z", "y_y", "y_x"),
        *("w_group", "w_in", "w_out"),
    ),
    arrays=("x", "y", "w", "slots", "phases", "entries", "chunk_list"),
    scratch=("inputs", "outputs", "sums", "runs", "in_copies", "in_places", "out_copies", "out_places"),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for."""

    element: str
    lanes: int
    rows: int  #: output channels of a register tile
    columns: int  #: input channels of a register tile
    stride_x: int  #: elements between neighbouring steps, as `tiles.near` has them
    stride_y: int
    checked: bool = False

    @property
    def name(self) -> str:
        tile = f"{self.rows}x{self.columns}x{self.lanes}"
        return f"correlate_{self.element}_{tile}_x{self.stride_x}_y{self.stride_y}_{'01'[self.checked]}"


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Correlate(shape).build()


class _Correlate:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        self.x, self.y = (k.array(name, shape.element) for name in FIELDS.arrays[:2])
        self.w = k.array("w", summed_in(shape.element))
        self.slots, self.phases, self.entries, self.chunk_list = (k.array(n, "int64") for n in FIELDS.arrays[3:])
        self.inputs, self.outputs, self.sums = (k.part(name, shape.element) for name in FIELDS.scratch[:3])
        self.runs = Runs(k)
        inputs = Side(k, "x", "down", "in", shape.lanes, shape.stride_x)
        outputs = Side(k, "y", "up", "out", shape.lanes, shape.stride_y)
        self.in_copies = Copies(inputs, self.runs, "in_copies", "in_places")
        self.out_copies = Copies(outputs, self.runs, "out_copies", "out_places")

    def build(self) -> str:
        k, fn = self.k, self.fn
        with fn.loop(k.begin, k.end) as item:
            chunk_number, rest = item % k.chunks, item // k.chunks
            first_in, rest = rest % k.in_blocks * k.in_block, rest // k.in_blocks
            first_out, group = rest % k.out_blocks * k.out_block, rest // k.out_blocks
            ins = fn.min(k.in_block, k.in_channels - first_in)
            outs = fn.min(k.out_block, k.out_channels - first_out)
            chunk = self.chunk_list.at(chunk_number * CHUNK)
            x = self.x.at(group * k.x_group + first_in * k.x_c)
            y = self.y.at(group * k.y_group + first_out * k.y_c)
            w = self.w.at(group * k.w_group + first_out * k.w_out + first_in * k.w_in)
            in_way, out_way = AlongPositions(k.tile_steps, ins), AlongPositions(k.tile_steps, outs)
            with fn.loop(0, k.position_tiles) as tile:
                self.runs.find(tile, k.tile_steps)
                self.in_copies.find(self.slots.at(chunk[0] * SLOT), chunk[1], in_way)
                in_way.carry_out(self.in_copies, x, self.inputs)
                self.out_copies.find(self.phases.at(chunk[2] * SLOT), chunk[3], out_way)
                out_way.carry_out(self.out_copies, y, self.outputs)
                with fn.loop(chunk[4], chunk[5]) as number:
                    entry = self.entries.at(number * ENTRY)
                    slot, phase = self.in_copies.places[entry[0]], self.out_copies.places[entry[1]]
                    with fn.when((slot >= 0) & (phase >= 0)):
                        inputs = self.inputs.at(slot * ins * k.tile_steps)
                        outputs = self.outputs.at(phase * outs * k.tile_steps)
                        self.correlate(inputs, outputs, ins, outs, w.at(entry[2]))
        return k.finish()

    def correlate(self, inputs: Array, outputs: Array, ins: Int, outs: Int, w: Array) -> None:
        """Add one tap's products of all channels to its weights."""
        k, fn, shape = self.k, self.fn, self.shape
        with fn.loop(0, ins, shape.columns) as column, fn.loop(0, outs, shape.rows) as row:
            self.multiply(outputs.at(row * k.tile_steps), inputs.at(column * k.tile_steps))
            with fn.loop(0, fn.min(outs - row, shape.rows)) as r, fn.loop(0, fn.min(ins - column, shape.columns)) as c:
                place = (row + r) * k.w_out + (column + c) * k.w_in
                w[place] = fn.builder.fadd(w[place], self.sums[r * shape.columns + c])

    def multiply(self, rows: Array, columns: Array) -> None:
        """`sums[r][c]` becomes the sum of row `r` times column `c` over the tile's steps."""
        k, fn, shape = self.k, self.fn, self.shape
        tile = [[Accumulator(fn, shape.element, shape.lanes) for _ in range(shape.columns)] for _ in range(shape.rows)]
        for accumulators in tile:
            for accumulator in accumulators:
                accumulator.clear()
        with fn.loop(0, self.runs.steps.get(), shape.lanes) as step:
            loaded = [columns.vector(step + k.tile_steps * c, shape.lanes) for c in range(shape.columns)]
            for r, accumulators in enumerate(tile):
                value = rows.vector(step + k.tile_steps * r, shape.lanes)
                for accumulator, column in zip(accumulators, loaded, strict=True):
                    accumulator.multiply_add(value, column)
        totals = [accumulator.get() for accumulators in tile for accumulator in accumulators]
        for first in range(0, len(totals), shape.lanes):
            self.sums.set_vector(first, fn.sum_lanes(totals[first : first + shape.lanes]))
