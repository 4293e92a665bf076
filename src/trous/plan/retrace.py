"""The way back through the sizes of a sequence of layers: which inputs give an output, what returns to one of them.

A size rule `output = (up*input + extent) // down` maps neighbouring inputs to one output. The adjoint returns to the
smallest of them; output padding, or cropping less, returns to the others. See docs/mirroring.md.
"""

from __future__ import annotations

from collections.abc import Iterable

from trous.plan.axis import AxisPlan


def sources(axis: AxisPlan, outputs: int) -> range:
    """The input sizes that give exactly `outputs` outputs; of a transposed convolution at most one.

    From `outputs <= (up*n + extent)/down < outputs + 1`. What comes before the range gives fewer.

    >>> sources(conv_axis(kernel=3, stride=2, before=1, after=1, dilation=1), 4)
    range(7, 9)
    """
    first, end = (-((axis.extent - axis.down * m) // axis.up) for m in (outputs, outputs + 1))
    return range(first, end)


def smallest_input(axes: Iterable[AxisPlan], outputs: int = 1) -> int:
    """The smallest input size, at least 1, that leaves `outputs` behind the last of the layers and 1 before each.

    `axes` in the order they run.

    >>> smallest_input([conv_axis(3, 2, 0, 0, 1), conv_axis(3, 2, 0, 0, 1)])
    7
    """
    for axis in reversed(tuple(axes)):
        outputs = max(1, sources(axis, outputs).start)
    return outputs


def returning_padding(axis: AxisPlan, size: int) -> int:
    """The output padding with which a convolution's transpose, cropped by as much in all as it pads, returns to `size`.

    Below the stride, since that many sizes share one output.
    """
    return size - sources(axis, axis.output_size(size)).start


def returning_border(stride: int, before: int, after: int, output_padding: int) -> tuple[int, int] | None:
    """What a convolution pads to return from a transposed one with these numbers, at every size; None if nothing can.

    The transposed layer makes `s*n + reach + 1 - before - after - s + output_padding` of n positions, and a convolution
    makes n of these again with a total padding of `before + after - output_padding` to `s - 1` more. The adjoint's,
    `before + after`, is among them unless output_padding is s or more, which only a dilation above the stride allows;
    then the nearest is taken, behind first.
    """
    if output_padding > most_returning(stride, before, after):
        return None
    surplus = max(0, output_padding - stride + 1)
    behind = min(surplus, after)
    return before - (surplus - behind), after - behind


def most_returning(stride: int, before: int, after: int) -> int:
    """The largest output padding of a transposed layer with these numbers from which a convolution returns."""
    return before + after + stride - 1


def dense_window(kernel: int, stride: int, before: int, after: int, dilation: int) -> tuple[int, int, int, int]:
    """`(kernel, before, after, dilation)` of the transposed layer that spreads a pooled value over its whole share.

    The pooling's own where every output has a tap. Otherwise, for a stride above the kernel or dilated windows that
    only meet every second position, the window is filled up to the stride at least, and the same sizes come out.
    """
    if len({k * dilation % stride for k in range(min(kernel, stride))}) == stride:
        return kernel, before, after, dilation
    window = dilation * (kernel - 1) + 1
    dense = max(window, stride)
    return dense, before, after + dense - window, 1


def overlap(axis: AxisPlan) -> dict[int, int]:
    """How many taps the phase of each kernel index has: by what to divide equal weights so that constants stay."""
    return {tap.kernel: len(axis.by_phase[tap.phase]) for tap in axis.taps}


def repeated_border(axis: AxisPlan, inputs: int, outputs: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """How often to repeat the border of the inputs so that every output has all taps of its phase: before and behind.

    Then, for the same two sides, how many more outputs are to be cropped, so that the others stay where they are.

    >>> repeated_border(conv_axis(kernel=3, stride=2, before=1, after=1, dilation=1).adjoint(), 4, 8)
    ((0, 1), (0, 2))
    """
    used = [tap for tap in axis.taps if tap.phase < outputs]
    last = [axis.down * ((outputs - 1 - tap.phase) // axis.up) + tap.offset for tap in used]
    before, after = max([0, *[-tap.offset for tap in used]]), max([0, *[i + 1 - inputs for i in last]])
    return (before, after), (axis.up * before, axis.up * after)
