"""What a reader of the report should be warned of. Each function gives sentences, none where all is well."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import prod

from trous.inspection.gains import phase_gains, tap_counts, unevenness
from trous.inspection.graph import Node
from trous.inspection.values import Trail
from trous.plan.field import Field

#: Share of the gains' size from which on phases that differ are worth a warning.
UNEVEN = 0.05


def of_node(node: Node) -> Iterator[str]:
    """What is wrong with one operation by itself."""
    yield from node.warnings
    if node.bound is not None:
        if node.nominal:
            yield from overlap(node)
            yield from dead_taps(node)
        yield from lost_border(node)


def overlap(node: Node) -> Iterator[str]:
    """Checkerboard: from the weights where they are at hand, else from the numbers of taps."""
    assert node.bound is not None
    plan = node.bound.plan
    if all(axis.up == 1 for axis in plan.axes):
        return
    fewest, most = tap_counts(plan)
    if fewest == 0:
        empty = 1 - prod(Fraction(sum(1 for taps in axis.by_phase if taps), axis.up) for axis in plan.axes)
        yield f"checkerboard: {empty.numerator} of {empty.denominator} outputs have no tap and hold the bias alone"
    elif node.weight is not None:
        uneven = unevenness(phase_gains(plan, node.weight()))
        if uneven > UNEVEN:
            each = "1 tap" if most == 1 else f"{most} taps"
            taps = f"{fewest} to {most} taps" if fewest < most else f"{each} each, yet weights"
            yield f"checkerboard: phases have {taps} that sum to gains {100 * uneven:.0f} % apart"
    elif fewest < most:
        yield f"checkerboard: {fewest} to {most} taps by phase"


def dead_taps(node: Node) -> Iterator[str]:
    assert node.bound is not None
    taps = prod(len(axis.plan.taps) for axis in node.bound.axes)
    live = prod(len(axis.live_taps) for axis in node.bound.axes)
    if live < taps:
        yield f"dead taps: {taps - live} of {taps} fall into the padding everywhere at this size"


def lost_border(node: Node) -> Iterator[str]:
    """Inputs that no output reads: behind the last window, before the first, or between windows."""
    assert node.bound is not None
    for number, axis in enumerate(node.bound.axes):
        before, between, behind = axis.unread
        where = f"axis {number}" if len(node.bound.axes) > 1 else "the input"
        for count, place in ((before, "first"), (behind, "last")):
            if count:
                yield f"lost border: the {place} {count} of {axis.input_size} positions of {where} are never read"
        if between:
            yield f"lost inputs: {between} of {axis.input_size} positions of {where} lie between windows"


def gridding(fields: list[Field]) -> Iterator[str]:
    """Of what leaves the network: inputs within the receptive field that nothing reads."""
    shares = [field.share for field in fields]
    if shares and min(shares) < 1:
        size = "x".join(str(field.size) for field in fields)
        yield f"gridding: {100 * prod(shares):.3g} % of the {size} field is seen"


def shift(trails: list[Trail], sizes: list[tuple[int, int]]) -> Iterator[str]:
    """Of what leaves the network: outputs that look elsewhere than where they lie, both grids laid middle on middle.

    `sizes` are those of input and output. Half an output is within rounding; causal axes are meant to look back.
    """
    for number, (trail, (inputs, outputs)) in enumerate(zip(trails, sizes, strict=True)):
        if trail.field is None or causal(trail.field):
            continue
        away = trail.field.misplaced(inputs, outputs)
        if abs(away) < max(Fraction(1, 2), trail.field.jump / 2):
            continue
        side = "left" if away < 0 else "right"
        name = f"axis {number}" if len(trails) > 1 else "the input"
        yield f"shift: outputs look {float(abs(away)):.3g} positions to the {side} of where they lie on {name}"


def causal(field: Field) -> bool:
    """Whether no position sees inputs behind its own block of `jump`, and more of what lies before it."""
    ends = (seen.first + seen.bits.bit_length() for seen in field.phases)
    ahead = any(end > (r + 1) * field.jump for r, end in enumerate(ends) if field.phases[r].bits)
    return not ahead and field.shift < 0
