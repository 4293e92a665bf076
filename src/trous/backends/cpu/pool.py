"""The threads that help a caller, and what they need from Python: blocks of numbers, and locks.

They are started with `PyThread_start_new_thread` and sleep on the locks that CPython itself is built on, which need
neither Python's state nor its lock. What happens between the beginning and the end of a job is generated code
(`sharing.py`): no exception, signal or other thread's Python comes in between, so none can lose a worker.
"""

from __future__ import annotations

import ctypes
import os
import threading

import numpy as np

from trous.arrays import address
from trous.backends.cpu import engine, sharing
from trous.backends.cpu.engine import code_address
from trous.backends.cpu.target import current

_LAUNCH = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * sharing.LAUNCH_ARGUMENTS)
_WORK = ctypes.CFUNCTYPE(None, ctypes.c_int64)

_blocks: list[np.ndarray] = []


class Pool:
    """So many threads, the caller of the moment among them, and the one job that they are at.

    `size` is how many the system gave of those `asked` for. Workers live as long as the process.
    """

    def __init__(self, asked: int):
        self.asked = asked
        target = current()
        pause = target.name != "portable"
        self._launch = engine.function("launch", target, lambda: sharing.build_launch("launch", pause), _LAUNCH)
        self._work = engine.function("work", target, lambda: sharing.build_work("work", pause), _WORK)
        job, self._job = _block(sharing.JOB_LENGTH)
        job[sharing.CALLER_LOCK] = _new_lock()
        job[sharing.ACQUIRE] = code_address(ctypes.pythonapi.PyThread_acquire_lock)
        job[sharing.RELEASE] = code_address(ctypes.pythonapi.PyThread_release_lock)
        workers = []
        for number in range(1, asked):
            worker, at = _block(sharing.WORKER_LENGTH)
            worker[sharing.LOCK], worker[sharing.JOB], worker[sharing.NUMBER] = _new_lock(), self._job, number
            if not _start_thread(code_address(self._work), at):
                break
            workers.append(at)
        self.size = 1 + len(workers)
        self._table = np.array(workers, np.int64)
        self._workers = address(self._table)

    def run(
        self, code: int, header: int, scratch: int, each: int, pointers: tuple[int, ...], items: int, threads: int
    ) -> None:
        """Run all items of the kernel at `code` on so many threads; on this one alone if the others are at the call of
        somebody else. At `scratch` there are `each` bytes for every thread of the pool."""
        chunks, helpers = min(items, sharing.CHUNKS_EACH * threads), min(threads, self.size) - 1
        self._launch(self._job, code, header, scratch, each, items, chunks, self._workers, helpers, *pointers)


def _block(length: int) -> tuple[np.ndarray, int]:
    """Numbers that begin on a cache line, zeros at first, and their address. They stay: workers go by them."""
    array = np.zeros(length + 8, np.int64)
    _blocks.append(array)
    ahead = -address(array) % 64
    return array[ahead // 8 : ahead // 8 + length], address(array) + ahead


def _new_lock() -> int:
    """A lock that is taken, for a thread to sleep on."""
    allocate, acquire = ctypes.pythonapi.PyThread_allocate_lock, ctypes.pythonapi.PyThread_acquire_lock
    allocate.restype, acquire.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int]
    lock = allocate()
    acquire(lock, 1)
    return int(lock)


def _start_thread(code: int, argument: int) -> bool:
    """Whether the system gave one."""
    start = ctypes.pythonapi.PyThread_start_new_thread
    start.argtypes, start.restype = [ctypes.c_void_p, ctypes.c_void_p], ctypes.c_ulong
    return bool(start(code, argument) != ctypes.c_ulong(-1).value)


_making = threading.Lock()
_pools: list[Pool] = []  # the last is in use; the workers of the others sleep


def pool(threads: int) -> Pool:
    """The process's own, which so many threads were asked for at least."""
    if not _pools or _pools[-1].asked < threads:
        with _making:
            if not _pools or _pools[-1].asked < threads:
                _pools.append(Pool(threads))
    return _pools[-1]


def _forget() -> None:
    """After a fork: the parent's threads do not live in the child."""
    global _making
    _making = threading.Lock()
    _pools.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
