"""Bicubic resizing as MATLAB's `imresize` does it, to which published scores of super-resolution refer.

An output at `(o + 1/2)*rate - 1/2` sums the inputs around it with Keys' cubic (1981, a = -1/2), which is as much wider
as outputs are farther apart where an image shrinks; weights are divided by their sum, and the edge goes on beyond the
border. Which inputs those are is an axis plan (`trous.plan.resample`). 8-bit images are rounded after every axis, rows
first and halves up, as MATLAB rounds them; others stay in floating point.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from trous.errors import TrousError
from trous.plan.resample import interpolated_axis
from trous.spec import integers


def imresize(image: Any, size: tuple[int, int]) -> np.ndarray:
    """`image` at another size.

    Args:
        image: `(height, width)` or `(height, width, channels)`, of uint8 or of a floating-point type.
        size: height and width to come out.

    Returns:
        An array of the image's dtype; floats are not clipped, and may overshoot.

    Raises:
        TrousError: another shape or type, an empty image, a size that cannot be.

    >>> imresize(np.array([[0, 100], [200, 255]], np.uint8), (1, 1))
    array([[139]], dtype=uint8)
    """
    array = np.asarray(image)
    if array.ndim not in (2, 3) or not array.size:
        raise TrousError("image", "must have shape (height, width) or (height, width, channels)", array.shape)
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise TrousError("image", "must be of uint8 or a floating-point type", str(array.dtype))
    wanted = integers("size", size, 1)
    if not isinstance(wanted, tuple) or len(wanted) != 2:
        raise TrousError("size", "must be (height, width)", size)
    for axis, outputs in enumerate(wanted):
        array = _along(array, axis, outputs)
    return array


def _along(array: np.ndarray, axis: int, outputs: int) -> np.ndarray:
    """The array at another size along one axis."""
    inputs = array.shape[axis]
    rate = Fraction(inputs, outputs)
    plan = interpolated_axis("cubic", rate, antialias=True)
    centre = (np.arange(outputs) + 0.5) * float(rate) - 0.5
    widest = max(len(taps) for taps in plan.by_phase)
    first = np.array([min(plan.reads(o).values()) for o in range(outputs)])
    position = first[:, None] + np.arange(widest)
    distance = (position - centre[:, None]) / float(max(rate, Fraction(1)))
    weight = _cubic(distance)  # 0 beyond the taps of a phase that has fewer
    weight /= weight.sum(axis=1, keepdims=True)
    rows = np.moveaxis(array, axis, 0)
    found = np.zeros((outputs, *rows.shape[1:]))
    for tap in range(widest):  # one tap after the other: memory for one output image
        source = position[:, tap].clip(0, inputs - 1)
        found += weight[:, tap].reshape(-1, *[1] * (rows.ndim - 1)) * rows[source]
    if array.dtype == np.uint8:
        found = np.floor(found + 0.5).clip(0, 255)
    return np.moveaxis(found, 0, axis).astype(array.dtype)


def _cubic(x: np.ndarray) -> np.ndarray:
    a, x = -0.5, np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))
