"""The Wiener filter: the linear estimate of least expected error (Wiener 1949, Hunt 1973).

Of pictures whose spectrum has the power S it is the minimum of

    sum over data of (blurred x - y)^2 / sigma^2  +  sum over frequencies of |X|^2 / S

In a periodic world that is one division of spectra. With other surroundings, data left out or masked, it would be one
if it were known what the blur shows where nothing was observed. Conjugate gradients find that, and where the
surroundings are bound to the picture, the picture. So borders do not ring.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi, prod
from typing import Any

import numpy as np

from trous.inverse.fourier import invert, transform
from trous.inverse.prior import roughness
from trous.inverse.request import Task
from trous.inverse.torus import laplacian_at, spectrum_at

Array = np.ndarray

#: How far the minimum may be off: what the sum above may still fall for each value that is sought, as a share of the
#: noise's variance, or of what it fell from where there is none.
OF_NOISE, LEFT = 1e-3, 1e-12
ITERATIONS = 200
#: Data that are solved for at once: a core's cache holds what belongs to them, and no picture waits long for the worst.
TOGETHER = 1 << 13


def wiener(task: Task) -> Array:
    """The estimate `(pictures, colours, *result)`, of a few pictures after the others."""
    parts = map(equations, task.parts(max(1, TOGETHER // task.y[0].size)))
    return np.concatenate([part.crop(part.minimum()) for part in parts])


def equations(task: Task) -> Equations:
    """What holds at the minimum: `(A^T m A + R) x = A^T m y`, R a product in Fourier space."""
    return (Tied if task.axes[0].surroundings in ("zero", "reflect") else Free)(task)


class Equations:
    """Those of a task.

    Attributes:
        is_tied: whether the surroundings follow from x, which then is what the user gets, on a torus of its own that
            only R knows of. Otherwise x lies on the task's torus.
        size: positions of the torus that x lies on.
        rough: the spectrum of R, `(pictures, colours, *half)`.
    """

    is_tied: bool

    def __init__(self, task: Task, size: tuple[int, ...], spectrum: Array):
        self.size = size
        self._laplacian = laplacian_at(size, np.float64)
        self.rough = roughness(task, self._laplacian)
        self._gain = spectrum.real**2 + spectrum.imag**2
        # A frequency that neither data nor prior know of stays out: rounding must not be divided by nothing.
        self._least = float(np.finfo(task.y.dtype).eps) ** 2
        self._enough: Any = OF_NOISE * task.noise**2 if task.weight is None else 0.0

    def minimum(self) -> Array:
        """The estimate on the grid of x."""
        raise NotImplementedError

    def solve(self, right: Array) -> Array:
        """The x with this right side."""
        raise NotImplementedError

    def crop(self, x: Array) -> Array:
        """The part that the user gets."""
        return x

    def _filtered(self, x: Array, spectrum: Array) -> Array:
        return invert(transform(x, self.size) * spectrum, self.size)


class Free(Equations):
    """Where the surroundings are unknown, or the picture is a torus itself.

    With `w = u A x`, what the blur shows where nothing was observed (u is 1 - m), the equations are a division:
    `(A^T A + R) x = A^T (m y + w)`. Of x so found w has to be `u A x` again, and this is an equation for w alone,

        u P w = -u P m y,   P = R / (|H|^2 + R),

    H the spectrum of A. P says how precisely the prior knows blurred frequencies, in units of the data's precision, and
    u P^-1 u nearly is the inverse of u P u, but for waves that are too long for the surroundings to hold one.
    """

    is_tied = False

    def __init__(self, task: Task):
        torus = self._torus = task.torus
        super().__init__(task, torus.size, torus.spectrum)
        self._spectrum = torus.spectrum
        self._both = self._gain + self.rough + self._least
        self._unseen = 1 - torus.observed
        self._is_division = bool(torus.observed.all())
        if not self._is_division:
            longest = (2 * pi / max(task.psf.shape[2:])) ** 2
            short = self._laplacian >= min(longest, self._laplacian.max())
            least = self.rough[..., short].min(-1)
            least = np.maximum(least, self._least).reshape(*least.shape, *[1] * short.ndim)
            self._precision = (self.rough + self._least) / self._both
            self._covariance = 1 + self._gain / np.maximum(self.rough, least)

    def minimum(self) -> Array:
        """It begins as if what was not observed went on as smoothly as it can."""
        seen, unseen = self._torus.data, self._unseen
        if not self._is_division:
            enough = self._enough * unseen.sum(tuple(range(2, unseen.ndim)), keepdims=True)
            first = unseen * self._torus.filled()
            seen = seen + conjugate_gradients(self._precise, self._spread, -self._precise(seen), first, enough)
        return self._filtered(seen, self._spectrum.conj() / self._both)

    def solve(self, right: Array) -> Array:
        if not self._is_division:
            known = self._unseen * self._filtered(right, self._spectrum / self._both)
            w = conjugate_gradients(self._precise, self._spread, known, np.zeros_like(known), 0.0)
            right = right + self._filtered(w, self._spectrum.conj())
        return self._filtered(right, 1 / self._both)

    def crop(self, x: Array) -> Array:
        return self._torus.crop(x)

    def _precise(self, x: Array) -> Array:
        """u P x."""
        return self._unseen * self._filtered(x, self._precision)

    def _spread(self, x: Array) -> Array:
        """u P^-1 x, but for long waves."""
        return self._unseen * self._filtered(x, self._covariance)


class Tied(Equations):
    """Where zeros or the mirrored picture surround it: solved for x, and nearly a division."""

    is_tied = True

    def __init__(self, task: Task):
        size = task.blur.result_size
        super().__init__(task, size, spectrum_at(size, task.psf, task.axes))
        self._blur, self._data, self._mask = task.blur, task.y, task.mask
        observed = task.torus.observed
        share = observed.sum(tuple(range(2, observed.ndim)), keepdims=True) / prod(size)
        self._inverse = 1 / (share * self._gain + self.rough + self._least)

    def minimum(self) -> Array:
        right = self._blur.adjoint(self._data)
        return self._solved(right, self._enough * prod(self.size))

    def solve(self, right: Array) -> Array:
        return self._solved(right, 0.0)

    def left_side(self, x: Array) -> Array:
        seen = self._blur.forward(x)
        if self._mask is not None:
            seen = seen * self._mask
        return self._blur.adjoint(seen) + self._filtered(x, self.rough)

    def _solved(self, right: Array, enough: Any) -> Array:
        def nearly(x: Array) -> Array:
            return self._filtered(x, self._inverse)

        return conjugate_gradients(self.left_side, nearly, right, nearly(right), enough)


def conjugate_gradients(
    product: Callable[[Array], Array], inverse: Callable[[Array], Array], right: Array, x: Array, enough: Any
) -> Array:
    """Where `product` gives the right side, sought from x on with what nearly is the `inverse` of the product (Hestenes
    and Stiefel 1952). Each picture and colour has steps of its own, and ends when the energy of the error is `enough`.
    """
    rest = right - product(x)
    goal = np.maximum(LEFT * _dot(right, inverse(right)), enough)
    better = inverse(rest)
    direction, slope = better, _dot(rest, better)
    for _ in range(ITERATIONS):
        open_still = slope > goal
        if not open_still.any():
            break
        image = product(direction)
        step = np.where(open_still, slope / _positive(_dot(direction, image)), 0).astype(x.dtype)
        x = x + step * direction
        rest -= step * image
        better = inverse(rest)
        last, slope = slope, _dot(rest, better)
        direction = better + np.where(open_still, slope / _positive(last), 0).astype(x.dtype) * direction
    return x


def _dot(a: Array, b: Array) -> Any:
    """Inner products over the spatial axes, in float64, `(pictures, colours, 1, ...)`."""
    axes = tuple(range(2, a.ndim))
    return np.sum(a * b, axes, dtype=np.float64, keepdims=True)


def _positive(x: Array) -> Array:
    return np.maximum(x, np.finfo(np.float64).tiny)
