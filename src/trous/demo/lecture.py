"""The textbook case: a 3 x 3 kernel takes 4 x 4 to 2 x 2, and its transpose takes 2 x 2 back to 4 x 4.

The transposed convolution is replayed as the ordinary one that equals it: the flipped kernel over the same 2 x 2 input
inside a border of two zeros (Dumoulin & Visin 2016, section 4.1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import trous
from trous.demo.race import Race, race
from trous.problem import Problem

#: Small integers, so that every sum is exact and can be followed by hand.
INPUT = np.array([[2, 0, 1, 3], [1, 3, 0, 2], [0, 1, 2, 1], [3, 2, 1, 0]], np.float32)
KERNEL = np.array([[1, 2, 0], [0, 1, 3], [2, 0, 1]], np.float32)


@dataclass(frozen=True)
class Lecture:
    """Every array is two-dimensional: the 4 x 4 input `x`, its convolution (`problem`), the transposed convolution of
    that, and the convolution of `bordered` with `flipped` that should be the same."""

    problem: Problem
    x: np.ndarray
    kernel: np.ndarray
    convolved: np.ndarray
    transposed: np.ndarray
    bordered: np.ndarray
    flipped: np.ndarray
    equivalent: np.ndarray

    @property
    def equal(self) -> bool:
        """Whether the transposed convolution and its equivalent agree bit for bit."""
        return bool(np.array_equal(self.transposed, self.equivalent))

    @property
    def products(self) -> tuple[float, float]:
        """`<A x, y>` and `<x, A' y>` with y = A x: the same number when A' is the transpose of A."""
        return float((self.convolved * self.convolved).sum()), float((self.x * self.transposed).sum())


def replay() -> Lecture:
    """Convolve, transpose, and convolve the bordered result with the flipped kernel."""
    convolved = trous.conv(_batch(INPUT), _batch(KERNEL))[0, 0]
    transposed = trous.conv_transpose(_batch(convolved), _batch(KERNEL))[0, 0]
    bordered = np.pad(convolved, KERNEL.shape[0] - 1)
    flipped = KERNEL[::-1, ::-1]
    equivalent = trous.conv(_batch(bordered), _batch(flipped))[0, 0]
    problem = Problem(trous.Conv(KERNEL.shape), 1, 1, 1, INPUT.shape)
    return Lecture(problem, INPUT, KERNEL, convolved, transposed, bordered, flipped, equivalent)


def race_lecture(lecture: Lecture, seconds: float) -> list[Race]:
    """Both directions against PyTorch: at this size a call costs what its checks and bookkeeping cost.

    Integers leave no room for rounding, so that all must give the same bits.
    """
    kernel, x, y = _batch(lecture.kernel), _batch(lecture.x), _batch(lecture.convolved)
    back = Problem(trous.ConvTranspose(lecture.kernel.shape), 1, 1, 1, lecture.convolved.shape)
    return [
        race("textbook convolution", lecture.problem, x, kernel, y, 0.0, seconds),
        race("textbook transposed", back, y, kernel, _batch(lecture.transposed), 0.0, seconds),
    ]


def tap_indices(problem: Problem) -> np.ndarray:
    """The layer as a matrix, outputs by inputs: the flat kernel index that joins the two, -1 for none.

    Read downwards instead of across, it is the layer's transpose. Two-dimensional problems of one channel.
    """
    bound = problem.bound
    index = np.full((*bound.output_size, *bound.input_size), -1)
    vertical, horizontal = bound.axes
    for a in vertical.plan.taps:
        for b in horizontal.plan.taps:
            for m in vertical.steps(a):
                for n in horizontal.steps(b):
                    output = vertical.plan.up * m + a.phase, horizontal.plan.up * n + b.phase
                    read = vertical.plan.down * m + a.offset, horizontal.plan.down * n + b.offset
                    index[output + read] = a.kernel * problem.spec.kernel[1] + b.kernel
    return index.reshape(index.shape[0] * index.shape[1], -1)


def _batch(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values[None, None])
