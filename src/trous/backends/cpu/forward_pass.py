"""The forward pass, and so the gradient for the input, which is the forward pass of the adjoint."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from trous.arrays import dtype_name, wide
from trous.arrays import strides as strides_of
from trous.backends.cpu import channelwise, dense, direct, engine, finishing, gemm, rows, run
from trous.backends.cpu.narrow import STORED
from trous.backends.cpu.tables import Strides
from trous.backends.cpu.target import Target, current
from trous.backends.epilogue import NOTHING, Epilogue
from trous.backends.operation import Operation

#: Families whose kernels finish sums as they store them (`activations.Finish`): their `bind` takes the epilogue last.
#: Over the output of the others it is a pass of its own.
FUSING: frozenset[ModuleType] = frozenset()


def forward(
    operation: Operation, x: Any, w: Any, bias: Any, y: Any, epilogue: Epilogue = NOTHING, residual: Any = None
) -> None:
    if 0 in operation.output_shape:
        return
    strides = Strides.of(x, w, y)
    checked = os.environ.get("TROUS_CHECK") == "1"
    # A residual is read where its output is written, if both lie in memory alike.
    fused = epilogue if not epilogue.residual or strides_of(residual) == strides_of(y) else NOTHING
    bound, kernel, done = _bound(operation, strides, dtype_name(x), current(), checked, fused)
    if done != epilogue and dtype_name(x) in STORED:  # between two passes there must be no rounding
        bias, residual = (None if a is None else wide(a) for a in (bias, residual))
        total = wide(y)
        forward(operation, wide(x), wide(w), bias, total, epilogue, residual)
        y[...] = total
        return
    if bias is None:
        bias = _zeros(operation.out_channels, dtype_name(x))
    elif strides_of(bias) != (1,):
        bias = bias.clone() if hasattr(bias, "clone") else bias.copy()
    arrays = {"x": x, "w": w, "bias": bias, "y": y}
    if done.residual:
        arrays["residual"] = residual
    run.call(kernel, bound, arrays, operation.multiplications, checked)
    if epilogue and not done:
        finishing.apply(epilogue, y, residual)


@lru_cache(maxsize=256)
def _zeros(count: int, element: str) -> np.ndarray:
    """The bias of a layer without one; read only. Zero has the same bits in every 16-bit type."""
    return np.zeros(count, np.uint16 if element in STORED else element)


@lru_cache(maxsize=4096)
def _bound(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue
) -> tuple[run.Bound, Callable[..., None], Epilogue]:
    """Tables and kernel, and what of the epilogue the kernel does."""
    family, shape, bound = _choice(operation, strides, element, target, checked, epilogue)
    kernel = engine.function(shape.name, target, lambda: family.build(shape))
    return bound, kernel, epilogue if family in FUSING else NOTHING


def kernel_for(operation: Operation, strides: Strides, element: str) -> str:
    """Name of the kernel that a forward pass takes."""
    return str(_choice(operation, strides, element, current(), False, NOTHING)[1].name)


def _choice(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue
) -> tuple[ModuleType, Any, run.Bound]:
    """The family of kernels that suits, the shape to compile and the rest bound."""
    family, bind = _family(operation, strides)
    arguments = (operation, strides, element, target, checked)
    return family, *(bind(*arguments, epilogue) if family in FUSING else bind(*arguments))


def _family(operation: Operation, strides: Strides) -> tuple[ModuleType, Callable[..., tuple[Any, run.Bound]]]:
    """Dense, unless groups have few channels and rows can be read in place."""
    if rows.fits_direct(operation, strides):
        return direct, rows.bind_direct
    if rows.fits_channelwise(operation, strides):
        return channelwise, rows.bind_channelwise
    return gemm, dense.bind
