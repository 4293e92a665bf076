"""The panels of weights that `gemm` multiplies: `[channel tile][tap][input channel][channel of the tile]`.

A call packs the weights of a block of channels into its scratch memory, chunk by chunk. A weight that stays as it is
can be packed as a whole once (`build`), into panels `[group][chunk][channel tile]...` that all further calls read.

What lies side by side in memory is read as vectors, and transposed where it is not what a panel has side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.narrow import summed_in
from trous.backends.cpu.values import Int

if TYPE_CHECKING:
    from trous.backends.cpu.gemm import Shape

#: Records of the tables, in 64-bit words: entries (distance in the window, place in the weight, first lane, lane after
#: the last, offsets along z, y, x), chunks (first channel, channels, whether its window is the one before).
ENTRY, CHUNK = 7, 3
#: What panels depend on, of the numbers of the header.
NUMBERS = (
    *("groups_per_input", "channel_tiles", "chunks", "phases", "panel", "out_channels", "w_group", "w_sub", "w_lane"),
    *("w_in", "w_run"),
)
#: Vectors by which the weights asked for run ahead of those packed: rows lie too far apart for the processor to guess.
AHEAD = 2
#: Input channels by which they do where output channels lie side by side.
AHEAD_LANES = 16


def build(shape: Shape, fields: Fields) -> str:
    """LLVM IR of a kernel that packs `w` into `y`; an item is a channel tile of a chunk."""
    k = Kernel(fields, name(shape), shape.checked)
    packing, panels = Packing(k, shape), k.array("y", summed_in(shape.element))
    with k.fn.loop(k.begin, k.end) as item:
        tile, rest = item % k.channel_tiles, item // k.channel_tiles
        packing.pack(panels.at(item * k.panel), rest // k.chunks, tile, k.fn.number(1), rest % k.chunks)
    return k.finish()


def name(shape: Shape) -> str:
    """Of the kernel: what packing depends on, of a shape."""
    return f"{shape.name}_packing"


class Packing:
    """`pack` writes panels."""

    def __init__(self, kernel: Kernel, shape: Shape):
        self.shape, self.k, self.fn = shape, kernel, kernel.fn
        self.w = kernel.array("w", shape.element)
        self.entries, self.entry_at, self.chunk_list = (
            kernel.array(table, "int64") for table in ("entries", "entry_at", "chunk_list")
        )
        self.columns = kernel.part("columns", "int64")

    def pack(self, panels: Array, group: Int, first: Int, count: Int, chunk: Int) -> None:
        """The weights of one chunk for `count` channel tiles of a group, from the tile `first` on."""
        k, fn, shape = self.k, self.fn, self.shape
        start, channels = self.chunk_list[chunk * CHUNK], self.chunk_list[chunk * CHUNK + 1]
        source = self.w.at(group // k.groups_per_input * k.w_group + group % k.groups_per_input * k.w_sub)
        source = source.at(start * k.w_in)
        phases = k.phases * shape.interleaved
        begin, end = self.entry_at[chunk * phases], self.entry_at[chunk * phases + phases]
        if shape.weights == "lanes":
            # Channel tiles innermost: they follow each other in memory, which has the next input channel far away.
            with fn.loop(begin, end) as number, fn.loop(0, channels) as channel, fn.loop(0, count) as part:
                panel = panels.at(part * k.panel + ((number - begin) * channels + channel) * shape.channels)
                self.pack_vectors(
                    panel, source, self.entries.at(number * ENTRY), channel, (first + part) * shape.channels
                )
        elif shape.weights == "channels":
            self.note_columns(channels, begin, end, chunk)
            with fn.loop(0, count) as part, fn.loop(begin, end) as number:
                panel = panels.at(part * k.panel + (number - begin) * channels * shape.channels)
                self.pack_blocks(
                    panel,
                    source.at(self.entries[number * ENTRY + 1]),
                    channels,
                    (first + part) * shape.channels,
                    fn.number(AHEAD * shape.lanes),
                )
        elif shape.weights == "taps":
            self.note_columns(channels, begin, end, chunk)
            together = k.w_in.equals(k.w_run)  # the taps of one channel follow those of another
            with fn.loop(0, count) as part, fn.loop(0, fn.choose(together, 1, channels)) as channel:
                panel = panels.at(part * k.panel + channel * shape.channels)
                run = k.w_run * fn.choose(together, channels, 1)
                ahead = fn.choose(together, AHEAD * shape.lanes, AHEAD * k.w_in)
                self.pack_blocks(panel, source.at(channel * k.w_in), run, (first + part) * shape.channels, ahead)
        else:
            with fn.loop(0, count) as part, fn.loop(0, channels) as channel, fn.loop(begin, end) as number:
                panel = panels.at(part * k.panel + ((number - begin) * channels + channel) * shape.channels)
                self.pack_vectors(
                    panel, source, self.entries.at(number * ENTRY), channel, (first + part) * shape.channels
                )

    def pack_vectors(self, panel: Array, source: Array, entry: Array, channel: Int, base: Int) -> None:
        """The weights of one tap and input channel for all output channels of a tile."""
        k, fn, shape = self.k, self.fn, self.shape
        lanes = min(shape.lanes, max(2, _power_of_two(shape.channels)))
        for lane in range(0, shape.channels, lanes):
            low, high = entry[2] - base - lane, fn.min(entry[3], k.out_channels) - base - lane
            place = channel * k.w_in + entry[1] + (base + lane) * k.w_lane
            some = fn.mask(fn.bits(low, high, lanes), lanes)
            if shape.weights == "lanes":
                source.prefetch(place + AHEAD_LANES * k.w_in)
                value = source.masked(place, some)
            else:
                value = source.gather(place, k.w_lane, some)
            panel.set_masked(lane, value, fn.mask(fn.number((1 << min(lanes, shape.channels - lane)) - 1), lanes))

    def note_columns(self, channels: Int, begin: Int, end: Int, chunk: Int) -> None:
        """Where in a panel the neighbours along the adjacent direction of the weights belong; -1 for dead taps."""
        k, fn, shape = self.k, self.fn, self.shape
        if shape.weights == "channels":
            with fn.loop(0, channels) as channel:
                self.columns[channel] = channel * shape.channels
            return
        with fn.loop(0, k.w_run * channels) as column:
            self.columns[column] = -1
        with fn.loop(begin, end) as number, fn.loop(0, channels) as channel:
            tap = self.entries[number * ENTRY + 1]
            self.columns[channel * k.w_run + tap] = ((number - begin) * channels + channel) * shape.channels

    def pack_blocks(self, panel: Array, source: Array, columns: Int, base: Int, ahead: Int) -> None:
        """Neighbours in memory for all output channels of a tile: square blocks, transposed in registers."""
        k, fn, shape = self.k, self.fn, self.shape
        lanes = shape.lanes
        with fn.loop(0, columns, lanes) as column, fn.loop(0, shape.channels, lanes) as lane:
            some = fn.bits(0, columns - column, lanes)
            count = fn.min(fn.min(shape.channels, k.out_channels - base) - lane, lanes)
            rows = []
            for row in range(min(lanes, shape.channels)):
                place = (base + lane + row) * k.w_lane + column
                source.prefetch(place + ahead)
                rows.append(source.masked(place, fn.mask(fn.choose(count > row, some, 0), lanes)))
            rows += rows[:1] * (lanes - len(rows))
            kept = fn.mask(fn.bits(0, shape.channels - lane, lanes), lanes)
            for offset, value in enumerate(fn.transpose(rows)):
                with fn.when(column + offset < columns):
                    target = self.columns[column + offset]
                    with fn.when(target >= 0):
                        panel.set_masked(target + lane, value, kept)


def _power_of_two(n: int) -> int:
    return 1 << (n - 1).bit_length()
