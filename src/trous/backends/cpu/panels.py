"""Copying what a tile of steps reads of an array into panels in the cache: `[channel tile][image][z][y][x][lane]`.

A *side* of the weight gradient is one of its two arrays, `left` (broadcast number by number) or `right` (it gives the
vectors). Its *window* holds the positions that the taps read in a tile of steps, halo included, with the channels of a
position side by side: a tap is a place in the window, so all taps share one copy. Positions outside the array are
neither copied nor read. Along z and y the window has only rows that a tap reads, along x whole segments.

Copying makes the product independent of the memory format, and of strides that would make rows compete for the same
cache lines. It costs about a third of a cycle for each number (a 16 x 16 transposition is 64 shuffles for 256 numbers),
which all taps and all channels of the other side share.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import llvmlite.ir as ll

from trous.backends.cpu.header import Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.narrow import summed_in
from trous.backends.cpu.values import Accumulator, Int

#: Records: segments along x (place in the window, first position, positions), chunks of a vector of columns (offsets z,
#: y, and x of lane 0, positions between lanes, elements from the step's own to lane 0, lanes as bits, and the steps
#: along x, from one up to another, at which all of them are inside the array).
SEGMENT, CHUNK = 3, 8
#: Steps for which columns are put together at a time.
STEPS = 8

#: Positions by which what is asked for runs ahead of what is copied, where a position's channels are adjacent: too many
#: short stretches for the processor to guess.
AHEAD = 32
#: What is adjacent in memory: channels, positions, neither; or taps stand in the place of channels, adjacent or not.
CHANNELS, POSITIONS, GATHER, COLUMNS, SPREAD = "channels", "positions", "gather", "columns", "spread"

NUMBERS = (
    *("group", "block", "step", "channels"),
    *("n", "c", "z", "y", "x", "step_z", "step_y", "step_x", "size_z", "size_y", "size_x"),
    *("rows_z", "rows_y", "segments", "panel", "at_n", "at_z", "at_y", "spread"),
)
TABLES = ("list_z", "list_y", "list_x", "chunks", "chunk_at")


@dataclass(frozen=True)
class Box:
    """A tile of steps: along each of the axes n, z, y, x the first and the one after the last."""

    first: dict[str, Int]
    stop: dict[str, Int]


class Panels:
    """One side's panels, `take` channels in each."""

    def __init__(self, kernel: Kernel, side: str, element: str, lanes: int, take: int, mode: str):
        self.k, self.fn, self.side, self.mode = kernel, kernel.fn, side, mode
        self.element, self.lanes, self.take = summed_in(element), lanes, take
        self.width = -(-take // lanes) * lanes
        self.memory = kernel.part(f"{side}_panels", element)
        self.tables = {name: kernel.array(f"{side}_{name}", "int64") for name in TABLES}

    def number(self, name: str) -> Int:
        """One of the side's header numbers."""
        return getattr(self.k, f"{self.side}_{name}")

    def panel(self, tile: Int) -> Array:
        """The panel of a channel tile."""
        return self.memory.at(tile * self.number("panel"))

    def fill(self, source: Array, block: Int, channels: Int, box: Box) -> None:
        """Copy a tile of steps: `channels` channels from `source` on, or the columns of block number `block`."""
        if self.mode in (COLUMNS, SPREAD):
            self._fill_columns(source, block, box)
            return
        self._fill_windows(source, channels, box)

    # Windows

    def _fill_windows(self, source: Array, channels: Int, box: Box) -> None:
        """The panels of all channels.

        Reading follows the order in memory: of adjacent positions whole rows, of adjacent channels all for a few
        positions at a time.
        """
        fn, lanes = self.fn, self.lanes
        with self._rows(source, box) as (line, place), fn.loop(0, self.number("segments")) as number:
            segment = self.tables["list_x"].at(number * SEGMENT)
            x = box.first["x"] * self.number("step_x") + segment[1]
            low, high = fn.max(0 - x, 0), fn.min(segment[2], self.number("size_x") - x)
            along = fn.max(high - low, 1) if self.mode == POSITIONS else lanes
            with (
                fn.loop(low, high, along) as position,
                fn.loop(0, channels, self.take) as first,
                fn.loop(0, fn.min(self.take, channels - first), lanes) as part,
            ):
                begin = line.at((x + position) * self.number("x") + (first + part) * self.number("c"))
                row = self.panel(first // self.take).at(place + (segment[0] + position) * self.width + part)
                positions, left = fn.min(high - position, along), fn.min(self.take, channels - first) - part
                if self.mode == POSITIONS:
                    self._transpose(begin, row, positions, left)
                else:
                    self._copy(begin, row, positions, left)

    @contextmanager
    def _rows(self, source: Array, box: Box) -> Iterator[tuple[Array, Int]]:
        """The window's rows that lie inside the array, and their places in a panel."""
        fn = self.fn
        with fn.loop(box.first["n"], box.stop["n"]) as n, fn.loop(0, self.number("rows_z")) as row_z:
            z = box.first["z"] * self.number("step_z") + self.tables["list_z"][row_z]
            with fn.when((z >= 0) & (z < self.number("size_z"))), fn.loop(0, self.number("rows_y")) as row_y:
                y = box.first["y"] * self.number("step_y") + self.tables["list_y"][row_y]
                with fn.when((y >= 0) & (y < self.number("size_y"))):
                    line = source.at(n * self.number("n") + z * self.number("z") + y * self.number("y"))
                    place = (n - box.first["n"]) * self.number("at_n") + row_z * self.number("at_z")
                    yield line, place + row_y * self.number("at_y")

    def _transpose(self, line: Array, row: Array, positions: Int, channels: Int) -> None:
        """Positions are adjacent: squares of channels by positions.

        Where fewer than `lanes` channels are left, the last is repeated, for sums that nobody reads. The last square
        may write past `positions`, to places that are filled later or never read.
        """
        fn, lanes = self.fn, self.lanes
        distances = [fn.min(channels - 1, channel) * self.number("c") for channel in range(lanes)]
        with fn.loop(0, positions, lanes) as position:
            mask = fn.mask(fn.bits(0, positions - position, lanes), lanes)
            square = [line.masked(position + distance, mask) for distance in distances]
            for i, vector in enumerate(fn.transpose(square)):
                row.set_vector((position + i) * self.width, vector)

    def _copy(self, line: Array, row: Array, positions: Int, channels: Int) -> None:
        """Position by position, the channels adjacent or gathered, zeros behind the last."""
        fn = self.fn
        mask = fn.mask(fn.bits(0, channels, self.lanes), self.lanes)
        with fn.loop(0, positions) as position:
            place = position * self.number("x")
            adjacent = self.mode == CHANNELS
            line.prefetch(place + self.number("x") * AHEAD)
            value = line.masked(place, mask) if adjacent else line.gather(place, self.number("c"), mask)
            row.set_vector(position * self.width, value)

    # Columns

    def _fill_columns(self, source: Array, block: Int, box: Box) -> None:
        """Every step's own row of what all taps of all channels read, zeros where that is outside the array."""
        fn, lanes = self.fn, self.lanes
        first, stop = box.first, box.stop
        vectors = self.number("block") // lanes
        with (
            fn.loop(first["n"], stop["n"]) as n,
            fn.loop(first["z"], stop["z"]) as step_z,
            fn.loop(first["y"], stop["y"]) as step_y,
            fn.loop(0, vectors) as vector,
        ):
            z, y = step_z * self.number("step_z"), step_y * self.number("step_y")
            line = source.at(n * self.number("n") + z * self.number("z") + y * self.number("y"))
            place = (n - first["n"]) * self.number("at_n") + (step_z - first["z"]) * self.number("at_z")
            place = place + (step_y - first["y"]) * self.number("at_y") + vector * lanes % self.width
            row = self.panel(vector * lanes // self.width).at(place)
            chunks = self.tables["chunk_at"].at(block * vectors + vector)
            with fn.loop(first["x"], stop["x"], STEPS) as step:
                self._fill_steps(line, row.at((step - first["x"]) * self.width), chunks, z, y, step)

    def _fill_steps(self, line: Array, row: Array, chunks: Array, z: Int, y: Int, step: Int) -> None:
        """One vector of columns for `STEPS` steps, put together in registers from the chunks that it has.

        Steps behind a row's last are written to places that are filled later or never read.
        """
        fn, lanes = self.fn, self.lanes
        values = [Accumulator(fn, self.element, lanes) for _ in range(STEPS)]
        for value in values:
            value.clear()
        with fn.loop(chunks[0], chunks[1]) as number:
            chunk = self.tables["chunks"].at(number * CHUNK)
            at_z, at_y = z + chunk[0], y + chunk[1]
            inside = (at_z >= 0) & (at_z < self.number("size_z")) & (at_y >= 0) & (at_y < self.number("size_y"))
            with fn.when(inside):
                keep, begin = fn.mask(chunk[5], lanes), line.at(chunk[4])
                with fn.either((step >= chunk[6]) & (step + STEPS <= chunk[7])) as (then, otherwise):
                    with then:
                        for i, value in enumerate(values):
                            self._put(value, begin, step + i, keep)
                    with otherwise:
                        apart = fn.builder.mul(fn.lane_numbers(lanes), fn.splat(chunk[3].value, lanes))
                        size = fn.splat(self.number("size_x").value, lanes)
                        for i, value in enumerate(values):
                            x = (step + i) * self.number("step_x") + chunk[2]
                            x = fn.builder.add(apart, fn.splat(x.value, lanes))
                            # One comparison of numbers without a sign: below zero is far above any size.
                            there = fn.builder.and_(fn.builder.icmp_unsigned("<", x, size), keep)
                            self._put(value, begin, step + i, there)
        for i, value in enumerate(values):
            row.set_vector(self.width * i, value.get())

    def _put(self, value: Accumulator, line: Array, step: Int, lanes: ll.Value) -> None:
        """Read some lanes of a step's columns."""
        place = step * self.number("step_x") * self.number("x")
        if self.mode == COLUMNS:
            found = line.masked(place, lanes)
        else:
            found = line.gather(place, self.number("spread"), lanes)
        value.set(self.fn.builder.select(lanes, found, value.get()))
