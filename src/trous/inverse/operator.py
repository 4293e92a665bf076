"""A bound plan with its weight as a SciPy linear operator."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from trous.backends import Operation
from trous.errors import TrousError
from trous.functional import as_numpy
from trous.inverse.product import Border, Bordered, Product, Transposed, product
from trous.plan import BoundPlan
from trous.plan.border import PADDING_MODES, source_indices, unpadded

Array = np.ndarray
DTYPES = ("float32", "float64", "complex64", "complex128")


class PlanOperator(LinearOperator):
    """The matrix of a bound plan with its weight; made by `linear_operator`.

    Attributes:
        dims, dimsd: the shapes that vectors of the domain and of the data have when they are no vectors,
            `(batch, in_channels, *input_size)` and `(batch, out_channels, *output_size)`; PyLops' names.
    """

    def __init__(self, operation: Operation, w: Array, padding_mode: str):
        self.dims, self.dimsd = operation.input_shape, operation.output_shape
        self._operation, self._w, self._padding_mode = operation, w, padding_mode
        self._of_batch = lru_cache(maxsize=4)(self._product)
        super().__init__(w.dtype, (prod(self.dimsd), prod(self.dims)))
        self._of_batch(operation.batch)  # what cannot be is said here

    def _product(self, batch: int) -> Product:
        operation = replace(self._operation, batch=batch)
        if self._padding_mode == "zeros":
            return product(operation, self._w)
        if operation.weight_by_input:
            return Transposed(_bordered(operation.adjoint, self._w, self._padding_mode))
        return _bordered(operation, self._w, self._padding_mode)

    def _matmat(self, columns: Array) -> Array:
        """All columns in one pass, as entries of the batch."""
        count = columns.shape[1]
        return self._columns(columns, self.dims, "forward", count)

    def _rmatmat(self, columns: Array) -> Array:
        count = columns.shape[1]
        return self._columns(columns.conj(), self.dimsd, "adjoint", count).conj()

    def _matvec(self, x: Array) -> Array:
        return self._matmat(x.reshape(-1, 1))[:, 0]

    def _rmatvec(self, y: Array) -> Array:
        return self._rmatmat(y.reshape(-1, 1))[:, 0]

    def _adjoint(self) -> LinearOperator:
        return _Adjoint(self)

    def _columns(self, columns: Array, shape: tuple[int, ...], way: str, count: int) -> Array:
        batch, *rest = shape
        if np.iscomplexobj(columns) and self.dtype.kind != "c":  # a real matrix: part by part
            return self._columns(columns.real, shape, way, count) + 1j * self._columns(columns.imag, shape, way, count)
        x = np.ascontiguousarray(columns.T, self.dtype).reshape(count * batch, *rest)
        y = getattr(self._of_batch(count * batch), way)(x)
        return y.reshape(count, -1).T


class _Adjoint(LinearOperator):
    """As SciPy's own, which does not know `dims`."""

    def __init__(self, forward: PlanOperator):
        self._forward = forward
        self.dims, self.dimsd = forward.dimsd, forward.dims
        super().__init__(forward.dtype, forward.shape[::-1])

    def _matvec(self, y: Array) -> Array:
        return self._forward._rmatvec(y)

    def _rmatvec(self, x: Array) -> Array:
        return self._forward._matvec(x)

    def _matmat(self, y: Array) -> Array:
        return self._forward._rmatmat(y)

    def _rmatmat(self, x: Array) -> Array:
        return self._forward._matmat(x)

    def _adjoint(self) -> LinearOperator:
        return self._forward


def linear_operator(
    bound: BoundPlan, w: Any, *, groups: int = 1, batch: int = 1, padding_mode: str = "zeros"
) -> PlanOperator:
    """The layer as a matrix, for the solvers of scipy.sparse.linalg and PyLops: `A @ x`, `A.T @ y`, `A.H @ y`.

    Products are by the kernels of `trous.conv` or by fast Fourier transforms, whichever cost less; the matrix is never
    made. Several columns, `A @ X`, are one pass. The adjoint is exact: `<A x, y> = <x, A.H y>` to rounding.

    Args:
        bound: `spec.plan().bind(size)`, of a `Conv` or a `ConvTranspose`, of one to three dimensions.
        w: a NumPy array, float32, float64, complex64 or complex128: `(out_channels, in_channels/groups, *kernel)`,
            of a transposed convolution `(in_channels, out_channels/groups, *kernel)`. A plan of a single tap at stride
            1 is taken for a convolution's.
        groups: channels are split into so many parts that do not see each other.
        batch: entries of a vector's batch.
        padding_mode: "zeros", "reflect", "replicate" or "circular": what the plan's padding holds; of a transposed
            convolution, the adjoint of that.

    Returns:
        A `scipy.sparse.linalg.LinearOperator` of shape (outputs, inputs), where vectors are arrays
        `(batch, channels, *size)` made flat; `dims` and `dimsd` have these shapes.

    Raises:
        TrousError: an argument that cannot be.

    >>> from trous.spec import Conv
    >>> A = Conv(3, stride=2, padding=1).plan().bind(5).linear_operator(np.array([[[1.0, 2.0, 3.0]]]))
    >>> A @ np.ones(5), A.T @ np.ones(3)
    (array([5., 6., 3.]), array([2., 4., 2., 4., 2.]))
    """
    w = as_numpy("w", w)
    if w.dtype.name not in DTYPES:
        raise TrousError("w", f"must have one of the dtypes {', '.join(DTYPES)}", w.dtype.name)
    kernel = tuple(1 + max(tap.kernel for tap in axis.taps) for axis in bound.plan.axes)
    if w.shape[2:] != kernel or 0 in w.shape:
        raise TrousError("w", f"must have two axes of channels and then the plan's kernel, {kernel}", w.shape)
    for name, value in (("groups", groups), ("batch", batch)):
        if not isinstance(value, int) or value < 1:
            raise TrousError(name, "must be an integer of at least 1", value)
    if w.shape[0] % groups:
        raise TrousError("groups", f"must divide the first axis of w, {w.shape[0]}", groups)
    if padding_mode not in PADDING_MODES:
        raise TrousError("padding_mode", f"must be one of {', '.join(PADDING_MODES)}", padding_mode)
    by_input = any(axis.is_transposed for axis in bound.plan.axes)
    first, second = w.shape[0], w.shape[1] * groups
    channels = (first, second) if by_input else (second, first)
    operation = Operation(bound, kernel, batch, *channels, groups=groups, weight_by_input=by_input)
    return PlanOperator(operation, w, padding_mode)


def _bordered(operation: Operation, w: Array, mode: str) -> Bordered:
    """A convolution whose padding is filled by `mode`."""
    found = [unpadded(axis) for axis in operation.bound.axes]
    borders = [
        Border(axis.input_size, before, tuple(source_indices(mode, axis.input_size, before, after)))  # type: ignore[arg-type]
        for axis, (_, before, after) in zip(operation.bound.axes, found, strict=True)
    ]
    inner = BoundPlan.of(axis for axis, _, _ in found)
    return Bordered(product(replace(operation, bound=inner), w), operation.in_channels, borders)
