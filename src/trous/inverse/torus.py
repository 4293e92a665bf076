"""The same model on a torus, for methods that divide in Fourier space.

There the blur is a product of spectra, and everything else a question of which positions were observed: data that a
stride left out, surroundings that nobody saw and values that are masked are all positions without a datum.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from trous.inverse.fourier import invert, transform
from trous.inverse.tiling import fast
from trous.plan.circle import ObservedAxis

Array = np.ndarray[Any, Any]


def spectrum_at(size: Sequence[int], psf: Array, axes: Sequence[ObservedAxis]) -> Array:
    """The spectrum of PSFs on a torus of any size, their centres at 0."""
    circle = np.zeros((*psf.shape[:2], *size), psf.dtype)
    at: Any = np.ix_(*(axis.turns(n) for axis, n in zip(axes, size, strict=True)))
    np.add.at(circle, (slice(None), slice(None), *at), psf)
    return transform(circle, size)


def laplacian_at(size: Sequence[int], dtype: Any) -> Array:
    """The spectrum of the sum over axes of (adjoint of the difference of neighbours) times (that difference)."""
    total = np.zeros(())
    for axis, n in enumerate(size):
        count = n // 2 + 1 if axis == len(size) - 1 else n
        total = total[..., None] + 4 * np.sin(np.pi * np.arange(count) / n) ** 2
    return total.astype(dtype)


class Torus:
    """Data and PSF on a torus.

    Attributes:
        size: its positions along each axis.
        spectrum: of the PSF, `(pictures or 1, colours or 1, *half)`.
        data: the data at their places, zeros elsewhere, `(pictures, colours, *size)`.
        observed: 1 where a datum lies, else 0; of shape `(1, 1, *size)` without a mask.
    """

    def __init__(self, y: Array, psf: Array, mask: Array | None, axes: Sequence[ObservedAxis]):
        self.axes = tuple(axes)
        is_closed = axes[0].surroundings == "periodic"
        self.size = tuple(axis.least_circle if is_closed else fast(axis.least_circle) for axis in axes)
        self._places: Any = (..., *(axis.places for axis in axes))
        self._result: Any = (..., *(slice(axis.origin, axis.origin + axis.result) for axis in axes))
        self.data = self.spread(y if mask is None else y * mask)
        self.observed = self.spread(np.ones((1, 1, *y.shape[2:]), y.dtype) if mask is None else mask.astype(y.dtype))
        self.spectrum = spectrum_at(self.size, psf, axes)

    def spread(self, y: Array) -> Array:
        """Values of data at the places of the data, zeros elsewhere."""
        x = np.zeros((*y.shape[:2], *self.size), y.dtype)
        x[self._places] = y
        return x

    def gather(self, x: Array) -> Array:
        """Values at the places of the data."""
        return x[self._places]

    def transform(self, x: Array) -> Array:
        return transform(x, self.size)

    def inverse(self, spectrum: Array) -> Array:
        return invert(spectrum, self.size)

    def crop(self, x: Array) -> Array:
        """The part that the user gets."""
        return x[self._result]

    @cached_property
    def laplacian(self) -> Array:
        """`laplacian_at` the torus's size."""
        return laplacian_at(self.size, self.data.dtype)

    @cached_property
    def inside(self) -> Array:
        """1 where the extended picture lies, 0 between its ends, `(1, 1, *size)`."""
        inside = np.ones((1, 1, *self.size), self.data.dtype)
        for n, axis in enumerate(self.axes, 2):
            if axis.surroundings != "periodic":
                np.moveaxis(inside, n, 0)[axis.extended :] = 0
        return inside

    def filled(self) -> Array:
        """The data, and where there are none means of those around them: near ones count most, far ones suffice."""
        spread = 1 / (1e-3 + self.laplacian)
        observed = self.observed + np.zeros_like(self.data)
        sums, counts = (self.inverse(spread * self.transform(x)) for x in (self.data, observed))
        return np.where(observed > 0, self.data, sums / np.maximum(counts, np.finfo(counts.dtype).eps))

    @cached_property
    def _copies(self) -> list[tuple[Array, Array]]:
        """For each axis the extended positions by groups of one value: the group of each, the size of each group."""
        groups = []
        for axis in self.axes:
            sources = np.array(axis.sources)
            groups.append((sources, np.bincount(sources)))
        return groups

    def tie(self, x: Array) -> Array | None:
        """The nearest picture that the surroundings allow, or None where they allow all: zeros outside, or every
        position the mean of those that copy the same one."""
        kind = self.axes[0].surroundings
        if kind == "zero":
            tied = np.zeros_like(x)
            tied[self._result] = x[self._result]
            return tied
        if kind != "reflect":
            return None
        tied = x.copy()
        inside: Any = (..., *(slice(axis.extended) for axis in self.axes))  # no datum sees what is beyond
        for n, (sources, counts) in enumerate(self._copies, start=x.ndim - len(self.axes)):
            block = np.moveaxis(tied[inside], n, 0)
            sums = np.zeros((len(counts), *block.shape[1:]), x.dtype)
            np.add.at(sums, sources, block)
            sums /= counts.reshape(-1, *[1] * (block.ndim - 1)).astype(x.dtype)
            block[...] = sums[sources]
        return tied
