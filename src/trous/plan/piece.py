"""Outputs of a layer a few at a time: from when on they can be known, and which inputs to compute them from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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


class Known(NamedTuple):
    """Samples of which nothing is still to come: so many from the `first` on, and `others` behind, with gaps."""

    first: int
    others: frozenset[int] = frozenset()

    @classmethod
    def of(cls, count: int, others: Iterable[int]) -> Known:
        """The first `count` and any of the others, which may go on from them."""
        behind = {o for o in others if o >= count}
        while count in behind:
            behind.remove(count)
            count += 1
        return cls(count, frozenset(behind))

    @property
    def end(self) -> int:
        """Behind the last of them."""
        return max(self.others) + 1 if self.others else self.first

    def holds(self, sample: int) -> bool:
        """Whether it is one of them. What lies before the first is known to be padding."""
        return sample < self.first or sample in self.others


def common(several: Sequence[Known]) -> Known:
    """The samples that are known of all."""
    if all(each == several[0] for each in several):
        return several[0]
    count = min(each.first for each in several)
    shortest = next(each for each in several if each.first == count)
    return Known.of(count, (o for o in shortest.others if all(each.holds(o) for each in several)))


def complete(axis: AxisPlan, inputs: int) -> int | None:
    """How many outputs, from the first one on, read none but the first `inputs`; None where that bounds nothing.

    >>> complete(conv_axis(kernel=3, stride=2, before=1, after=1, dilation=1), 6)
    3
    """
    blocked = [axis.up * max(0, -((last - inputs) // axis.down)) + phase for phase, last in axis.lasts]
    return min(blocked, default=None)  # of each phase: the first output that would read on


def known(axis: AxisPlan, inputs: Known, size: int) -> Known:
    """Which of the first `size` outputs read none but known inputs.

    A layer with holes, as a transposed one has where its kernel is below its stride, knows some before others that
    stand in front of them.

    >>> known(ConvTranspose(1, stride=3, output_padding=2).plan(1).axes[0], Known(1), 6)
    Known(first=3, others=frozenset({4, 5}))
    """
    first = complete(axis, inputs.first)
    count = size if first is None else min(first, size)
    if count < 0 or (not inputs.others and axis.in_order):
        return Known(max(count, 0))
    return Known.of(count, (o for o in range(count, size) if all(map(inputs.holds, axis.reads(o).values()))))


def counted(axis: AxisPlan, output: int, inside: range) -> int:
    """How many taps of an output read inputs `inside`."""
    return sum(i in inside for i in axis.reads(output).values())
