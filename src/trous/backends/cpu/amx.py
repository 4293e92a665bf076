"""AMX, the matrix unit: eight tile registers of 16 rows of 64 bytes, and `C += A * B` of three of them.

Of bfloat16 a row of A holds 32 numbers of one row of the matrix, a row of B two rows of the matrix in pairs, and C, in
float32, 16 numbers: one instruction is 8,192 multiply-adds and takes 16 cycles. Which tile is meant is part of the
instruction; rows and bytes of a row are configured at run time. Subnormal numbers count as zeros.
"""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ll
import numpy as np

from trous.backends.cpu.ir import Array, Function
from trous.backends.cpu.values import BYTES, I64

#: Rows of a tile, bytes of a row, registers.
ROWS, ROW_BYTES, TILES = 16, 64, 8

_VOID, _I8 = ll.VoidType(), ll.IntType(8)


def configuration(shapes: list[tuple[int, int]]) -> np.ndarray:
    """The 64 bytes that configure the tiles: for each its rows and the bytes of a row."""
    block = np.zeros(64, np.uint8)
    block[0] = 1  # the palette of eight tiles
    for tile, (rows, row_bytes) in enumerate(shapes):
        block[16 + 2 * tile], block[48 + tile] = row_bytes, rows
    return block.view(np.int64)


class Tiles:
    """The tile registers of a function, by number. What is not released at its end would slow task switches."""

    def __init__(self, fn: Function):
        self.fn = fn

    def configure(self, block: Array) -> None:
        self.fn.call("llvm.x86.ldtilecfg", _VOID, [block.pointer(0)])

    def release(self) -> None:
        self.fn.call("llvm.x86.tilerelease", _VOID, [])

    def clear(self, tile: int) -> None:
        self.fn.call("llvm.x86.tilezero", _VOID, [_number(tile)])

    def multiply_add(self, c: int, a: int, b: int) -> None:
        """`c += a * b`, of bfloat16."""
        self.fn.call("llvm.x86.tdpbf16ps", _VOID, [_number(n) for n in (c, a, b)])

    def load(self, tile: int, source: Array, index: Any, pitch: Any, rows: Any, width: Any) -> None:
        """Rows of `width` elements, `pitch` apart, as many as the tile was configured to have."""
        place, step = self._place(source, index, pitch, rows, width)
        self.fn.call("llvm.x86.tileloadd64", _VOID, [_number(tile), place, step])

    def store(self, tile: int, target: Array, index: Any, pitch: Any, rows: Any, width: Any) -> None:
        place, step = self._place(target, index, pitch, rows, width)
        self.fn.call("llvm.x86.tilestored64", _VOID, [_number(tile), place, step])

    def _place(self, array: Array, index: Any, pitch: Any, rows: Any, width: Any) -> tuple[ll.Value, ll.Value]:
        """Pointer and bytes between rows; in checked code all rows lie on a spare place if one is not inside."""
        fn, pitch = self.fn, self.fn.number(pitch)
        step = (pitch * BYTES[array.element]).value
        if array.limits is None:
            return array.pointer(index), step
        first = fn.number(index) + array.offset
        last = first + (fn.number(rows) - 1) * pitch + width
        inside = (first >= array.limits.low) & (last <= array.limits.high)
        fn.note_breach(inside, array.limits)
        place = fn.builder.select(inside.value, array.pointer(index), array.limits.spare)
        return place, fn.builder.select(inside.value, step, ll.Constant(I64, 0))


def in_pairs(fn: Function, even: ll.Value, odd: ll.Value) -> list[ll.Value]:
    """Two vectors of 16-bit numbers, lane beside lane, as vectors of 32."""
    lanes = even.type.count
    turns = [lane + source for lane in range(lanes) for source in (0, lanes)]
    return [fn.shuffle(even, odd, turns[first : first + 32]) for first in range(0, 2 * lanes, 32)]


def rounded_pair(fn: Function, low: ll.Value, high: ll.Value) -> ll.Value:
    """Two vectors of 16 float32 as one of 32 bfloat16, as they lie in memory."""
    kind = ll.VectorType(ll.IntType(16), 32)
    name = "llvm.x86.avx512bf16.cvtne2ps2bf16.512"
    return fn.builder.bitcast(fn.call(name, ll.VectorType(_BFloat(), 32), [high, low]), kind)


class _BFloat(ll.Type):
    """LLVM's bfloat, which llvmlite does not name."""

    def _to_string(self) -> str:
        return "bfloat"


def _number(tile: int) -> ll.Constant:
    return ll.Constant(_I8, tile)
