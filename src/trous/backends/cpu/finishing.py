"""An epilogue as a pass of its own over the output, in place, for kernels that do not take it as they store.

The axes are put in the order in which the output lies in memory, and those that lie behind each other become one, so
that most arrays are one row. Rows are cut into items of work.

Roofline: memory, or the second-level cache: the output is read and written once more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, prod
from typing import Any

from trous import settings
from trous.arrays import address, dtype_name, strides
from trous.backends.cpu import engine
from trous.backends.cpu.activations import finish, slope_bits, slope_vector
from trous.backends.cpu.header import Fields, Kernel
from trous.backends.cpu.ir import BYTES, Array, Int
from trous.backends.cpu.run import Bound, Prepared
from trous.backends.cpu.target import Target, current
from trous.backends.epilogue import Epilogue

#: Axes around a row; elements of a row in one item of work; work of an element, in multiply-adds.
OUTER, PART, WORK = 4, 4096, 4

FIELDS = Fields(
    numbers=(
        *("length", "parts", "slope", "y_step", "residual_step"),
        *(f"{name}_{i}" for name in ("size", "y", "residual") for i in range(OUTER)),
    ),
    arrays=("y", "residual"),
    scratch=(),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for."""

    element: str
    lanes: int
    epilogue: Epilogue
    contiguous_y: bool
    contiguous_residual: bool
    checked: bool = False

    @property
    def name(self) -> str:
        flags = "".join("01"[flag] for flag in (self.contiguous_y, self.contiguous_residual, self.checked))
        return f"finishing{self.epilogue.word}_{self.element}_{self.lanes}_{flags}"


def apply(epilogue: Epilogue, y: Any, residual: Any) -> None:
    """`y` becomes `activation(y + residual)`; arrays of one shape, with any strides."""
    places = (strides(y), strides(residual)) if epilogue.residual else (strides(y),)
    checked = settings.get(settings.CHECK) == "1"
    run = prepare(epilogue, tuple(y.shape), places, dtype_name(y), current(), checked)
    run(0, 0, 0, address(residual) if epilogue.residual else 0, address(y))


@lru_cache(maxsize=4096)
def prepare(
    epilogue: Epilogue,
    shape: tuple[int, ...],
    places: tuple[tuple[int, ...], ...],
    element: str,
    target: Target,
    checked: bool,
) -> Prepared:
    """The pass for arrays of this shape; `places` are the strides of y and, where there is one, of the residual."""
    layouts = {name: (shape, place) for name, place in zip(("y", "residual"), places, strict=False)}
    kernel, bound = _bind(epilogue, shape, places, element, target, checked)
    return Prepared.of(kernel, bound, layouts, WORK * prod(shape), checked)


def _bind(
    epilogue: Epilogue,
    sizes: tuple[int, ...],
    places: tuple[tuple[int, ...], ...],
    element: str,
    target: Target,
    checked: bool,
) -> tuple[Callable[..., None], Bound]:
    sizes, places = _rows(sizes, places)
    steps = [place[-1] for place in places]
    shape = Shape(element, target.lanes(BYTES[element]), epilogue.code, steps[0] == 1, steps[-1] == 1, checked)
    parts = ceil(sizes[-1] / PART)
    numbers = {"length": sizes[-1], "parts": parts, "slope": slope_bits(epilogue.slope)}
    for name, place in zip(("y", "residual"), places, strict=False):
        numbers[f"{name}_step"] = place[-1]
        numbers |= {f"{name}_{i}": place[i] for i in range(OUTER)}
    numbers |= {f"size_{i}": sizes[i] for i in range(OUTER)}
    bound = Bound.of(FIELDS, numbers, {}, prod(sizes[:-1]) * parts, 0)
    return engine.function(shape.name, target, lambda: build(shape)), bound


def _rows(
    sizes: tuple[int, ...], places: tuple[tuple[int, ...], ...]
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """`OUTER` axes and a row behind them: sizes, and for each array the strides, those of the first descending."""
    axes = [(size, *steps) for size, *steps in zip(sizes, *places, strict=True) if size != 1]
    axes.sort(key=lambda axis: -abs(axis[1]))
    merged: list[tuple[int, ...]] = []
    for size, *steps in axes:
        if merged and all(outer == size * step for outer, step in zip(merged[-1][1:], steps, strict=True)):
            size *= merged.pop()[0]
        merged.append((size, *steps))
    merged = merged or [(1, *(1 for _ in places))]
    padded = [(1, *(0 for _ in places))] * (OUTER + 1 - len(merged)) + merged
    ordered, *strided = zip(*padded, strict=True)
    return ordered, tuple(strided)


def build(shape: Shape) -> str:
    """LLVM IR of the kernel."""
    return _Finishing(shape).build()


class _Finishing:
    def __init__(self, shape: Shape):
        self.shape = shape
        self.k = Kernel(FIELDS, shape.name, shape.checked)
        self.fn = self.k.fn
        self.slope = slope_vector(self.k, shape.element, shape.lanes)
        self.y = self.k.array("y", shape.element)
        self.residual = self.k.array("residual", shape.element) if shape.epilogue.residual else None

    def build(self) -> str:
        k, fn, lanes = self.k, self.fn, self.shape.lanes
        with fn.loop(k.begin, k.end) as item:
            rest = item // k.parts
            y, residual = fn.number(0), fn.number(0)
            for axis in reversed(range(OUTER)):
                size = getattr(k, f"size_{axis}")
                index, rest = rest % size, rest // size
                y, residual = y + index * getattr(k, f"y_{axis}"), residual + index * getattr(k, f"residual_{axis}")
            start = item % k.parts * PART
            stop = fn.min(start + PART, k.length)
            whole = stop - (stop - start) % lanes
            with fn.loop(start, whole, lanes) as first:
                self.finish(y, residual, first, None)
            with fn.when(whole < stop):
                self.finish(y, residual, whole, fn.mask(fn.bits(0, stop - whole, lanes), lanes))
        return k.finish()

    def finish(self, y: Int, residual: Int, first: Int, mask: Any) -> None:
        """The vector of a row from element `first` on."""
        k, fn, shape = self.k, self.fn, self.shape
        if mask is None and not (shape.contiguous_y and shape.contiguous_residual):
            mask = fn.mask(fn.number(-1), shape.lanes)
        row, added = self.y.at(y), None
        if self.residual is not None:
            beside = self.residual.at(residual)
            added = _load(beside, first, k.residual_step, shape.contiguous_residual, shape.lanes, mask)
        value = _load(row, first, k.y_step, shape.contiguous_y, shape.lanes, mask)
        value = finish(fn, value, shape.epilogue, self.slope, added)
        if not shape.contiguous_y:
            row.scatter(first * k.y_step, k.y_step, value, mask)
        elif mask is None:
            row.set_vector(first, value)
        else:
            row.set_masked(first, value, mask)


def _load(row: Array, first: Int, step: Int, contiguous: bool, lanes: int, mask: Any) -> Any:
    if not contiguous:
        return row.gather(first * step, step, mask)
    return row.vector(first, lanes) if mask is None else row.masked(first, mask)
