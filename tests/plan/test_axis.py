"""The axis plan against the definition of convolution, and closed under the adjoint."""

from __future__ import annotations

from itertools import product
from math import gcd
from random import Random

import numpy as np
import pytest

from plan.first_principles import AXES, Axis, conv_matrix, plan_matrix, transposed_matrix
from trous.plan import IDENTITY, AxisPlan, BoundAxis, Tap, conv_axis, transposed_axis

WEIGHTS = np.array([3, 7, 19, 101, 1009, 5003, 20011])


def random_resampler(random: Random) -> AxisPlan:
    """Any taps at all, with both rates free."""
    up, down = random.randint(1, 5), random.randint(1, 5)
    taps = {(random.randrange(up), random.randint(-9, 9)) for _ in range(random.randint(0, 6))}
    listed = sorted(Tap(phase, k, offset) for k, (phase, offset) in enumerate(sorted(taps)))
    return AxisPlan(up, down, tuple(listed), random.randint(-4, 4))


def test_adjoint_of_a_convolution_is_the_transposed_convolution_tap_for_tap() -> None:
    for axis in AXES:
        assert axis.conv().adjoint() == axis.transposed(), axis
        assert axis.transposed().adjoint() == axis.conv(), axis


def test_adjoint_twice_is_the_plan_again() -> None:
    random = Random(1)
    for _ in range(3000):
        plan = random_resampler(random)
        assert plan.adjoint().adjoint() == plan


def test_adjoint_of_any_plan_has_the_transposed_matrix() -> None:
    random = Random(2)
    for _ in range(500):
        plan, size, outputs = random_resampler(random), random.randint(0, 15), random.randint(0, 15)
        there = plan_matrix(BoundAxis(plan, size, outputs), WEIGHTS)
        back = plan_matrix(BoundAxis(plan.adjoint(), outputs, size), WEIGHTS)
        assert np.array_equal(there.T, back), plan


@pytest.mark.parametrize("size", [1, 2, 9])
def test_matrix_of_a_convolution_is_its_definition(size: int) -> None:
    checked = 0
    for axis in AXES[::2]:
        plan = axis.conv()
        outputs = plan.output_size(size)
        if outputs > 0:
            expected = conv_matrix(axis, size, outputs, WEIGHTS)
            assert np.array_equal(plan_matrix(BoundAxis(plan, size, outputs), WEIGHTS), expected), axis
            back = plan_matrix(BoundAxis(axis.transposed(), outputs, size), WEIGHTS)
            assert np.array_equal(back, expected.T), axis
            checked += expected.any()
    assert checked > 150


@pytest.mark.parametrize("output_padding", [0, 1])
@pytest.mark.parametrize("size", [1, 5])
def test_matrix_of_a_transposed_convolution_is_its_definition(size: int, output_padding: int) -> None:
    checked = 0
    for axis in AXES[::3]:
        plan = axis.transposed(output_padding)
        outputs = plan.output_size(size)
        if outputs > 0:
            expected = transposed_matrix(axis, size, outputs, WEIGHTS)
            assert np.array_equal(plan_matrix(BoundAxis(plan, size, outputs), WEIGHTS), expected), axis
            checked += expected.any()
    assert checked > 150


def test_size_of_a_convolution_counts_the_windows_that_fit() -> None:
    for axis, size in product(AXES, (0, 1, 4, 13)):
        window = axis.dilation * (axis.kernel - 1) + 1
        starts = range(0, size + axis.before + axis.after - window + 1, axis.stride)
        if size + axis.before + axis.after >= window:
            assert axis.conv().output_size(size) == len(starts), (axis, size)
        else:
            assert axis.conv().output_size(size) <= 0, (axis, size)


def test_size_of_a_transposed_convolution_is_the_smallest_that_the_convolution_maps_back() -> None:
    for axis, size in product(AXES, (1, 4, 13)):
        outputs = axis.transposed().output_size(size)
        assert axis.conv().output_size(outputs) == size
        assert axis.conv().output_size(outputs - 1) == size - 1
        assert axis.conv().output_size(outputs + axis.stride - 1) == size


def test_output_padding_lengthens_without_a_tap() -> None:
    for axis in AXES[::7]:
        assert axis.transposed(2).taps == axis.transposed().taps
        assert axis.transposed(2).output_size(6) == axis.transposed().output_size(6) + 2


def test_every_kernel_index_has_one_tap() -> None:
    for axis in AXES:
        for plan in (axis.conv(), axis.transposed()):
            assert sorted(tap.kernel for tap in plan.taps) == list(range(axis.kernel))
            assert list(plan.taps) == sorted(plan.taps)


def test_stride_and_dilation_with_a_common_factor_leave_phases_empty() -> None:
    seen = 0
    for axis in AXES:
        common = gcd(axis.stride, axis.dilation)
        reached = min(axis.kernel, axis.stride // common)
        assert sum(bool(taps) for taps in axis.transposed().by_phase) == reached, axis
        seen += reached < axis.stride <= axis.kernel
    assert seen > 100
    assert transposed_axis(3, 2, 2, 2, 1, 2).by_phase == (
        (Tap(0, 0, 1), Tap(0, 1, 0), Tap(0, 2, -1)),
        (),
    )


def test_phases_and_offsets_hold_every_tap_once() -> None:
    for axis in AXES[::5]:
        plan = axis.transposed()
        assert len(plan.by_phase) == plan.up == axis.stride
        assert [tap for taps in plan.by_phase for tap in taps] == list(plan.taps)
        assert all(tap.phase == phase for phase, taps in enumerate(plan.by_phase) for tap in taps)
        assert list(plan.offsets) == sorted({tap.offset for tap in plan.taps})
        assert all(tap.offset == offset for offset, taps in plan.by_offset.items() for tap in taps)
        assert sorted(tap for taps in plan.by_offset.values() for tap in taps) == list(plan.taps)


def test_plans_are_values() -> None:
    one, same, other = conv_axis(3, 1, 1, 1, 1), conv_axis(3, 1, 1, 1, 1), conv_axis(3, 1, 1, 0, 1)
    assert one == same and hash(one) == hash(same) and one is not same
    assert one != other
    assert transposed_axis(3, 1, 1, 1, 0, 1) != one  # a mirrored kernel, not the same layer
    assert transposed_axis(1, 1, 0, 0, 0, 1) == conv_axis(1, 1, 0, 0, 1) == IDENTITY


def test_kernels_of_thousands_of_taps() -> None:
    axis = Axis(5000, 512, 100, 4000, 3)
    assert axis.conv().adjoint() == axis.transposed()
    assert axis.conv().taps[-1] == (0, 4999, 4999 * 3 - 100)
    assert {len(taps) for taps in axis.transposed().by_phase} == {9, 10}


def test_cropping_is_padding_below_zero() -> None:
    cropped = Axis(2, 5, -3, 1, 1)
    assert cropped.conv().taps == ((0, 0, 3), (0, 1, 4))
    assert cropped.conv().output_size(10) == (10 - 3 + 1 - 2) // 5 + 1
    assert cropped.conv().adjoint() == cropped.transposed()


def test_reads_of_every_output_are_the_rows_of_the_matrix() -> None:
    random = Random(3)
    for _ in range(500):
        plan, size, outputs = random_resampler(random), random.randint(0, 15), random.randint(0, 15)
        found = np.zeros((outputs, size), int)
        for output in range(outputs):
            for tap, i in plan.reads(output).items():
                if 0 <= i < size:
                    found[output, i] += WEIGHTS[tap.kernel]
        assert np.array_equal(found, plan_matrix(BoundAxis(plan, size, outputs), WEIGHTS)), plan
