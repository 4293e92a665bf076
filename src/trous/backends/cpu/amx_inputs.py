"""The window of inputs that `amx_dense` multiplies: copied plane by plane, zeros where the image has ended.

`along_positions`: `[pair of channels][step][2]`, from memory in which steps are neighbours (or near); else
`[step][channel]`, from memory in which channels are, or `turned` where steps are. Other memory is copied number by
number.
"""

from __future__ import annotations

import llvmlite.ir as ll

from trous.backends.cpu.amx import in_pairs
from trous.backends.cpu.header import Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.values import I32, Int, Variable

#: Record of the table of planes: offsets along z, y, x of its first step, its first step's place in the window.
PLANE = 4

_I16 = ll.IntType(16)
#: The exponent of a bfloat16.
_EXPONENT = 0x7F80


class Window:
    """The copying code. `step`: elements between neighbouring steps, or channels; 0 if they are far apart.

    A `watched` window tells in `strange` whether it holds any NaN or infinity: 1 or 0.
    """

    def __init__(self, kernel: Kernel, along_positions: bool, turned: bool, step: int, watched: bool):
        self.k, self.fn = kernel, kernel.fn
        self.in_pairs, self.turned, self.step = along_positions and not turned, turned, step
        self.x, self.planes = kernel.array("x", "int16"), kernel.array("planes", "int64")
        self.part, self.masks = kernel.part("window", "int16"), kernel.part("masks", "int64")
        self.watched, self.strange = watched, Variable(self.fn, 0)
        self.per_step = self.fn.number(2) if self.in_pairs else kernel.window_pitch

    def clear_rest(self) -> None:
        """Zeros for the channels that fill up a tile. (Along channels every copy writes them.)"""
        k, fn = self.k, self.fn
        if self.in_pairs:
            used = (k.in_channels + 1) // 2
            with fn.loop(used * k.window_pitch, k.pairs * k.window_pitch, 32) as place:
                self.part.set_vector(place, ll.Constant(ll.VectorType(_I16, 32), None))

    def fill(self, n: Int, group: Int, z: Int, y: Int, x: Int, rows: Int, columns: Int) -> None:
        """The window of `rows x columns` steps whose first reads at `(z, y, x)` with offset 0."""
        k, fn = self.k, self.fn
        self.strange.set(0)
        source = self.x.at(n * k.x_n + group * k.x_group)
        height, width = rows + k.plane_rows - k.rows_each, columns + k.pitch - k.columns_each
        with fn.loop(0, k.planes_count) as number:
            plane = self.planes.at(number * PLANE)
            at_z, at_y, at_x = z + plane[0], y + plane[1], x + plane[2]
            low = fn.min((fn.max(0 - at_x, 0) + k.down_x - 1) // k.down_x, width)
            high = fn.min((fn.max(k.in_x - at_x, 0) + k.down_x - 1) // k.down_x, width)
            inside_z = (at_z >= 0) & (at_z < k.in_z)
            origin = source.at(at_z * k.x_z + at_x * k.x_x)
            if self.step and (self.in_pairs or self.turned):
                self.find_masks(low, high, width)
            if self.in_pairs:
                with fn.loop(0, (k.in_channels + 1) // 2) as pair, fn.loop(0, height) as row:
                    line, stop = self.line(origin, inside_z, at_y + row * k.down_y, high)
                    target = self.part.at(pair * k.window_pitch + (plane[3] + row * k.pitch) * 2)
                    self.copy_pair(line.at(pair * 2 * k.x_c), pair, target, low, stop, width)
            else:
                with fn.loop(0, height) as row:
                    line, stop = self.line(origin, inside_z, at_y + row * k.down_y, high)
                    target = self.part.at((plane[3] + row * k.pitch) * k.window_pitch)
                    if self.turned:
                        self.copy_turned(line, target, stop, width)
                    else:
                        self.copy_steps(line, target, low, stop, width)

    @property
    def lanes(self) -> int:
        """Steps of a vector, as many as are picked from one 64-bit mask."""
        return 32 if self.step <= 2 and not self.turned else 16

    def find_masks(self, low: Int, high: Int, width: Int) -> None:
        """`masks[vector][part]`: the inputs of a row's vectors that exist; the same in every row of a plane."""
        fn, step, lanes = self.fn, self.step, self.lanes
        with fn.loop(0, width, lanes) as place:
            first, last = (low - place) * step, (high - place) * step - (step - 1)
            for n in range(step):
                mask = fn.bits(first - n * lanes, last - n * lanes, lanes)
                self.masks[place // lanes * step + n] = mask

    def line(self, origin: Array, inside_z: Int, y: Int, high: Int) -> tuple[Array, Int]:
        """A row of inputs, and the end of the steps in it that are inside: 0 if the row is not."""
        fn, k = self.fn, self.k
        inside = inside_z & (y >= 0) & (y < k.in_y)
        return origin.at(y * k.x_y), fn.choose(inside, high, 0)

    def copy_pair(self, line: Array, pair: Int, target: Array, low: Int, high: Int, width: Int) -> None:
        """A row of two channels, in pairs."""
        k, fn, step = self.k, self.fn, self.step
        both = fn.choose(pair * 2 + 1 < k.in_channels, -1, 0)
        if step == 0:
            with fn.loop(0, width) as place:
                inside = (place >= low) & (place < high)
                source = line.at(place * k.down_x * k.x_x)
                for channel, present in enumerate((inside, inside & both.differs(0))):
                    self.copy_one(source.at(k.x_c * channel), target, place * 2 + channel, present)
            return
        zeros = ll.Constant(ll.VectorType(_I16, 32), None)
        lanes = self.lanes
        with fn.either(high > 0) as (then, otherwise):
            with then, fn.loop(0, width, lanes) as place:
                masks = [self.masks[place // lanes * step + n] for n in range(step)]
                values = []
                for channel, present in enumerate((fn.number(-1), both)):
                    row = line.at(place * step + k.x_c * channel)
                    parts = [row.masked(n * lanes, fn.mask(m & present, lanes)) for n, m in enumerate(masks)]
                    values.append(self.picked(parts))
                for n, value in enumerate(in_pairs(fn, *values)):
                    self.keep(target, place * 2 + n * 32, value)
            with otherwise, fn.loop(0, width, 16) as place:
                target.set_vector(place * 2, zeros)

    def picked(self, parts: list[ll.Value]) -> ll.Value:
        """Every `step`-th lane of vectors that lie behind each other."""
        fn, step = self.fn, self.step
        if step == 1:
            return parts[0]
        lanes = parts[0].type.count
        places = [lane * step for lane in range(lanes)]
        result = parts[0]
        for number, part in enumerate(parts):
            held = [place // lanes == number for place in places]
            lane = [place % lanes + (lanes if number else 0) for place in places]
            keep = [lane[i] if held[i] else i for i in range(lanes)]
            result = fn.shuffle(result, part, keep)
        return result

    def copy_steps(self, line: Array, target: Array, low: Int, high: Int, width: Int) -> None:
        """All channels of a row's steps, zeros around them."""
        k, fn = self.k, self.fn
        first = fn.min(low, high)
        self.clear_steps(target, fn.number(0), first)
        with fn.loop(first, high) as place:
            source, kept = line.at(place * k.down_x * k.x_x), target.at(place * k.window_pitch)
            if self.step == 1:
                whole = k.in_channels - k.in_channels % 32
                with fn.loop(0, whole, 32) as channel:
                    self.keep(kept, channel, source.vector(channel, 32))
                with fn.when(whole < k.in_channels):
                    mask = fn.mask(fn.bits(0, k.in_channels - whole, 32), 32)
                    self.keep(kept, whole, source.masked(whole, mask))
            else:
                with fn.loop(0, k.k_tiles * k.k_width) as channel:
                    self.copy_one(source.at(channel * k.x_c), kept, channel, channel < k.in_channels)
        self.clear_steps(target, high, width)

    def copy_turned(self, line: Array, target: Array, high: Int, width: Int) -> None:
        """The same from memory in which steps are neighbours: 16 steps of 32 channels are transposed in registers."""
        k, fn, lanes, step = self.k, self.fn, self.lanes, self.step
        with fn.either(high > 0) as (then, otherwise):
            with then, fn.loop(0, width, lanes) as place, fn.loop(0, k.k_tiles * 32, 32) as first:
                masks = [self.masks[place // lanes * step + n] for n in range(step)]
                pairs = []
                for channel in range(0, 32, 2):
                    values = []
                    for number in (first + channel, first + channel + 1):
                        present = fn.choose(number < k.in_channels, -1, 0)
                        # Even with no lane to load, an address where there is no memory costs hundreds of cycles.
                        row = line.at(fn.min(number, k.in_channels - 1) * k.x_c + place * step)
                        parts = [row.masked(n * lanes, fn.mask(m & present, lanes)) for n, m in enumerate(masks)]
                        values.append(self.picked(parts))
                    pairs.append(fn.builder.bitcast(in_pairs(fn, *values)[0], ll.VectorType(I32, lanes)))
                for n, value in enumerate(fn.transpose(pairs)):
                    whole = fn.builder.bitcast(value, ll.VectorType(_I16, 32))
                    self.keep(target, (place + n) * k.window_pitch + first, whole)
            with otherwise:
                self.clear_steps(target, fn.number(0), width)

    def clear_steps(self, target: Array, first: Int, last: Int) -> None:
        k, fn = self.k, self.fn
        with fn.loop(first * k.window_pitch, last * k.window_pitch, 32) as place:
            target.set_vector(place, ll.Constant(ll.VectorType(_I16, 32), None))

    def keep(self, target: Array, index: Int, value: ll.Value) -> None:
        self.watch(value)
        target.set_vector(index, value)

    def watch(self, value: ll.Value) -> None:
        """Note a NaN or an infinity: the numbers whose exponent has all bits set."""
        if self.watched:
            b, lanes = self.fn.builder, getattr(value.type, "count", 0)
            ones = ll.Constant(value.type, [_EXPONENT] * lanes if lanes else _EXPONENT)
            found = b.icmp_unsigned("==", b.and_(value, ones), ones)
            if lanes:
                found = b.not_(self.fn.all_set(b.not_(found)).value)
            self.strange.set(self.fn.choose(Int(self.fn, found), 1, self.strange.get()))

    def copy_one(self, source: Array, target: Array, index: Int, present: Int) -> None:
        """One number, or zero."""
        with self.fn.either(present) as (then, otherwise):
            with then:
                value = source[0]
                self.watch(value)
                target[index] = value
            with otherwise:
                target[index] = ll.Constant(_I16, 0)
