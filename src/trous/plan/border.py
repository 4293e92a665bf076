"""Padding modes as index maps: which input each position of the padded input copies.

The padded convolution is the convolution of `x[source_indices(...)]`. Its adjoint, the transposed convolution with a
padding mode, adds every position of the padded result back to the input that it was copied from: a scatter-add by the
same indices.
"""

from __future__ import annotations

from dataclasses import replace

from trous.errors import TrousError
from trous.plan.bind import BoundAxis
from trous.plan.piece import Known

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def source_indices(
    mode: str, size: int, before: int, after: int, outputs: range | None = None
) -> tuple[int | None, ...]:
    """For each of the `before + size + after` positions, or of `outputs` among them, the input index that it copies,
    None where it holds a zero.

    Modes as in torch: reflect does not repeat the edge element, replicate repeats it, circular continues at the other
    end. A negative `before` or `after` crops. Raises TrousError as `check_border` does.

    >>> source_indices("reflect", 4, 2, 1)
    (2, 1, 0, 1, 2, 3, 2)
    """
    check_border(mode, size, before, after)
    positions = range(before + size + after) if outputs is None else outputs
    return tuple(_source(mode, size, position - before) for position in positions)


def check_border(mode: str, size: int, before: int, after: int) -> None:
    """Raises TrousError where torch does: reflect needs a padding below the size, circular one no larger than it,
    replicate an axis that is not empty."""
    if mode not in PADDING_MODES:
        raise TrousError("padding_mode", f"must be one of {', '.join(PADDING_MODES)}", mode)
    longest = max(before, after)
    if longest > 0:
        if mode == "reflect" and longest >= size:
            raise TrousError("padding", f"must be smaller than the axis ({size}) for padding_mode reflect", longest)
        if mode == "circular" and longest > size:
            raise TrousError("padding", f"must be at most the axis ({size}) for padding_mode circular", longest)
        if mode == "replicate" and size == 0:
            raise TrousError("padding", "must be 0 on an empty axis for padding_mode replicate", longest)


def unpadded(axis: BoundAxis) -> tuple[BoundAxis, int, int]:
    """The axis of a convolution without its padding, and the positions `before` and `after` that the padding adds to
    the input: what a padding mode fills. A crop in front stays in the plan.

    >>> from trous.spec import Conv
    >>> axis, before, after = unpadded(Conv(3, padding=1).plan().bind(8).axes[0])
    >>> axis.input_size, before, after
    (10, 1, 1)
    """
    plan = axis.plan
    before = max(0, -plan.offsets[0])
    after = max(0, plan.down * (axis.step_count - 1) + plan.offsets[-1] - (axis.input_size - 1))
    taps = tuple(tap._replace(offset=tap.offset + before) for tap in plan.taps)
    inner = replace(plan, taps=taps, extent=plan.extent - plan.up * (before + after))
    return BoundAxis(inner, before + axis.input_size + after, axis.output_size), before, after


def known_border(mode: str, inputs: Known, before: int) -> Known:
    """Which positions of a signal that goes on are known, padded in front by copies ("reflect" or "replicate").

    >>> known_border("reflect", Known(2), before=2)
    Known(first=0, others=frozenset({1, 2, 3}))
    """
    farthest = before if mode == "reflect" else min(before, 1) - 1  # that the padding in front copies
    if inputs.first > farthest:
        return Known(before + inputs.first, frozenset(before + i for i in inputs.others))
    front = (o for o in range(before) if inputs.holds(_source(mode, before + 1, o - before) or 0))
    return Known.of(0, (*front, *(before + i for i in (*range(inputs.first), *inputs.others))))


def _source(mode: str, size: int, position: int) -> int | None:
    if 0 <= position < size:
        return position
    match mode:
        case "reflect":
            return -position if position < 0 else 2 * (size - 1) - position
        case "replicate":
            return 0 if position < 0 else size - 1
        case "circular":
            return position % size
    return None
