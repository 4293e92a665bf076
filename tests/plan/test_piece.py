"""Outputs a few at a time, against following every tap by hand."""

from __future__ import annotations

from fractions import Fraction
from random import Random

import pytest

from plan.first_principles import AXES
from trous.plan import AxisPlan, conv_axis, transposed_axis
from trous.plan.piece import Known, common, complete, known, piece
from trous.plan.reach import common_period
from trous.plan.resample import interpolated_axis, nearest_axis

PLANS = [plan for axis in AXES[::5] for plan in (axis.conv(), axis.transposed())]
PLANS += [nearest_axis(Fraction(2, 3)), interpolated_axis("linear", Fraction(1, 3)), AxisPlan(2, 3, (), 0)]


def samples(each: Known) -> set[int]:
    return {*range(each.first), *each.others}


def test_an_output_is_known_when_all_that_it_reads_is() -> None:
    random, holes = Random(5), 0
    for plan in PLANS:
        count, size = random.randint(0, 9), random.randint(0, 40)
        inputs = Known.of(count, random.sample(range(count, count + 12), random.randint(0, 4)))
        expected = {o for o in range(size) if all(map(inputs.holds, plan.reads(o).values()))}
        found = known(plan, inputs, size)
        assert samples(found) == expected, (plan, inputs, size)
        assert found.first not in expected
        assert found.end == max(expected, default=-1) + 1
        holes += bool(found.others)
    assert holes > 20


def test_complete_is_the_first_output_that_reads_on() -> None:
    for plan in PLANS:
        if plan.taps:
            for inputs in range(-3, 9):
                reading = (o for o in range(200) if any(i >= inputs for i in plan.reads(o).values()))
                assert complete(plan, inputs) == next(reading)


def test_what_several_know() -> None:
    several = [Known(3, frozenset({5, 6, 9})), Known(6, frozenset({8, 9})), Known(4, frozenset({5, 9, 11}))]
    assert common(several) == Known(3, frozenset({5, 9}))
    assert Known.of(2, (1, 2, 3, 5)) == Known(4, frozenset({5}))


@pytest.mark.parametrize("transposed", [False, True])
def test_a_piece_reads_what_its_outputs_read(transposed: bool) -> None:
    random = Random(6)
    for _ in range(300):
        kernel, stride, dilation, before = (random.randint(1, 5) for _ in range(4))
        first = random.randint(0, 20)
        outputs = range(first, first + random.randint(1, 9))
        plan = (
            transposed_axis(kernel, stride, before, 0, 0, dilation)
            if transposed
            else conv_axis(kernel, stride, before, 0, dilation)
        )
        part = piece(transposed, kernel, stride, dilation, before, outputs)
        own = (
            transposed_axis(kernel, stride, part.before, 0, 0, dilation)
            if transposed
            else conv_axis(kernel, stride, part.before, 0, dilation)
        )
        for n, o in enumerate(outputs):
            theirs = {tap.kernel: i for tap, i in plan.reads(o).items()}
            ours = {tap.kernel: i + part.inputs.start for tap, i in own.reads(part.skip + n).items()}
            assert ours == theirs
            assert all(i in part.inputs for i in theirs.values())


def test_the_pattern_is_back_after_a_common_period() -> None:
    """Two halvings are back after four samples, and a third of that rate by threes after twelve."""
    half, third = conv_axis(3, 2, 0, 0, 1), transposed_axis(2, 3, 0, 0, 0, 1)
    rates = [Fraction(1), Fraction(1, 2), Fraction(1, 4)]
    assert common_period(zip(rates, [half, half, third], strict=True)) == 4
    assert common_period([(Fraction(1), third), (Fraction(3), conv_axis(1, 2, 0, 0, 1))]) == 2
    assert common_period([]) == 1
