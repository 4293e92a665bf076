"""The forward pass, and so the gradient for the input, which is the forward pass of the adjoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from trous.arrays import dtype_name
from trous.arrays import strides as strides_of
from trous.backends.cpu import channelwise, dense, direct, engine, gemm, rows, run
from trous.backends.cpu.tables import Strides
from trous.backends.cpu.target import Target, current
from trous.backends.operation import Operation


def forward(operation: Operation, x: Any, w: Any, bias: Any, y: Any) -> None:
    if 0 in operation.output_shape:
        return
    strides = Strides.of(x, w, y)
    checked = os.environ.get("TROUS_CHECK") == "1"
    bound, kernel = _bound(operation, strides, dtype_name(x), current(), checked)
    if bias is None:
        bias = _zeros(operation.out_channels, dtype_name(x))
    elif strides_of(bias) != (1,):
        bias = bias.clone() if hasattr(bias, "clone") else bias.copy()
    run.call(kernel, bound, {"x": x, "w": w, "bias": bias, "y": y}, operation.multiplications, checked)


@lru_cache(maxsize=256)
def _zeros(count: int, element: str) -> np.ndarray:
    """The bias of a layer without one; read only."""
    return np.zeros(count, element)


@lru_cache(maxsize=4096)
def _bound(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool
) -> tuple[run.Bound, Callable[..., None]]:
    family, shape, bound = _choice(operation, strides, element, target, checked)
    return bound, engine.function(shape.name, target, lambda: family.build(shape))


def kernel_for(operation: Operation, strides: Strides, element: str) -> str:
    """Name of the kernel that a forward pass takes."""
    return str(_choice(operation, strides, element, current(), False)[1].name)


def _choice(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool
) -> tuple[ModuleType, Any, run.Bound]:
    """The family of kernels that suits, the shape to compile and the rest bound.

    Dense, unless groups have few channels and rows can be read in place.
    """
    if rows.fits_direct(operation, strides):
        return direct, *rows.bind_direct(operation, strides, element, target, checked)
    if rows.fits_channelwise(operation, strides):
        return channelwise, *rows.bind_channelwise(operation, strides, element, target, checked)
    return gemm, *dense.bind(operation, strides, element, target, checked)
