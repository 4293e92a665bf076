"""The Wiener filter: the linear estimate of least expected error (Wiener 1949, Hunt 1973).

Of pictures whose spectrum has the power S it is the minimum of

    sum over data of (blurred x - y)^2 / sigma^2  +  sum over frequencies of |X|^2 / S

In a periodic world that is one division of spectra. With other surroundings, data left out or masked, the blur is no
product of spectra; the minimum is then found by conjugate gradients, which that division preconditions. So borders do
not ring.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from trous.inverse.fourier import invert, transform
from trous.inverse.prior import roughness
from trous.inverse.request import Task
from trous.inverse.torus import laplacian_at, spectrum_at

Array = np.ndarray

#: What may be left of the equations, as a share of the noise in them, and of the right side where there is none.
OF_NOISE, LEFT = 0.01, 1e-6
ITERATIONS = 200
#: Data that are solved for at once: a core's cache holds what belongs to them, and no picture waits long for the worst.
TOGETHER = 1 << 13


def wiener(task: Task) -> Array:
    """The estimate `(pictures, colours, *result)`, of a few pictures after the others."""
    parts = map(Equations, task.parts(max(1, TOGETHER // task.y[0].size)))
    return np.concatenate([equations.crop(equations.minimum()) for equations in parts])


class Equations:
    """What holds at the minimum: `(A^T m A + R) x = A^T m y`, R a product in Fourier space.

    x lies on the task's torus. Where the surroundings are bound to the picture it is what the user gets, on a torus of
    its own that only R knows of.
    """

    def __init__(self, task: Task):
        torus = task.torus
        self.is_tied = task.axes[0].surroundings in ("zero", "reflect")
        self._blur = task.blur if self.is_tied else None
        self._torus, self._mask = torus, task.mask
        self.size = torus.size if self._blur is None else task.blur.result_size
        self.data = torus.data if self._blur is None else task.y
        self.spectrum = torus.spectrum if self._blur is None else spectrum_at(self.size, task.psf, task.axes)
        self.rough = roughness(task, laplacian_at(self.size, np.float64))
        gain = self.spectrum.real**2 + self.spectrum.imag**2
        axes = tuple(range(2, task.psf.ndim))
        share = torus.observed.sum(axes, keepdims=True) / prod(self.size)
        # A frequency that neither data nor prior know of stays out: rounding must not be divided by nothing.
        self._inverse = 1 / (share * gain + self.rough + float(np.finfo(task.y.dtype).eps) ** 2)
        energy = (task.psf.astype(np.float64) ** 2).sum(axes, keepdims=True)
        self._noise = OF_NOISE**2 * task.noise**2 * energy * (task.y[0, 0].size if task.weight is None else 0)
        self.is_diagonal = self._blur is None and bool(torus.observed.all())

    def forward(self, x: Array) -> Array:
        if self._blur is None:
            return invert(transform(x, self.size) * self.spectrum, self.size) * self._torus.observed
        seen = self._blur.forward(x)
        return seen if self._mask is None else seen * self._mask

    def adjoint(self, seen: Array) -> Array:
        if self._blur is None:
            return invert(transform(seen, self.size) * self.spectrum.conj(), self.size)
        return self._blur.adjoint(seen)

    def crop(self, x: Array) -> Array:
        return self._torus.crop(x) if self._blur is None else x

    def left_side(self, x: Array) -> Array:
        return self.adjoint(self.forward(x)) + invert(transform(x, self.size) * self.rough, self.size)

    def minimum(self) -> Array:
        """The estimate on the grid of x. It begins as if what was not observed went on as smoothly as it can."""
        start = None if self._blur is not None else self._divided(self.adjoint(self._torus.filled()))
        return self.solve(self.adjoint(self.data), start)

    def solve(self, right: Array, start: Array | None = None) -> Array:
        """The x with this right side, by preconditioned conjugate gradients (Hestenes and Stiefel 1952), each picture
        and colour with steps of its own; where the division is exact, by the division."""
        x = self._divided(right) if start is None else start
        if self.is_diagonal:
            return x
        rest = right - self.left_side(x)
        goal = np.maximum(LEFT**2 * _dot(right, right), self._noise)
        better = self._divided(rest)
        direction, slope = better, _dot(rest, better)
        for _ in range(ITERATIONS):
            open_still = _dot(rest, rest) > goal
            if not open_still.any():
                break
            image = self.left_side(direction)
            step = np.where(open_still, slope / _positive(_dot(direction, image)), 0).astype(x.dtype)
            x += step * direction
            rest -= step * image
            better = self._divided(rest)
            last, slope = slope, _dot(rest, better)
            direction = better + np.where(open_still, slope / _positive(last), 0).astype(x.dtype) * direction
        return x

    def _divided(self, x: Array) -> Array:
        return invert(transform(x, self.size) * self._inverse, self.size)


def _dot(a: Array, b: Array) -> Any:
    """Inner products over the spatial axes, in float64, `(pictures, colours, 1, ...)`."""
    axes = tuple(range(2, a.ndim))
    return np.sum(a * b, axes, dtype=np.float64, keepdims=True)


def _positive(x: Array) -> Array:
    return np.maximum(x, np.finfo(np.float64).tiny)
