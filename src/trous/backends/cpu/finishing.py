"""An epilogue as a pass of its own over the output, in place, for kernels that do not take it as they store.

The axes are put in the order in which the output lies in memory, and those that lie behind each other become one, so
that most arrays are one row. Rows are cut into items of work.

The same pass does what no convolution does: `prelu`, a leaky_relu with a slope for each channel.

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
from trous.backends.cpu.ir import Array
from trous.backends.cpu.run import Bound, Prepared
from trous.backends.cpu.target import Target, current
from trous.backends.cpu.values import BYTES, Int
from trous.backends.epilogue import Epilogue

#: What the pass reads beside y, by the pointers that they come as: the slopes of a prelu stand in the place of a bias.
BESIDE = ("residual", "bias")
#: Axes around a row; elements of a row in one item of work; work of an element, in multiply-adds.
OUTER, PART, WORK = 4, 4096, 4

FIELDS = Fields(
    numbers=(
        *("length", "parts", "slope", *(f"{name}_step" for name in ("y", *BESIDE))),
        *(f"{name}_{i}" for name in ("size", "y", *BESIDE) for i in range(OUTER)),
    ),
    arrays=("y", *BESIDE),
    scratch=(),
)


@dataclass(frozen=True)
class Shape:
    """What the code is compiled for."""

    element: str
    lanes: int
    epilogue: Epilogue
    step: int  #: between neighbours of a row of y: 1, or 2 for any other
    beside: tuple[tuple[str, int], ...]  #: the arrays read beside it, with steps of 0, 1, or 2 for any other
    checked: bool = False

    @property
    def name(self) -> str:
        steps = "".join(f"_{name}{step}" for name, step in (("y", self.step), *self.beside))
        return f"finishing{self.epilogue.word}_{self.element}_{self.lanes}{steps}_{'01'[self.checked]}"


def prelu(y: Any, slopes: Any) -> None:
    """Multiply the negative numbers of each channel of `y`, `(batch, channels, *size)`, by the slope of the channel."""
    places = ("y", strides(y)), ("bias", (0, *strides(slopes), *(0 for _ in y.shape[2:])))
    checked = settings.get(settings.CHECK) == "1"
    run = prepare(Epilogue("prelu"), tuple(y.shape), places, dtype_name(y), current(), checked)
    run(0, 0, address(slopes), 0, address(y))


#: Names of arrays with the strides that they have along the axes of y.
Places = tuple[tuple[str, tuple[int, ...]], ...]


@lru_cache(maxsize=4096)
def prepare(
    epilogue: Epilogue, shape: tuple[int, ...], places: Places, element: str, target: Target, checked: bool
) -> Prepared:
    """The pass for arrays of this shape: y first, and what it reads beside."""
    layouts = {name: (shape, place) for name, place in places}
    kernel, bound = _bind(epilogue, shape, places, element, target, checked)
    return Prepared.of(kernel, bound, layouts, WORK * prod(shape), checked)


def _bind(
    epilogue: Epilogue, sizes: tuple[int, ...], places: Places, element: str, target: Target, checked: bool
) -> tuple[Callable[..., None], Bound]:
    names, strided = zip(*places, strict=True)
    sizes, strided = _rows(sizes, strided)
    step, *beside = (place[-1] if place[-1] in (0, 1) else 2 for place in strided)
    beside_y = tuple(zip(names[1:], beside, strict=True))
    shape = Shape(element, target.lanes(BYTES[element]), epilogue.code, step, beside_y, checked)
    parts = ceil(sizes[-1] / PART)
    numbers = {"length": sizes[-1], "parts": parts, "slope": slope_bits(epilogue.slope)}
    for name, place in (("size", sizes), *zip(names, strided, strict=True)):
        numbers |= {f"{name}_{i}": place[i] for i in range(OUTER)}
    numbers |= {f"{name}_step": place[-1] for name, place in zip(names, strided, strict=True)}
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
        self.steps = {"y": shape.step, **dict(shape.beside)}
        self.arrays = {name: self.k.array(name, shape.element) for name in self.steps}

    def build(self) -> str:
        k, fn, lanes = self.k, self.fn, self.shape.lanes
        with fn.loop(k.begin, k.end) as item:
            rest, rows = item // k.parts, self.arrays
            for axis in reversed(range(OUTER)):
                size = getattr(k, f"size_{axis}")
                index, rest = rest % size, rest // size
                rows = {name: row.at(index * getattr(k, f"{name}_{axis}")) for name, row in rows.items()}
            start = item % k.parts * PART
            stop = fn.min(start + PART, k.length)
            whole = stop - (stop - start) % lanes
            with fn.loop(start, whole, lanes) as first:
                self.finish(rows, first, None)
            with fn.when(whole < stop):
                self.finish(rows, whole, fn.mask(fn.bits(0, stop - whole, lanes), lanes))
        return k.finish()

    def finish(self, rows: dict[str, Array], first: Int, mask: Any) -> None:
        """The vector of a row from element `first` on, all of it or as much as `mask` says."""
        every = self.fn.mask(self.fn.number(-1), self.shape.lanes) if mask is None else mask
        read = {name: self.load(name, row, first, mask, every) for name, row in rows.items()}
        slope = read.get("bias", self.slope)
        value = finish(self.fn, read["y"], self.shape.epilogue, slope, read.get("residual"))
        if self.shape.step != 1:
            rows["y"].scatter(first * self.k.y_step, self.k.y_step, value, every)
        elif mask is None:
            rows["y"].set_vector(first, value)
        else:
            rows["y"].set_masked(first, value, mask)

    def load(self, name: str, row: Array, first: Int, mask: Any, every: Any) -> Any:
        match self.steps[name]:
            case 0:
                return self.fn.splat(row[0], self.shape.lanes)
            case 1:
                return row.vector(first, self.shape.lanes) if mask is None else row.masked(first, mask)
        step = getattr(self.k, f"{name}_step")
        return row.gather(first * step, step, every)
