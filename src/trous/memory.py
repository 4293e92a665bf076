"""Memory for large arrays: that of large arrays that are gone, again.

The system gives fresh memory page by page as it is first written, zeros in it. For an output of tens of megabytes that
takes as long as a light kernel, and on a virtual machine whose host takes back what was freed, ten times as long. So
blocks stay: an array is lent one, and when nothing refers to it any more, the next array of about its size is. A block
lies in pages of 2 MB where the system has them for who asks (Linux, `madvise`). One that nobody takes while others come
and go is the system's, should memory run short.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from weakref import finalize

import numpy as np

#: Bytes from which on an array is lent its memory. What is smaller mostly is memory used before.
LARGE = 1 << 22
#: Bytes kept for later, at most; what was kept longest goes first.
KEPT = 1 << 29
#: A block goes to the system's disposal when so many have been given back after it.
IN_USE = 8
#: Blocks are multiples of it: large pages.
UNIT = 1 << 21
#: The share of a block that an array must fill to be lent it, counted in whole units.
FILLED = 0.75

#: 0 where the system has no memory of this kind to give.
_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS if hasattr(mmap, "MAP_ANONYMOUS") else 0


class Store:
    """Blocks that are kept for later.

    Arrays end in any thread and at any moment, within `lend` too. Hence no locks: a block changes hands in one step of
    the interpreter, and who comes too late takes another.
    """

    def __init__(self, most: int = KEPT):
        self._most = most
        self._kept: list[mmap.mmap] = []  # oldest first

    @property
    def kept(self) -> int:
        """Bytes that nobody has."""
        return sum(map(len, tuple(self._kept)))

    def lend(self, size: int) -> np.ndarray | None:
        """So many bytes, anything in them, for as long as the array or a view lives; None if there are none."""
        block = self._used(size) or _fresh(size)
        if block is None:
            self._kept.clear()
            return None
        memory = np.frombuffer(block, np.uint8, size)
        # Called when the last reference goes: arrays are nothing that the collector of cycles looks into, or revives.
        finalize(memory, self._back, block).atexit = False
        return memory

    def _used(self, size: int) -> mmap.mmap | None:
        """The smallest block that suits, of several the one used last."""
        suiting = [block for block in reversed(self._kept) if FILLED * len(block) <= _whole(size) <= len(block)]
        for block in sorted(suiting, key=len):
            with suppress(ValueError):  # another thread was quicker
                self._kept.remove(block)
                return block
        return None

    def _back(self, block: mmap.mmap) -> None:
        self._kept.append(block)
        for idle in self._kept[-IN_USE - 1 : -IN_USE]:
            _advise(idle, "MADV_FREE")
        while self.kept > self._most:
            del self._kept[:1]


def _whole(size: int) -> int:
    return -(-size // UNIT) * UNIT


def _fresh(size: int) -> mmap.mmap | None:
    if not _PRIVATE:
        return None
    with suppress(OSError, OverflowError):
        block = mmap.mmap(-1, _whole(size), flags=_PRIVATE)
        _advise(block, "MADV_HUGEPAGE")
        return block
    return None


def _advise(block: mmap.mmap, advice: str) -> None:
    """Where the system knows the word. It may decline; the memory can be used all the same."""
    if hasattr(mmap, advice):
        with suppress(OSError):
            block.madvise(getattr(mmap, advice))


_store = Store()
#: Memory of the process's own store.
lend = _store.lend
