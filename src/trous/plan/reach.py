"""Which inputs an interval of outputs reads: receptive fields, and the context and halos that come from them.

An interval is a `range` of step 1; one that holds nothing is `range(0)`. Padding counts as position: negative ones lie
before the first input. The other direction, which outputs an input reaches, is the same question to `plan.adjoint()`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from math import lcm

from trous.errors import TrousError
from trous.plan.axis import AxisPlan
from trous.plan.plan import Plan


def reads(axis: AxisPlan, outputs: range) -> range:
    """The smallest interval of inputs that holds every one read by `outputs`.

    Exact by phase: an output whose phase has no tap reads nothing. It may have gaps inside, from dilation or from a
    stride above the kernel.

    >>> reads(conv_axis(kernel=3, stride=2, before=1, after=1, dilation=1), range(10, 12))
    range(19, 24)
    """
    if not outputs:
        return range(0)
    spans = _spans(axis)
    ends = []
    for phase in {o % axis.up for o in outputs[: axis.up]} & spans.keys():
        lowest, highest = spans[phase]
        first = -((phase - outputs[0]) // axis.up)
        last = (outputs[-1] - phase) // axis.up
        ends += [axis.down * first + lowest, axis.down * last + highest]
    return range(min(ends), max(ends) + 1) if ends else range(0)


@lru_cache(maxsize=4096)
def _spans(axis: AxisPlan) -> dict[int, tuple[int, int]]:
    """The lowest and the highest offset of each phase that has a tap."""
    spans: dict[int, tuple[int, int]] = {}
    for phase, _, offset in axis.taps:
        lowest, highest = spans.get(phase, (offset, offset))
        spans[phase] = min(lowest, offset), max(highest, offset)
    return spans


def unread(axis: AxisPlan, inputs: int, outputs: int) -> tuple[int, int]:
    """How many of the first and of the last `inputs` none of the `outputs` reads. Of the adjoint: how many outputs no
    input reaches, so that they hold the bias alone.

    >>> unread(conv_axis(kernel=2, stride=2, before=0, after=0, dilation=1), 9, 4)
    (0, 1)
    """
    read = reads(axis, range(outputs))
    front = min(max(read.start, 0), inputs) if read else inputs
    return front, inputs - min(max(read.stop, front), inputs)


def reads_through(axes: Iterable[AxisPlan], outputs: range) -> range:
    """The interval that `outputs` of the last layer read of the input of the first; `axes` in the order they run.

    It always holds every input read. It is the smallest such interval unless a layer reads with gaps what an
    upsampling layer before it, dilated or with a kernel below its stride, makes unevenly from its own inputs.
    """
    for axis in reversed(tuple(axes)):
        outputs = reads(axis, outputs)
    return outputs


def period(axes: Iterable[AxisPlan]) -> int:
    """After how many outputs of the last layer the layers read the same pattern again, moved by whole inputs."""
    steps, rate = 1, Fraction(1)
    for axis in reversed(tuple(axes)):
        rate /= axis.up
        steps = lcm(steps, rate.denominator)
        rate *= axis.down
    return steps


def common_period(layers: Iterable[tuple[Fraction, AxisPlan]]) -> int:
    """After how many samples of a signal the layers of any network are back at the same pattern, moved by whole inputs
    and outputs of each. Of every layer: its inputs for one sample of the signal.

    >>> halved = conv_axis(kernel=2, stride=2, before=0, after=0, dilation=1)
    >>> common_period([(Fraction(1), halved), (Fraction(1, 2), halved)])
    4
    """
    return lcm(*((rate / axis.down).denominator for rate, axis in layers))


def receptive_field(plans: Sequence[Plan]) -> tuple[int, ...]:
    """For each axis the number of inputs from the first to the last that one output reads, the largest over all phases.

    `plans` in the order they run. Counts positions, gaps included, as is usual (Araujo, Norris & Sim, 2019).

    >>> receptive_field([Conv(3, dilation=d).plan(2) for d in (1, 2, 4)])
    (15, 15)
    """
    if len({plan.ndim for plan in plans}) != 1:
        raise TrousError("plans", "must be at least one, all with the same number of axes", [p.ndim for p in plans])
    fields = []
    for axis in range(plans[0].ndim):
        axes = [plan.axes[axis] for plan in plans]
        fields.append(max(len(reads_through(axes, range(o, o + 1))) for o in range(period(axes))))
    return tuple(fields)


def taps_per_output(transposed: bool, kernel: int, stride: int) -> Fraction:
    """Inputs that an output of the average phase reads, one multiplication each: `len(taps) / up` of the plan."""
    return Fraction(kernel, stride if transposed else 1)
