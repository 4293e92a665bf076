"""Weight gradients: for every tap, the product of output gradient and input, summed over batch and steps.

Both arrays are copied tile by tile into panels with channels along the vectors (`panels`). For every tap a register
tile of `rows x vectors` accumulators, left channels by right channels, then runs over the tile's steps where both sides
of the tap exist, and is added to the tap's sums. Padding costs nothing, whatever stride or dilation.

- With `lanewise`, groups lie along the vectors of both sides and are multiplied lane by lane (depthwise layers).
- Where one side has few channels, its taps stand in the place of channels (`panels.COLUMNS`), and there is one tap.

A work item is a block of channels and a part of the tiles, in order; parts go to separate copies of the gradient,
which are added in order. So the result does not depend on the number of threads.

Roofline: 14 x 2 accumulators cost 16 loads for 28 multiply-adds, so the FMA units bound it; lane by lane it is two
loads for one multiply-add.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import llvmlite.ir as ll

from trous.backends.cpu import panels
from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.narrow import summed_in
from trous.backends.cpu.panels import Box, Panels
from trous.backends.cpu.values import ELEMENTS, Accumulator, Int, Variable

#: Records: taps of an axis (place in the left window and in the right one, first step, step after the last, kernel
#: index).
TAP = 5
TAPS, CHANNELS, SPREAD = "taps", "channels", "spread"
AXES = ("n", "z", "y", "x")

FIELDS = Fields(
    numbers=(
        *("groups", "left_blocks", "right_blocks", "tiles_each", "tiles"),
        *(f"{kind}_{axis}" for kind in ("steps", "tile", "tiles") for axis in AXES),
        *(f"{kind}_{axis}" for kind in ("taps", "kernel") for axis in "zyx"),
        *(f"{side}_{name}" for side in ("left", "right") for name in panels.NUMBERS),
        *(f"{side}_move_{axis}" for side in ("left", "right") for axis in AXES),
        *("left_cross", "w_part", "w_group", "w_block", "w_left"),
    ),
    arrays=(
        *("left", "right", "w", "taps_list_z", "taps_list_y", "taps_list_x", "w_z", "w_y", "w_x", "w_right"),
        *(f"{side}_{name}" for side in ("left", "right") for name in panels.TABLES),
    ),
    scratch=("left_panels", "right_panels", "sums"),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for."""

    element: str
    lanes: int
    rows: int  #: left channels of a register tile
    vectors: int  #: vectors of right channels
    left: str  #: how the arrays are copied: see `panels`
    right: str
    lanewise: bool = False
    stored: str = SPREAD  #: what of the gradient is adjacent: taps, right channels, neither
    checked: bool = False

    @property
    def tile(self) -> int:
        """Elements of a register tile."""
        return self.rows * self.vectors * self.lanes

    @property
    def name(self) -> str:
        tile = f"{self.rows}x{self.vectors}x{self.lanes}"
        flags = "".join("01"[flag] for flag in (self.lanewise, self.checked))
        return f"correlate_{self.element}_{tile}_{self.left}_{self.right}_{self.stored}_{flags}"


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Correlate(shape).build()


@dataclass(frozen=True)
class _Tap:
    """A tap of one axis in one tile: where its first step lies in the panels, its steps, its number."""

    left: Int
    right: Int
    count: Int
    number: Int


