"""Pooling, interpolation and pixel shuffle as axis plans: which input each output reads, whatever its weight.

An output of interpolation reads a window around `o*rate`, where `rate` is a fraction: written `down/up`, the windows
repeat after `up` outputs, which is the form of every plan. Kernel indices number the taps of a phase.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from trous.plan.axis import AxisPlan, Tap

HALF = Fraction(1, 2)

#: Inputs that a function which interpolates reaches to either side.
SUPPORT = {"linear": 1, "cubic": 2}

#: Which one input a copy takes, by the words of ONNX's `nearest_mode`.
ROUNDING: dict[str, Callable[[Fraction], int]] = {
    "floor": floor,
    "ceil": ceil,
    "round_prefer_floor": lambda place: ceil(place - HALF),
    "round_prefer_ceil": lambda place: floor(place + HALF),
}


class Places(NamedTuple):
    """Output `o` lies at input `origin + o*step`."""

    origin: Fraction
    step: Fraction


def sampled_axis(kind: str, at: Places, *, antialias: bool = False) -> AxisPlan:
    """The inputs that outputs at these places read: one by rounding, or those around for linear and cubic.

    An output that lies on an input reads that one alone. With `antialias` the function is as much wider as outputs are
    farther apart than inputs. Raises ValueError where outputs do not move on from one to the next.
    """
    if at.step <= 0:
        raise ValueError(f"outputs {at.step} inputs apart make no plan")
    wide = antialias and at.step > 1

    def window(o: int) -> range:
        place = at.origin + o * at.step
        if kind in ROUNDING:
            return range(ROUNDING[kind](place), ROUNDING[kind](place) + 1)
        if place.denominator == 1 and not wide:
            return range(int(place), int(place) + 1)
        reach = SUPPORT[kind] * (at.step if wide else 1)
        return range(floor(place - reach) + 1, ceil(place + reach))

    return _windows(at.step, window)


def nearest_axis(rate: Fraction, *, centred: bool = False) -> AxisPlan:
    """Output `o` copies input `floor(o*rate)`, or with `centred` `floor((o + 1/2)*rate)` (torch's nearest-exact)."""
    return sampled_axis("floor", Places(rate * HALF if centred else Fraction(0), rate))


def nearest_indices(inputs: int, outputs: int) -> tuple[int, ...]:
    """The input that each of `outputs` copies by `nearest_axis`: one of those whose share of the outputs it lies in."""
    axis = nearest_axis(Fraction(inputs, outputs))
    return tuple(i for o in range(outputs) for i in axis.reads(o).values())


def interpolated_axis(kind: str, rate: Fraction, *, corners: bool = False, antialias: bool = False) -> AxisPlan:
    """Output `o` lies at `(o + 1/2)*rate - 1/2`, or at `o*rate` where corners are aligned, between the inputs.

    Args:
        kind: "linear" or "cubic".
        rate: inputs per output; with aligned corners `(inputs - 1)/(outputs - 1)`.
        antialias: widen the function by the rate where that is above 1.
    """
    return sampled_axis(kind, Places(Fraction(0) if corners else (rate - 1) * HALF, rate), antialias=antialias)


def linear_shares(rate: Fraction) -> tuple[Fraction, ...]:
    """Of each phase of `interpolated_axis("linear", rate)` how far its outputs lie from the first input that they read
    towards the last.

    >>> linear_shares(Fraction(1, 2))
    (Fraction(3, 4), Fraction(1, 4))
    """
    places = ((phase + HALF) * rate - HALF for phase in range(rate.denominator))
    return tuple(place - floor(place) for place in places)


def adaptive_axis(inputs: int, outputs: int) -> AxisPlan:
    """Output `o` pools the inputs from `floor(o*inputs/outputs)` to before `ceil((o + 1)*inputs/outputs)`."""
    rate = Fraction(inputs, outputs)
    return _windows(rate, lambda o: range(floor(o * rate), ceil((o + 1) * rate)))


def shuffled_axis(factor: int) -> AxisPlan:
    """Pixel shuffle: `factor` neighbouring outputs come from one position, each from channels of its own."""
    return AxisPlan(factor, 1, tuple(Tap(phase, phase, 0) for phase in range(factor)), 0)


def moved_axis(before: int, after: int = 0, step: int = 1) -> AxisPlan:
    """Padding by `before` and `after` positions, cropping where negative; then every `step`-th position."""
    return AxisPlan(1, step, (Tap(0, 0, -before),), before + after + step - 1)


def _windows(rate: Fraction, window: Callable[[int], range]) -> AxisPlan:
    up, down = rate.denominator, rate.numerator
    taps = tuple(Tap(phase, k, i) for phase in range(up) for k, i in enumerate(window(phase)))
    return AxisPlan(up, down, taps, 0)
