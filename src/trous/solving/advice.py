"""Where a search finds nothing, or nothing even: the nearest sizes within its ranges, and the range to widen."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from trous.plan.sizes import output_size
from trous.solving.axis import AxisSolutions, Layer
from trous.solving.ranges import Ranges, Values

if TYPE_CHECKING:
    from trous.solving.solutions import Solutions

#: How far kernels and dilations are tried, one after the other.
_FURTHEST = {"kernel": 512, "dilation": 128}


def advice(solutions: Solutions) -> list[str]:
    """One fact a line, of each axis without a solution, or without one that treats all positions alike."""
    lines: list[str] = []
    for place, size in enumerate(solutions.sizes):
        searches = [axes[place] for axes in solutions.axes.values()]
        best = [first[0].uneven for search in searches if (first := search.get(0))]
        if best and (min(best) == 0 or not solutions):
            continue
        said = list(_nearest(searches)) if size.single and not best else []
        said += _wider(searches, even=bool(best))
        if not best and not said:
            said = ["no single range makes it possible: it may take two layers"]
        front = f"axis {place}: " if len(solutions.sizes) > 1 else ""
        lines += [front + line for line in said]
    if not lines and not solutions:
        lines = ["each axis has solutions by itself, but not all of them by one kind of layer"]
    return lines


def _nearest(searches: Sequence[AxisSolutions]) -> Iterator[str]:
    n, m = searches[0].ends[0]
    reached = {size for search in searches for size in _reached(search) if size >= 1}
    nearest = [max((size for size in reached if size < m), default=None)]
    nearest += [min((size for size in reached if size > m), default=None)]
    if found := [str(size) for size in nearest if size is not None]:
        yield f"nearest outputs of {n} within the ranges: {' and '.join(found)}"


def _reached(search: AxisSolutions) -> Iterator[int]:
    """Outputs next to the one wanted; those of all other layers are further away."""
    (n, m), transposed, ranges = search.ends[0], search.transposed, search.ranges
    for kernel in ranges.kernel:
        for dilation in ranges.dilation:
            totals = search.totals(kernel, dilation)
            for stride in search.strides(kernel, dilation, beside=1):

                def size(total: int, shape: tuple[bool, int, int, int] = (transposed, kernel, stride, dilation)) -> int:
                    return output_size(*shape, total, n)

                extras = ranges.output_paddings(transposed, stride, dilation)
                if transposed:
                    for total in totals if extras else ():
                        yield from (size(total) + extra for extra in _beside(extras, m - size(total)))
                elif extras:
                    place = bisect_left(totals, m, key=size)
                    yield from map(size, totals[max(0, place - 1) : place + 1])


def _beside(values: Values, target: int) -> Values:
    """The last value below the target and the first that is not."""
    place = bisect_left(values, target)
    return values[max(0, place - 1) : place + 1]


def _wider(searches: Sequence[AxisSolutions], even: bool) -> Iterator[str]:
    """For each range that alone stands in the way the value that makes a solution, or an even one, possible."""
    done = "even overlap" if even else "it"
    for name in ("kernel", "stride", "dilation", "padding", "output_padding", "symmetric"):
        found = [first for search in searches if (first := _first(search, name, even))]
        if found:
            _, layer, kind = min(found)
            padding = layer.before if layer.symmetric else f"{layer.before}:{layer.after}"
            shown = {**layer._asdict(), "padding": padding, "symmetric": False}
            names = ["kernel", "stride", "padding", "dilation", *(["output_padding"] if layer.output_padding else [])]
            with_ = ", ".join(f"{each} {shown[each]}" for each in names)
            yield f"{name}={shown[name]} makes {done} possible: {kind} with {with_}"


def _first(search: AxisSolutions, name: str, even: bool) -> tuple[object, Layer, str] | None:
    for ranges in _trials(search, name):
        found = AxisSolutions(search.transposed, search.ends, ranges).get(0)
        if found is not None and not found[0].border and not (even and found[0].uneven):
            return *found, "transposed" if search.transposed else "conv"
    return None


def _trials(search: AxisSolutions, name: str) -> Iterator[Ranges]:
    ranges, most = search.ranges, max(max(pair) for pair in search.ends)
    match name:
        case "kernel":
            plain = replace(ranges, dilation=ranges.dilation[:1])
            yield from (replace(plain, kernel=(k,)) for k in range(1, _FURTHEST[name]) if k not in ranges.kernel)
        case "dilation":
            yield from (replace(ranges, dilation=(d,)) for d in range(1, _FURTHEST[name]) if d not in ranges.dilation)
        case "stride":
            yield replace(ranges, stride=range(1, min(most, 2**20) + 1))
        case "padding" if ranges.padding is not None:
            yield replace(ranges, padding=None)
        case "output_padding" if ranges.output_padding is not None:
            yield replace(ranges, output_padding=None)
        case "symmetric" if ranges.symmetric:
            yield replace(ranges, symmetric=False)
