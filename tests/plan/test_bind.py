"""A plan with sizes: steps, live taps and counts, against trying every step."""

from __future__ import annotations

from itertools import product

import pytest

from plan.first_principles import AXES
from trous.errors import TrousError
from trous.plan import AxisPlan, BoundAxis, BoundPlan, Plan, Tap, conv_axis, transposed_axis

CONV3 = conv_axis(3, 2, 1, 1, 1)


def steps_by_trying(bound: BoundAxis, tap: Tap) -> list[int]:
    plan = bound.plan
    return [
        m
        for m in range(-30, 60)
        if 0 <= plan.up * m + tap.phase < bound.output_size and 0 <= plan.down * m + tap.offset < bound.input_size
    ]


def bounds() -> list[BoundAxis]:
    axes = AXES[::11]
    sizes = ((0, 0), (0, 3), (1, 1), (5, 9), (17, 4), (12, 25))
    plans = [plan for axis in axes for plan in (axis.conv(), axis.transposed(1))]
    return [BoundAxis(plan, *size) for plan, size in product(plans, sizes)]


def test_steps_are_those_with_both_sides_inside() -> None:
    for bound in bounds():
        tried = {tap: steps_by_trying(bound, tap) for tap in bound.plan.taps}
        assert {tap: list(bound.steps(tap)) for tap in bound.plan.taps} == tried, bound
        assert bound.live_taps == tuple(tap for tap, steps in tried.items() if steps)
        assert bound.multiplications == sum(map(len, tried.values()))
        assert (bound.live is bound.plan) == all(tried.values())
        assert bound.live == AxisPlan(bound.plan.up, bound.plan.down, bound.live_taps, bound.plan.extent)


def test_slices_pair_the_outputs_with_the_inputs() -> None:
    seen = 0
    for bound in bounds():
        for tap in bound.live_taps:
            outputs, inputs = bound.slices(tap)
            plan = bound.plan
            pairs = [(plan.up * m + tap.phase, plan.down * m + tap.offset) for m in bound.steps(tap)]
            written, read = range(bound.output_size)[outputs], range(bound.input_size)[inputs]
            assert list(zip(written, read, strict=True)) == pairs, (bound, tap)
            seen += 1
    assert seen > 1000


def test_a_tap_that_falls_into_the_padding_is_no_work() -> None:
    axis = Plan((conv_axis(3, 1, 36, 36, 36),) * 2).bind((33, 33))
    assert [bound.live_taps for bound in axis.axes] == [((0, 1, 0),)] * 2
    assert axis.multiplications == 33 * 33


def test_multiplications_are_the_product_of_the_axes() -> None:
    bound = Plan((CONV3, transposed_axis(4, 2, 1, 1, 0, 1))).bind((5, 3))
    assert (bound.input_size, bound.output_size) == ((5, 3), (3, 6))
    assert [axis.multiplications for axis in bound.axes] == [7, 10]
    assert bound.multiplications == 70


def test_adjoint_binds_the_same_two_sizes() -> None:
    plan = Plan((CONV3,))
    for size in (7, 8):  # both give 4 outputs, and the gradient must know which it returns to
        bound = plan.bind(size)
        assert bound.output_size == (4,)
        assert bound.adjoint().output_size == (size,)
        assert bound.adjoint().adjoint() == bound
        assert bound.adjoint().multiplications == bound.multiplications


def test_zero_sizes_bind() -> None:
    empty = Plan((transposed_axis(3, 2, 0, 0, 0, 1),)).bind(0)
    assert (empty.output_size, empty.multiplications) == ((1,), 0)  # (0 - 1)*2 + 3: one output, the bias alone
    none = Plan((CONV3,)).bind(0, 0)
    assert (none.output_size, none.axes[0].live_taps) == ((0,), ())


def test_bound_plans_are_values() -> None:
    one, same = (Plan((conv_axis(3, 2, 1, 1, 1),)).bind(9) for _ in range(2))
    assert one == same and hash(one) == hash(same)
    assert one == BoundPlan(Plan((CONV3,)), (BoundAxis(CONV3, 9, 5),))
    assert one != Plan((CONV3,)).bind(9, 4)


@pytest.mark.parametrize(
    ("size", "output_size", "message"),
    [
        ((5,), None, "size must have one entry for each of the plan's 2 axes, got (5,)"),
        (5, None, "size must have one entry for each of the plan's 2 axes, got 5"),
        (5.5, None, "size must be an integer or one integer per axis, got 5.5"),
        ("55", None, "size must be an integer or one integer per axis, got '55'"),
        ((5, 5), (1, None), "output_size must be an integer or one integer per axis, got (1, None)"),
        ((5, -1), None, "size must not be negative, got (5, -1)"),
        ((5, 5), (1, 2, 3), "output_size must have one entry for each of the plan's 2 axes, got (1, 2, 3)"),
        ((5, 5), (1, -2), "output_size must not be negative, got (1, -2)"),
        ((5, 1), None, "size must be large enough to give an output, not one of size -1, got (5, 1)"),
    ],
)
def test_sizes_that_cannot_be(size: object, output_size: object, message: str) -> None:
    plan = Plan((conv_axis(4, 1, 0, 0, 1), conv_axis(3, 1, 0, 0, 1)))
    with pytest.raises(TrousError) as error:
        plan.bind(size, output_size)
    assert str(error.value) == message
