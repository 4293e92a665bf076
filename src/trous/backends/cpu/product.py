"""The product of the dense kernel: a tile of sums in registers, over live taps and the channels of a chunk.

It is a function of its own, so that the registers are given to the accumulators and to nothing else.

Roofline: with 14 x 2 accumulators a step is 28 multiply-adds for 2 loads (4 where they cross cache lines) and 14
broadcasts, so the FMA units bound it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trous.backends.cpu.header import Kernel
from trous.backends.cpu.narrow import summed_in
from trous.backends.cpu.values import BYTES, LINE, Accumulator, Int

if TYPE_CHECKING:
    from trous.backends.cpu.gemm import Shape

#: 64-bit words of a pair: where the weights of a tap lie in a panel, and how far its inputs in the window.
PAIR = 2
#: Steps by which weights that were packed before the call are asked for: they come from the memory, or a cache that all
#: cores share, as fast as they are multiplied where positions are few.
AHEAD = 32


class Product:
    """`call` it for one register tile."""

    def __init__(self, kernel: Kernel, shape: Shape):
        self.shape, self.caller = shape, kernel
        self.k = k = Kernel(kernel.fields, f"{shape.name}_product", shape.checked, 7, kernel.module)
        self.fn = k.fn
        self.weights = k.array("w", summed_in(shape.element)) if shape.packed else k.part("weights", shape.element)
        self.inputs, self.sums = k.part("inputs", shape.element), k.part("sums", shape.element)
        self.pairs = k.part("pairs", "int64")
        panel, place, sums, left, channels, pairs, chunk = k.arguments
        with self.fn.either(left <= shape.half) as (then, otherwise):
            with then:
                self.multiply(True, panel, place, sums, channels, pairs, chunk)
            with otherwise:
                self.multiply(False, panel, place, sums, channels, pairs, chunk)
        self.fn.finish()

    def call(self, panel: Int, place: Int, sums: Int, left: Int, channels: Int, pairs: Int, chunk: Int) -> None:
        """Multiply, and add to the sums of the chunks before.

        `panel`, `place` and `sums`: where the tile's weights lie among the panels, its first place and its first sum in
        their parts of the scratch memory; of half a tile where no more than that is `left` of the strip. `pairs`: how
        many there are.
        """
        self.caller.call(self.k, panel, place, sums, left, channels, pairs, chunk)

    def multiply(self, half: bool, panel: Int, place: Int, sums: Int, channels: Int, pairs: Int, chunk: Int) -> None:
        k, fn, shape = self.k, self.fn, self.shape
        rows, vectors, pitch = shape.rows, shape.vectors, shape.channel_pitch
        if shape.positions_along_vectors:
            vectors = shape.half // shape.lanes if half else vectors
            kept = [self.sums.at(sums + k.span * r) for r in range(rows)]
        else:
            rows = shape.half if half else rows
            kept = [self.sums.at(sums + r * shape.channels) for r in range(rows)]
        tile = [[Accumulator(fn, shape.element, shape.lanes) for _ in range(vectors)] for _ in range(rows)]
        with fn.either(chunk.equals(0)) as (then, otherwise):
            with then:
                for row in tile:
                    for accumulator in row:
                        accumulator.clear()
            with otherwise:
                for row, line in zip(tile, kept, strict=True):
                    for v, accumulator in enumerate(row):
                        accumulator.set(line.vector(v * shape.lanes, shape.lanes))
        with fn.loop(0, pairs) as number:
            pair = self.pairs.at(number * PAIR)
            weights, inputs = self.weights.at(panel + pair[0]), self.inputs.at(place * max(pitch, 1) + pair[1])
            with fn.loop(0, channels) as channel:
                if shape.positions_along_vectors:
                    broadcast, row_step = weights.at(channel * shape.rows), 1
                    along = inputs.at(channel * k.plane)
                else:
                    broadcast, row_step = inputs.at(channel), pitch
                    along = weights.at(channel * shape.channels)
                if shape.packed:
                    ahead = (channel + AHEAD) * shape.channels
                    for each in range(0, shape.channels, LINE // BYTES[shape.element]):
                        weights.prefetch(ahead + each)
                loaded = [along.vector(v * shape.lanes, shape.lanes) for v in range(vectors)]
                for r, row in enumerate(tile):
                    scalar = fn.splat(broadcast[r * row_step], shape.lanes)
                    for v, accumulator in enumerate(row):
                        accumulator.multiply_add(scalar, loaded[v])
        for row, line in zip(tile, kept, strict=True):
            for v, accumulator in enumerate(row):
                line.set_vector(v * shape.lanes, accumulator.get())
