"""Copying a tile of an array into the cache: the steps of a tile, and for every live offset what lies there.

A tile is a stretch of steps `m`, counted over batch and axes, last axis fastest. A *side* is the array that the steps
are read from: the input with `i = down*m + offset`, or for weight gradients the output with `o = up*m + phase`. A
*slot* is one such offset. Whatever falls outside the array becomes zeros, and a slot that falls outside with the whole
tile is not copied at all, so later loops never meet it.
"""

from __future__ import annotations

from dataclasses import dataclass

from trous.backends.cpu.header import Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.values import Int, Variable

#: Records of the tables, in 64-bit words: runs (see `find`), copies, slots (offsets along z, y, x; memory distance).
RUN, COPY, SLOT = 6, 5, 4
#: Elements between neighbours up to which whole vectors are read and picked from; beyond it they are gathered.
NEAR = 4


def near(stride: int) -> int:
    """What code is compiled for, of the elements between neighbours: their number, or 0 where it is not small."""
    return stride if 1 <= stride <= NEAR else 0


class Runs:
    """The maximal stretches of a tile that lie in one row: `start, length` in the tile, then `n, z, y, x` in steps."""

    def __init__(self, kernel: Kernel):
        self.k, self.fn = kernel, kernel.fn
        self.table = kernel.part("runs", "int64")
        self.count, self.steps = Variable(self.fn, 0), Variable(self.fn, 0)

    def __getitem__(self, number: Int) -> Array:
        return self.table.at(number * RUN)

    def find(self, tile: Int, length: Int) -> None:
        """Cut tile number `tile` of `length` steps into runs."""
        k, fn = self.k, self.fn
        first = tile * length
        stop = fn.min(first + length, k.positions)
        position = Variable(fn, first)
        self.count.set(0)
        self.steps.set(stop - first)
        with fn.repeat(lambda: position.get() < stop):
            at = position.get()
            row, x = at // k.steps_x, at % k.steps_x
            plane, y = row // k.steps_y, row % k.steps_y
            stretch = fn.min(k.steps_x - x, stop - at)
            run = self[self.count.get()]
            run[0], run[1] = at - first, stretch
            run[2], run[3] = plane // k.steps_z, plane % k.steps_z
            run[4], run[5] = y, x
            position.set(at + stretch)
            self.count.set(self.count.get() + 1)


