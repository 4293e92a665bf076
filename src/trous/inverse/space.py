"""Where large arrays lie: in memory, or in files for what memory does not hold."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

#: Numbers that are worked on at once where an array is gone through part by part.
SLAB = 1 << 18


class Space:
    """Memory.

    Attributes:
        most: numbers that transforms work on at once, where that is possible; None for any number.
    """

    most: int | None = None

    def empty(self, shape: Sequence[int], dtype: Any) -> Array:
        """An array with anything in it."""
        return np.empty(tuple(shape), dtype)


class Files(Space):
    """Files without a name beside a memory-mapped one, whose pages the system writes and reads as memory is needed.

    A file is gone with the last reference to its array, and with the process, however that ends.
    """

    most = 1 << 21

    def __init__(self, beside: np.memmap[Any, Any]):
        name = beside.filename
        self._folder = None if name is None else Path(name).parent

    def empty(self, shape: Sequence[int], dtype: Any) -> Array:
        """An array of zeros. Raises OSError where there is no room."""
        size = max(1, prod(shape)) * np.dtype(dtype).itemsize
        with tempfile.TemporaryFile(dir=self._folder) as file:
            if hasattr(os, "posix_fallocate"):  # without, a full disk ends the process when a page is first used
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.asarray(np.memmap(file, dtype, "r+", shape=tuple(shape)))


MEMORY = Space()


def slabs(shape: Sequence[int]) -> Iterator[tuple[Any, ...]]:
    """Indices of parts of an array, of at most SLAB numbers each, that together are all of it."""
    axis = next((n for n in range(len(shape)) if prod(shape[n + 1 :]) <= SLAB), len(shape) - 1)
    step = max(1, SLAB // max(1, prod(shape[axis + 1 :])))
    for front in product(*map(range, shape[:axis])):
        for start in range(0, shape[axis], step):
            yield (*front, slice(start, start + step))


def fill(out: Array, x: Any) -> Array:
    """`out[...] = x` slab by slab; x may be whatever can be sliced and has the shape."""
    for at in slabs(out.shape):
        out[at] = x[at]
    return out
