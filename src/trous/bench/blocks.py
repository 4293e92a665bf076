"""Streams timed block by block: by native code that calls them as an audio thread does, and by Python."""

from __future__ import annotations

import ctypes
import hashlib
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import llvmlite.ir as ll
import numpy as np

from trous.arrays import address
from trous.backends.cpu import engine, target
from trous.backends.cpu.ir import Array, Function
from trous.backends.cpu.values import I32, I64, POINTER
from trous.errors import TrousError

if TYPE_CHECKING:
    import torch

    from trous.streaming.fused.stream import FusedStream
    from trous.streaming.live import Stream

#: Blocks before those that are timed: they bring code, weights and state into the caches.
WARMING = 8

#: The C type of the function that times: see `_build`.
_KIND = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 6, *[ctypes.c_int64] * 6)

#: Part of its name, so that code kept on disk is of this very text.
_TEXT = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]


def native_times(stream: FusedStream, block: int, count: int, seed: int = 0) -> np.ndarray:
    """Seconds of each of `count` blocks of `block` samples, pushed one after the other without Python in between.

    The stream is fed noise, each block other numbers, in ordinary memory, and goes on from where it is. A time is that
    from the end of one block to the end of the next, and includes one reading of the clock, some 30 ns.

    Args:
        stream: fused, and compiled: it has seen a block, of one signal.
        block: samples of a block.
        count: blocks.
        seed: of the noise.

    Raises TrousError for a stream that has seen none, and for numbers below 1.
    """
    _check(block, count)
    native, dtype = stream.native, str(stream.dtype).removeprefix("torch.")
    noise = _noise((native.in_channels, (WARMING + count) * block), seed).astype(dtype)
    out = np.empty((native.out_channels, block), dtype)
    moments = np.empty((WARMING + count + 1, 2), np.int64)
    numbers = noise.shape[1], block, block, block * noise.itemsize, len(moments) - 1, time.CLOCK_MONOTONIC
    _timer()(native.function, _clock(), native.state, address(noise), address(out), address(moments), *numbers)
    return np.diff(moments @ np.array([1e9, 1.0]))[WARMING:] * 1e-9


def push_times(stream: Stream, block: int, count: int, seed: int = 0) -> np.ndarray:
    """The same of a stream of either kind by `.push`, blocks being there as tensors.

    Args:
        stream: one that has seen a block; the noise has its shape and dtype.
        block: samples of a block.
        count: blocks.
        seed: of the noise.

    Raises TrousError for a stream that has seen none, and for numbers below 1.
    """
    _check(block, count)
    blocks = _blocks(stream, block, WARMING + count, seed)
    moments = np.empty(len(blocks) + 1, np.int64)
    clock, push = time.perf_counter_ns, stream.push
    moments[0] = clock()
    for number, each in enumerate(blocks, 1):
        push(each)
        moments[number] = clock()
    return np.diff(moments)[WARMING:] * 1e-9


def _check(block: int, count: int) -> None:
    for name, value in (("block", block), ("count", count)):
        if value < 1:
            raise TrousError(name, "must be 1 at least", value)


def _noise(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape)


def _blocks(stream: Stream, block: int, count: int, seed: int) -> list[torch.Tensor]:
    """Noise like the first block of a stream, in blocks."""
    import torch

    form: tuple[Any, ...] = stream.state_dict()["form"]
    if not form:
        raise TrousError("stream", "must have seen a block", None)
    shape, dtype, device = form
    dim = stream.dim % len(shape)
    whole = _noise((*shape[:dim], block * count, *shape[dim + 1 :]), seed)
    return list(torch.from_numpy(whole).to(device, dtype).split(block, dim))


@lru_cache(maxsize=1)
def _clock() -> int:
    """Where the C library's `clock_gettime` is."""
    try:
        return engine.code_address(ctypes.CDLL(None).clock_gettime)
    except (AttributeError, OSError, TypeError):
        raise TrousError("clock", "must be that of POSIX to time native code", "no clock_gettime") from None


def _timer() -> Callable[..., None]:
    name = f"timed_blocks_{_TEXT}"
    return engine.function(name, target.current(), lambda: _build(name), _KIND)


def _build(name: str) -> str:
    """`void (function, clock, state, in, out, moments, in_stride, out_stride, block, bytes, count, which)`.

    Calls `function(state, in, in_stride, out, out_stride, block)` so often as `count` says, `in` being `bytes` further
    on each time, and `clock(which, &moments[n])` before the first call and after every one.
    """
    push = ll.FunctionType(I64, [POINTER, POINTER, I64, POINTER, I64, I64])
    calls = ll.PointerType(push), ll.PointerType(ll.FunctionType(I32, [I32, POINTER]))
    fn = Function(ll.Module(name), name, 6, 6, ll.FunctionType(ll.VoidType(), [*calls, *[POINTER] * 4, *[I64] * 6]))
    pushed, clock = fn.function.args[:2]
    state, given, out, moments, in_stride, out_stride, block, size, count, which = fn.arguments[2:]
    b, read, places = fn.builder, fn.builder.trunc(which.value, I32), Array(fn, moments, "int64")
    b.call(clock, [read, places.pointer(0)])
    with fn.loop(0, count) as n:
        source = b.gep(given, [(n * size).value], source_etype=ll.IntType(8))
        b.call(pushed, [state, source, in_stride.value, out, out_stride.value, block.value])
        b.call(clock, [read, places.pointer(n * 2 + 2)])
    fn.finish()
    return str(fn.module)
