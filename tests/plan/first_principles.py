"""Convolution along one axis from its definition, o*stride - padding + k*dilation == i, with no plan in sight."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import numpy as np

from trous.plan import AxisPlan, BoundAxis, conv_axis, transposed_axis


class Axis(NamedTuple):
    """Arguments of one axis."""

    kernel: int
    stride: int
    before: int
    after: int
    dilation: int

    def conv(self) -> AxisPlan:
        return conv_axis(*self)

    def transposed(self, output_padding: int = 0) -> AxisPlan:
        kernel, stride, before, after, dilation = self
        return transposed_axis(kernel, stride, before, after, output_padding, dilation)

    def triples(self, most: int) -> Iterator[tuple[int, int, int]]:
        """(position on the strided side, position on the dense side, kernel index), the dense side in 0..most-1."""
        for o, k in product(range(most + self.before + 1), range(self.kernel)):
            dense = o * self.stride - self.before + k * self.dilation
            if 0 <= dense < most:
                yield o, dense, k


#: 2,160 axes: kernels below and above the stride, shared factors, uneven and excessive padding.
AXES = tuple(
    Axis(*values)
    for values in product((1, 2, 3, 4, 5, 7), (1, 2, 3, 4, 5, 6), (0, 1, 3), (0, 1, 2, 5), (1, 2, 3, 4, 6))
)


def conv_matrix(axis: Axis, size: int, outputs: int, weights: np.ndarray) -> np.ndarray:
    """Matrix (outputs, size) of the convolution."""
    matrix = np.zeros((outputs, size), int)
    for o, i, k in axis.triples(size):
        if o < outputs:
            matrix[o, i] += weights[k]
    return matrix


def transposed_matrix(axis: Axis, size: int, outputs: int, weights: np.ndarray) -> np.ndarray:
    """Matrix (outputs, size) of the transposed convolution: each input is spread to the outputs its kernel covers."""
    matrix = np.zeros((outputs, size), int)
    for i, o, k in axis.triples(outputs):
        if i < size:
            matrix[o, i] += weights[k]
    return matrix


def plan_matrix(bound: BoundAxis, weights: np.ndarray) -> np.ndarray:
    """Matrix of the bound plan, from the steps of its taps."""
    matrix = np.zeros((bound.output_size, bound.input_size), int)
    for tap in bound.plan.taps:
        for m in bound.steps(tap):
            matrix[bound.plan.up * m + tap.phase, bound.plan.down * m + tap.offset] += weights[tap.kernel]
    return matrix
