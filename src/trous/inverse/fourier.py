"""Transforms of the last axes, and convolutions as products of spectra.

On a circle, `y[q] = sum over d of w[d] * x[q + d]` is `Y = X * conj(W)`. Where the inputs of an axis have holes between
them (`up` above 1) they lie on the circle with zeros between; where outputs were left out (`down` above 1) all are
computed and some are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import log2, prod
from typing import Any

import numpy as np
import scipy.fft

from trous.arrays import dtype_name
from trous.backends import Operation
from trous.backends.cpu.run import thread_count
from trous.plan.circle import circle_size
from trous.plan.grid import Grid

Array = np.ndarray[Any, Any]

#: Multiply-adds of a direct kernel in the time that a transform takes for one of its `size * log2(size)` steps: 50
#: against 3.6 thousand million a second (two cores with AVX-512, float32). Transforms of one axis make no use of
#: vectors: 1.2.
STEP, STEP_OF_ONE_AXIS = 14, 42


def fast(size: int) -> int:
    """The next size that transforms are quick at: products of 2, 3 and 5."""
    return scipy.fft.next_fast_len(size, real=True)


def transform(x: Array, size: Sequence[int]) -> Array:
    """Spectra of real arrays over the last axes, which are first lengthened to `size` by zeros."""
    axes = tuple(range(-len(size), 0))
    return scipy.fft.rfftn(x, tuple(size), axes=axes, workers=thread_count())


def invert(spectrum: Array, size: Sequence[int]) -> Array:
    """Real arrays from their spectra, which may be overwritten."""
    axes = tuple(range(-len(size), 0))
    return scipy.fft.irfftn(spectrum, tuple(size), axes=axes, workers=thread_count(), overwrite_x=True)


class Fourier:
    """A convolution by spectra: what `operation` says of float32 or float64 arrays, to rounding."""

    def __init__(self, operation: Operation, w: Array):
        self._operation, self._w = operation, w
        bound = operation.bound.axes
        sizes = [circle_size(axis) for axis in bound]
        self._size = tuple(fast(n) for n in sizes if n is not None)
        self._inputs: Any = tuple(slice(0, axis.plan.up * axis.input_size, axis.plan.up) for axis in bound)
        self._outputs: Any = tuple(slice(0, axis.plan.down * axis.output_size, axis.plan.down) for axis in bound)

    @staticmethod
    def why_not(operation: Operation, dtype: str) -> str | None:
        """The reason that an operation cannot be done this way, or None."""
        if dtype not in ("float32", "float64"):
            return f"transforms are of float32 and float64, not of {dtype}"
        if any(circle_size(axis) is None for axis in operation.bound.axes):
            return "a grid with holes for inputs and outputs both that share a factor"
        return None

    @staticmethod
    def cost(operation: Operation) -> float:
        """What forward or adjoint take, in multiply-adds of a direct kernel."""
        size = prod(fast(circle_size(axis) or 1) for axis in operation.bound.axes)
        step = STEP if operation.bound.plan.ndim > 1 else STEP_OF_ONE_AXIS
        channels = operation.in_channels + operation.out_channels
        products = operation.in_channels * operation.out_channels // operation.groups
        return operation.batch * size * (channels * step * log2(size + 1) + 2 * products)

    def forward(self, x: Array) -> Array:
        return self._apply(x, self._inputs, self._outputs, self._operation, "bgif,goif->bgof", conjugate=True)

    def adjoint(self, y: Array) -> Array:
        return self._apply(y, self._outputs, self._inputs, self._operation.adjoint, "bgof,goif->bgif", conjugate=False)

    def _apply(self, x: Array, read: Any, written: Any, what: Operation, sums: str, conjugate: bool) -> Array:
        batch, groups = x.shape[0], what.groups
        if all(places.step == 1 for places in read):
            spectrum = transform(x, self._size)
        else:
            circle = np.zeros((*x.shape[:2], *self._size), x.dtype)
            circle[(..., *read)] = x
            spectrum = transform(circle, self._size)
        weight = self._spectrum if not conjugate else self._conjugate
        half = spectrum.shape[2:]
        if what.in_channels == what.out_channels == groups:
            spectrum *= weight.reshape(groups, *half)
        else:
            spectrum = np.einsum(sums, spectrum.reshape(batch, groups, -1, prod(half)), weight)
            spectrum = spectrum.reshape(batch, what.out_channels, *half)
        return np.ascontiguousarray(invert(spectrum, self._size)[(..., *written)])

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


def cheaper(operation: Operation, x: Array) -> bool:
    """Whether spectra are possible and cost less than direct kernels."""
    if 0 in operation.output_shape or 0 in operation.input_shape or Fourier.why_not(operation, dtype_name(x)):
        return False
    return Fourier.cost(operation) < operation.multiplications
