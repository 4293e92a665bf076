"""Photographs that a shaken camera would have blurred, and what was in front of it.

Grey is the luma of BT.601 in full range, 0 to 1. Every picture is blurred by every kernel from true surroundings: the
convolution is evaluated where the kernel lies within the picture, so that what is blurred is smaller by the kernel less
one pixel, and depends along its border on pixels that no method gets to see. To that comes Gaussian noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from trous.apps.data import pictures_in
from trous.errors import TrousError

#: Standard deviation of the noise, of a full scale of 1.
NOISE = 0.01
#: Of red, green and blue (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)
#: Where in TROUS_DATA: the eight kernels of Levin, Weiss, Durand & Freeman 2009, and the Kodak suite.
KERNELS, PICTURES = "deconvolution/kernels/Levin09.mat", "images/kodak"


@dataclass(frozen=True)
class Case:
    """One kernel, `number` from 1, and one picture."""

    number: int
    kernel: np.ndarray
    picture: Path

    @property
    def name(self) -> str:
        return f"kernel{self.number}-{self.picture.stem}"

    @property
    def seed(self) -> tuple[int, ...]:
        """Of the noise: another for each case, and the same in every run."""
        return (self.number, *self.picture.stem.encode())


def cases(root: Path, kernels: int | None = None, pictures: int | None = None) -> list[Case]:
    """The first `kernels` with the first `pictures`, all if None; `root` is the folder of data.

    Raises TrousError where the kernels or the pictures are not there.
    """
    chosen = read_kernels(root / KERNELS)[:kernels]
    return [Case(n, k, path) for n, k in enumerate(chosen, 1) for path in pictures_in(root / PICTURES)[:pictures]]


def read_kernels(path: Path) -> list[np.ndarray]:
    """The kernels of a MATLAB file of version 7.3, as MATLAB shows them; each sums to 1."""
    import h5py

    if not path.is_file():
        raise TrousError("kernels", "must be a file that is there", str(path))
    with h5py.File(path) as file:
        found = [np.asarray(file[each], np.float64).T for each in file["kernels"][...].ravel()]  # columns come first
    return [kernel / kernel.sum() for kernel in found]


@lru_cache(maxsize=2)
def read_grey(path: Path) -> np.ndarray:
    """The luma of a picture, 0 to 1, `(height, width)`; float64."""
    from trous.apps.pictures import open_picture

    picture = open_picture(path)
    colours = picture.rows(0, picture.layout.size[0])[..., :3]
    return colours @ np.array(GREY) / np.iinfo(colours.dtype).max


def blurred(picture: np.ndarray, kernel: np.ndarray, noise: float, seed: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    """The picture blurred where the kernel lies within it, in float32, and what it ought to be again, in float64.

    The centre of the kernel is at index size // 2 of either axis.
    """
    from scipy.signal import fftconvolve

    seen = fftconvolve(picture, kernel, mode="valid")
    seen += noise * np.random.default_rng(seed).standard_normal(seen.shape)
    first = [size - 1 - size // 2 for size in kernel.shape]
    truth = picture[tuple(slice(start, start + n) for start, n in zip(first, seen.shape, strict=True))]
    return seen.astype(np.float32), truth


def psnr(estimate: np.ndarray, truth: np.ndarray) -> float:
    """In dB, for a peak of 1, over every pixel and as the estimate is: neither rounded nor clipped."""
    return float(-10 * np.log10(np.square(np.asarray(estimate, np.float64) - truth).mean()))
