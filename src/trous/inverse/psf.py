"""Point spread functions from numbers: Gaussian, motion, defocus, box.

Each is an array of odd size whose middle is the centre of the blur, float64, of sum 1. Sizes are in pixels of the
picture that is looked for, axes in the order of its array: depth, rows, columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce

import numpy as np

from trous.errors import TrousError

#: More pixels a side than any blur has: what asks for more is a slip of the pen, and would only fill the memory.
LARGEST = 4097
#: A Gaussian ends at so many standard deviations, as `scipy.ndimage.gaussian_filter` ends it.
TRUNCATE = 4.0


def gaussian(sigma: float | Sequence[float]) -> np.ndarray:
    """A Gaussian, sampled at the middle of each pixel and cut off at four standard deviations.

    These are the weights of `scipy.ndimage.gaussian_filter`. Below a standard deviation of about 0.5 pixels samples are
    a coarse picture of a Gaussian, there as here.

    Args:
        sigma: the standard deviation in pixels, above 0; one number for rows and columns, or one for each axis.

    Raises:
        TrousError: a standard deviation that cannot be.

    >>> gaussian(0.5).round(3)[1:-1, 1:-1]
    array([[0.011, 0.084, 0.011],
           [0.084, 0.619, 0.084],
           [0.011, 0.084, 0.011]])
    >>> gaussian([1, 1, 0.5]).shape
    (9, 9, 5)
    """
    return _product([_gaussian(number) for number in _per_axis("sigma", sigma)])


def motion(length: float, angle: float = 0.0) -> np.ndarray:
    """A straight movement at constant speed: how long a line from end to end lies in each pixel.

    The line has no width and is cut at the borders of the pixels, so the weights are exact for every length and angle.

    Args:
        length: of the way in pixels, above 0. Up to 1 along an axis, all of it lies in one pixel.
        angle: in degrees, from the direction of rows (0: left to right) counterclockwise, as in MATLAB's `fspecial`.

    Raises:
        TrousError: a length or an angle that cannot be.

    >>> motion(4)
    array([[0.125, 0.25 , 0.25 , 0.25 , 0.125]])
    >>> motion(math.sqrt(8), 45).round(2)
    array([[0.  , 0.  , 0.25],
           [0.  , 0.5 , 0.  ],
           [0.25, 0.  , 0.  ]])
    """
    length = _positive("length", length)
    if not math.isfinite(angle):
        raise TrousError("angle", "must be a finite number of degrees", angle)
    radians = math.radians(angle % 180)
    # Half the way, in rows and in columns. What rounding leaves of a right angle would open a row of next to nothing.
    end = np.array([-math.sin(radians), math.cos(radians)]) * length / 2
    end[np.abs(end) < 1e-9 * length] = 0
    reach = [_reach(abs(number)) for number in end]
    # The line is t*end with t from -1 to 1; it goes into another pixel wherever a coordinate is a half.
    crossings = [(np.arange(-r, r) + 0.5) / number for r, number in zip(reach, end, strict=True) if number]
    t = np.unique(np.clip(np.concatenate([[-1.0, 1.0], *crossings]), -1, 1))
    rows, columns = np.rint(np.outer(end, (t[1:] + t[:-1]) / 2)).astype(int)
    weights = np.zeros([2 * r + 1 for r in reach])
    np.add.at(weights, (rows + reach[0], columns + reach[1]), np.diff(t) / 2)
    return weights


def disk(radius: float) -> np.ndarray:
    """A lens out of focus: the share of each pixel's area that an even disk covers, exactly.

    Args:
        radius: in pixels, above 0; the disk is round a pixel's middle.

    Raises:
        TrousError: a radius that cannot be.

    >>> disk(1).round(3)
    array([[0.025, 0.145, 0.025],
           [0.145, 0.318, 0.145],
           [0.025, 0.145, 0.025]])
    """
    radius = _positive("radius", radius)
    reach = _reach(radius)
    border = np.arange(-reach, reach + 2) - 0.5
    area = _disk_area(border[:, None], border[None, :], radius)
    weights = np.diff(np.diff(area, axis=0), axis=1).clip(min=0)  # rounding leaves less than nothing at the rim
    return weights / weights.sum()


def box(width: float | Sequence[float]) -> np.ndarray:
    """An even box about a pixel's middle: the share of each pixel that it covers.

    Args:
        width: in pixels, above 0; one number for rows and columns, or one for each axis. An odd number is a mean over
            so many pixels; an even one, and those between, have a part of a pixel at either end.

    Raises:
        TrousError: a width that cannot be.

    >>> box([1, 4])
    array([[0.125, 0.25 , 0.25 , 0.25 , 0.125]])
    """
    return _product([_box(number) for number in _per_axis("width", width)])


def _gaussian(sigma: float) -> np.ndarray:
    _within("sigma", TRUNCATE * sigma)
    radius = int(TRUNCATE * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return weights / weights.sum()


def _box(width: float) -> np.ndarray:
    reach = _reach(width / 2)
    covered = width / 2 + 0.5 - np.abs(np.arange(-reach, reach + 1))
    return np.minimum(covered, min(width, 1)) / width


def _disk_area(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """The area of a disk about the origin within the rectangle from there to (x, y); negative where one of them is.

    In the first quadrant the disk fills the rectangle as far as it is as high, to x = sqrt(r² - y²), and from there on
    lies under the arc, whose integral is (x sqrt(r² - x²) + r² asin(x / r)) / 2.
    """
    signs = np.sign(x) * np.sign(y)
    x, y = np.minimum(np.abs(x), radius), np.minimum(np.abs(y), radius)
    full = np.minimum(x, np.sqrt(radius**2 - y**2))

    def under_the_arc(to: np.ndarray) -> np.ndarray:
        return (to * np.sqrt(radius**2 - to**2) + radius**2 * np.arcsin(to / radius)) / 2

    return signs * (full * y + under_the_arc(x) - under_the_arc(full))


def _product(axes: Sequence[np.ndarray]) -> np.ndarray:
    return reduce(np.multiply.outer, axes)


def _reach(half: float) -> int:
    """How many pixels beyond the middle one something reaches that goes so far from its middle."""
    _within("size", half)
    return max(math.ceil(half - 0.5), 0)


def _per_axis(name: str, value: float | Sequence[float]) -> list[float]:
    numbers = np.repeat(value, 2) if np.ndim(value) == 0 else np.asarray(value)
    if not numbers.size:
        raise TrousError(name, "must be a number, or one for each axis", value)
    return [_positive(name, number) for number in numbers]


def _positive(name: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise TrousError(name, "must be above 0 and finite, in pixels", float(value))
    return float(value)


def _within(name: str, half: float) -> None:
    if 2 * half > LARGEST - 2:
        raise TrousError(name, f"must be that of a PSF of at most {LARGEST} pixels a side", f"{2 * half:g} pixels")
