"""Kernels that do nothing but multiply-adds, or nothing but move memory: what the machine gives at best."""

from __future__ import annotations

import ctypes
import hashlib
import platform
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding as llvm
import llvmlite.ir as ll
import numpy as np

from trous.arrays import address
from trous.backends.cpu import engine
from trous.backends.cpu.header import POINTER_COUNT, POINTERS, Fields, Kernel
from trous.backends.cpu.ir import BYTES, ELEMENTS, Accumulator, Array, Function
from trous.backends.cpu.target import Target

#: What a probe is told. Thread t has the elements `t*length .. (t+1)*length` of each array, and goes over them `passes`
#: times; where nothing is moved, `passes` counts rounds of the arithmetic.
FIELDS = Fields(numbers=("passes", "length"), arrays=("x", "y"), scratch=())

#: Part of the kernels' names, so that code kept on disk is of this very text.
_TEXT = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]

#: Vectors in one step of a loop over memory: two cache lines at least.
_UNROLLED = 8

_I8 = ll.IntType(8)


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
    if dtype == "bfloat16" and target.name == "avx512" and _tiles_allowed():
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
    """AMX: four tiles of 16x16 sums, each the products of 16x32 with 32x16 bfloat16; the tiles hold zeros."""
    target = replace(target, name=f"{target.name}_amx", features=f"{target.features},+amx-tile,+amx-bf16")
    name = f"probe_tile_products_{_TEXT}"

    def build() -> str:
        kernel = Kernel(FIELDS, name, checked=False)
        fn = kernel.fn
        # Palette 1, and for each of eight tiles 64 bytes a row and 16 rows.
        shape = bytes([1, *[0] * 15, *[64, 0] * 8, *[0] * 16, *[16] * 8, *[0] * 8])
        kept = ll.GlobalVariable(kernel.module, ll.ArrayType(_I8, 64), "shape")
        kept.initializer, kept.global_constant = ll.Constant(kept.value_type, bytearray(shape)), True
        fn.call("llvm.x86.ldtilecfg", ll.VoidType(), [kept])
        for tile in range(8):
            fn.call("llvm.x86.tilezero", ll.VoidType(), [ll.Constant(_I8, tile)])
        with fn.loop(0, kernel.passes):
            for total in range(4):
                tiles = [ll.Constant(_I8, tile) for tile in (total, 4 + total // 2, 6 + total % 2)]
                fn.call("llvm.x86.tdpbf16ps", ll.VoidType(), tiles)
        fn.call("llvm.x86.tilerelease", ll.VoidType(), [])
        return kernel.finish()

    return Probe(engine.function(name, target, build), 4 * 16 * 16 * 32, "AMX bfloat16 tile products")


def _tiles_allowed() -> bool:
    """Whether the processor has AMX and Linux lets this process use it, which has to be asked for."""
    features = llvm.get_host_cpu_features()
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    arch_prctl, request_permission, tile_data = 158, 0x1023, 18
    allowed = ctypes.CDLL(None, use_errno=True).syscall(arch_prctl, request_permission, tile_data) == 0
    return bool(features.get("amx-tile") and features.get("amx-bf16") and allowed)


def _keep(fn: Function, sums: list[Accumulator], y: Array) -> None:
    """Store the sum of all: what nobody reads would not be computed."""
    whole = sums[0].get()
    for total in sums[1:]:
        whole = fn.builder.fadd(whole, total.get())
    y.set_vector(0, whole)
