"""Outputs of a layer a few at a time: from when on they can be known, and which inputs to compute them from."""

from __future__ import annotations

from typing import NamedTuple

from trous.plan.axis import AxisPlan


class Piece(NamedTuple):
    """A stretch of outputs made from a stretch of inputs by the same layer with another padding.

    `inputs` may begin before the first input. `before` is the padding in front (of a transposed layer: the crop), and
    `skip` the number of outputs of this layer that come before those wanted.
    """

    inputs: range
    before: int
    skip: int


def piece(transposed: bool, kernel: int, stride: int, dilation: int, before: int, outputs: range) -> Piece:
    """The piece that gives `outputs`. Its `before` is the same for all outputs: a kernel is compiled for it once.

    >>> piece(False, 3, 1, 2, before=4, outputs=range(10, 12))
    Piece(inputs=range(6, 12), before=0, skip=0)
    >>> piece(True, 4, 2, 1, before=1, outputs=range(10, 12))
    Piece(inputs=range(4, 7), before=2, skip=1)
    """
    reach = dilation * (kernel - 1)
    if not transposed:
        return Piece(range(stride * outputs[0] - before, stride * outputs[-1] - before + reach + 1), 0, 0)
    back = reach // stride  # how many inputs before its own an output can depend on
    first, last = ((o + before) // stride for o in (outputs[0], outputs[-1]))
    return Piece(range(first - back, last + 1), stride * back, (outputs[0] + before) % stride)


def complete(axis: AxisPlan, inputs: int) -> int | None:
    """How many outputs, from the first one on, read none but the first `inputs`; None where that bounds nothing.

    >>> complete(conv_axis(kernel=3, stride=2, before=1, after=1, dilation=1), 6)
    3
    """
    blocked = [
        axis.up * max(0, -((tap.offset - inputs) // axis.down)) + tap.phase for tap in axis.taps
    ]  # of each tap: the first output that would read on
    return min(blocked, default=None)


def counted(axis: AxisPlan, output: int, inside: range) -> int:
    """How many taps of an output read inputs `inside`."""
    return sum(i in inside for i in axis.reads(output).values())
