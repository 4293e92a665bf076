"""The window of a tile: every input that its outputs read, copied once into the cache, zeros where there is none.

A *tile* is a box of steps over batch, z, y and x. Its window holds, for each stretch of inputs (`trous.plan.window`)
and each channel, one plane of places; places of one row lie side by side, and rows, planes and images follow each
other at a pitch that is the same for every stretch. So a tap is a constant distance: the input of the step at place `p`
lies at `p` + that distance, whichever the tile. Two orders of the same window:

- `positions` along the vectors: `[stretch][channel][place]`;
- `channels` along the vectors: `[stretch][place][channel]`.

Copying costs a load and a store for each input, and is shared by all taps, phases and output channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.ir as ll

from trous.backends.cpu.header import Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.values import ELEMENTS, Int, Variable

#: Records of the tables, in 64-bit words. Stretches: first place in the window, offsets along z, y, x, extents along
#: z, y, x. Rows: element of the input, place in the window, first step inside, step after the last inside, steps.
STRETCH, ROW = 7, 5

#: Elements between neighbours up to which whole vectors are read and picked from; beyond it they are gathered.
NEAR = 4

NUMBERS = (
    *("batch", "tile_n", "tile_z", "tile_y", "tile_x", "tiles_z", "tiles_y", "tiles_x"),
    *("pitch_n", "pitch_z", "pitch_y", "stretch_count", "plane"),
)


def near(stride: int) -> int:
    """What code is compiled for, of the elements between neighbours: their number, or 0 where it is not small."""
    return stride if 1 <= stride <= NEAR else 0


@dataclass(frozen=True)
class Order:
    """How a window is filled."""

    positions_along_vectors: bool
    lanes: int
    across: bool  #: vectors are read along the other direction than they are kept in, and transposed
    stride: int  #: elements between neighbours along the direction of reading, if few, else 0
    channel_pitch: int = 0  #: channels kept for each place, where channels run along the vectors


class Tile:
    """The box of steps being worked on: its first step and its size, along n, z, y, x."""

    def __init__(self, kernel: Kernel):
        self.k, self.fn = kernel, kernel.fn
        self.first = {axis: Variable(self.fn, 0) for axis in "nzyx"}
        self.size = {axis: Variable(self.fn, 0) for axis in "nzyx"}

    def find(self, number: Int) -> None:
        """The box with this number, the last axis fastest."""
        k, rest = self.k, number
        for axis in "xyz":
            tiles = getattr(k, f"tiles_{axis}")
            self._set(axis, rest % tiles, getattr(k, f"steps_{axis}"))
            rest = rest // tiles
        self._set("n", rest, k.batch)

    def _set(self, axis: str, number: Int, steps: Int) -> None:
        each = getattr(self.k, f"tile_{axis}")
        self.first[axis].set(number * each)
        self.size[axis].set(self.fn.min(each, steps - number * each))


class Window:
    """The copy of a tile's inputs: its rows are listed once, and filled for every chunk of channels."""

    def __init__(self, kernel: Kernel, tile: Tile, order: Order, element: str):
        self.k, self.fn, self.tile, self.order = kernel, kernel.fn, tile, order
        self.stretches = kernel.array("stretches", "int64")
        self.rows = kernel.part("rows", "int64")
        self.places = kernel.part("inputs", element)
        self.count = Variable(self.fn, 0)

    def find(self) -> None:
        """List the rows of the tile's window."""
        k, fn, tile = self.k, self.fn, self.tile
        first = {axis: variable.get() for axis, variable in tile.first.items()}
        size = {axis: variable.get() for axis, variable in tile.size.items()}
        self.count.set(0)
        with fn.loop(0, k.stretch_count) as number:
            stretch = self.stretches.at(number * STRETCH)
            x = first["x"] * k.down_x + stretch[3]
            steps = size["x"] + stretch[6]
            low = (fn.max(0 - x, 0) + k.down_x - 1) // k.down_x
            high = fn.min((fn.max(k.in_x - x, 0) + k.down_x - 1) // k.down_x, steps)
            with (
                fn.loop(0, size["n"]) as n,
                fn.loop(0, size["z"] + stretch[4]) as place_z,
                fn.loop(0, size["y"] + stretch[5]) as place_y,
            ):
                z = (first["z"] + place_z) * k.down_z + stretch[1]
                y = (first["y"] + place_y) * k.down_y + stretch[2]
                inside = (z >= 0) & (z < k.in_z) & (y >= 0) & (y < k.in_y)
                row = self.rows.at(self.count.get() * ROW)
                row[0] = (first["n"] + n) * k.x_n + z * k.x_z + y * k.x_y + x * k.x_x
                row[1] = stretch[0] + n * k.pitch_n + place_z * k.pitch_z + place_y * k.pitch_y
                row[2], row[3], row[4] = low, fn.choose(inside, high, 0), steps
                self.count.set(self.count.get() + 1)

    def fill(self, source: Array, channels: Int) -> None:
        """Copy `channels` channels from `source`, the first one's first element of the first image."""
        fn, order = self.fn, self.order
        if order.positions_along_vectors and not order.across:
            with fn.loop(0, channels) as channel:
                plane = self.places.at(channel * self.k.plane)
                origin = source.at(channel * self.k.x_c)
                with fn.loop(0, self.count.get()) as number:
                    self._fill_row(origin, plane, self.rows.at(number * ROW))
            return
        with fn.loop(0, self.count.get()) as number:
            row = self.rows.at(number * ROW)
            if order.across:
                with fn.loop(0, row[4], order.lanes) as step, fn.loop(0, channels, order.lanes) as channel:
                    self._fill_block(source, row, step, channel, channels)
            else:
                first = fn.min(row[2], fn.max(row[3], 0))
                self._clear_places(row[1], row[1] + first, channels)
                with fn.loop(first, row[3]) as step:
                    self._fill_place(source.at(row[0] + step * (self.k.x_x * self.k.down_x)), row[1] + step, channels)
                self._clear_places(row[1] + fn.max(first, row[3]), row[1] + row[4], channels)

    def _fill_row(self, origin: Array, plane: Array, row: Array) -> None:
        """Whole vectors where all steps are inside, masked ones at the ends. The last one reaches beyond the row: rows
        are filled in ascending order, so that the next repairs it."""
        fn, lanes, stride = self.fn, self.order.lanes, self.order.stride
        source, target = origin.at(row[0]), plane.at(row[1])
        low, high, steps = row[2], row[3], row[4]
        # A strided vector reads beyond its last step, up to the next one.
        inner = (low + lanes - 1) // lanes * lanes
        inner_stop = fn.max(high - int(stride != 1), 0) // lanes * lanes
        if stride == 0:
            inner, inner_stop = steps, fn.number(0)

        def masked(step: Int) -> None:
            some = fn.mask(fn.bits(low - step, high - step, lanes), lanes)
            target.set_vector(step, self._masked(source, step, some))

        with fn.loop(0, fn.min(inner, steps), lanes) as step:
            masked(step)
        if stride:
            with fn.loop(inner, inner_stop, lanes) as step:
                source.prefetch(step * stride + self.k.x_y * self.k.down_y)
                target.set_vector(step, source.strided(step * stride, stride, lanes))
        with fn.loop(fn.max(inner, inner_stop), steps, lanes) as step:
            masked(step)

    def _masked(self, source: Array, step: Int, some: object) -> object:
        if self.order.stride == 1:
            return source.masked(step, some)
        each = self.k.x_x * self.k.down_x
        return source.gather(step * each, each, some)

    def _clear_places(self, first: Int, stop: Int, channels: Int) -> None:
        fn, order = self.fn, self.order
        nothing = ll.Constant(ll.VectorType(ELEMENTS[self.places.element], order.lanes), None)
        with fn.loop(first, stop) as place, fn.loop(0, channels, order.lanes) as channel:
            self.places.set_vector(place * order.channel_pitch + channel, nothing)

    def _fill_place(self, origin: Array, place: Int, channels: Int) -> None:
        """The channels of one place."""
        k, fn, order = self.k, self.fn, self.order
        target = self.places.at(place * order.channel_pitch)
        whole = channels // order.lanes * order.lanes if order.stride == 1 else fn.number(0)
        with fn.loop(0, whole, order.lanes) as channel:
            origin.prefetch(channel + k.x_y * k.down_y)
            target.set_vector(channel, origin.vector(channel, order.lanes))
        with fn.loop(whole, channels, order.lanes) as channel:
            some = fn.mask(fn.bits(0, channels - channel, order.lanes), order.lanes)
            if order.stride == 1:
                value = origin.masked(channel, some)
            else:
                value = origin.gather(channel * k.x_c, k.x_c, some)
            target.set_vector(channel, value)

    def _fill_block(self, source: Array, row: Array, step: Int, channel: Int, channels: Int) -> None:
        """As many places as channels, read along one and kept along the other."""
        k, fn, order = self.k, self.fn, self.order
        lanes, each = order.lanes, k.x_x * k.down_x
        read = []
        if order.positions_along_vectors:
            some = fn.bits(0, channels - channel, lanes)
            for lane in range(lanes):
                inside = (step + lane >= row[2]) & (step + lane < row[3])
                mask = fn.mask(fn.choose(inside, some, 0), lanes)
                read.append(source.masked(row[0] + (step + lane) * each + channel, mask))
            for lane, value in enumerate(fn.transpose(read)):
                self.places.set_vector((channel + lane) * k.plane + row[1] + step, value)
        else:
            some = fn.bits(row[2] - step, row[3] - step, lanes)
            for lane in range(lanes):
                mask = fn.mask(fn.choose(channel + lane < channels, some, 0), lanes)
                read.append(self._masked(source.at((channel + lane) * k.x_c + row[0]), step, mask))
            for lane, value in enumerate(fn.transpose(read)):
                self.places.set_vector((row[1] + step + lane) * order.channel_pitch + channel, value)
