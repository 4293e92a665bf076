"""Slices and matrix products, one per tap: readable, as fast as that allows, on any device with a matrix product.

For the steps at which a tap lands inside, the inputs that it reads are one strided slice of x and the outputs that it
feeds one strided slice of y. Between the two stands a product with the tap's matrix of weights. A tap whose whole range
falls into the padding has no slice and costs nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import prod
from typing import Any

import numpy as np

from trous.arrays import device_name, dtype_name, empty, is_torch, wide
from trous.backends.epilogue import NOTHING, Epilogue, finish
from trous.backends.groups import split_channels, split_weight
from trous.backends.operation import Operation

FLOATS = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")
INTEGERS = tuple(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))


def why_not(operation: Operation, x: Any) -> str | None:
    """The reason it refuses: a dtype for which the array's library has no matrix product."""
    dtype = dtype_name(x)
    if dtype in FLOATS:
        return None
    if dtype not in INTEGERS:
        return f"no matrix product of dtype {dtype}"
    if is_torch(x) and (device_name(x) != "cpu" or dtype in ("uint16", "uint32", "uint64")):
        return f"torch has no matrix product of dtype {dtype} on device {device_name(x)}"
    return None


def forward(
    operation: Operation, x: Any, w: Any, bias: Any, y: Any, epilogue: Epilogue = NOTHING, residual: Any = None
) -> None:
    """Fill `y` with the bias, add the product of every live tap to the outputs that it feeds, and finish them."""
    with _plain(x):
        x, w = split_channels(operation, wide(x)), split_weight(operation, wide(w))
        total = _wide_like(y)
        total[...] = 0 if bias is None else bias.reshape((-1, *[1] * len(operation.kernel)))
        target = split_channels(operation, total)
        for kernel, outputs, inputs in _slices(operation):
            fed = target[:, :, :, *outputs]
            fed += _product(w[:, :, :, *kernel], _rows(x[:, :, :, *inputs])).reshape(fed.shape)
        total = finish(total, epilogue, wide(residual) if epilogue.residual else None)
        if total is not y:
            y[...] = total


def weight_grad(operation: Operation, x: Any, dy: Any, dw: Any) -> None:
    """Fill `dw`: for every tap the product of the slice of `dy` with the slice of `x`, summed over the batch."""
    with _plain(x):
        x, dy = split_channels(operation, wide(x)), split_channels(operation, wide(dy))
        total = _wide_like(dw)
        total[...] = 0
        target = split_weight(operation, total)
        for kernel, outputs, inputs in _slices(operation):
            product = _rows(dy[:, :, :, *outputs]) @ _rows(x[:, :, :, *inputs]).swapaxes(2, 3)
            target[:, :, :, *kernel] += product.sum(0, dtype=product.dtype)
        if total is not dw:
            dw[...] = total


def _slices(operation: Operation) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...], tuple[slice, ...]]]:
    """For every combination of live taps: kernel index, slices of the output, slices of the input."""
    axes = [[(tap.kernel, *axis.slices(tap)) for tap in axis.live_taps] for axis in operation.bound.axes]
    for combination in itertools.product(*axes):
        kernel, outputs, inputs = zip(*combination, strict=True)
        yield kernel, outputs, inputs


def _rows(x: Any) -> Any:
    """`(batch, groups, channels, *size)` as `(batch, groups, channels, positions)`."""
    return x.reshape((*x.shape[:3], prod(x.shape[3:])))


def _product(w: Any, x: Any) -> Any:
    """Weights `(groups, out, in)` times `(batch, groups, in, positions)`; with one channel in, no matrix is needed."""
    return w * x if w.shape[2] == 1 else w @ x


def _wide_like(y: Any) -> Any:
    """`y` itself, or an array of its shape to add up in."""
    sample = wide(y[:0])
    return y if sample.dtype == y.dtype else empty(y.shape, sample)


@contextmanager
def _plain(x: Any) -> Iterator[None]:
    """Without autograd's records, autocast (which would round factors to 16 bits) and NumPy's warnings."""
    with ExitStack() as stack:
        if is_torch(x):
            import torch

            stack.enter_context(torch.no_grad())
            if torch.amp.is_autocast_available(x.device.type):
                stack.enter_context(torch.autocast(x.device.type, enabled=False))
        else:
            stack.enter_context(np.errstate(all="ignore"))
        yield
