"""Fields against sets of inputs, followed position by position."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from trous.plan import AxisPlan, Plan, conv_axis, transposed_axis
from trous.plan.field import INPUT, Field, Seen, union
from trous.plan.reach import receptive_field
from trous.plan.resample import moved_axis


def random_axis(rng: random.Random) -> AxisPlan:
    kernel, stride, dilation = rng.randint(1, 4), rng.randint(1, 3), rng.randint(1, 3)
    before = rng.randint(0, 3)
    if rng.random() < 0.5:
        return conv_axis(kernel, stride, before, 0, dilation)
    return transposed_axis(kernel, stride, before, 0, 0, dilation)


def read(axes: list[AxisPlan], position: int) -> set[int]:
    """The inputs of the first layer that a position behind the last one reads, tap by tap."""
    positions = {position}
    for axis in reversed(axes):
        positions = {axis.down * (o // axis.up) + tap.offset for o in positions for tap in axis.by_phase[o % axis.up]}
    return positions


def seen(field: Field, position: int) -> set[int]:
    part = field.at(position)
    return {part.first + j for j in range(part.bits.bit_length()) if part.bits >> j & 1}


def stacked(axes: list[AxisPlan]) -> Field:
    field = INPUT
    for axis in axes:
        field = field.through(axis)
    return field


@pytest.mark.parametrize("seed", range(200))
def test_a_stack_sees_what_its_taps_read(seed: int) -> None:
    rng = random.Random(seed)
    axes = [random_axis(rng) for _ in range(rng.randint(1, 4))]
    field = stacked(axes)
    for position in range(-7, 2 * field.period + 7):
        assert seen(field, position) == read(axes, position)


@pytest.mark.parametrize("seed", range(200))
def test_size_is_the_receptive_field(seed: int) -> None:
    """Intervals composed backwards hold it, and are it unless gaps meet (see `reads_through`)."""
    rng = random.Random(seed)
    axes = [random_axis(rng) for _ in range(3)]
    field, interval = stacked(axes), receptive_field([Plan((axis,)) for axis in axes])[0]
    exact = max(max(p) - min(p) + 1 if p else 0 for p in (read(axes, o) for o in range(field.period)))
    assert field.size == exact <= interval


@pytest.mark.parametrize("seed", range(100))
def test_branches_of_one_rate_are_united(seed: int) -> None:
    rng = random.Random(seed)
    down, up = conv_axis(3, 2, 1, 0, 1), transposed_axis(rng.randint(1, 4), 2, 1, 0, 0, 1)
    branches = [[conv_axis(rng.randint(1, 5), 1, 2, 2, rng.randint(1, 4))], [down, up]]
    field = stacked(branches[0]).joined(stacked(branches[1]))
    for position in range(12):
        assert seen(field, position) == read(branches[0], position) | read(branches[1], position)


def test_branches_of_other_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="1 and 2 inputs apart"):
        INPUT.joined(stacked([conv_axis(3, 2, 1, 1, 1)]))


def test_the_period_is_the_shortest() -> None:
    """Copies of copies: enlarging by nearest neighbour and taking every second comes back to the input."""
    nearest = transposed_axis(2, 2, 0, 0, 0, 1)
    assert stacked([nearest, moved_axis(0, 0, 2)]) == INPUT
    assert stacked([nearest, nearest]).period == 4
    assert stacked([conv_axis(3, 2, 1, 1, 1), nearest, nearest]).period == 4


def test_gridding_is_a_share() -> None:
    """Two layers of dilation 2 see every second input of nine (Yu, Koltun & Funkhouser 2017, section 4)."""
    field = stacked([conv_axis(3, 1, 0, 0, 2)] * 2)
    assert (field.size, field.share) == (9, 5 / 9)
    assert stacked([conv_axis(3, 1, 0, 0, d) for d in (1, 2, 4)]).share == 1


def test_jump_offset_and_shift() -> None:
    resnet = stacked([conv_axis(7, 2, 3, 3, 1), conv_axis(3, 2, 1, 1, 1)])
    assert (resnet.size, resnet.jump, resnet.start, resnet.center) == (11, 4, -5, 0)
    assert resnet.shift == Fraction(-3, 2)
    aligned = stacked([conv_axis(4, 2, 1, 1, 1), transposed_axis(4, 2, 1, 0, 0, 1)])
    assert (aligned.jump, aligned.shift) == (1, 0)
    assert aligned.misplaced(16, 16) == 0
    assert resnet.misplaced(224, 56) == Fraction(-3, 2)
    assert stacked([conv_axis(3, 1, 0, 0, 1)]).misplaced(10, 8) == 0
    assert stacked([conv_axis(3, 1, 2, 0, 1)]).misplaced(10, 10) == -1
    causal = stacked([conv_axis(2, 1, 2**n, 0, 2**n) for n in range(10)])
    assert (causal.size, causal.start, causal.center) == (1024, -1023, Fraction(-1023, 2))


def test_phases_without_taps_see_nothing() -> None:
    field = stacked([transposed_axis(3, 2, 2, 0, 0, 2)])
    assert [len(part.interval) for part in field.phases] == [3, 0]
    assert stacked([transposed_axis(1, 2, 0, 0, 0, 1), conv_axis(3, 1, 1, 1, 1)]).phases[1] == Seen(0, 0b11)


def test_union_of_nothing() -> None:
    assert union([]) == union([Seen(0, 0)]) == Seen(0, 0)
    assert (Seen(0, 0).interval, Seen(0, 0).share) == (range(0), 1.0)
