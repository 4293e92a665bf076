"""The arrays that `deconvolve` is given, checked, and brought into the form that methods work on and back.

They may be larger than memory: all is done slab by slab, and copied only where it has to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trous.arrays import is_torch
from trous.errors import TrousError
from trous.functional import as_numpy
from trous.inverse.space import MEMORY, Space, fill, slabs

if TYPE_CHECKING:
    from trous.inverse.entry import Layout

Array = np.ndarray[Any, Any]


def real(name: str, a: Any, space: Space = MEMORY) -> Array:
    """An array of real numbers. What can be sliced, but is none, is read slab by slab where arrays lie in files."""
    if is_torch(a):
        array = a.detach().cpu().numpy()
    elif space is not MEMORY and not isinstance(a, np.ndarray) and hasattr(a, "dtype") and hasattr(a, "shape"):
        array = fill(space.empty(a.shape, a.dtype), a)
    else:
        array = as_numpy(name, a)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise TrousError(name, "must have real numbers of at most 64 bits", str(array.dtype))
    if 0 in array.shape or array.ndim == 0:
        raise TrousError(name, "must have at least one axis, and something on every axis", array.shape)
    return array


def mask_of(mask: Any, y: Array) -> Array | None:
    """Booleans of the shape of y, or None where all are True."""
    if mask is None:
        return None
    array = np.asarray(mask.detach().cpu().numpy() if is_torch(mask) else mask)
    if array.dtype != np.bool_:
        raise TrousError("mask", "must be of booleans, True where y counts", str(array.dtype))
    try:
        array = np.broadcast_to(array, y.shape)
    except ValueError:
        raise TrousError("mask", f"must have the shape of y, {y.shape}, or be broadcast to it", array.shape) from None
    if not array.any():
        raise TrousError("mask", "must leave something of y", "no True")
    return None if array.all() else array


def check_numbers(method: str, y: Array, psf: Array, mask: Array | None) -> float:
    """The largest absolute value of y that counts."""
    bad, lowest, highest = 0, np.inf, -np.inf
    for at in slabs(y.shape):
        part = y[at] if mask is None else y[at][mask[at]]
        finite = int(np.isfinite(part).sum())
        bad += part.size - finite
        if finite:
            lowest, highest = min(lowest, float(part.min())), max(highest, float(part.max()))
    if bad:
        raise TrousError("y", "must be finite: leave out what is not by mask=np.isfinite(y)", f"{bad} NaN or infinite")
    if not np.isfinite(psf).all():
        raise TrousError("psf", "must be finite", f"{psf.size - int(np.isfinite(psf).sum())} NaN or infinite")
    if method == "richardson_lucy":
        rule = "must not be negative for richardson_lucy, which is for counts of light"
        for name, low in (("y", lowest), ("psf", float(psf.min()))):
            if low < 0:
                raise TrousError(name, rule, low)
    return max(abs(lowest), abs(highest))


def laid(layout: Layout, x: Array, dtype: Any, space: Space, counts: Array | None = None) -> Array:
    """An array as y in the form `(pictures, colours, *size)`, 0 where it does not count; itself where it has it."""
    turned = np.transpose(x, layout.order)
    if counts is None and turned.dtype == dtype and turned.flags.c_contiguous:
        return turned.reshape(layout.shape)
    result = space.empty(turned.shape, dtype)
    shown = None if counts is None else np.transpose(counts, layout.order)
    for at in slabs(turned.shape):
        result[at] = turned[at] if shown is None else np.where(shown[at], turned[at], 0)
    return result.reshape(layout.shape)


def written(layout: Layout, estimate: Array, out: Array) -> bool:
    """Writes an estimate `(pictures, colours, *result)` to an array with axes as y; whether all of it is finite."""
    source, target = layout.turned(estimate), np.transpose(out, layout.order)
    is_finite = True
    for at in slabs(source.shape):
        target[at] = source[at]
        is_finite = is_finite and bool(np.isfinite(target[at]).all())
    return is_finite
