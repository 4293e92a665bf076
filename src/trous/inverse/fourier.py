"""Transforms of the last axes, and convolutions as products of spectra.

On a circle, `y[q] = sum over d of w[d] * x[q + d]` is `Y = X * conj(W)`. Where the inputs of an axis have holes between
them (`up` above 1) they lie on the circle with zeros between; where outputs were left out (`down` above 1) all are
computed and some are read. A large array is cut into tiles, each on a circle of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

import numpy as np
import scipy.fft

from trous.arrays import dtype_name
from trous.backends import Operation
from trous.backends.cpu.run import thread_count
from trous.inverse.tiling import best_cut
from trous.plan.circle import Tile, circle_size, tiles
from trous.plan.grid import Grid

Array = np.ndarray[Any, Any]


def transform(x: Array, size: Sequence[int], threads: int | None = None) -> Array:
    """Spectra of real arrays over the last axes, which are first lengthened to `size` by zeros."""
    axes = tuple(range(-len(size), 0))
    return scipy.fft.rfftn(x, tuple(size), axes=axes, workers=threads or thread_count())


def invert(spectrum: Array, size: Sequence[int], threads: int | None = None) -> Array:
    """Real arrays from their spectra, which may be overwritten."""
    axes = tuple(range(-len(size), 0))
    return scipy.fft.irfftn(spectrum, tuple(size), axes=axes, workers=threads or thread_count(), overwrite_x=True)


class Fourier:
    """A convolution by spectra: what `operation` says of float32 or float64 arrays, to rounding.

    It is done on circles of one size, several at a time by several threads. The result is the same whatever their
    number is. `most`: numbers of a circle at most, where that is possible.
    """

    def __init__(self, operation: Operation, w: Array, most: int | None = None):
        self._operation, self._w = operation, w
        cut = best_cut(operation, most)
        self._size, self._together = cut.size, cut.together

    @staticmethod
    def why_not(operation: Operation, dtype: str) -> str | None:
        """The reason that an operation cannot be done this way, or None."""
        if dtype not in ("float32", "float64"):
            return f"transforms are of float32 and float64, not of {dtype}"
        if any(circle_size(axis) is None for axis in operation.bound.axes):
            return "a grid with holes for inputs and outputs both that share a factor"
        return None

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return self._apply(x, out, self._operation, "bgif,goif->bgof", self._conjugate)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        return self._apply(y, out, self._operation.adjoint, "bgof,goif->bgif", self._spectrum)

    def _apply(self, x: Array, out: Array | None, what: Operation, sums: str, weight: Array) -> Array:
        result = np.empty((len(x), *what.output_shape[1:]), x.dtype) if out is None else out
        axes = [tiles(axis, n) for axis, n in zip(what.bound.axes, self._size, strict=True)]
        circles = [(entry, along) for entry in range(len(x)) for along in product(*axes)]
        jobs = [circles[i : i + self._together] for i in range(0, len(circles), self._together)]
        threads = thread_count()
        each = threads if len(jobs) < threads else 1

        def run(job: list[tuple[int, tuple[Tile, ...]]]) -> None:
            parts = np.zeros((len(job), what.in_channels, *self._size), x.dtype)
            for part, (entry, along) in zip(parts, job, strict=True):
                part[_within(tile.read for tile in along)] = x[entry][_within(tile.inputs for tile in along)]
            spectrum = _times(transform(parts, self._size, each), weight, what, sums)
            for part, (entry, along) in zip(invert(spectrum, self._size, each), job, strict=True):
                made = part[_within(tile.written for tile in along)]
                result[entry][_within(tile.outputs for tile in along)] = made

        if each > 1 or threads == 1:
            for job in jobs:
                run(job)
        else:
            with ThreadPoolExecutor(threads) as pool:
                for _ in pool.map(run, jobs):
                    pass
        return result

    @cached_property
    def _spectrum(self) -> Array:
        """`(groups, out, in, half)`."""
        what = self._operation
        w = self._w
        if what.weight_by_input:  # (in, out/groups, ...)
            w = w.reshape(what.groups, -1, *w.shape[1:]).swapaxes(1, 2)
        else:
            w = w.reshape(what.groups, -1, *w.shape[1:])
        circle = np.zeros((*w.shape[:3], *self._size), w.dtype)
        distances = [Grid(axis).kernel for axis in what.bound.axes]
        used = [sorted(along) for along in distances]
        at = [[along[k] % n for k in ks] for along, ks, n in zip(distances, used, self._size, strict=True)]
        there: Any = np.ix_(*at)
        kept: Any = np.ix_(*used)
        np.add.at(
            circle, (slice(None), slice(None), slice(None), *there), w[(slice(None), slice(None), slice(None), *kept)]
        )
        spectrum = transform(circle, self._size)
        return spectrum.reshape(*w.shape[:3], -1)

    @cached_property
    def _conjugate(self) -> Array:
        return self._spectrum.conj()


def _within(places: Iterable[slice]) -> Any:
    return (..., *places)


def _times(spectrum: Array, weight: Array, what: Operation, sums: str) -> Array:
    """The product with a weight `(groups, out, in, half)`, summed over channels; may overwrite the spectrum."""
    half = spectrum.shape[2:]
    if what.in_channels == what.out_channels == what.groups:
        spectrum *= weight.reshape(what.groups, *half)
        return spectrum
    summed = np.einsum(sums, spectrum.reshape(len(spectrum), what.groups, -1, prod(half)), weight)
    return summed.reshape(len(spectrum), what.out_channels, *half)


def cheaper(operation: Operation, x: Array, most: int | None = None) -> bool:
    """Whether spectra are possible and cost less than direct kernels."""
    if 0 in operation.output_shape or 0 in operation.input_shape or Fourier.why_not(operation, dtype_name(x)):
        return False
    return best_cut(operation, most).cost < operation.multiplications
