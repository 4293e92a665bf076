"""PSNR and SSIM that can be compared with published ones: on 8-bit luma of BT.601, the border left out.

The channel and the border decide the number, by 2 dB between RGB and luma in the wide and the narrow range alone. Here
luma is that of MATLAB's `rgb2ycbcr`, 16 to 235, and both images are rounded to 8 bits before they are compared.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from trous.errors import TrousError
from trous.functional import conv
from trous.spec import integer

#: Of red, green and blue in 0 to 255, and what is added (ITU-R BT.601).
LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
BLACK = 16.0

_LARGEST = 255.0
#: Wang, Bovik, Sheikh & Simoncelli 2004, section III: a Gaussian of 11 pixels, and the two constants.
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * _LARGEST) ** 2, (0.03 * _LARGEST) ** 2


def luma(rgb: Any) -> np.ndarray:
    """BT.601 luma, 16 to 235, of an image `(height, width, 3)` with values from 0 to 255, not rounded; in float64.

    >>> luma(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)).round(3)
    array([[ 16., 235.]])
    """
    array = np.asarray(rgb, np.float64)
    if array.ndim != 3 or array.shape[-1] != 3:
        raise TrousError("rgb", "must have shape (height, width, 3)", array.shape)
    return BLACK + array @ np.array(LUMA)


def eight_bit(image: Any) -> np.ndarray:
    """Values from 0 to 255 rounded as MATLAB rounds them, halves up, and clipped; still in float64."""
    return np.floor(np.asarray(image, np.float64) + 0.5).clip(0, 255)


def psnr(image: Any, truth: Any, *, border: int = 0) -> float:
    """Peak signal-to-noise ratio in dB of two images `(height, width)` of one channel, values from 0 to 255.

    `border` pixels at every edge do not count; super-resolution leaves out as many as the scale. Infinite where the
    rounded images are equal. Raises TrousError for shapes that do not agree, or a border that leaves nothing.
    """
    error = np.square(np.subtract(*_pair(image, truth, border, 1))).mean()
    return float(10 * math.log10(_LARGEST**2 / error)) if error else math.inf


def ssim(image: Any, truth: Any, *, border: int = 0) -> float:
    """Structural similarity (Wang et al. 2004) of two images, as in `psnr`; averaged where the window lies inside."""
    x, y = _pair(image, truth, border, _WINDOW)
    place = np.arange(_WINDOW) - _WINDOW // 2
    gauss = np.exp(-np.square(place) / (2 * _SIGMA**2))
    gauss /= gauss.sum()

    def blurred(values: np.ndarray) -> np.ndarray:
        down = conv(values[None, None], gauss.reshape(1, 1, -1, 1))
        return conv(down, gauss.reshape(1, 1, 1, -1))[0, 0]

    mean_x, mean_y = blurred(x), blurred(y)
    spread = blurred(x * x) - mean_x**2 + blurred(y * y) - mean_y**2
    common = blurred(x * y) - mean_x * mean_y
    means = mean_x**2 + mean_y**2
    similar = (2 * mean_x * mean_y + _C1) * (2 * common + _C2) / ((means + _C1) * (spread + _C2))
    return float(similar.mean())


def _pair(image: Any, truth: Any, border: int, least: int) -> list[np.ndarray]:
    """Both images in 8 bits, without their border."""
    pair = [np.asarray(image, np.float64), np.asarray(truth, np.float64)]
    if pair[0].shape != pair[1].shape or pair[0].ndim != 2:
        raise TrousError("image", f"must have the truth's shape {pair[1].shape}, (height, width)", pair[0].shape)
    border = integer("border", border, 0)
    if min(pair[0].shape) - 2 * border < least:
        raise TrousError("border", f"must leave {least} pixels at least of {pair[0].shape}", border)
    inside = (slice(border, -border or None),) * 2
    return [eight_bit(each)[inside] for each in pair]
