"""ONNX's Resize as axis plans: where each output lies among the inputs, and which of them it reads there.

Every `coordinate_transformation_mode` puts output `o` at `origin + o*step`, both fractions. With `step = down/up` the
windows around those places repeat after `up` outputs, which is the form of every plan.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from trous.plan.axis import AxisPlan, Tap
from trous.plan.resample import SUPPORT

HALF = Fraction(1, 2)

#: The words of `nearest_mode`.
ROUNDING = {
    "floor": floor,
    "ceil": ceil,
    "round_prefer_floor": lambda place: ceil(place - HALF),
    "round_prefer_ceil": lambda place: floor(place + HALF),
}


class Places(NamedTuple):
    """Output `o` lies at input `origin + o*step`."""

    origin: Fraction
    step: Fraction


def places(mode: str, inputs: int, outputs: int, rate: Fraction, region: tuple[Fraction, Fraction]) -> Places:
    """The places of a `coordinate_transformation_mode` (ONNX operator Resize).

    Args:
        mode: one of ONNX's words. Raises ValueError for any other.
        rate: inputs per output, the inverse of ONNX's scale.
        region: start and end of the axis that `tf_crop_and_resize` keeps, as shares of `inputs - 1`.
    """
    last, start, end = inputs - 1, *region
    match mode:
        case "half_pixel":
            return Places((rate - 1) / 2, rate)
        case "pytorch_half_pixel":
            return Places((rate - 1) / 2 if outputs > 1 else Fraction(0), rate)
        case "half_pixel_symmetric":
            return Places((inputs - outputs * rate + rate - 1) / 2, rate)
        case "asymmetric":
            return Places(Fraction(0), rate)
        case "align_corners":
            return Places(Fraction(0), Fraction(last, outputs - 1) if outputs > 1 <= last else rate)
        case "tf_half_pixel_for_nn":
            return Places(rate / 2, rate)
        case "tf_crop_and_resize":
            if outputs == 1:
                return Places((start + end) * last / 2, rate)
            return Places(start * last, (end - start) * last / (outputs - 1))
    raise ValueError(f"no coordinate_transformation_mode {mode}")


def sampled_axis(kind: str, at: Places, *, antialias: bool = False) -> AxisPlan:
    """The inputs that outputs at these places read: one by a `nearest_mode`, or those around for linear and cubic.

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

    up, down = at.step.denominator, at.step.numerator
    return AxisPlan(up, down, tuple(Tap(o, k, i) for o in range(up) for k, i in enumerate(window(o))), 0)


def overshoot(axis: AxisPlan, inputs: int, outputs: int) -> tuple[int, int]:
    """Inputs before the first and behind the last that the first and the last output read; 0 where they stay inside."""
    (first, *_), (*_, last) = (
        [tap.offset + axis.down * (o // axis.up) for tap in axis.by_phase[o % axis.up]] for o in (0, outputs - 1)
    )
    return max(0, -first), max(0, last - inputs + 1)


def moved(axis: AxisPlan, by: int) -> AxisPlan:
    """The plan that reads the same inputs where `by` positions were put in front of them."""
    return replace(axis, taps=tuple(tap._replace(offset=tap.offset + by) for tap in axis.taps))
