"""NumPy and torch arrays seen alike. A library is recognised by its array's type and never imported for the asking."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np


def is_torch(x: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(x, torch.Tensor)


def strides(x: Any) -> tuple[int, ...]:
    """Strides in elements."""
    if is_torch(x):
        return tuple(x.stride())
    size = x.itemsize
    return tuple(s // size for s in x.strides)


def address(x: Any) -> int:
    """Where the first element lies."""
    return x.data_ptr() if is_torch(x) else numpy_address(x)


def _stated_address(x: np.ndarray) -> int:
    return int(x.__array_interface__["data"][0])


def _read_address(x: np.ndarray) -> int:
    """What PyArray_DATA reads in C: the field behind those that every Python object begins with."""
    return ctypes.c_void_p.from_address(id(x) + object.__basicsize__).value or 0


_probe = np.zeros(1)
#: `address` of a NumPy array. An interpreter that lays objects out otherwise has the slower way, a microsecond.
numpy_address = _read_address if sys.implementation.name == "cpython" else _stated_address
if numpy_address(_probe) != _stated_address(_probe):
    numpy_address = _stated_address


def dtype_name(x: Any) -> str:
    """The same word for both libraries: "float32", "bfloat16", ..."""
    return _word(x.dtype)


@lru_cache(maxsize=64)
def _word(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def wide(x: Any) -> Any:
    """`x` in the dtype to add up in: 16-bit floats in float32, the rest as they are."""
    if dtype_name(x) not in ("float16", "bfloat16"):
        return x
    return x.float() if is_torch(x) else x.astype("float32")


def device_name(x: Any) -> str:
    return x.device.type if is_torch(x) else "cpu"


def empty(shape: Sequence[int], like: Any, channels_last: bool = False) -> Any:
    """An array of `like`'s library, dtype and device, not initialised."""
    if is_torch(like):
        torch = sys.modules["torch"]
        if channels_last:
            n, c, *size = shape
            return torch.empty((n, *size, c), dtype=like.dtype, device=like.device).movedim(-1, 1)
        return torch.empty(tuple(shape), dtype=like.dtype, device=like.device)
    if channels_last:
        n, c, *size = shape
        return np.moveaxis(np.empty((n, *size, c), like.dtype), -1, 1)
    return np.empty(tuple(shape), like.dtype)


def is_channels_last(x: Any) -> bool:
    """Whether neighbouring channels, and not neighbouring positions, are adjacent in memory.

    Of a single channel the stride tells, as in torch: no neighbour has it, but whoever chose the format set it to 1.
    """
    return x.ndim > 2 and are_channels_adjacent(x.shape, strides(x))


def gives_channels_last(x: Any, w: Any) -> bool:
    """Whether the output of a convolution is channels-last: as in torch, where the input is, or of two axes the weight.

    A model in that format then stays in it from its first layer on, though images come channels-first or have a single
    channel, which does not tell.
    """
    return is_channels_last(x) or (w.ndim == 4 and is_channels_last(w))


def are_channels_adjacent(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """`is_channels_last` of an array's shape and strides in elements."""
    _, channel, *steps = strides
    return channel == 1 and any(n > 1 and step != 1 for n, step in zip(shape[2:], steps, strict=True))


def dense_strides(shape: Sequence[int], channels_last: bool) -> tuple[int, ...]:
    """Strides in elements of an array without gaps, as `empty` makes it."""
    order = [0, *range(2, len(shape)), 1] if channels_last else list(range(len(shape)))
    found, step = [0] * len(shape), 1
    for axis in reversed(order):
        found[axis] = step
        step *= max(shape[axis], 1)
    return tuple(found)


def addresses(dtype: Any) -> Callable[[Any], int]:
    """`address` for arrays of the library that `dtype` belongs to."""
    return numpy_address if isinstance(dtype, np.dtype) else sys.modules["torch"].Tensor.data_ptr


def maker(shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any) -> Callable[[], Any]:
    """What makes arrays of this form on the CPU, strides in elements, not initialised."""
    if isinstance(dtype, np.dtype):
        array: Callable[..., Any] = np.ndarray
        return partial(array, shape, dtype, None, 0, tuple(s * dtype.itemsize for s in strides))
    return partial(sys.modules["torch"].empty_strided, shape, strides, dtype=dtype)


def within(memory: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any) -> Any:
    """An array of this form, strides in elements, whose numbers are these bytes, which live as long as it does. One of
    torch has them as its storage and is no view of anything."""
    if isinstance(dtype, np.dtype):
        return np.ndarray(shape, dtype, memory, 0, tuple(s * dtype.itemsize for s in strides))
    torch = sys.modules["torch"]
    storage = torch.frombuffer(memory, dtype=torch.uint8).untyped_storage()
    return torch.empty(0, dtype=dtype, device="cpu").set_(storage, 0, shape, strides)
