"""Receptive fields against following every tap by hand."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from plan.first_principles import AXES
from trous.errors import TrousError
from trous.plan import AxisPlan, conv_axis, transposed_axis
from trous.plan.reach import period, reads, reads_through, receptive_field
from trous.spec import Conv, ConvTranspose


def inputs_of(axis: AxisPlan, outputs: set[int]) -> set[int]:
    """Every input that some output reads, tap by tap."""
    steps = ((o, tap) for o in outputs for tap in axis.taps if (o - tap.phase) % axis.up == 0)
    return {axis.down * ((o - tap.phase) // axis.up) + tap.offset for o, tap in steps}


def hull(positions: set[int]) -> range:
    return range(min(positions), max(positions) + 1) if positions else range(0)


def test_reads_is_the_interval_of_the_inputs_read() -> None:
    random, empty = Random(3), 0
    for axis in AXES[::3]:
        for plan in (axis.conv(), axis.transposed()):
            first = random.randint(-9, 9)
            outputs = range(first, first + random.choice((1, 1, 2, 5, 20)))
            seen = reads(plan, outputs)
            assert seen == hull(inputs_of(plan, set(outputs))), (axis, outputs)
            empty += not seen
    assert empty > 20


def test_no_outputs_read_nothing() -> None:
    assert reads(conv_axis(3, 1, 1, 1, 1), range(4, 4)) == range(0)
    assert reads_through([conv_axis(3, 1, 1, 1, 1)], range(0)) == range(0)
    assert reads_through([], range(2, 5)) == range(2, 5)


def random_layers(random: Random, regular: bool) -> list[AxisPlan]:
    layers = []
    for _ in range(random.randint(1, 4)):
        kernel, stride, dilation = random.randint(1, 5), random.randint(1, 3), random.randint(1, 3)
        before, after = random.randint(0, 3), random.randint(0, 3)
        if random.random() < 0.5:
            layers.append(conv_axis(kernel, stride, before, after, dilation))
        elif regular:
            layers.append(transposed_axis(max(kernel, stride), stride, before, after, 0, 1))
        else:
            layers.append(transposed_axis(kernel, stride, before, after, 0, dilation))
    return layers


@pytest.mark.parametrize("regular", [True, False])
def test_layers_compose(regular: bool) -> None:
    """Always an interval that holds every input read; the smallest one where upsampling leaves no gaps."""
    random, wider = Random(4), 0
    for _ in range(400):
        layers = random_layers(random, regular)
        outputs = range(first := random.randint(-5, 5), first + random.randint(1, 4))
        exact = set(outputs)
        for layer in reversed(layers):
            exact = inputs_of(layer, exact)
        found = reads_through(layers, outputs)
        assert exact <= set(found)
        wider += found != hull(exact)
    assert (wider == 0) if regular else (0 < wider < 40)


def test_pattern_repeats_with_the_period() -> None:
    random, longest = Random(5), 1
    for _ in range(200):
        layers = random_layers(random, regular=True)
        steps = period(layers)
        starts = [reads_through(layers, range(o, o + 1)) for o in range(0, 3 * steps, steps)]
        (first, second), (_, third) = pairwise(starts)
        assert second[0] - first[0] == third[0] - second[0]
        assert len(first) == len(second) == len(third)
        longest = max(longest, steps)
    assert longest > 4


def test_period_is_the_shortest() -> None:
    down, up = conv_axis(2, 2, 0, 0, 1), transposed_axis(2, 2, 0, 0, 0, 1)
    assert [period(layers) for layers in ([], [down], [up], [down, up], [up, down], [up, up])] == [1, 1, 2, 2, 1, 4]


@pytest.mark.parametrize(
    ("layers", "field"),
    [
        ([Conv(3)], (3,)),
        ([Conv(3, dilation=2)], (5,)),
        ([Conv(3, dilation=3)], (7,)),
        ([Conv(3), Conv(3), Conv(3)], (7,)),
        ([Conv(2, dilation=2**n, padding="causal") for n in range(10)], (1024,)),  # one WaveNet block
        ([Conv(7, stride=2, padding=3), Conv(3, stride=2, padding=1)], (11,)),  # the stem of a ResNet
        ([ConvTranspose(4, stride=2, padding=1)], (2,)),
        ([ConvTranspose(3, stride=2)], (2,)),  # two inputs in phase 0, one in phase 1
        ([Conv(2, stride=2), ConvTranspose(2, stride=2)], (2,)),
        ([ConvTranspose(4, stride=2, padding=1), Conv(3, padding=1)], (3,)),
        ([ConvTranspose(1, stride=3), Conv(1)], (1,)),
        ([Conv((3, 5), dilation=(1, 2)), Conv((1, 3))], (3, 11)),
    ],
)
def test_receptive_fields_that_are_known(layers: list, field: tuple[int, ...]) -> None:
    assert receptive_field([layer.plan() for layer in layers]) == field


def test_receptive_field_does_not_depend_on_padding() -> None:
    for padding in ("valid", "same", "causal", "full", 4):
        plans = [Conv(5, stride=2, padding=padding).plan(), Conv(3, padding=padding, dilation=2).plan()]
        assert receptive_field(plans) == (5 + 2 * 4,)


def test_axes_must_agree() -> None:
    with pytest.raises(TrousError) as error:
        receptive_field([Conv(3).plan(1), Conv(3).plan(2)])
    assert str(error.value) == "plans must be at least one, all with the same number of axes, got [1, 2]"
    with pytest.raises(TrousError):
        receptive_field([])
