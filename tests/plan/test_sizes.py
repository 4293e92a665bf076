"""The size rule turned round agrees with the rule itself, and what it says of phases with the taps."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise, product

import pytest

from plan.first_principles import AXES
from trous.plan import AxisPlan
from trous.plan.padding import output_paddings
from trous.plan.reach import taps_per_output
from trous.plan.sizes import (
    conv_extent,
    extents,
    output_size,
    paddings,
    unevenness,
)


@pytest.mark.parametrize(("up", "down"), [(1, 1), (1, 3), (4, 1), (2, 3), (3, 2)])
def test_extents_are_those_that_give_the_sizes(up: int, down: int) -> None:
    """Of one pair of sizes, and of three in even steps, of which only the ends are told."""
    for n, m, step_in, step_out in product(range(1, 6), range(1, 6), (0, 1, 2), (-1, 0, 1, 2)):
        pairs = [(n + step_in * j, m + step_out * j) for j in range(3)]
        expected = [
            extent
            for extent in range(-60, 60)
            if all(AxisPlan(up, down, (), extent).output_size(size) == out for size, out in pairs)
        ]
        assert list(extents(up, down, (pairs[0], pairs[-1]))) == expected


def test_extent_and_sizes_are_those_of_the_plan() -> None:
    for axis in AXES[::7]:
        kernel, stride, before, after, dilation = axis
        assert conv_extent(kernel, stride, before + after, dilation) == axis.conv().extent
        for n in (1, 5, 9):
            shape = kernel, stride, dilation, before + after, n
            assert output_size(False, *shape) == axis.conv().output_size(n)
            assert output_size(True, *shape) == axis.transposed().output_size(n)


def test_paddings_grow_with_the_stride() -> None:
    """What the search for strides relies on, also where no padding will do."""
    ends = [((9, 4), (9, 4)), ((1, 7), (1, 7)), ((5, 1), (5, 1)), ((3, 4), (9, 4)), ((2, 4), (8, 16)), ((2, 9), (5, 3))]
    for transposed, kernel, dilation, pair in product((False, True), (1, 3, 4), (1, 2), ends):
        found = [paddings(transposed, kernel, stride, dilation, pair) for stride in range(1, 12)]
        assert all(low.start <= high.start and low.stop <= high.stop for low, high in pairwise(found))


def test_unevenness_is_that_of_the_taps() -> None:
    for axis in AXES:
        if axis.before or axis.after:
            continue
        shape = axis.kernel, axis.stride, axis.dilation
        conv, transposed = axis.conv(), axis.transposed()
        taps = [len(phase) for phase in transposed.by_phase]
        assert unevenness(True, *shape) == (2 if 0 in taps else int(len(set(taps)) > 1))
        assert unevenness(False, *shape) == (2 if not all(conv.adjoint().by_phase) else 0)
        assert taps_per_output(True, *shape[:2]) == Fraction(sum(taps), len(taps))
        assert taps_per_output(False, *shape[:2]) == len(conv.taps)


def test_output_paddings() -> None:
    assert list(output_paddings(2, 1)) == [0, 1] and list(output_paddings(1, 3)) == [0, 1, 2]
