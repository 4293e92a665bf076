"""Resize against the coordinates and the rounding that ONNX's operator is defined by."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest

from trous.plan import AxisPlan
from trous.plan.coordinates import moved, overshoot, places
from trous.plan.resample import sampled_axis

RATES = [Fraction(1, 3), Fraction(1, 2), Fraction(2, 3), Fraction(1), Fraction(5, 4), Fraction(5, 2)]
REGION = (Fraction(1, 4), Fraction(7, 8))
#: As the standard writes them: the place of an output by its index, the scale and the two lengths.
DEFINITIONS = {
    "half_pixel": lambda o, scale, n, out: (o + Fraction(1, 2)) / scale - Fraction(1, 2),
    "half_pixel_symmetric": lambda o, scale, n, out: (
        Fraction(n, 2) * (1 - out / (scale * n)) + (o + Fraction(1, 2)) / scale - Fraction(1, 2)
    ),
    "pytorch_half_pixel": lambda o, scale, n, out: (o + Fraction(1, 2)) / scale - Fraction(1, 2) if out > 1 else 0,
    "align_corners": lambda o, scale, n, out: Fraction(o * (n - 1), out - 1),
    "asymmetric": lambda o, scale, n, out: o / scale,
    "tf_half_pixel_for_nn": lambda o, scale, n, out: (o + Fraction(1, 2)) / scale,
    "tf_crop_and_resize": lambda o, scale, n, out: (
        REGION[0] * (n - 1) + o * (REGION[1] - REGION[0]) * (n - 1) / (out - 1)
    ),
}


def reads(axis: AxisPlan, output: int) -> list[int]:
    steps, phase = divmod(output, axis.up)
    return [tap.offset + axis.down * steps for tap in axis.by_phase[phase]]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("mode", DEFINITIONS)
def test_places_are_those_of_the_standard(mode: str, rate: Fraction) -> None:
    for inputs in (5, 8, 11):
        outputs = floor(inputs / rate)
        at = places(mode, inputs, outputs, rate, REGION)
        for o in range(outputs):
            place = DEFINITIONS[mode](o, 1 / rate, inputs, outputs)
            assert at.origin + o * at.step == place
            rounded = {
                "floor": floor(place),
                "ceil": ceil(place),
                "round_prefer_floor": min(range(-2, 20), key=lambda i: (abs(i - place), i)),
                "round_prefer_ceil": min(range(-2, 20), key=lambda i: (abs(i - place), -i)),
            }
            for word, index in rounded.items():
                assert reads(sampled_axis(word, at), o) == [index]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("kind", "support"), [("linear", 1), ("cubic", 2)])
def test_interpolation_reads_what_lies_within_its_support(kind: str, support: int, rate: Fraction) -> None:
    for mode in ("half_pixel", "asymmetric", "half_pixel_symmetric"):
        at = places(mode, 9, floor(9 / rate), rate, REGION)
        for antialias in (False, True):
            wide = max(rate, 1) if antialias else Fraction(1)
            axis = sampled_axis(kind, at, antialias=antialias)
            for o in range(floor(9 / rate)):
                place = at.origin + o * at.step
                near = [i for i in range(-20, 40) if abs(i - place) < support * wide]
                assert reads(axis, o) == ([place] if place.denominator == 1 and wide == 1 else near)


def test_sizes_of_one() -> None:
    """One output of many inputs, and many outputs of one input."""
    for mode in DEFINITIONS.keys() - {"tf_crop_and_resize"}:
        at = places(mode, 1, 3, Fraction(1, 3), REGION)
        assert {i for o in range(3) for i in reads(sampled_axis("round_prefer_floor", at), o)} <= {0, 1}
    assert places("align_corners", 5, 1, Fraction(5), REGION).origin == 0
    assert places("pytorch_half_pixel", 5, 1, Fraction(5), REGION).origin == 0
    assert places("tf_crop_and_resize", 5, 1, Fraction(5), REGION).origin == Fraction(9, 4)


def test_what_makes_no_plan() -> None:
    with pytest.raises(ValueError, match="no coordinate_transformation_mode corners"):
        places("corners", 5, 5, Fraction(1), REGION)
    with pytest.raises(ValueError, match="outputs 0 inputs apart"):
        sampled_axis("linear", places("tf_crop_and_resize", 5, 5, Fraction(1), (Fraction(1), Fraction(1))))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("word", ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
def test_overshoot_is_what_lies_outside(word: str, rate: Fraction) -> None:
    for inputs in (1, 2, 7):
        outputs = max(1, floor(inputs / rate))
        axis = sampled_axis(word, places("half_pixel", inputs, outputs, rate, REGION))
        read = [i for o in range(outputs) for i in reads(axis, o)]
        before, after = overshoot(axis, inputs, outputs)
        assert (before, after) == (max(0, -min(read)), max(0, max(read) - inputs + 1))
        assert [i + before for i in read] == [i for o in range(outputs) for i in reads(moved(axis, before), o)]
