"""Weights that were learned: the photograph made small, enlarged again, and compared with what it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trous.apps.quality import luma, psnr
from trous.apps.resize import imresize
from trous.apps.upscale import load
from trous.apps.upscale.rows import enlarge, enlarge_rows
from trous.demo.photo import Photo

SCALES = (2, 3, 4)


@dataclass(frozen=True)
class Learned:
    """Pictures are `(height, width, 3)`, uint8; PSNR in dB, on luma, `scale` pixels of the border left out.

    `equal` says whether the strips of rows that the enlarged picture was made of are what all at once gives.
    """

    scale: int
    truth: np.ndarray
    small: np.ndarray
    interpolated: np.ndarray
    enlarged: np.ndarray
    equal: bool

    @property
    def psnr(self) -> tuple[float, float]:
        """Of bicubic interpolation, and of the trained network."""
        true = luma(self.truth)
        plain, learned = (
            psnr(luma(picture), true, border=self.scale) for picture in (self.interpolated, self.enlarged)
        )
        return plain, learned


def restore(photo: Photo, scale: int) -> Learned:
    """Reduce by MATLAB's bicubic, and enlarge by its bicubic and by the network that ships."""
    pixels = np.rint(photo.pixels[0] * 255).astype(np.uint8).transpose(1, 2, 0)
    height, width = (n // scale for n in photo.size)
    truth = np.ascontiguousarray(pixels[: height * scale, : width * scale])
    small, network = imresize(truth, (height, width)), load(scale)
    enlarged = enlarge(small, network)
    (whole,) = enlarge_rows(lambda start, stop: small[start:stop], small.shape[:2], network, strip=height)
    equal = np.array_equal(whole, enlarged)
    return Learned(scale, truth, small, imresize(small, truth.shape[:2]), enlarged, equal)
