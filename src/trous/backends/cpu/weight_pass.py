"""The gradient for the weight."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from trous import settings
from trous.arrays import address, dtype_name, is_torch
from trous.backends.cpu import correlate, engine
from trous.backends.cpu.narrow import summed_in
from trous.backends.cpu.run import Prepared
from trous.backends.cpu.tables import Strides
from trous.backends.cpu.target import Target, current
from trous.backends.cpu.values import BYTES
from trous.backends.cpu.weight_binding import WeightStrides, bind
from trous.backends.cpu.weight_forms import cheapest
from trous.backends.cpu.weight_tiles import Tiling
from trous.backends.operation import Operation


def weight_grad(operation: Operation, x: Any, dy: Any, dw: Any) -> None:
    if operation.multiplications == 0:
        dw[...] = 0
        return
    element = dtype_name(x)
    checked = settings.get(settings.CHECK) == "1"
    ready = _ready(operation, Strides.of(x, dw, dy), element, current(), checked)
    left, right = (x, dy) if ready.left == "x" else (dy, x)
    sums = dw if ready.parts == 0 else np.empty((ready.parts, *operation.weight_shape), summed_in(element))
    ready.run(address(left), address(sums), 0, 0, address(right))
    if ready.parts:
        total = sums.sum(axis=0)
        dw[...] = sys.modules["torch"].from_numpy(total) if is_torch(dw) else total


@dataclass(frozen=True)
class _Ready:
    """All that is decided before a call."""

    run: Prepared
    parts: int  #: gradients to add, the sum to be rounded; 0 where the only one is written at once
    left: str  #: the array on the left, "x" or "y"


@lru_cache(maxsize=4096)
def _ready(operation: Operation, strides: Strides, element: str, target: Target, checked: bool) -> _Ready:
    tiling = tiling_for(operation, strides, element, target)
    parts = 0 if tiling.parts == 1 and element == summed_in(element) else tiling.parts
    shape = operation.weight_shape
    if parts:
        strides = Strides(strides.x, tuple(prod(shape[i + 1 :]) for i in range(len(shape))), strides.y)
        shape = (parts, *shape)
    code, bound = bind(tiling, _weight_strides(operation, strides), checked)
    kernel = engine.function(code.name, target, lambda: correlate.build(code))
    left, right = (operation.input_shape, strides.x), (operation.output_shape, strides.y)
    if tiling.form.left.name == "y":
        left, right = right, left
    whole = strides.w if not parts else (prod(operation.weight_shape), *strides.w)
    layouts = {"left": left, "right": right, "w": (shape, whole)}
    return _Ready(Prepared.of(kernel, bound, layouts, operation.multiplications, checked), parts, tiling.form.left.name)


def tiling_for(operation: Operation, strides: Strides, element: str, target: Target) -> Tiling:
    """How the gradient is computed: the form and its pieces."""
    lanes = target.lanes(BYTES[element])
    return Tiling(operation, cheapest(operation, strides, lanes, target.registers), lanes, element)


def _weight_strides(operation: Operation, strides: Strides) -> WeightStrides:
    first, second = strides.w[:2]
    per_group = operation.weight_shape[0] // operation.groups
    y, x = (second, first) if operation.weight_by_input else (first, second)
    return WeightStrides(prod(operation.weight_shape), per_group * first, y, x, strides.spatial("w"))
