"""How noisy a picture is: the standard deviation of white noise, from the picture alone."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

#: The median of |r| for a normal r of standard deviation 1.
HALF = 0.6744897501960817
#: The fourth difference [1, -4, 6, -4, 1]: its taps, and the root of the sum of their squares.
TAPS, GAIN = 5, 70**0.5
#: Windows below this number say too little.
FEWEST = 64
#: Values above this number need not all be looked at: blocks of so many in all, and so many blocks along each axis.
MANY, BLOCKS = 1 << 21, 3


def noise_level(y: Array, mask: Array | None = None) -> Array:
    """Standard deviation of the white noise in each picture of `y` (pictures, colours, *size): (pictures, 1, 1, ...).

    The median absolute deviation (Donoho and Johnstone 1994, section 4.2) of the picture after the fourth difference
    along every axis, which takes smooth pictures to about zero and multiplies the noise by sqrt(70) for each axis:
    Immerkaer 1996 does so with the second difference, of which blurred photographs leave more. Equal values count as a
    bin of a histogram, within which the median is interpolated: a picture of 8 bits, noise of half a level included,
    is measured as closely as others. `mask` (shape of `y`) is 0 where a value does not count. A constant picture, or
    one smaller than the filter, gives 0. Of a large picture blocks that are spread over it are looked at.
    """
    levels = [_level(_sample(picture), None if mask is None else _sample(mask[i]) > 0) for i, picture in enumerate(y)]
    return np.array(levels, np.float64).reshape(-1, *[1] * (y.ndim - 1))


def _sample(picture: Array) -> Array:
    """All of (colours, *size) where that is not much, else blocks as so many colours."""
    if picture.size <= MANY:
        return picture
    size = picture.shape[1:]
    share = (MANY / picture.size) ** (1 / len(size)) / BLOCKS
    along = [_parts(n, min(n, max(TAPS, round(share * n)))) for n in size]
    return np.concatenate([picture[(slice(None), *block)] for block in product(*along)])


def _parts(size: int, length: int) -> list[slice]:
    """BLOCKS parts of an axis, fewer where that is all of it."""
    starts = {round((size - length) * b / (BLOCKS - 1)) for b in range(BLOCKS)}
    return [slice(start, start + length) for start in sorted(starts)]


def _level(picture: Array, counts: Array | None) -> float:
    picture = picture.astype(np.float64)
    if counts is not None:
        picture = np.where(counts, picture, 0)
    axes = [axis for axis in range(1, picture.ndim) if picture.shape[axis] >= TAPS]
    # The axes one by one where too few windows of all axes are free of masked values.
    for chosen in ([axes], [[axis] for axis in axes]):
        rests = np.concatenate([_rests(picture, counts, some) for some in chosen if some] or [np.empty(0)])
        if len(rests) >= FEWEST:
            break
    if not len(rests):
        return 0.0
    # Equal values differ by rounding errors where the levels are fractions.
    step = 1e-6 * np.abs(picture).max()
    return _median(np.rint(np.abs(rests) / step) * step) / HALF if step else 0.0


def _rests(picture: Array, counts: Array | None, axes: list[int]) -> Array:
    """What the differences along `axes` leave, at noise's own standard deviation, where every value counts."""
    valid: Any = counts
    for axis in axes:
        picture = np.diff(picture, TAPS - 1, axis) / GAIN
        if valid is not None:
            valid = np.lib.stride_tricks.sliding_window_view(valid, TAPS, axis).all(-1)
    return picture.ravel() if valid is None else picture[valid]


def _median(values: Array) -> float:
    """The median, interpolated within the bin around equal values that half the way to their neighbours limits."""
    middle = np.median(values)
    less, more = values[values < middle], values[values > middle]
    if not len(more):
        return float(middle) if len(less) else 0.0
    first = (less.max() + middle) / 2 if len(less) else middle
    share = (len(values) / 2 - len(less)) / max(len(values) - len(less) - len(more), 1)
    return float(first + np.clip(share, 0, 1) * ((middle + more.min()) / 2 - first))
