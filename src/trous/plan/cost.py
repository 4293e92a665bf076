"""What a bound plan costs: multiplications, floating-point operations, bytes that must move."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from trous.plan.bind import BoundAxis, BoundPlan


@dataclass(frozen=True)
class Cost:
    """The cost of one layer at one size. Every number is exact, and a whole number."""

    multiplications: int
    """Multiply-adds executed: taps that land inside both arrays."""
    nominal: int
    """Multiply-adds if every output had all the taps of its phase, as counters that know only the kernel report."""
    flops: int
    """Two for each multiply-add executed, and one for each bias added."""
    bytes: int
    """Input, weight, bias and output moved once each: what no schedule can avoid."""


def nominal_multiplications(axis: BoundAxis) -> int:
    """Multiplications of one axis, those by the zeros of the padding among them."""
    return sum(len(range(tap.phase, axis.output_size, axis.plan.up)) for tap in axis.plan.taps)


def cost(
    bound: BoundPlan,
    *,
    batch: int = 1,
    in_channels: int = 1,
    out_channels: int = 1,
    groups: int = 1,
    itemsize: int = 4,
    bias: bool = False,
) -> Cost:
    """The cost of `bound` with its channels; `itemsize` is the bytes of one element."""
    pairs = in_channels * out_channels // groups
    multiplications = batch * pairs * bound.multiplications
    outputs = batch * out_channels * prod(bound.output_size)
    weights = pairs * prod(len({tap.kernel for tap in axis.taps}) for axis in bound.plan.axes)
    inputs = batch * in_channels * prod(bound.input_size)
    return Cost(
        multiplications,
        nominal=batch * pairs * prod(map(nominal_multiplications, bound.axes)),
        flops=2 * multiplications + (outputs if bias else 0),
        bytes=itemsize * (inputs + weights + outputs + (out_channels if bias else 0)),
    )
