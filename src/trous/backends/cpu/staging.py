"""Staging: the inputs of a strip of output rows, copied into the cache with zeros where the image ends.

Staged memory is `[channel][plane][row][residue][column]`. Input column `i` of a row lies at residue `i mod down` and,
counted from the strip's first step, column `i div down + shift`, so that neighbouring steps read neighbouring columns
whatever the stride. `shift` is a multiple of the lanes: columns keep the alignment that they have in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import llvmlite.ir as ll

from trous.backends.cpu.header import Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.values import ELEMENTS, Int

#: Header numbers: extents of a strip's inputs, where they begin, and the strides of staged memory.
NUMBERS = (
    *("planes", "rows", "pitch", "shift", "low_z", "low_y", "stage_c", "stage_z", "stage_y"),
    *("in_channels", "in_z", "in_y", "in_x", "down_z", "down_y", "down_x", "x_c", "x_z", "x_y", "x_x"),
)


@dataclass(frozen=True)
class Strip:
    """First steps of a strip along the axes, and the input of its group."""

    x: Array
    z: Int
    y: Int
    column: Int


@dataclass(frozen=True)
class Stage:
    """The copy into `part` scratch memory.

    `source` says what is adjacent in memory: the "columns" of a row, the "channels" of a position (blocks are then
    transposed in registers), or nothing that helps ("gathered").
    """

    kernel: Kernel
    element: str
    lanes: int
    source: str
    step: int  #: elements between columns that are read as whole vectors
    margins: bool = True  #: whether what lies outside the image is read, and so has to be zero

    @property
    def memory(self) -> Array:
        return self.kernel.part("staged", self.element)

    def fill(self, strip: Strip) -> None:
        """Copy the inputs of all channels."""
        k, fn = self.kernel, self.kernel.fn
        staged = self.memory
        at_once = self.lanes if self.source == "channels" else 1
        with (
            fn.loop(0, k.in_channels, at_once) as channel,
            fn.loop(0, k.planes) as plane,
            fn.loop(0, k.rows) as row,
        ):
            z, y = strip.z * k.down_z + k.low_z + plane, strip.y * k.down_y + k.low_y + row
            inside = (z >= 0) & (z < k.in_z) & (y >= 0) & (y < k.in_y)
            line = strip.x.at(channel * k.x_c + z * k.x_z + y * k.x_y)
            target = staged.at(channel * k.stage_c + plane * k.stage_z + row * k.stage_y)
            with fn.loop(0, k.down_x) as residue:
                first = strip.column - k.shift  # the step that column 0 holds
                low = fn.max(0 - first, 0)
                high = fn.min((k.in_x - residue + k.down_x - 1) // k.down_x - first, k.pitch)
                low, high = fn.choose(inside, low, 0), fn.choose(inside, fn.max(high, low), 0)
                origin = line.at((first * k.down_x + residue) * k.x_x)
                self._line(origin, target.at(residue * k.pitch), low, high, k.in_channels - channel)

    def _line(self, line: Array, target: Array, low: Int, high: Int, channels: Int) -> None:
        """Columns `low .. high-1` from memory, the others of the pitch zero; `low` is a multiple of the lanes."""
        k, fn = self.kernel, self.kernel.fn
        self._clear(target, fn.number(0), low)
        if self.source == "channels":
            with fn.loop(low, high, self.lanes) as column:
                self._transpose(line, target, column, high - column, channels)
        else:
            whole = low
            if self.source == "columns":
                # Whole vectors of strided columns read up to the column after their last.
                whole = low + fn.max(high - low - int(self.step > 1), 0) // self.lanes * self.lanes
                with fn.loop(low, whole, self.lanes) as column:
                    target.set_vector(column, line.strided(column * self.step, self.step, self.lanes))
            with fn.loop(whole, high, self.lanes) as column:
                mask = fn.mask(fn.bits(0, high - column, self.lanes), self.lanes)
                step = self.step if self.source == "columns" else k.down_x * k.x_x
                target.set_vector(column, line.spread(column * step, step, mask))
        self._clear(target, low + (high - low + (self.lanes - 1)) // self.lanes * self.lanes, k.pitch)

    def _clear(self, target: Array, first: Int, last: Int) -> None:
        k, fn = self.kernel, self.kernel.fn
        if not self.margins:
            return
        zero = ll.Constant(ll.VectorType(ELEMENTS[self.element], self.lanes), None)
        with fn.loop(first, last, self.lanes) as column:
            for channel in range(self.lanes if self.source == "channels" else 1):
                target.at(k.stage_c * channel).set_vector(column, zero)

    def _transpose(self, line: Array, target: Array, column: Int, columns: Int, channels: Int) -> None:
        """A block of neighbouring columns and channels, of which `columns` and `channels` are left."""
        k, fn = self.kernel, self.kernel.fn
        origin, step = line.at(column * k.down_x * k.x_x), k.down_x * k.x_x
        present = fn.bits(0, channels, self.lanes)
        block = []
        for n in range(self.lanes):
            mask = fn.mask(fn.choose(columns > n, present, 0), self.lanes)
            block.append(origin.masked(step * n, mask))
        for channel, value in enumerate(fn.transpose(block)):
            target.at(k.stage_c * channel).set_vector(column, value)
