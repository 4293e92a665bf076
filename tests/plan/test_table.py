"""Plans as text: exact tables, and everything on one screen."""

from __future__ import annotations

from textwrap import dedent

import pytest

from trous.plan import AxisPlan, Plan, Tap
from trous.plan.table import bound_table, plan_table
from trous.spec import Conv, ConvTranspose


def same(text: str, expected: str) -> bool:
    return text == dedent(expected).strip("\n")


def test_convolution() -> None:
    assert same(
        str(Conv((3, 1), stride=(2, 1), padding=(1, 0)).plan()),
        """
        Plan of 2 axes, 3 x 1 taps: 3 multiplications per output
        axis 0: o = m, i = 2m + offset, output = (input + 1)//2
          phase  taps  kernel -> offset
              0     3  0 -> -1, 1 -> 0, 2 -> 1
        axis 1: o = m, i = m + offset, output = input
          phase  taps  kernel -> offset
              0     1  0 -> 0
        """,
    )


def test_even_overlap_and_axes_that_are_alike() -> None:
    assert same(
        plan_table(ConvTranspose(4, stride=2, padding=1).plan(3)),
        """
        Plan of 3 axes, 4 x 4 x 4 taps: 8 multiplications per output
        axes 0, 1, 2: o = 2m + phase, i = m + offset, output = 2*input
          phase  taps  kernel -> offset
              0     2  1 -> 0, 3 -> -1
              1     2  0 -> 1, 2 -> 0
        """,
    )


def test_uneven_overlap_is_said() -> None:
    assert same(
        plan_table(ConvTranspose(3, stride=2).plan(2)),
        """
        Plan of 2 axes, 3 x 3 taps: 1 to 4 multiplications per output, 2.25 on average
        axes 0, 1: o = 2m + phase, i = m + offset, output = 2*input + 1
          phase  taps  kernel -> offset
              0     2  0 -> 0, 2 -> -1
              1     1  1 -> 0
          uneven overlap: 1 to 2 taps by phase
        """,
    )


def test_empty_phases_are_said() -> None:
    assert same(
        plan_table(ConvTranspose(2, stride=4, dilation=2).plan()),
        """
        Plan of 1 axis, 2 taps: 0 to 1 multiplications per output, 0.5 on average
        axis 0: o = 4m + phase, i = m + offset, output = 4*input - 1
          phase  taps  kernel -> offset
              0     1  0 -> 0
              1     0  none
              2     1  1 -> 0
              3     0  none
          2 of 4 phases without a tap: their outputs hold the bias alone
        """,
    )


def test_resampling_by_a_fraction() -> None:
    plan = AxisPlan(3, 2, (Tap(0, 0, 0), Tap(1, 1, 1), Tap(2, 2, 1)), 0)
    assert same(
        plan_table(Plan((plan,))),
        """
        Plan of 1 axis, 3 taps: 1 multiplication per output
        axis 0: o = 3m + phase, i = 2m + offset, output = (3*input)//2
          phase  taps  kernel -> offset
              0     1  0 -> 0
              1     1  1 -> 1
              2     1  2 -> 1
        """,
    )


def test_bound_plan() -> None:
    assert same(
        str(ConvTranspose((3, 4), stride=2, padding=1).plan().bind((5, 3))),
        """
        Bound plan 5x3 -> 9x6: 130 of 156 multiplications land inside, 83.3 %
        axis 0: 5 -> 9, o = 2m + phase, i = m + offset, 13 of 13 multiplications
          phase  kernel  offset  steps  multiplications
              0       1       0   0..4                5
              1       0       1   0..3                4
              1       2       0   0..3                4
        axis 1: 3 -> 6, o = 2m + phase, i = m + offset, 10 of 12 multiplications
          phase  kernel  offset  steps  multiplications
              0       1       0   0..2                3
              0       3      -1   1..2                2
              1       0       1   0..1                2
              1       2       0   0..2                3
        """,
    )


def test_dead_taps_are_said() -> None:
    assert same(
        bound_table(Conv(3, padding=36, dilation=36).plan(2).bind((33, 33))),
        """
        Bound plan 33x33 -> 33x33: 1089 of 9801 multiplications land inside, 11.1 %
        axes 0, 1: 33 -> 33, o = m, i = m + offset, 33 of 99 multiplications, 2 of 3 taps dead
          phase  kernel  offset  steps  multiplications
              0       0     -36   none                0
              0       1       0  0..32               33
              0       2      36   none                0
        """,
    )


def test_nothing_in_nothing_out() -> None:
    assert (
        str(ConvTranspose(1).plan().bind(0)).splitlines()[0] == "Bound plan 0 -> 0: 0 of 0 multiplications land inside"
    )


def test_long_lists_are_shown_by_their_ends() -> None:
    assert same(
        plan_table(Conv(2048, stride=512).plan()),
        """
        Plan of 1 axis, 2048 taps: 2048 multiplications per output
        axis 0: o = m, i = 512m + offset, output = (input - 1536)//512
          phase  taps  kernel -> offset
              0  2048  0 -> 0, 1 -> 1, 2 -> 2, ..., 2046 -> 2046, 2047 -> 2047
        """,
    )


@pytest.mark.parametrize(
    "spec", [Conv(4096, stride=7), ConvTranspose(4096, stride=1024), ConvTranspose(1, stride=2**31 - 1)]
)
def test_everything_fits_a_screen(spec: Conv | ConvTranspose) -> None:
    for text in (str(spec.plan(3)), str(Plan((spec.plan().axes[0], *Conv(9).plan(2).axes)).bind((5000, 50, 60)))):
        lines = text.splitlines()
        assert len(lines) < 50
        assert max(map(len, lines)) <= 120
        assert all(line == line.rstrip() for line in lines)
