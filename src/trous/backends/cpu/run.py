"""Calls: pointers into a bound kernel's header, work items onto threads."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np

from trous.arrays import address, strides
from trous.backends.cpu.header import Fields
from trous.errors import TrousError


@dataclass(frozen=True)
class Bound:
    """A kernel's header and tables for one problem: everything but the pointers of a call."""

    fields: Fields
    header: np.ndarray
    tables: dict[str, np.ndarray]
    items: int
    scratch: int  #: bytes for each thread

    @classmethod
    def of(
        cls, fields: Fields, numbers: dict[str, int], tables: dict[str, np.ndarray], items: int, scratch: int
    ) -> Bound:
        """With the tables' addresses in the header, where they stay."""
        addresses = {name: table.ctypes.data for name, table in tables.items()}
        return cls(fields, fields.pack(numbers | addresses), tables, items, scratch)


#: Below so many multiply-adds a second thread costs more than it saves.
SMALL = 1 << 20

_forced_threads: list[int] = []
_local = threading.local()


def thread_count() -> int:
    """How many: `threads(n)`, TROUS_NUM_THREADS, torch's own setting where torch is loaded, OMP_NUM_THREADS, cores."""
    if _forced_threads:
        return _forced_threads[-1]
    if (named := os.environ.get("TROUS_NUM_THREADS")) is not None:
        return _number("TROUS_NUM_THREADS", named)
    if torch := sys.modules.get("torch"):
        return int(torch.get_num_threads())
    if named := os.environ.get("OMP_NUM_THREADS"):
        return _number("OMP_NUM_THREADS", named.split(",")[0])  # a list is one number for each level of nesting
    return _cores()


def _number(name: str, value: str) -> int:
    if not value.strip().isdigit() or int(value) < 1:
        raise TrousError(name, "must be a number of threads, at least 1", value)
    return int(value)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use `count` threads inside the block."""
    _forced_threads.append(count)
    try:
        yield
    finally:
        _forced_threads.pop()


def launch(kernel: Any, header: np.ndarray, items: int, scratch_bytes: int, multiplications: int) -> None:
    """Run all work items; which thread does which has no influence on the result."""
    workers = min(thread_count(), items) if multiplications > SMALL else 1
    header_address = address(header)
    edges = [items * i // workers for i in range(workers + 1)]

    def part(i: int) -> None:
        kernel(header_address, _scratch(scratch_bytes), edges[i], edges[i + 1])

    if workers == 1:
        part(0)
        return
    others = [_pool(workers).submit(part, i) for i in range(1, workers)]
    part(0)
    for other in others:
        other.result()


def items_wanted(each: int) -> int:
    """`each` items of work for every core; how the work is cut has no influence on the result."""
    return each * _cores()


def scratch_parts(lengths: dict[str, tuple[int, int]]) -> tuple[int, dict[str, int]]:
    """Bytes that parts of `(elements, bytes each)` take together, and the header numbers that say where they lie."""
    at = 0
    numbers: dict[str, int] = {}
    for name, (length, size) in lengths.items():
        numbers |= {f"{name}_at": at, f"{name}_length": length}
        at += ceil((length * size + 64) / 64) * 64
    return at, numbers


def _scratch(size: int) -> int:
    """Address of at least `size` bytes of this thread's own memory, on a cache line."""
    kept = getattr(_local, "scratch", None)
    if kept is None or kept.nbytes < size + 64:
        kept = _local.scratch = np.empty(size + 64, np.uint8)
    return (address(kept) + 63) // 64 * 64


@lru_cache(maxsize=4)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers - 1, thread_name_prefix="trous")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)


@lru_cache(maxsize=1)
def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def call(kernel: Any, bound: Bound, arrays: dict[str, Any], multiplications: int, checked: bool) -> None:
    """One call: the pointers of `arrays` into a copy of the bound header, then all items."""
    header, place = bound.header.copy(), bound.fields.place
    for name, array in arrays.items():
        header[place[name]] = address(array)
    if not checked:
        launch(kernel, header, bound.items, bound.scratch, multiplications)
        return
    breach, spare = np.zeros(1, np.int64), np.zeros(64, np.int64)
    header[place["breach"]], header[place["spare"]] = address(breach), address(spare)
    for name, array in (arrays | bound.tables).items():
        header[place[f"{name}_low"]], header[place[f"{name}_high"]] = _reach(tuple(array.shape), strides(array))
    launch(kernel, header, bound.items, bound.scratch, multiplications)
    if breach[0]:
        raise RuntimeError("generated code left its arrays (found by TROUS_CHECK=1): please report this problem")


def _reach(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int]:
    """Elements `low <= index < high` around an array's first one that belong to it."""
    if 0 in shape:
        return 0, 0
    spans = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    return sum(min(s, 0) for s in spans), 1 + sum(max(s, 0) for s in spans)
