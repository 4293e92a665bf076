"""Large pages for large outputs.

The system gives fresh memory page by page as it is first written, zeros in it. For an output of tens of megabytes that
takes as long as a light kernel: a page of 4 KB costs about as much as moving it twice. Where the system is set to give
large pages to who asks for them (Linux, `madvise`), asking makes 500 of these events one. NumPy asks for its arrays.
"""

from __future__ import annotations

import ctypes
import mmap
from functools import lru_cache
from typing import Any

#: Bytes from which on it is worth asking; NumPy has the same number. What is smaller mostly is memory used before.
LARGE = 1 << 22

_ADVICE = getattr(mmap, "MADV_HUGEPAGE", None)


def ask_for_large_pages(address: int, size: int) -> None:
    """For the memory of a fresh array of `size` bytes; does nothing below `LARGE`, and where there are none to have."""
    if size < LARGE or _ADVICE is None:
        return
    begin = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    end = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE
    _advise()(begin, end - begin, _ADVICE)  # whatever it answers, the memory can be used


@lru_cache(maxsize=1)
def _advise() -> Any:
    advise = ctypes.CDLL(None).madvise
    advise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return advise
