"""A weight at work between two sizes, there and back: by direct kernels or by spectra, whichever costs less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from trous.backends import Operation
from trous.backends.execute import execute, split_complex
from trous.inverse.fourier import Fourier, cheaper

Array = np.ndarray


class Product(Protocol):
    """A linear map of batched arrays and its transpose."""

    def forward(self, x: Array) -> Array: ...

    def adjoint(self, y: Array) -> Array: ...


class Direct:
    """By the kernels that `trous.conv` runs."""

    def __init__(self, operation: Operation, w: Array):
        self._operation, self._w = operation, w

    def forward(self, x: Array) -> Array:
        return self._run(self._operation, x)

    def adjoint(self, y: Array) -> Array:
        return self._run(self._operation.adjoint, y)

    def _run(self, operation: Operation, x: Array) -> Array:
        def run(x: Any, w: Any) -> Any:
            return execute(replace(operation, batch=x.shape[0]), x, w, None)

        return split_complex(run, x, self._w, None) if x.dtype.kind == "c" else execute(operation, x, self._w, None)


class Border(NamedTuple):
    """An axis of `size` positions with others before and behind that copy them, `sources` for each; -1 for zeros."""

    size: int
    before: int
    sources: tuple[int, ...]


class Bordered:
    """A product of arrays that are first extended by a border on each of their last axes."""

    def __init__(self, inner: Product, borders: Sequence[Border]):
        self._inner, self._borders = inner, borders

    def forward(self, x: Array) -> Array:
        return self._inner.forward(extend(x, self._borders))

    def adjoint(self, y: Array) -> Array:
        return fold(self._inner.adjoint(y), self._borders)


class Transposed:
    """The other way round."""

    def __init__(self, inner: Product):
        self.forward: Callable[[Array], Array] = inner.adjoint
        self.adjoint: Callable[[Array], Array] = inner.forward


def product(operation: Operation, w: Array) -> Product:
    """The cheaper of both ways."""
    return Fourier(operation, w) if cheaper(operation, w) else Direct(operation, w)


def extend(x: Array, borders: Sequence[Border]) -> Array:
    """`x` with the borders of its last axes filled."""
    for axis, (size, _, sources) in enumerate(borders, start=x.ndim - len(borders)):
        if len(sources) > size:
            index = np.array(sources)
            x = np.take(x, index, axis, mode="clip")
            x[(slice(None),) * axis + (index < 0,)] = 0
    return x


def fold(y: Array, borders: Sequence[Border]) -> Array:
    """The adjoint of `extend`: every copy is added to what it was copied from."""
    for axis, (size, before, sources) in enumerate(borders, start=y.ndim - len(borders)):
        ahead = (slice(None),) * axis
        x = y[(*ahead, slice(before, before + size))]
        if len(sources) > size:
            x = x.copy()
            for position in (*range(before), *range(before + size, len(sources))):
                if sources[position] >= 0:
                    x[(*ahead, sources[position])] += y[(*ahead, position)]
        y = x
    return y
