"""A photograph blurred as a camera blurs it, its transposed convolution, and its deconvolution by every method.

Pictures are grey, `(height, width)`, values from 0 to 1. What is blurred is larger than what is looked for: the data
along the border depend on pixels outside of it, as those of a camera do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trous.apps.deconvolution.cases import GREY, NOISE, psnr
from trous.functional import conv_transpose
from trous.inverse import deconvolve
from trous.inverse.blur import Blur
from trous.inverse.entry import METHODS
from trous.inverse.psf import motion
from trous.plan.circle import SURROUNDINGS, ObservedAxis

#: The blur of the page: pixels along a straight way, and degrees.
MOTION = (25, 30)
SEED = 7
#: The methods as they are called in text.
NAMES = {
    "wiener": "Wiener filter",
    "richardson_lucy": "Richardson-Lucy",
    "least_squares": "least squares",
    "total_variation": "total variation",
}

#: Wraps what is gone through, to show how far it is.
Track = Callable[[Sequence[Any]], Iterable[Any]]


@dataclass(frozen=True)
class Blurred:
    """A picture and what was made of it.

    Attributes:
        truth: the picture where it is looked for, `stride` times the size of the data.
        data: blurred, every `stride`-th kept, and noisy.
        psf: of sum 1.
        stride: along both axes.
    """

    truth: np.ndarray
    data: np.ndarray
    psf: np.ndarray
    stride: int = 1

    def psnr(self, estimate: np.ndarray, frame: int = 0) -> float:
        """Of the whole picture (`cases.psnr`), or of `frame` pixels at its border."""
        counted = np.ones(self.truth.shape, bool)
        if frame:
            counted[frame:-frame, frame:-frame] = False
        return psnr(estimate[counted], self.truth[counted])


@dataclass(frozen=True)
class Estimate:
    """A picture of the size of the truth, how it was made, and its PSNR in dB."""

    name: str
    picture: np.ndarray
    psnr: float


def grey(colours: np.ndarray) -> np.ndarray:
    """The luma of `(3, height, width)`, in float64."""
    return np.tensordot(np.array(GREY), np.asarray(colours, np.float64), 1)


def blur(picture: np.ndarray, psf: np.ndarray, stride: int = 1, noise: float = NOISE, seed: int = SEED) -> Blurred:
    """The picture blurred, and the part of it that data of every pixel were made of; data in float32.

    The same seed gives the same noise but for its strength.
    """
    axes = [ObservedAxis.within(n, k, stride) for n, k in zip(picture.shape, psf.shape, strict=True)]
    model = Blur(psf[None, None].astype(np.float64), axes, 1, 1)
    latent = picture[tuple(slice(n) for n in model.latent_size)][None, None].astype(np.float64)
    data = model.forward(latent)[0, 0]
    data = data + noise * np.random.default_rng(seed).standard_normal(data.shape)
    return Blurred(model.crop(latent)[0, 0], data.astype(np.float32), psf, stride)


def transposed(blurred: Blurred) -> Estimate:
    """The transposed convolution by the blur's own kernel: the shape of the truth, and blurred once more.

    The layer cross-correlates, so it is given the kernel that the blur flips. A phase of a strided one has a share of
    the kernel's taps, whose sum is about `1/stride²`: as much brighter it is shown.
    """
    axes = [ObservedAxis(k, blurred.stride, 1, "unknown") for k in blurred.psf.shape]
    kernel = np.ascontiguousarray(np.flip(blurred.psf)[None, None].astype(np.float32))
    picture = conv_transpose(
        blurred.data[None, None],
        kernel,
        stride=blurred.stride,
        padding=tuple((axis.before, axis.after) for axis in axes),
        output_size=blurred.truth.shape,
    )[0, 0]
    picture = picture * blurred.stride**blurred.truth.ndim
    return Estimate("transposed convolution", picture, blurred.psnr(picture))


def deconvolved(blurred: Blurred, method: str, **options: Any) -> Estimate:
    """By one method, with defaults but for `options`. Richardson-Lucy gets no negative values, which noise makes."""
    data = blurred.data.clip(0) if method == "richardson_lucy" else blurred.data
    picture = deconvolve(data, blurred.psf, method=method, stride=blurred.stride, **options)
    return Estimate(NAMES[method], picture, blurred.psnr(picture))


def repeated(blurred: Blurred) -> Estimate:
    """The data as they are, each as many pixels as it stands for."""
    picture = blurred.data.repeat(blurred.stride, 0).repeat(blurred.stride, 1)
    return Estimate("blurred, noise of 1 %", picture, blurred.psnr(picture))


def estimates(blurred: Blurred, track: Track = iter) -> list[Estimate]:
    """The data, their transposed convolution, and every method's estimate."""
    found = [deconvolved(blurred, method) for method in track(METHODS)]
    return [repeated(blurred), transposed(blurred), *sorted(found, key=lambda estimate: estimate.psnr)]


def by_boundary(blurred: Blurred, method: str = "total_variation", track: Track = iter) -> list[Estimate]:
    """One method under every assumption about the surroundings."""
    found = []
    for boundary in track(tuple(SURROUNDINGS)):
        picture = deconvolved(blurred, method, boundary=boundary).picture
        found.append(Estimate(f'"{boundary}"', picture, blurred.psnr(picture)))
    return found


def shaken(picture: np.ndarray, stride: int = 1) -> Blurred:
    """The page's example."""
    return blur(picture, motion(*MOTION), stride)
