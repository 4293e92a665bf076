"""What a method of deconvolution gets: checked arrays in one form, and the model as it needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from trous.inverse.blur import Blur
from trous.inverse.noise import noise_level
from trous.inverse.space import MEMORY, Space
from trous.inverse.torus import Torus
from trous.plan.circle import ObservedAxis

Array = np.ndarray


@dataclass(frozen=True)
class State:
    """Where an iterative method stands, for `callback`.

    Attributes:
        iteration: iterations done, from 1.
        iterations: the most that there will be.
        residual: root mean square of what the blurred estimate lacks to the data, in units of the data.
        estimate: a function that gives the estimate so far, of the shape that `deconvolve` returns.
    """

    iteration: int
    iterations: int
    residual: float
    estimate: Callable[[], Array]


#: Of iteration, iterations, residual and the estimate as `(pictures, colours, *result)`: whether to stop.
Watch = Callable[[int, int, float, Callable[[], Array]], bool]


@dataclass(frozen=True)
class Task:
    """A deconvolution to do.

    Attributes:
        y: `(pictures, colours, *observed)`, float32 or float64; 0 where it is masked.
        psf: `(pictures or 1, colours or 1, *kernel)`.
        mask: 1 where y counts, else 0, of the shape of y; None where all does.
        axes: geometry of the spatial axes.
        told: standard deviation of the noise, or None where it is to be estimated.
        weight: of the smoothness term, or None where it follows from the noise.
        iterations: how many, or None where the method finds out.
        nonnegative: whether the estimate has to be at least 0.
        watch: called after every iteration.
        space: where arrays of the size of the data and the estimate lie.
    """

    y: Array
    psf: Array
    mask: Array | None
    axes: tuple[ObservedAxis, ...]
    told: float | None
    weight: float | None
    iterations: int | None
    nonnegative: bool
    watch: Watch
    space: Space = MEMORY

    def parts(self, count: int) -> Iterator[Task]:
        """The same for so many pictures after the others."""
        for first in range(0, len(self.y), count):
            few = slice(first, first + count)
            psf = self.psf if len(self.psf) == 1 else self.psf[few]
            yield replace(self, y=self.y[few], psf=psf, mask=None if self.mask is None else self.mask[few])

    @cached_property
    def noise(self) -> Array:
        """Standard deviation of the noise of each picture, `(pictures, 1, ...)`, as told or estimated."""
        if self.told is not None:
            return np.full((len(self.y), *[1] * (self.y.ndim - 1)), self.told)
        return noise_level(self.y, self.mask)

    @cached_property
    def blur(self) -> Blur:
        return Blur(self.psf, self.axes, self.y.shape[0], self.y.shape[1], self.space)

    @cached_property
    def torus(self) -> Torus:
        return Torus(self.y, self.psf, self.mask, self.axes)
