"""Kernels that do nothing but multiply-adds, or nothing but move memory: what the machine gives at best."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import llvmlite.ir as ll
import numpy as np

from trous.arrays import address
from trous.backends.cpu import engine
from trous.backends.cpu.amx import ROW_BYTES, ROWS, TILES, Tiles, configuration
from trous.backends.cpu.header import POINTER_COUNT, POINTERS, Fields, Kernel
from trous.backends.cpu.ir import Array, Function
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import BYTES, ELEMENTS, I64, Accumulator

#: What a probe is told. Thread t has the elements `t*length .. (t+1)*length` of each array, and goes over them `passes`
#: times; where nothing is moved, `passes` counts rounds of the arithmetic.
FIELDS = Fields(numbers=("passes", "length"), arrays=("x", "y"), scratch=())

#: Part of the kernels' names, so that code kept on disk is of this very text.
_TEXT = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]

#: Vectors in one step of a loop over memory: two cache lines at least.
_UNROLLED = 8


class Probe(NamedTuple):
    """A kernel of arithmetic, the multiply-adds of one pass, and the instructions it is made of."""

    kernel: Callable[..., None]
    multiply_adds: int
    unit: str


def call(kernel: Callable[..., None], x: np.ndarray, y: np.ndarray, passes: int, length: int) -> Callable[[int], None]:
    """One thread's part of a probe, by the thread's number."""
    header = FIELDS.pack({"passes": passes, "length": length})
    pointers = [0] * POINTER_COUNT
    pointers[POINTERS["x"]], pointers[POINTERS["y"]] = address(x), address(y)

    def part(thread: int) -> None:
        kernel(address(header), None, *pointers, thread, thread + 1)

    return part


def arithmetic(dtype: str, target: Target) -> Probe:
    """The quickest way to multiply two `dtype`s and add the product to a sum, which for 16 bits is in float32.

    bfloat16 has an instruction of its own, AMX's product of tiles, where processor and system have it; all else is
    done in float32, float16 among it, whose own instructions round every sum to 16 bits.
    """
    if dtype == "bfloat16" and target.matrix_tiles:
        return _tile_products(target)
    return _multiply_adds("float64" if dtype == "float64" else "float32", target)


def memory(what: str, target: Target) -> Callable[..., None]:
    """A kernel that goes over float32 arrays of at least `_UNROLLED` vectors: "read" x, "write" y or "copy" x to y."""
    name = f"probe_{what}_{_TEXT}"

    def build() -> str:
        kernel = Kernel(FIELDS, name, checked=False)
        fn, lanes = kernel.fn, target.lanes(4)
        start = kernel.begin * kernel.length
        x, y = kernel.array("x", "float32").at(start), kernel.array("y", "float32").at(start)
        sums = [Accumulator(fn, "float32", lanes) for _ in range(_UNROLLED)]
        for total in sums:
            total.clear()
        with fn.loop(0, kernel.passes), fn.loop(0, kernel.length, _UNROLLED * lanes) as i:
            for part, total in enumerate(sums):
                at = i + part * lanes
                if what == "read":
                    total.set(fn.builder.fadd(total.get(), x.vector(at, lanes)))
                elif what == "write":
                    y.set_vector(at, total.get())
                else:
                    y.set_vector(at, x.vector(at, lanes))
        if what == "read":
            _keep(fn, sums, y)
        return kernel.finish()

    return engine.function(name, target, build)


def _multiply_adds(element: str, target: Target) -> Probe:
    """Independent chains of multiply-adds in registers."""
    lanes = target.lanes(BYTES[element])
    chains = target.registers - 4  # more than latency times units of any processor; two registers are for the factors
    name = f"probe_multiply_adds_{element}_{_TEXT}"

    def build() -> str:
        kernel = Kernel(FIELDS, name, checked=False)
        fn, x, y = kernel.fn, kernel.array("x", element), kernel.array("y", element).at(kernel.begin * kernel.length)
        vector = ll.VectorType(ELEMENTS[element], lanes)
        factor, term = fn.splat(x[0], lanes), fn.splat(x[1], lanes)
        sums = [Accumulator(fn, element, lanes) for _ in range(chains)]
        for number, total in enumerate(sums):  # from different numbers, or they would be seen to be one
            total.set(x.vector(number * lanes, lanes))
        with fn.loop(0, kernel.passes):
            for total in sums:  # each waits for its own last value, so that no product can be moved out of the loop
                operation = f"llvm.fmuladd.v{lanes}f{8 * BYTES[element]}"
                total.set(fn.call(operation, vector, [total.get(), factor, term]))
        _keep(fn, sums, y)
        return kernel.finish()

    unit = f"{element} multiply-adds in {8 * target.vector_bytes} bits"
    return Probe(engine.function(name, target, build), chains * lanes, unit)


def _tile_products(target: Target) -> Probe:
    """AMX: four tiles of sums, each the products of two of four other tiles, which hold zeros."""
    name = f"probe_tile_products_{_TEXT}"
    sums, factors = range(4), range(4, TILES)

    def build() -> str:
        kernel = Kernel(FIELDS, name, checked=False)
        fn = kernel.fn
        tiles, shape = Tiles(fn), configuration([(ROWS, ROW_BYTES)] * TILES)
        block = ll.GlobalVariable(kernel.module, ll.ArrayType(I64, len(shape)), "configuration")
        block.initializer, block.global_constant = ll.Constant(block.value_type, shape.tolist()), True
        tiles.configure(Array(fn, block, "int64"))
        for tile in range(TILES):
            tiles.clear(tile)
        with fn.loop(0, kernel.passes):
            for total in sums:
                tiles.multiply_add(total, factors[total // 2], factors[2 + total % 2])
        tiles.release()
        return kernel.finish()

    products = ROWS * (ROW_BYTES // 4) * (ROW_BYTES // 2)
    return Probe(engine.function(name, target, build), len(sums) * products, "AMX bfloat16 tile products")


def _keep(fn: Function, sums: list[Accumulator], y: Array) -> None:
    """Store the sum of all: what nobody reads would not be computed."""
    whole = sums[0].get()
    for total in sums[1:]:
        whole = fn.builder.fadd(whole, total.get())
    y.set_vector(0, whole)
