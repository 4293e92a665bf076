"""The grid of an axis: a convolution of stride `down` over inputs with zeros in between is the layer as defined."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from plan.first_principles import AXES, conv_matrix, transposed_matrix
from trous import Conv, ConvTranspose
from trous.plan import BoundAxis
from trous.plan.grid import Grid

SIZES = (1, 4, 9)


def over_the_grid(bound: BoundAxis, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Zeros put between the inputs and around them, and the kernel slid over that, as textbooks draw it."""
    grid = Grid(bound)
    stretched = dict.fromkeys(grid.places, 0)
    stretched.update(zip(grid.inputs, x.tolist(), strict=True))
    window = [(grid.kernel[k], int(weights[k])) for k in grid.kernel]
    return np.array([sum(w * stretched[grid.place(o) + d] for d, w in window) for o in range(bound.output_size)])


@pytest.mark.parametrize("size", SIZES)
def test_the_window_over_the_grid_is_the_layer(size: int, rng: np.random.Generator) -> None:
    compared = 0
    for axis in AXES[::13]:
        weights, x = rng.integers(1, 9, axis.kernel), rng.integers(1, 9, size)
        for plan, matrix in ((axis.conv(), conv_matrix), (axis.transposed(), transposed_matrix)):
            outputs = plan.output_size(size)
            if outputs > 0:
                expected = matrix(axis, size, outputs, weights) @ x
                assert np.array_equal(over_the_grid(BoundAxis(plan, size, outputs), x, weights), expected), axis
                compared += 1
    assert compared > 150


def test_places_are_the_padded_input() -> None:
    """Also what no window reaches: 6 inputs with padding 1 and stride 2 leave the last zero unread."""
    for axis in AXES[::17]:
        if axis.conv().output_size(9) > 0:
            bound = BoundAxis(axis.conv(), 9, axis.conv().output_size(9))
            assert Grid(bound).places == range(-axis.before, 9 + axis.after), axis
            assert Grid(bound).inputs == range(9)


def test_places_of_a_transposed_layer() -> None:
    """Holes between the inputs, a border of `dilation*(kernel-1) - padding`, output padding behind."""
    grid = Grid(ConvTranspose(4, stride=3, padding=1, dilation=2, output_padding=2).plan().bind(5).axes[0])
    assert list(grid.inputs) == [0, 3, 6, 9, 12]
    assert grid.places == range(-5, 13 + 5 + 2)
    assert grid.kernel == {0: 1, 1: -1, 2: -3, 3: -5}
    assert grid.window == range(-5, 2)
    assert [grid.phase(o) for o in range(5)] == [0, 1, 2, 0, 1]
    assert grid.spacing == Fraction(1, 3)


def test_a_stride_above_the_window_may_crop() -> None:
    grid = Grid(Conv(2, stride=5, padding="causal").plan().bind(10).axes[0])
    assert grid.kernel == {0: 3, 1: 4}
    assert grid.places == range(0, 14)


def test_taps_are_those_that_land_inside() -> None:
    for axis in AXES[::29]:
        for plan, turned in ((axis.conv(), False), (axis.transposed(), True)):
            outputs = plan.output_size(7)
            if outputs < 1:
                continue
            triples = list(axis.triples(outputs if turned else 7))
            expected = {(i, o, k) if not turned else (o, i, k) for o, i, k in triples}
            expected = {(i, o, k) for i, o, k in expected if i < 7 and o < outputs}
            grid = Grid(BoundAxis(plan, 7, outputs))
            found = {(i, o, tap.kernel) for o in range(outputs) for tap, i in grid.taps(o).items()}
            assert found == expected, axis
