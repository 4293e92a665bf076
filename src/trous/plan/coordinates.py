"""Where ONNX's Resize puts outputs among the inputs, and what it does at the ends of an axis."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from trous.plan.axis import AxisPlan
from trous.plan.resample import Places


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


def overshoot(axis: AxisPlan, inputs: int, outputs: int) -> tuple[int, int]:
    """Inputs before the first and behind the last that the first and the last output read; 0 where they stay inside."""
    (first, *_), (*_, last) = (axis.reads(o).values() for o in (0, outputs - 1))
    return max(0, -first), max(0, last - inputs + 1)


def moved(axis: AxisPlan, by: int) -> AxisPlan:
    """The plan that reads the same inputs where `by` positions were put in front of them."""
    return replace(axis, taps=tuple(tap._replace(offset=tap.offset + by) for tap in axis.taps))
