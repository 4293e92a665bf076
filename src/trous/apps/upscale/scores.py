"""What enlarging is worth: pictures reduced, enlarged again and compared with what they were, as papers do.

Luma of the picture, cut to multiples of the scale, is reduced by MATLAB's bicubic and not rounded; what is enlarged is
compared in 8 bits, as many pixels left out along the border as the scale (`trous.apps.quality`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from trous.apps.quality import psnr, ssim
from trous.apps.resize import imresize
from trous.apps.upscale.patches import read_luma

Enlarge = Callable[[np.ndarray], np.ndarray]  #: luma from 0 to 1, (height, width), to the size that it had


@dataclass(frozen=True)
class Score:
    """PSNR in dB and SSIM."""

    name: str
    psnr: float
    ssim: float


def score(enlarge: Enlarge, paths: Iterable[Path], scale: int) -> Iterator[Score]:
    """The score of every picture, in their order."""
    for path in paths:
        enlarged, large = enlarged_and_true(enlarge, path, scale)
        yield Score(path.stem, *(measure(enlarged, large, border=scale) for measure in (psnr, ssim)))


def enlarged_and_true(enlarge: Enlarge, path: Path, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Luma from 0 to 255: of the picture made small and enlarged again, and as it was, cut to multiples of scale."""
    large = read_luma(path)
    height, width = (n // scale for n in large.shape)
    large = large[: height * scale, : width * scale]
    return 255.0 * enlarge(imresize(large, (height, width)) / 255), large


def bicubic(scale: int) -> Enlarge:
    """MATLAB's interpolation, which papers compare with."""
    return lambda luma: imresize(luma, (luma.shape[0] * scale, luma.shape[1] * scale))


def mean(scores: Iterable[Score], name: str) -> Score:
    """As papers average: over pictures, in dB."""
    listed = list(scores)
    return Score(name, fmean(s.psnr for s in listed), fmean(s.ssim for s in listed))
