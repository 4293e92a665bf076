"""Least squares, stopped in time: conjugate gradients on the normal equations.

The picture that fits the data best also fits their noise. Iterations find what the data say most clearly first, so they
are stopped when the residual is down at the noise (Morozov's discrepancy principle; Hansen 1998, chapter 6). The
steps are those of CGLS (Hestenes and Stiefel 1952; Bjoerck 1996, section 7.4), which SciPy's LSQR and LSMR are
equivalents of; those take one system at a time and tell nothing before their end, where pictures here are many, each
with its own noise, and whoever waits is told of every iteration.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trous.inverse.blur import Blur
from trous.inverse.request import Task

Array = np.ndarray

#: Iterations at most when the noise is to be reached. Without noise they end when no more is gained.
ITERATIONS = 500
#: What may be left of the gradient at the start, in units of the rounding of numbers.
LEFT = 8


def least_squares(task: Task) -> Array:
    """The estimate `(pictures, colours, *result)`: least `|A x - y|^2 + weight * |x|^2`, the latter where given."""
    iterations = ITERATIONS if task.iterations is None else task.iterations
    descent: Descent = Projected(task) if task.nonnegative else Descent(task)
    for iteration in range(1, iterations + 1):
        if not descent.unfinished.any():
            break
        descent.step()
        if task.watch(iteration, iterations, descent.residual(), descent.estimate):
            break
    return descent.estimate()


class Descent:
    """Conjugate gradients: where they stand, beginning at a picture that is the mean of the data everywhere."""

    def __init__(self, task: Task):
        self.blur, self.mask, self.weight = task.blur, task.mask, task.weight or 0.0
        y = task.y
        shown = np.ones_like(y) if self.mask is None else self.mask
        axes = tuple(range(2, y.ndim))
        mean = y.sum(axes, keepdims=True) / np.maximum(shown.sum(axes, keepdims=True), 1)
        self.x = np.empty((*y.shape[:2], *self.blur.latent_size), y.dtype)
        self.x[...] = np.maximum(mean, 0) if task.nonnegative else mean
        self.rest = shown * y - self._seen(self.x)  # m (y - A x)
        self.gradient = self.blur.adjoint(self.rest) - self.weight * self.x
        self.direction = self.gradient.copy()
        self.slope = _squares(self.gradient)
        counted = np.float64(y[0].size) if task.mask is None else _squares(task.mask)
        self._counted = np.broadcast_to(counted, self.slope.shape)
        self._goal = 0.0 if task.iterations is not None else self._counted * task.noise**2
        self._flat = (LEFT * np.finfo(y.dtype).eps) ** 2 * self.slope
        self.unfinished = self._is_open()

    def step(self) -> None:
        image = self._seen(self.direction)
        bent = _squares(image) + self.weight * _squares(self.direction)
        length = np.where(self.unfinished, self.slope / np.maximum(bent, TINY), 0).astype(self.x.dtype)
        self.x += length * self.direction
        self.rest -= length * image
        self.gradient = self.blur.adjoint(self.rest) - self.weight * self.x
        last, self.slope = self.slope, _squares(self.gradient)
        self.direction *= np.where(self.unfinished, self.slope / np.maximum(last, TINY), 0).astype(self.x.dtype)
        self.direction += self.gradient
        self.unfinished = self.unfinished & self._is_open()

    def residual(self) -> float:
        """Root mean square of what the data are off, of the picture where it is largest."""
        return float(np.sqrt(np.max(_squares(self.rest) / np.maximum(self._counted, 1))))

    def estimate(self) -> Array:
        return self.blur.crop(self.x).copy()

    def _seen(self, x: Array) -> Array:
        seen = self.blur.forward(x)
        return seen if self.mask is None else seen * self.mask

    def _is_open(self) -> Array:
        return (self.slope > self._flat) & (_squares(self.rest) > self._goal)


class Projected(Descent):
    """Nowhere below 0: projected gradients with momentum (Beck and Teboulle 2009), begun anew where they overshoot."""

    def __init__(self, task: Task):
        super().__init__(task)
        self._y, self._ahead = task.y, self.x.copy()
        self._age = np.ones_like(self.slope)
        # Schur's test: the norm of a matrix is at most that of its rows times that of its columns, both of absolutes.
        sums = Blur(np.abs(task.psf), task.axes, *task.y.shape[:2]).adjoint(np.ones_like(task.y))
        rows = np.abs(task.psf).sum(tuple(range(1, task.psf.ndim)), keepdims=True).max()
        self._length = 1 / (sums.max() * rows + self.weight)

    def step(self) -> None:
        change = self.blur.adjoint(self._off(self._ahead)) - self.weight * self._ahead
        after = np.maximum(self._ahead + self._length * change, 0)
        after = np.where(self.unfinished, after, self.x)
        moved = after - self.x
        backwards = _sum((self._ahead - after) * moved) > 0
        self._age = np.where(backwards, 1, self._age + 1)
        self._ahead = after + ((self._age - 1) / (self._age + 2)).astype(after.dtype) * moved
        self.x, self.rest = after, self._off(after)
        still = _squares(moved) > self._flat_step * _squares(after)
        self.unfinished = self.unfinished & (_squares(self.rest) > self._goal) & still

    @property
    def _flat_step(self) -> float:
        return float(LEFT * np.finfo(self.x.dtype).eps) ** 2

    def _off(self, x: Array) -> Array:
        rest = self._y - self.blur.forward(x)
        return rest if self.mask is None else rest * self.mask


TINY = np.finfo(np.float64).tiny


def _sum(x: Array) -> Any:
    """Sums over each picture, in float64, `(pictures, 1, ...)`."""
    return np.sum(x, tuple(range(1, x.ndim)), dtype=np.float64, keepdims=True)


def _squares(x: Array) -> Any:
    return _sum(x * x)
