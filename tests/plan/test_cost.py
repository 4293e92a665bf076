"""Costs against counting, and the numbers everybody knows."""

from __future__ import annotations

import numpy as np
import pytest

from plan.first_principles import AXES, plan_matrix
from trous.plan import BoundAxis
from trous.plan.cost import Cost, cost, nominal_multiplications
from trous.spec import Conv, ConvTranspose


def test_executed_multiplications_are_the_taps_that_land_inside() -> None:
    for axis in AXES[::9]:
        for plan in (axis.conv(), axis.transposed(1)):
            bound = BoundAxis(plan, 9, 12)
            landed = sum(plan_matrix(bound, np.eye(axis.kernel, dtype=int)[k]).sum() for k in range(axis.kernel))
            assert bound.multiplications == landed
            assert bound.multiplications <= nominal_multiplications(bound)


def test_nominal_counts_every_output_with_all_taps_of_its_phase() -> None:
    for axis in AXES[::9]:
        plan = axis.transposed()
        expected = sum(len(plan.by_phase[o % plan.up]) for o in range(17))
        assert nominal_multiplications(BoundAxis(plan, 3, 17)) == expected
        assert nominal_multiplications(BoundAxis(axis.conv(), 3, 17)) == 17 * axis.kernel


def test_layer_without_padding_executes_what_is_nominal() -> None:
    """224x224, 3x3, 3 -> 64 channels: 222*222*9*3*64 multiply-adds."""
    bound = Conv(3).plan(2).bind((224, 224))
    assert cost(bound, in_channels=3, out_channels=64, bias=True) == Cost(
        multiplications=222 * 222 * 9 * 3 * 64,
        nominal=222 * 222 * 9 * 3 * 64,
        flops=2 * 222 * 222 * 9 * 3 * 64 + 222 * 222 * 64,
        bytes=4 * (224 * 224 * 3 + 9 * 3 * 64 + 64 + 222 * 222 * 64),
    )


def test_transposed_layer_counts_no_inserted_zeros() -> None:
    """k4 s2 p1: each output has 2x2 taps, a quarter of what the zero-filled input would cost."""
    bound = ConvTranspose(4, stride=2, padding=1).plan(2).bind((16, 16))
    found = cost(bound, batch=2, in_channels=8, out_channels=4)
    assert found.nominal == 2 * 8 * 4 * 32 * 32 * 4
    assert found.multiplications == 2 * 8 * 4 * 62 * 62


def test_groups_divide_the_work_and_the_weights() -> None:
    bound = Conv(3, padding=1).plan(2).bind((8, 8))
    whole = cost(bound, in_channels=12, out_channels=12)
    depthwise = cost(bound, in_channels=12, out_channels=12, groups=12)
    assert whole.multiplications == 12 * depthwise.multiplications
    assert whole.bytes - depthwise.bytes == 4 * 9 * (144 - 12)


def test_wide_kernel_in_padding_is_cheap() -> None:
    found = cost(Conv(3, padding=36, dilation=36).plan(2).bind((33, 33)))
    assert (found.multiplications, found.nominal) == (33 * 33, 9 * 33 * 33)


@pytest.mark.parametrize("batch", [0, 3])
def test_batch_multiplies_all_but_the_weight(batch: int) -> None:
    assert cost(Conv(1).plan(1).bind(10), batch=batch, itemsize=2) == Cost(
        multiplications=10 * batch, nominal=10 * batch, flops=20 * batch, bytes=2 * (20 * batch + 1)
    )
