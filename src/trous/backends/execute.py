"""Operations from plain numbers, and their execution by the best back-end into arrays made for the purpose."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from trous.arrays import empty, is_channels_last, is_torch
from trous.backends import Operation, choose
from trous.backends.epilogue import NOTHING, Epilogue
from trous.plan import Plan, conv_axis


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
        bound=_plan(kernel, stride, before, dilation, transposed).bind(x_shape[2:], output_size),
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


def execute(what: Operation, x: Any, w: Any, bias: Any, epilogue: Epilogue = NOTHING, residual: Any = None) -> Any:
    """The output of the best back-end, channels-last if x is."""
    y = empty(what.output_shape, x, is_channels_last(x))
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
