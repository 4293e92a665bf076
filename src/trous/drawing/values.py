"""Numbers for the pictures: small integers, and what a bound plan makes of them, tap by tap."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod

import numpy as np

from trous.plan import BoundAxis, BoundPlan


def example(shape: tuple[int, ...], below: int) -> np.ndarray:
    """Integers from 0 to `below - 1` in no order that the eye would find; always the same."""
    place = np.arange(prod(shape))
    return ((5 * place * place + 3 * place + 1) % 11 % below).reshape(shape)


def kernel_size(bound: BoundPlan) -> tuple[int, ...]:
    return tuple(1 + max(tap.kernel for tap in axis.plan.taps) for axis in bound.axes)


def apply(bound: BoundPlan, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The output of one channel: `x` has the input size, `weight` that of the kernel."""
    y = np.zeros(bound.output_size, np.result_type(x, weight))
    for taps in product(*(axis.live_taps for axis in bound.axes)):
        outputs, inputs = zip(*(axis.slices(tap) for axis, tap in zip(bound.axes, taps, strict=True)), strict=True)
        y[outputs] += weight[tuple(tap.kernel for tap in taps)] * x[inputs]
    return y


def reached(bounds: list[BoundPlan], output: tuple[int, ...]) -> list[np.ndarray]:
    """By how many ways layers in sequence read each position for one output of the last, from the input on upwards."""
    ways = np.zeros(bounds[-1].output_size, np.int64)
    ways[output] = 1
    found = [ways]
    for bound in reversed(bounds):
        found.append(apply(bound.adjoint(), found[-1], np.ones(kernel_size(bound), np.int64)))
    return found[::-1]


def taps(bound: BoundPlan) -> Iterator[tuple[int, int, int]]:
    """Every multiplication as flat (output, input, kernel) indices."""
    sizes = bound.output_size, bound.input_size, kernel_size(bound)
    for places in product(*(list(_triples(axis)) for axis in bound.axes)):
        output, source, kernel = (
            int(np.ravel_multi_index(index, size)) for index, size in zip(zip(*places, strict=True), sizes, strict=True)
        )
        yield output, source, kernel


def _triples(axis: BoundAxis) -> Iterator[tuple[int, int, int]]:
    for tap in axis.live_taps:
        outputs, inputs = axis.slices(tap)
        for o, i in zip(range(axis.output_size)[outputs], range(axis.input_size)[inputs], strict=True):
            yield o, i, tap.kernel


def shown(value: float) -> str:
    """A number as short as a cell wants it."""
    return f"{value:.3g}".replace("-", "−")
