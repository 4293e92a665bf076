"""Calls: pointers into a bound kernel's header, work items onto threads."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from trous import settings
from trous.arrays import address, strides
from trous.backends.cpu.engine import code_address
from trous.backends.cpu.header import Fields
from trous.backends.cpu.openmp import team
from trous.backends.cpu.pool import pool
from trous.backends.cpu.values import LINE
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
        addresses = {name: address(table) for name, table in tables.items()}
        return cls(fields, fields.pack(numbers | addresses), tables, items, scratch)

    def number(self, name: str) -> int:
        """A number of the header."""
        return int(self.header[self.fields.place[name]])

    def kept(self) -> dict[str, int]:
        """Bytes of the scratch by what they hold."""
        starts = {name: self.number(f"{name}_at") for name in self.fields.scratch}
        ends = [*sorted(starts.values()), self.scratch]
        return {"mark": LINE} | {name: next(end for end in ends if end > at) - at for name, at in starts.items()}


#: Up to so much work (`work_of`) a call stays on one thread. To share it costs some 5 microseconds, and 30 more pass
#: until a worker that sleeps is awake; this is 25 microseconds for a dense kernel, or for one that does little but move
#: its arrays.
SMALL = 1 << 21
#: Multiply-adds of a dense kernel in the time that a number takes from memory or to it.
MOVED = 16

_local = threading.local()


def thread_count() -> int:
    """How many: `threads(n)`, TROUS_NUM_THREADS, torch's own setting where torch is loaded, OMP_NUM_THREADS, cores."""
    if (named := settings.get(settings.THREADS)) is not None:
        return _number(settings.THREADS, named)
    if torch := sys.modules.get("torch"):
        return int(torch.get_num_threads())
    if named := os.environ.get("OMP_NUM_THREADS"):
        return _number("OMP_NUM_THREADS", named.split(",")[0])  # a list is one number for each level of nesting
    return _cores()


def threads_used(work: int, items: int) -> int:
    """How many a call uses that has so much to do: what `Prepared` finds in place, where small calls would notice."""
    return min(thread_count(), items) if work > SMALL else 1


def work_of(multiplications: int, shapes: Iterable[Sequence[int]]) -> int:
    """What a call has to do, in multiply-adds of a dense kernel: its own, and to move arrays of these shapes."""
    return multiplications + MOVED * sum(map(prod, shapes))


def _number(name: str, value: str) -> int:
    if not value.strip().isdigit() or int(value) < 1:
        raise TrousError(name, "must be a number of threads, at least 1", value)
    return int(value)


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Use `count` threads inside the block."""
    with settings.forced(settings.THREADS, str(count)):
        yield


def items_wanted(each: int) -> int:
    """`each` items of work for every core; how the work is cut has no influence on the result."""
    return each * _cores()


def scratch_parts(lengths: dict[str, tuple[int, int]]) -> tuple[int, dict[str, int]]:
    """Bytes that parts of `(elements, bytes each)` take together, and the header numbers that say where they lie.

    Before them lies the cache line of `header.Kernel.mark`."""
    at = LINE
    numbers: dict[str, int] = {}
    for name, (length, size) in lengths.items():
        numbers[f"{name}_at"], numbers[f"{name}_length"] = at, length
        at += (length * size + 127) // 64 * 64
    return at, numbers


def _scratch(size: int) -> int:
    """Address of at least `size` bytes of the calling thread's own memory, on a cache line."""
    kept, at, _ = getattr(_local, "scratch", (-1, 0, None))
    if kept < size:
        memory = np.empty(size + 64, np.uint8)
        at = (address(memory) + 63) // 64 * 64
        _local.scratch = size, at, memory
    return at


def scratch_held() -> int:
    """Bytes of scratch that this thread keeps: the most that a kernel has asked it for."""
    return int(getattr(_local, "scratch", (0,))[0])


@lru_cache(maxsize=1)
def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


#: Shape and strides of an array.
Layout = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A kernel with all that its calls share, ready for pointers. Calls at the same time do not disturb each other.

    Which thread does what has no influence on the result.
    """

    kernel: Callable[..., None]
    code: int  #: its address
    bound: Bound
    header: int  #: its address
    work: int  #: as `work_of` counts it
    zeros: np.ndarray | None  #: what stands for no bias
    no_bias: int  #: its address
    breach: np.ndarray | None  #: where checked code says that it left its arrays

    @classmethod
    def of(
        cls, kernel: Callable[..., None], bound: Bound, layouts: dict[str, Layout], multiplications: int, checked: bool
    ) -> Prepared:
        """`kernel` for arrays that lie in memory as `layouts` says."""
        breach = None
        if checked:
            breach = np.zeros(65, np.int64)  # the flag, and behind it where checked code writes instead
            numbers = {"breach": address(breach), "spare": address(breach[1:])}
            tables = {name: (table.shape, strides(table)) for name, table in bound.tables.items()}
            for name, layout in (layouts | tables).items():
                numbers[f"{name}_low"], numbers[f"{name}_high"] = _reach(*layout)
            for name, number in numbers.items():
                bound.header[bound.fields.place[name]] = number
        zeros, no_bias = _no_bias(layouts["bias"][0][0]) if "bias" in layouts else (None, 0)
        work = work_of(multiplications, (shape for shape, _ in layouts.values()))
        return cls(kernel, code_address(kernel), bound, address(bound.header), work, zeros, no_bias, breach)

    def __call__(self, x: int, w: int, bias: int, residual: int, y: int) -> None:
        """Run on the arrays at these addresses; 0 for none."""
        items, size, bias = self.bound.items, self.bound.scratch, bias or self.no_bias
        if self.work > SMALL and (threads := min(count := thread_count(), items)) > 1:
            threads_of = team(count) or pool(threads)
            scratch = _scratch(size * threads_of.size)
            threads_of.run(self.code, self.header, scratch, size, (x, w, bias, residual, y), items, threads)
        else:
            self.kernel(self.header, _scratch(size), x, w, bias, residual, y, 0, items)
        if self.breach is not None and self.breach[0]:
            self.breach[0] = 0
            raise RuntimeError("generated code left its arrays (found by TROUS_CHECK=1): please report this problem")


@lru_cache(maxsize=64)
def _no_bias(count: int) -> tuple[np.ndarray, int]:
    """The bias of a layer without one, wide enough for every element, and its address; read only."""
    zeros = np.zeros(count)
    return zeros, address(zeros)


def _reach(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, int]:
    """Elements `low <= index < high` around an array's first one that belong to it."""
    if 0 in shape:
        return 0, 0
    spans = [(n - 1) * s for n, s in zip(shape, strides, strict=True)]
    return sum(min(s, 0) for s in spans), 1 + sum(max(s, 0) for s in spans)
