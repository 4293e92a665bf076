"""A weight at work between two sizes, there and back: by direct kernels or by spectra, whichever costs less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from trous.backends import Operation
from trous.backends.execute import execute, split_complex
from trous.inverse.fourier import Fourier, cheaper
from trous.inverse.space import MEMORY, Space, fill

Array = np.ndarray


class Product(Protocol):
    """A linear map of batched arrays and its transpose; the result is written to `out` where that is given."""

    def forward(self, x: Array, out: Array | None = None) -> Array: ...

    def adjoint(self, y: Array, out: Array | None = None) -> Array: ...


class Direct:
    """By the kernels that `trous.conv` runs."""

    def __init__(self, operation: Operation, w: Array):
        self._operation, self._w = operation, w

    def forward(self, x: Array, out: Array | None = None) -> Array:
        return self._run(self._operation, x, out)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        return self._run(self._operation.adjoint, y, out)

    def _run(self, operation: Operation, x: Array, out: Array | None) -> Array:
        def run(x: Any, w: Any) -> Any:
            return execute(replace(operation, batch=x.shape[0]), x, w, None)

        if x.dtype.kind == "c":
            result = split_complex(run, x, self._w, None)
            return result if out is None else fill(out, result)
        return execute(operation, x, self._w, None, y=out)


class Border(NamedTuple):
    """An axis of `size` positions with others before and behind that copy them, `sources` for each."""

    size: int
    before: int
    sources: tuple[int, ...]

    @property
    def copies(self) -> list[tuple[int, int]]:
        """Positions of the border, and where what they copy lies among all."""
        around = (*range(self.before), *range(self.before + self.size, len(self.sources)))
        return [(position, self.before + self.sources[position]) for position in around]


class Bordered:
    """A product of arrays `(batch, channels, *size)` that are first extended by a border on each spatial axis."""

    def __init__(self, inner: Product, channels: int, borders: Sequence[Border], space: Space = MEMORY):
        self._inner, self._borders, self._space = inner, tuple(borders), space
        self._extended_shape = channels, *(len(border.sources) for border in borders)
        self._inside: Any = (..., *(slice(border.before, border.before + border.size) for border in borders))

    def forward(self, x: Array, out: Array | None = None) -> Array:
        extended = self._extended(x)
        fill(extended[self._inside], x)
        for at, source in self._copies():
            extended[at] = extended[source]
        return self._inner.forward(extended, out)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """What the inner adjoint says of the copies is added to what they were copied from."""
        extended = self._inner.adjoint(y, self._extended(y))
        for at, source in reversed(self._copies()):
            extended[source] += extended[at]
        inside = extended[self._inside]
        return np.ascontiguousarray(inside) if out is None else fill(out, inside)

    def _extended(self, x: Array) -> Array:
        return self._space.empty((len(x), *self._extended_shape), x.dtype)

    def _copies(self) -> list[tuple[Any, Any]]:
        """Slices of the border and of what it copies, along one axis after the other."""
        return [
            ((..., at, *after), (..., source, *after))
            for axis, border in enumerate(self._borders)
            for after in [(slice(None),) * (len(self._borders) - 1 - axis)]
            for at, source in border.copies
        ]


class Transposed:
    """The other way round."""

    def __init__(self, inner: Product):
        self.forward: Callable[..., Array] = inner.adjoint
        self.adjoint: Callable[..., Array] = inner.forward


def product(operation: Operation, w: Array, most: int | None = None) -> Product:
    """The cheaper of both ways. `most`: numbers that transforms work on at once, where that is possible."""
    return Fourier(operation, w, most) if cheaper(operation, w, most) else Direct(operation, w)
