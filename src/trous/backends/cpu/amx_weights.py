"""The panels of weights that `amx_dense` multiplies: tiles of 16 output channels, for every tap and tile of inputs.

What lies side by side in memory is read as vectors: mostly the kernel indices, 16 of them for each of 32 channels,
which are transposed in registers so that every kernel index has its row of a tile; or, channels-last, the inputs or the
outputs of a kernel index. Other weights are copied one by one. `weight_at` tells, for each
kernel index, where its first tile begins; what no tap uses goes to a place of its own that nobody reads.
"""

from __future__ import annotations

import llvmlite.ir as ll

from trous.backends.cpu.amx import ROWS, in_pairs
from trous.backends.cpu.header import Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.values import I32, Int

_WORDS, _HALVES = ll.VectorType(I32, ROWS), ll.VectorType(ll.IntType(16), 2 * ROWS)
#: Numbers in a row of a tile, and in a tile.
ROW, TILE = 2 * ROWS, 2 * ROWS * ROWS


class Panels:
    """Panels `[block][kernel index's tap][tile of inputs][tile of outputs][row][2 x 16]`.

    A row belongs to an output channel and holds inputs (`along_positions`), or to a pair of inputs and holds output
    channels in pairs.
    """

    def __init__(self, kernel: Kernel, rows_are_channels: bool, tiles: int, beside: str):
        self.k, self.fn = kernel, kernel.fn
        self.rows_are_channels, self.tiles, self.beside = rows_are_channels, tiles, beside
        self.w = kernel.array("w", "int16")
        self.at, self.source = kernel.array("weight_at", "int64"), kernel.array("weight_from", "int64")
        self.part, self.square = kernel.part("panels", "int16"), kernel.part("square", "int16")

    def clear(self) -> None:
        """Zeros where packing leaves holes. Rows and columns of channels that do not exist need none: their sums are
        not stored."""
        k, fn = self.k, self.fn
        with fn.loop(0, k.holes * k.blocks_each * k.panel_block, ROW) as place:
            self.part.set_vector(place, ll.Constant(_HALVES, None))

    def pack(self, group: Int, block: Int, place: Int) -> None:
        """The panel of one block of a group's output channels, as the panel of number `place`."""
        k, fn = self.k, self.fn
        channel = block * k.block_channels
        channels = fn.min(k.block_channels, k.out_channels - channel)
        source, panel = self.w.at(group * k.w_group + channel * k.w_out), self.part.at(place * k.panel_block)
        if self.beside == "inputs":
            self.pack_inputs(source, panel, channels)
        elif self.beside == "outputs":
            self.pack_outputs(source, panel, channels)
        elif self.beside == "nothing":
            self.pack_one_by_one(source, panel, channels)
        elif self.rows_are_channels:
            self.pack_rows_of_channels(source, panel, channels)
        else:
            self.pack_rows_of_inputs(source, panel, channels)

    def pack_one_by_one(self, source: Array, panel: Array, channels: Int) -> None:
        k, fn = self.k, self.fn
        with fn.loop(0, channels) as channel, fn.loop(0, k.in_channels) as number:
            tile, inner = number // k.k_width * (self.tiles * TILE), number % k.k_width
            if self.rows_are_channels:
                place = tile + channel * ROW + inner
            else:
                place = tile + channel // ROWS * TILE + inner // 2 * ROW + channel % ROWS * 2 + inner % 2
            weights = source.at(channel * k.w_out + number * k.w_in)
            with fn.loop(0, k.kernel) as index:
                panel[self.at[index] + place] = weights[self.source[index]]

    def pack_rows_of_channels(self, source: Array, panel: Array, channels: Int) -> None:
        k, fn = self.k, self.fn
        # One channel after another: where inputs lie far apart, their lines are read while they are in the cache.
        with fn.loop(0, k.k_tiles) as tile, fn.loop(0, channels) as channel, fn.loop(0, k.kernel, ROWS) as index:
            line = source.at(channel * k.w_out + index)
            with fn.loop(0, ROWS) as pair:
                number = tile * k.k_width + 2 * pair
                self.read_pair(pair, line.at(number * k.w_in), number, index, fn.number(-1))
            place = tile * (self.tiles * TILE) + channel * ROW
            self.keep(panel.at(place), index, None)

    def pack_rows_of_inputs(self, source: Array, panel: Array, channels: Int) -> None:
        k, fn = self.k, self.fn
        with fn.loop(0, channels, ROWS) as first, fn.loop(0, k.pairs) as pair:
            tile, row = 2 * pair // k.k_width, 2 * pair % k.k_width // 2
            place = tile * (self.tiles * TILE) + first // ROWS * TILE + row * ROW
            mask = fn.mask(fn.bits(0, (channels - first) * 2, ROW), ROW)
            with fn.loop(0, k.kernel, ROWS) as index:
                with fn.loop(0, ROWS) as channel:
                    line = source.at((first + channel) * k.w_out + 2 * pair * k.w_in + index)
                    present = fn.choose(first + channel < channels, -1, 0)
                    self.read_pair(channel, line, 2 * pair, index, present)
                self.keep(panel.at(place), index, mask)

    def pack_inputs(self, source: Array, panel: Array, channels: Int) -> None:
        """Of weights whose inputs lie side by side: as they are, or in squares of pairs by output channels."""
        k, fn = self.k, self.fn
        with fn.loop(0, k.k_tiles) as tile, fn.loop(0, k.kernel) as index:
            inputs = fn.bits(0, k.in_channels - tile * k.k_width, ROW)
            line = source.at(self.source[index] + tile * k.k_width)
            target = panel.at(self.at[index] + tile * (self.tiles * TILE))
            if self.rows_are_channels:
                with fn.loop(0, channels) as channel:
                    target.set_vector(channel * ROW, line.masked(channel * k.w_out, fn.mask(inputs, ROW)))
                return
            with fn.loop(0, channels, ROWS) as first:
                with fn.loop(0, ROWS) as channel:
                    present = inputs & fn.choose(first + channel < channels, -1, 0)
                    row = line.masked((first + channel) * k.w_out, fn.mask(present, ROW))
                    self.square.set_vector(channel * ROW, row)
                mask = fn.mask(fn.bits(0, (channels - first) * 2, ROW), ROW)
                for pair, column in enumerate(self.columns()):
                    target.set_masked(first // ROWS * TILE + pair * ROW, column, mask)

    def pack_outputs(self, source: Array, panel: Array, channels: Int) -> None:
        """Of weights whose outputs lie side by side: in pairs of inputs, or the squares of these transposed."""
        k, fn = self.k, self.fn
        with fn.loop(0, k.k_tiles) as tile, fn.loop(0, k.kernel) as index, fn.loop(0, channels, ROWS) as first:
            line = source.at(self.source[index] + first)
            target = panel.at(self.at[index] + tile * (self.tiles * TILE))
            outputs = fn.bits(0, channels - first, ROWS)
            with fn.loop(0, ROWS) as pair:
                number = tile * k.k_width + 2 * pair
                values = []
                for n in range(2):
                    mask = fn.mask(outputs & fn.choose(number + n < k.in_channels, -1, 0), ROWS)
                    values.append(line.at((number + n) * k.w_in).masked(0, mask))
                row = in_pairs(fn, *values)[0]
                if self.rows_are_channels:
                    self.square.set_vector(pair * ROW, row)
                else:
                    some = fn.mask(fn.bits(0, (channels - first) * 2, ROW), ROW)
                    target.set_masked(first // ROWS * TILE + pair * ROW, row, some)
            if self.rows_are_channels:
                for channel, column in enumerate(self.columns()):
                    with fn.when(first + channel < channels):
                        target.set_vector((first + channel) * ROW, column)

    def read_pair(self, row: Int, line: Array, number: Int, index: Int, present: Int) -> None:
        """Weights of 16 kernel indices for inputs `number` and the next, in pairs, as a row of the square."""
        k, fn = self.k, self.fn
        some = fn.bits(0, k.kernel - index, ROWS) & present
        values = []
        for n in range(2):
            mask = some & fn.choose(number + n < k.in_channels, -1, 0)
            values.append(line.at(k.w_in * n).masked(0, fn.mask(mask, ROWS)))
        self.square.set_vector(row * ROW, in_pairs(fn, *values)[0])

    def keep(self, panel: Array, index: Int, mask: ll.Value | None) -> None:
        """The square's columns, one for each kernel index, to their tiles."""
        for n, column in enumerate(self.columns()):
            if mask is None:
                panel.set_vector(self.at[index + n], column)
            else:
                panel.set_masked(self.at[index + n], column, mask)

    def columns(self) -> list[ll.Value]:
        """The square transposed, its elements being pairs."""
        b = self.fn.builder
        rows = [b.bitcast(self.square.vector(row * ROW, ROW), _WORDS) for row in range(ROWS)]
        return [b.bitcast(column, _HALVES) for column in self.fn.transpose(rows)]
