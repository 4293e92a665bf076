"""One picture or volume deblurred: light from its numbers, the estimate, and numbers again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trous.apps.deblur.psf import Psf
from trous.errors import TrousError

#: Is told how much of a file is done, from 0 to 1.
Progress = Callable[[float], None]
#: The largest share of pixels at full scale that is taken for highlights; more are the white of a page.
HIGHLIGHTS = 0.25


@dataclass(frozen=True)
class Settings:
    """How to deblur: the arguments of `trous.deconvolve`, and what concerns files.

    Attributes:
        psf: what a point became.
        method, boundary, weight, iterations, nonnegative: as in `trous.deconvolve`.
        scale: its `stride`: how many times as large the result is.
        noise: standard deviation, in units of the file's values; a share of full scale where `noise_is_share`.
        linear: whether the values stand for light by the curve of sRGB; None: where the file is a
            photograph, which is a picture of 8 bits or in colour, but for stacks and grey TIFF.
        saturated: whether pixels at full scale are left out where they are few.
    """

    psf: Psf
    method: str = "total_variation"
    boundary: str = "unknown"
    scale: int = 1
    noise: float | None = None
    noise_is_share: bool = False
    weight: float | None = None
    iterations: int | None = None
    nonnegative: bool = False
    linear: bool | None = None
    saturated: bool = True


@dataclass
class Outcome:
    """What is to be told of a file: the most iterations and noise of its pages, shares of its values."""

    iterations: int = 0
    noise: float = 0.0
    values: int = 0
    clipped: int = 0
    left_out: int = 0
    filled: int = 0

    def add(self, other: Outcome) -> None:
        self.iterations = max(self.iterations, other.iterations)
        self.noise = max(self.noise, other.noise)
        for name in ("values", "clipped", "left_out", "filled"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def restore(
    y: np.ndarray,
    settings: Settings,
    *,
    channel_axis: int | None,
    linear: bool,
    progress: Progress,
    least_noise: float = 0.0,
) -> tuple[np.ndarray, Outcome]:
    """A picture or a volume, deblurred, with the dtype that it has.

    Integers are rounded and clipped to their range; floats are neither. NaN and, with `settings.saturated`, highlights
    are estimated from what is around them. Noise that is estimated is taken for `least_noise` of full scale at least,
    and for what rounding to integers left.

    Raises:
        TrousError: as `trous.deconvolve` does; curves or shares of full scale for floats, which have none.
    """
    import trous
    from trous.inverse.noise import noise_level

    full = int(np.iinfo(y.dtype).max) if y.dtype.kind in "iu" else None
    if full is None and (linear or settings.noise_is_share):
        what = "--noise in percent" if settings.noise_is_share else "--linear"
        raise TrousError("source", f"must have integers for {what}: floats have no full scale", str(y.dtype))
    finite = np.isfinite(y)
    outcome = Outcome(values=y.size, filled=int(y.size - np.count_nonzero(finite)))
    shown = finite
    if full is not None and settings.saturated:
        highlights = y == full
        count = int(np.count_nonzero(highlights))
        if count <= HIGHLIGHTS * y.size:
            shown, outcome.left_out = finite & ~highlights, count
    wide = y.dtype.itemsize > 4 or (full is not None and y.dtype.itemsize > 2)
    light: Any = y.astype(np.float64 if wide else np.float32)
    if full is not None and linear:
        light = decoded(light / full) * full
    noise = settings.noise
    if noise is None:
        noise = _noise(noise_level, light, shown, settings.psf.values.ndim, channel_axis)
        if full is not None:
            noise = max(noise, least_noise * full, _rounding(y, full, linear))
    elif full is not None and settings.noise_is_share:
        noise *= full

    def watch(state: Any) -> None:
        outcome.iterations = state.iteration
        progress(state.iteration / state.iterations)

    result = trous.deconvolve(
        light,
        settings.psf.values,
        method=settings.method,
        boundary=settings.boundary,
        stride=settings.scale,
        noise=noise,
        weight=settings.weight,
        iterations=settings.iterations,
        nonnegative=settings.nonnegative,
        mask=None if shown.all() else shown,
        channel_axis=channel_axis,
        callback=None if settings.method == "wiener" else watch,
    )
    outcome.noise = noise
    if full is None:
        return result.astype(y.dtype), outcome
    if linear:
        result = encoded(np.clip(result / full, 0, None)) * full
    lowest = int(np.iinfo(y.dtype).min)
    rounded = np.rint(result)
    scale = result.size // y.size
    outcome.clipped = int(np.count_nonzero((rounded < lowest) | (rounded > full))) // scale
    return _integers(rounded, y.dtype), outcome


def decoded(values: Any) -> Any:
    """Light of sRGB's values, both from 0 to 1 (IEC 61966-2-1).

    >>> decoded(np.array([0, 0.04, 0.5, 1])).round(4)
    array([0.    , 0.0031, 0.214 , 1.    ])
    """
    return np.where(values <= 0.04045, values / 12.92, ((np.maximum(values, 0.04045) + 0.055) / 1.055) ** 2.4)


def encoded(light: Any) -> Any:
    """sRGB's values of light.

    >>> encoded(decoded(np.array([0, 0.02, 0.5, 1]))).round(6)
    array([0.  , 0.02, 0.5 , 1.  ])
    """
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


def enlarged(plane: np.ndarray, scale: int) -> np.ndarray:
    """Rows and columns at `scale` times the size, between the pixels by straight lines; pixel (r, c) at scale*(r, c).

    That is where `trous.deconvolve` puts what it estimates. The last rows and columns go on beyond the border.
    """
    for axis in (0, 1):
        place = np.minimum(np.arange(scale * plane.shape[axis]) / scale, plane.shape[axis] - 1)
        first = place.astype(int)
        share = (place - first).reshape(-1, *[1] * (plane.ndim - 1 - axis))
        lower = np.take(plane, first, axis).astype(float)
        upper = np.take(plane, np.minimum(first + 1, plane.shape[axis] - 1), axis)
        plane = np.rint(lower + share * (upper - lower)).astype(plane.dtype)
    return plane


def _integers(rounded: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Clipped to the range of a type; its ends may be no floats, and what is at them is set."""
    ends = np.iinfo(dtype)
    low, high = rounded <= float(ends.min), rounded >= float(ends.max)
    result = np.where(low | high, 0, rounded).astype(dtype)
    result[low], result[high] = ends.min, ends.max
    return result


def _rounding(y: np.ndarray, full: int, linear: bool) -> float:
    """Standard deviation of what was lost to rounding: a step over sqrt(12), in light that of the mean square step."""
    if not linear:
        return 12**-0.5
    levels = y.astype(np.float32)
    steps = decoded((levels + 0.5) / full) - decoded((levels - 0.5) / full)
    return full * float(np.sqrt((steps.astype(np.float64) ** 2).mean() / 12))


def _noise(level: Any, light: np.ndarray, shown: np.ndarray, rank: int, channel_axis: int | None) -> float:
    """The noise that `trous.deconvolve` would estimate, so that it can be told."""
    values = light if channel_axis is None else np.moveaxis(light, channel_axis, 0)
    counts = shown if channel_axis is None else np.moveaxis(shown, channel_axis, 0)
    shape = (1, -1, *values.shape[values.ndim - rank :])
    filled = np.where(counts, values, 0).reshape(shape)
    return float(level(filled, None if counts.all() else counts.reshape(shape)).max())
