"""How much power a picture is expected to have at each frequency, read off its blurred and noisy data.

Power falls with frequency as `S = a * L^-p`, where L is the spectrum of the Laplacian, nearly the square of the
frequency: in photographs p is near 1 (Field 1987). Data have the power `|H|^2 * S + sigma^2`, H the spectrum of the
PSF, and aliases of it where a stride left data out. Which `a` and `p`, is a question of maximum likelihood: that of a
periodogram I under an expected power P is `sum of log P + I / P` (Whittle 1953).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from scipy.fft import fftn
from scipy.optimize import minimize

from trous.inverse.request import Task
from trous.plan.circle import ObservedAxis

Array = np.ndarray[Any, Any]

#: Frequencies that the likelihood looks at, at most.
LOOKED_AT = 1 << 14
#: Exponents that a picture may have: from white to very smooth.
EXPONENTS = (0.0, 3.0)


def roughness(task: Task, laplacian: Array) -> Array:
    """What the prior adds to `|H|^2` in a Wiener filter, `sigma^2 / S`, `(pictures, colours, *half)` over frequencies
    whose Laplacian is given; `weight * L` where the task says a weight."""
    if task.weight is not None:
        return (task.weight * laplacian)[None, None].astype(task.y.dtype)
    power = [[_fitted(task, picture, colour) for colour in range(task.y.shape[1])] for picture in range(len(task.y))]
    amplitude, exponent = np.moveaxis(np.array(power), -1, 0).reshape(2, *task.y.shape[:2], *[1] * laplacian.ndim)
    return (_variance(task) / amplitude * laplacian.astype(np.float64) ** exponent).astype(task.y.dtype)


def _variance(task: Task) -> Array:
    """Of the noise of each picture, that of the rounding of numbers at least: `(pictures, 1, ...)`."""
    peaks = np.abs(task.y).max(tuple(range(1, task.y.ndim)), keepdims=True).astype(np.float64)
    variance: Array = np.maximum(task.noise, float(np.finfo(task.y.dtype).eps) * peaks) ** 2
    return np.where(variance > 0, variance, 1)


def _fitted(task: Task, picture: int, colour: int) -> tuple[float, float]:
    """`a` and `p` of one picture's colour."""
    y = task.y[picture, colour].astype(np.float64)
    mask = None if task.mask is None else task.mask[picture, colour]
    mean = y.mean() if mask is None else y.sum() / max(float(mask.sum()), 1)
    y = y - mean if mask is None else (y - mean) * mask
    window = np.ones(())
    for n in y.shape:  # of Hann, so that the borders, where one side meets the other, add no power of their own
        window = window[..., None] * np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2
    seen = np.abs(fftn(y * window)) ** 2 / (window**2).sum()
    psf = task.psf[min(picture, len(task.psf) - 1), min(colour, task.psf.shape[1] - 1)]
    gain, laplacian = _spectra(psf, [axis.result for axis in task.axes])
    variance = float(np.ravel(_variance(task))[picture])
    few: Any = (
        np.unique(np.linspace(1, seen.size - 1, min(seen.size - 1, LOOKED_AT)).astype(int)) if seen.size > 1 else []
    )
    if not len(few) or not seen.ravel()[few].any():
        return variance, 1.0  # a constant picture is as smooth as its noise lets it be
    gains, laplacians = (_aliases(a, task.axes)[:, few] for a in (gain, laplacian))
    unit = seen.ravel()[few].mean()
    measured, floor = seen.ravel()[few] / unit, variance / unit + 1e-12

    def loss(parameters: Array) -> float:
        power = np.exp(parameters[0]) * laplacians ** -parameters[1]
        expected = (gains * power).mean(0) + floor
        return float((np.log(expected) + measured / expected).mean())

    first = np.log(len(few) / (gains / laplacians).mean(0).sum())
    ends = (first - 20, first + 20), EXPONENTS
    found = minimize(loss, np.array([first, 1.0]), method="L-BFGS-B", bounds=ends)
    return float(unit * np.exp(found.x[0])), float(found.x[1])


def _spectra(psf: Array, size: list[int]) -> tuple[Array, Array]:
    """`|H|^2` and the Laplacian at all frequencies of a circle of this size."""
    wrapped = np.zeros(size)
    np.add.at(wrapped, tuple(np.ix_(*(np.arange(k) % n for k, n in zip(psf.shape, size, strict=True)))), psf)
    laplacian = np.zeros(())
    for n in size:
        laplacian = laplacian[..., None] + 4 * np.sin(np.pi * np.arange(n) / n) ** 2
    return np.abs(fftn(wrapped)) ** 2, laplacian


def _aliases(spectrum: Array, axes: Sequence[ObservedAxis]) -> Array:
    """The frequencies of the estimate that one of the data stands for: `(aliases, data's frequencies)`."""
    for n, axis in enumerate(axes):
        spectrum = np.take(spectrum, np.array(axis.aliases), 2 * n)
    order = [*range(0, spectrum.ndim, 2), *range(1, spectrum.ndim, 2)]
    frequencies = prod(axis.size for axis in axes)
    return spectrum.transpose(order).reshape(-1, frequencies)
