"""Operations from plain numbers, and their execution by the best back-end into arrays made for the purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from math import prod
from typing import Any, NamedTuple

import numpy as np

from trous.arrays import (
    addresses,
    are_channels_adjacent,
    dense_strides,
    device_name,
    dtype_name,
    empty,
    gives_channels_last,
    is_torch,
    maker,
    numpy_address,
    within,
)
from trous.backends import Operation, choose, first_accepting
from trous.backends.epilogue import NOTHING, Epilogue
from trous.memory import LARGE, lend
from trous.plan import Plan, conv_axis
from trous.plan.plan import bind


@lru_cache(maxsize=4096)
def operation(
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    output_size: tuple[int, ...],
    stride: tuple[int, ...],
    before: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    transposed: bool,
) -> Operation:
    """The operation of a convolution, or of the adjoint of one."""
    kernel = w_shape[2:]
    return Operation(
        bound=bind(_plan(kernel, stride, before, dilation, transposed), x_shape[2:], output_size),
        kernel=kernel,
        batch=x_shape[0],
        in_channels=x_shape[1],
        out_channels=w_shape[1] * groups if transposed else w_shape[0],
        groups=groups,
        weight_by_input=transposed,
    )


@lru_cache(maxsize=4096)
def _plan(
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    before: tuple[int, ...],
    dilation: tuple[int, ...],
    transposed: bool,
) -> Plan:
    """With the output size given, what is padded behind the last input changes nothing, so that it is no argument."""
    axes = zip(kernel, stride, before, dilation, strict=True)
    plan = Plan(tuple(conv_axis(k, s, b, 0, d) for k, s, b, d in axes))
    return plan.adjoint() if transposed else plan


@dataclass(frozen=True, eq=False)
class Ready:
    """A forward pass with everything decided but the numbers: for arrays of the forms that it was made for."""

    run: Callable[..., None]
    new: Callable[[], Any]
    address: Callable[[Any], int]
    prepare_packed: Callable[[], Any]

    @cached_property
    def packed(self) -> Any:
        """The same for a weight that was packed before, where the back-end has that, else None."""
        return self.prepare_packed()

    def __call__(self, x: Any, w: Any, bias: Any, residual: Any) -> Any:
        """The output; None for no bias, no residual."""
        return self._output(self.run, x, self.address(w), bias, residual)

    def with_panels(self, x: Any, panels: np.ndarray, bias: Any, residual: Any) -> Any:
        """The output, with the weight as `packed` has left it."""
        return self._output(self.packed.run, x, numpy_address(panels), bias, residual)

    def _output(self, run: Callable[..., None], x: Any, w: int, bias: Any, residual: Any) -> Any:
        y, address = self.new(), self.address
        bias = 0 if bias is None else address(bias)
        residual = 0 if residual is None else address(residual)
        run(address(x), w, bias, residual, address(y))
        return y


class Form(NamedTuple):
    """What a pass depends on of an array on the CPU. Strides are those of its library: NumPy's count bytes."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: Any
    is_aligned: bool = True

    @property
    def steps(self) -> tuple[int, ...]:
        """Strides in elements."""
        if not isinstance(self.dtype, np.dtype):
            return self.strides
        size = self.dtype.itemsize
        return tuple([s // size for s in self.strides])

    @property
    def is_readable(self) -> bool:
        """Whether machine code can read it."""
        return self.is_aligned and getattr(self.dtype, "isnative", True)


def ready(
    what: Operation, epilogue: Epilogue, batched: bool, x: Form, w: Form, bias: Form | None, residual: Form | None
) -> Ready | None:
    """The forward pass for readable arrays of these forms, if it is one: of real numbers, by a back-end that prepares.
    Without batch `x` and `residual` have none either."""
    if 0 in what.output_shape or dtype_name(x).startswith("complex"):
        return None
    if bias is not None and bias.steps != (1,):
        return None
    backend: Any = first_accepting(what, x)[0]
    if not hasattr(backend, "prepare"):
        return None
    front = () if batched else (1,)
    x_strides = (*front, *x.steps)
    last = are_channels_adjacent(what.input_shape, x_strides)
    last = last or (len(w.shape) == 4 and are_channels_adjacent(what.weight_shape, w.steps))
    y_strides = dense_strides(what.output_shape, last)
    beside = None if residual is None else (*front, *residual.steps)
    arguments = what, x_strides, w.steps, y_strides, dtype_name(x), epilogue, beside
    run = backend.prepare(*arguments)
    if run is None:
        return None
    first = len(front)
    new = _maker(what.output_shape[first:], y_strides[first:], x.dtype)
    return Ready(run, new, addresses(x.dtype), partial(backend.prepare_packed, *arguments))


def _maker(shape: tuple[int, ...], strides: tuple[int, ...], dtype: Any) -> Callable[[], Any]:
    """What makes outputs of this form on the CPU, strides in elements: large ones in memory that is lent."""
    make, size = maker(shape, strides, dtype), prod(shape) * dtype.itemsize
    if size < LARGE:
        return make

    def make_large() -> Any:
        memory = lend(size)
        return make() if memory is None else within(memory, shape, strides, dtype)

    return make_large


@lru_cache(maxsize=1024)
def ready_at(_: tuple, x: tuple, w: tuple, *geometry: Any) -> Ready | None:
    """`ready` for batched arrays, x and w as the fields of `Form`, and the arguments of `operation` behind the shapes.

    The first argument is `settings.state()`.
    """
    forms = Form(*x), Form(*w)
    return ready(operation(forms[0].shape, forms[1].shape, *geometry), NOTHING, True, *forms, None, None)


def execute(
    what: Operation, x: Any, w: Any, bias: Any, epilogue: Epilogue = NOTHING, residual: Any = None, y: Any = None
) -> Any:
    """The output of the best back-end in y, or in a new array, channels-last as `gives_channels_last` says."""
    channels_last = gives_channels_last(x, w)
    if y is None and device_name(x) == "cpu":
        y = _maker(what.output_shape, dense_strides(what.output_shape, channels_last), x.dtype)()
    elif y is None:
        y = empty(what.output_shape, x, channels_last)
    choose(what, x).forward(what, x, w, bias, y, epilogue, residual)
    return y


def execute_weight_grad(what: Operation, x: Any, dy: Any) -> Any:
    """The gradient for the weight, by the best back-end."""
    dw = empty(what.weight_shape, x)
    choose(what, x).weight_grad(what, x, dy, dw)
    return dw


def split_complex(run: Any, x: Any, w: Any, bias: Any) -> Any:
    """A complex convolution as two real ones, `run(x, w)`, with real and imaginary parts side by side in the batch."""
    library: Any = np
    if is_torch(x):
        import torch

        library = torch
    parts = library.concatenate([x.real, x.imag])
    by_real, by_imag = run(parts, w.real), run(parts, w.imag)
    batch = x.shape[0]
    real, imag = by_real[:batch] - by_imag[batch:], by_real[batch:] + by_imag[:batch]
    if is_torch(x):
        y = library.complex(real, imag)
    else:
        y = np.empty_like(real, x.dtype)
        y.real, y.imag = real, imag
    return y if bias is None else y + bias.reshape((-1, *[1] * (x.ndim - 2)))