class _Correlate:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = k.fn
        width = shape.vectors * shape.lanes
        take = width if shape.lanewise else shape.rows
        self.left = Panels(k, "left", shape.element, shape.lanes, take, shape.left)
        self.right = Panels(k, "right", shape.element, shape.lanes, width, shape.right)
        self.arrays = {name: k.array(name, shape.element) for name in ("left", "right")}
        self.arrays["w"] = k.array("w", summed_in(shape.element))
        self.taps = {axis: k.array(f"taps_list_{axis}", "int64") for axis in "zyx"}
        self.places = {axis: k.array(f"w_{axis}", "int64") for axis in "zyx"}
        self.w_right = k.array("w_right", "int64")
        self.sums = k.part("sums", shape.element)

    def build(self) -> str:
        k, fn, shape = self.k, self.fn, self.shape
        kernels = k.kernel_z * k.kernel_y * k.kernel_x
        with fn.loop(k.begin, k.end) as item:
            right_block, rest = item % k.right_blocks, item // k.right_blocks
            left_block, rest = rest % k.left_blocks, rest // k.left_blocks
            group, part = rest % k.groups, rest // k.groups
            first = right_block * k.right_block
            rights = fn.min(k.right_block, k.right_channels - first)
            lefts = rights if shape.lanewise else fn.min(k.left_block, k.left_channels - left_block * k.left_block)
            left_base = group * k.left_group + left_block * k.left_step + right_block * k.left_cross
            left = self.arrays["left"].at(left_base)
            right = self.arrays["right"].at(group * k.right_group + right_block * k.right_step)
            w = self.arrays["w"].at(part * k.w_part + group * k.w_group + left_block * k.w_block)
            left_tiles = fn.number(1) if shape.lanewise else (lefts + shape.rows - 1) // shape.rows
            right_tiles = (rights + self.right.width - 1) // self.right.width
            self.clear(left_tiles * right_tiles * kernels * shape.tile)
            with fn.loop(part * k.tiles_each, fn.min((part + 1) * k.tiles_each, k.tiles)) as tile:
                box = self.box(tile)
                self.left.fill(left, left_block, lefts, box)
                self.right.fill(right, right_block, rights, box)
                with fn.loop(0, left_tiles) as row, fn.loop(0, right_tiles) as column:
                    sums = self.sums.at((row * right_tiles + column) * kernels * shape.tile)
                    panel = self.left.panel(column if shape.lanewise else row)
                    self.add_taps(panel, self.right.panel(column), sums, box)
            with fn.loop(0, left_tiles) as row, fn.loop(0, right_tiles) as column:
                sums = self.sums.at((row * right_tiles + column) * kernels * shape.tile)
                self.store(sums, w, row * shape.rows, lefts, first + column * self.right.width, first + rights)
        return k.finish()

    def clear(self, count: Int) -> None:
        zero = ll.Constant(ll.VectorType(ELEMENTS[self.shape.element], self.shape.lanes), None)
        with self.fn.loop(0, count, self.shape.lanes) as place:
            self.sums.set_vector(place, zero)

    def box(self, tile: Int) -> Box:
        """The steps of tile number `tile`, the last axis fastest."""
        k, fn = self.k, self.fn
        first, stop = {}, {}
        for axis in reversed(AXES):
            count, length = getattr(k, f"tiles_{axis}"), getattr(k, f"tile_{axis}")
            first[axis], tile = tile % count * length, tile // count
            stop[axis] = fn.min(first[axis] + length, getattr(k, f"steps_{axis}"))
        return Box(first, stop)

    def add_taps(self, left: Array, right: Array, sums: Array, box: Box) -> None:
        """Add a tile's products of one pair of panels to the sums of every tap."""
        with self.tap("z", box) as z, self.tap("y", box) as y, self.tap("x", box) as x:
            number = (z.number * self.k.kernel_y + y.number) * self.k.kernel_x + x.number
            counts = [box.stop["n"] - box.first["n"], z.count, y.count, x.count]
            first, second = left.at(z.left + y.left + x.left), right.at(z.right + y.right + x.right)
            self.multiply(first, second, counts, sums.at(number * self.shape.tile))

    @contextmanager
    def tap(self, axis: str, box: Box) -> Iterator[_Tap]:
        """Loop over an axis' taps that find steps of the tile."""
        k, fn = self.k, self.fn
        with fn.loop(0, getattr(k, f"taps_{axis}")) as index:
            tap = self.taps[axis].at(index * TAP)
            first, stop = fn.max(tap[2], box.first[axis]), fn.min(tap[3], box.stop[axis])
            with fn.when(first < stop):
                skipped = first - box.first[axis]
                moves = [getattr(k, f"{side}_move_{axis}") for side in ("left", "right")]
                yield _Tap(tap[0] + skipped * moves[0], tap[1] + skipped * moves[1], stop - first, tap[4])

    def multiply(self, left: Array, right: Array, counts: list[Int], sums: Array) -> None:
        """Add to `sums` the products of as many steps along each axis as `counts` says."""
        k, fn, shape = self.k, self.fn, self.shape
        lanes = shape.lanes
        tile = [[Accumulator(fn, shape.element, lanes) for _ in range(shape.vectors)] for _ in range(shape.rows)]
        for accumulators in tile:
            for accumulator in accumulators:
                accumulator.clear()
        with fn.loop(0, counts[0]) as n, fn.loop(0, counts[1]) as z, fn.loop(0, counts[2]) as y:
            row = left.at(n * k.left_move_n + z * k.left_move_z + y * k.left_move_y)
            column = right.at(n * k.right_move_n + z * k.right_move_z + y * k.right_move_y)
            with fn.loop(0, counts[3]) as x:
                scalars, vectors = row.at(x * k.left_move_x), column.at(x * k.right_move_x)
                loaded = [vectors.vector(v * lanes, lanes) for v in range(shape.vectors)]
                for r, accumulators in enumerate(tile):
                    for v, accumulator in enumerate(accumulators):
                        if shape.lanewise:
                            factor = scalars.vector(v * lanes, lanes)
                        elif v == 0:
                            factor = fn.splat(scalars[r], lanes)
                        accumulator.multiply_add(factor, loaded[v])
        for i, accumulator in enumerate(accumulator for accumulators in tile for accumulator in accumulators):
            kept = sums.vector(i * lanes, lanes)
            sums.set_vector(i * lanes, fn.builder.fadd(kept, accumulator.get()))

    def store(self, sums: Array, w: Array, row: Int, rows: Int, column: Int, columns: Int) -> None:
        """Write the finished sums of one pair of channel tiles to the gradient."""
        k, fn, shape = self.k, self.fn, self.shape
        lefts = 1 if shape.lanewise else fn.min(rows - row, shape.rows)
        with fn.loop(0, lefts) as r, fn.loop(0, fn.min(columns - column, self.right.width), shape.lanes) as lane:
            first = column + lane
            source = sums.at(r * self.right.width + lane)
            target = w.at((row + r) * k.w_left)
            if shape.stored == TAPS:
                self.store_taps(source, target, first, columns)
            else:
                self.store_channels(source, target, first, columns)

    def store_taps(self, sums: Array, w: Array, first: Int, columns: Int) -> None:
        """Taps are adjacent in the gradient: squares of taps by right channels."""
        k, fn, shape = self.k, self.fn, self.shape
        taps, lanes = k.kernel_z * k.kernel_y * k.kernel_x, shape.lanes
        with fn.loop(0, taps, lanes) as tap:
            mask = fn.mask(fn.bits(0, taps - tap, lanes), lanes)
            square = [sums.vector(fn.min(tap + i, taps - 1) * shape.tile, lanes) for i in range(lanes)]
            for i, vector in enumerate(fn.transpose(square)):
                with fn.when(first + i < columns):
                    w.set_masked(self.w_right[first + i] + tap, vector, mask)

    def store_channels(self, sums: Array, w: Array, first: Int, columns: Int) -> None:
        """Tap by tap, a vector of right channels."""
        k, fn, shape = self.k, self.fn, self.shape
        mask = fn.mask(fn.bits(0, columns - first, shape.lanes), shape.lanes)
        places = self.w_right.vector(first, shape.lanes)
        at = Variable(fn, 0)
        with fn.loop(0, k.kernel_z) as z, fn.loop(0, k.kernel_y) as y, fn.loop(0, k.kernel_x) as x:
            target = w.at(self.places["z"][z] + self.places["y"][y] + self.places["x"][x])
            value = sums.vector(at.get(), shape.lanes)
            if shape.stored == CHANNELS:
                target.set_masked(self.w_right[first], value, mask)
            else:
                target.scatter(0, places, value, mask)
            at.set(at.get() + shape.tile)