@dataclass(frozen=True)
class Side:
    """An array that steps are read from: its name in the header and the names of its step, size and strides."""

    kernel: Kernel
    array: str  #: "x" or "y"
    step: str  #: "down" or "up"
    size: str  #: "in" or "out"
    lanes: int
    stride: int  #: elements between neighbouring steps (channels, in `AlongChannels`) as `near` has them

    def _number(self, name: str, axis: str) -> Int:
        return getattr(self.kernel, f"{name}_{axis}")

    def channel_stride(self) -> Int:
        return self._number(self.array, "c")

    def step_stride(self) -> Int:
        """Elements between neighbouring steps of a row."""
        return self._number(self.step, "x") * self._number(self.array, "x")

    def origin(self, run: Array) -> Int:
        """Element at which a run's first step lies, before any offset."""
        place = run[2] * self._number(self.array, "n")
        for axis, field in (("z", 3), ("y", 4), ("x", 5)):
            place = place + run[field] * self._number(self.step, axis) * self._number(self.array, axis)
        return place

    def inside(self, run: Array, slot: Array) -> tuple[Int, Int]:
        """Which steps of a run a slot finds inside the array: `low <= step < high`, counted from the run's start."""
        fn = self.kernel.fn
        z, y, x = (
            run[field] * self._number(self.step, axis) + slot[field - 3]
            for axis, field in (("z", 3), ("y", 4), ("x", 5))
        )
        within = (z >= 0) & (z < self._number(self.size, "z")) & (y >= 0) & (y < self._number(self.size, "y"))
        step = self._number(self.step, "x")
        low = (fn.max(0 - x, 0) + step - 1) // step
        high = fn.min((fn.max(self._number(self.size, "x") - x, 0) + step - 1) // step, run[1])
        return low, fn.choose(within, high, 0)


class Copies:
    """The copies that fill a tile: listed once from runs and slots, carried out for every channel."""

    def __init__(self, side: Side, runs: Runs, name: str, places: str):
        self.side, self.runs = side, runs
        self.k, self.fn = side.kernel, side.kernel.fn
        self.table = side.kernel.part(name, "int64")
        self.places = side.kernel.part(places, "int64")
        self.count = Variable(self.fn, 0)

    def find(self, slots: Array, number: Int, note: _Note) -> None:
        """List the copies of `number` slots; `places[s]` becomes the slot's place among the live ones, or -1."""
        fn = self.fn
        place = Variable(fn, 0)
        self.count.set(0)
        with fn.loop(0, number) as index:
            slot = slots.at(index * SLOT)
            before, live = self.count.get(), Variable(fn, 0)
            with fn.loop(0, self.runs.count.get()) as run_number:
                run = self.runs[run_number]
                low, high = self.side.inside(run, slot)
                live.set(fn.choose(low < high, 1, live.get()))
                note(self, run, self.side.origin(run) + slot[3], low, high, place.get())
            alive = live.get().differs(0)
            self.count.set(fn.choose(alive, self.count.get(), before))
            self.places[index] = fn.choose(alive, place.get(), -1)
            place.set(fn.choose(alive, place.get() + 1, place.get()))

    def add(self, *values: Int) -> None:
        copy = self.table.at(self.count.get() * COPY)
        for field, value in enumerate(values):
            copy[field] = value
        self.count.set(self.count.get() + 1)


class _Note:
    """How the copies of one run and slot are listed."""

    def __call__(self, copies: Copies, run: Array, source: Int, low: Int, high: Int, place: Int) -> None:
        raise NotImplementedError


class AlongPositions(_Note):
    """Tiles `[slot][channel][step]`: vectors run over steps. `length` steps in a tile, a multiple of the lanes.

    Behind the last step of a short tile, its last vector is filled with zeros.
    """

    def __init__(self, length: Int, channels: Int):
        self.length, self.channels = length, channels

    def __call__(self, copies: Copies, run: Array, source: Int, low: Int, high: Int, place: Int) -> None:
        fn, lanes = copies.fn, copies.side.lanes
        start, stop = run[0], run[0] + run[1]
        step = copies.side.step_stride()
        target = place * self.channels * self.length
        kept = fn.choose(stop.equals(copies.runs.steps.get()), stop + lanes, stop)
        with fn.loop(start // lanes * lanes, stop, lanes) as edge:
            read, keep = (
                fn.bits(start + low - edge, start + high - edge, lanes),
                fn.bits(start - edge, kept - edge, lanes),
            )
            # A whole vector's copy needs no masks. Where steps are apart it reads beyond its last: the next step's.
            whole = (read & keep).equals((1 << lanes) - 1)
            if copies.side.stride != 1:
                whole = whole & (start + high > edge + lanes)
            whole = fn.choose(whole, int(copies.side.stride > 0), 0)
            copies.add(source + (edge - start) * step, target + edge, read, keep, whole)

    def carry_out(self, copies: Copies, source: Array, target: Array) -> None:
        fn, side = copies.fn, copies.side
        with fn.loop(0, self.channels) as channel:
            origin, row = source.at(channel * side.channel_stride()), target.at(channel * self.length)
            with fn.loop(0, copies.count.get()) as number:
                copy = copies.table.at(number * COPY)
                with fn.either(copy[4].differs(0)) as (then, otherwise):
                    with then:
                        row.set_vector(copy[1], origin.strided(copy[0], max(side.stride, 1), side.lanes))
                    with otherwise:
                        read, kept = fn.mask(copy[2], side.lanes), fn.mask(copy[3], side.lanes)
                        if side.stride == 1:
                            value = origin.masked(copy[0], read)
                        else:
                            value = origin.gather(copy[0], side.step_stride(), read)
                        row.set_masked(copy[1], value, kept)


class AlongChannels(_Note):
    """Tiles `[slot][step][channel]`, `row_stride` apart: vectors run over channels. `length` steps in a tile."""

    def __init__(self, length: Int, row_stride: int, channels: Int):
        self.length, self.row_stride, self.channels = length, row_stride, channels

    def __call__(self, copies: Copies, run: Array, source: Int, low: Int, high: Int, place: Int) -> None:
        fn = copies.fn
        step = copies.side.step_stride()
        with fn.loop(0, run[1]) as lane:
            row = (place * self.length + run[0] + lane) * self.row_stride
            copies.add(source + lane * step, row, fn.choose((lane >= low) & (lane < high), 1, 0))

    def carry_out(self, copies: Copies, source: Array, target: Array) -> None:
        fn, side = copies.fn, copies.side
        with fn.loop(0, copies.count.get()) as number:
            copy = copies.table.at(number * COPY)
            origin, row, present = source.at(copy[0]), target.at(copy[1]), copy[2]
            with fn.loop(0, self.channels, side.lanes) as channel:
                read = fn.mask(fn.bits(0, (self.channels - channel) * present, side.lanes), side.lanes)
                if side.stride == 1:
                    value = origin.masked(channel, read)
                else:
                    value = origin.gather(channel * side.channel_stride(), side.channel_stride(), read)
                row.set_vector(channel, value)
