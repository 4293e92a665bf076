"""Every layer of one kind that takes the sizes of one axis where they are wanted, counted at once, listed as asked for.

Layers that differ in padding only are a *family*: one kernel, stride and dilation. All of a family are equally even and
cost the same, so families are put in order first, and only those whose turn has come are listed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from heapq import merge
from itertools import groupby
from typing import NamedTuple

from trous.plan.padding import conv_padding, output_paddings
from trous.plan.reach import taps_per_output
from trous.plan.sizes import Ends, paddings, unevenness
from trous.solving.ranges import Ranges, Values, between, is_dense, sum_count, sums


class Layer(NamedTuple):
    """The numbers of one axis; a convolution has output_padding 0."""

    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    output_padding: int

    @property
    def symmetric(self) -> bool:
        return self.before == self.after


class Rank(NamedTuple):
    """What solutions are ordered by, least first. Ranks of several axes combine, and better ones give a better one."""

    uneven: int  #: 0 for even overlap with every input read
    border: int  #: 1 for windows centred outside the array, or an array that goes on behind the last window
    cost: Fraction  #: multiplications per output
    plainness: tuple[int, ...]  #: output padding, dilation, padding, its imbalance, stride

    def __mul__(self, other: object) -> Rank:
        if not isinstance(other, Rank):
            return NotImplemented
        plainness = tuple(map(sum, zip(self.plainness, other.plainness, strict=True)))
        return Rank(self.uneven + other.uneven, self.border + other.border, self.cost * other.cost, plainness)


class Family(NamedTuple):
    """The layers of one kernel, stride and dilation, with padding up to that of "same" or beyond."""

    uneven: int
    border: int
    cost: Fraction
    dilation: int
    kernel: int
    stride: int
    sides: Values  #: what before and after may be
    totals: Values  #: what both come to, up to "same" or beyond
    needed: range  #: what both have to come to, without output padding
    output_paddings: Values
    symmetric: bool

    def layers(self) -> Iterator[tuple[Rank, Layer]]:
        """All of them, best first."""
        for extra in self.output_paddings:
            for total in between(self.totals, self.needed.start + extra, self.needed[-1] + extra):
                for before in self._fronts(total):
                    after = total - before
                    plainness = (extra, self.dilation, total, 2 * abs(after - before) + (before > after), self.stride)
                    layer = Layer(self.kernel, self.stride, self.dilation, before, after, extra)
                    yield Rank(self.uneven, self.border, self.cost, plainness), layer

    def number(self) -> int:
        """How many they are. Either the output padding or what is needed beside it is one number, so no total is found
        twice."""
        extras = self.output_paddings
        spans = [(extras[0], extras[-1])] if is_dense(extras) else [(extra, extra) for extra in extras]
        found = 0
        for low, high in spans:
            least = max(self.needed.start + low, self.totals[0])
            most = min(self.needed[-1] + high, self.totals[-1])
            if self.symmetric:
                found += len(between(self.totals, least, most))
            elif least <= most:
                found += sum_count(self.sides, least, most)
        return found

    def _fronts(self, total: int) -> Iterator[int]:
        """The paddings in front that leave an allowed one behind, from equal ones outwards, the larger behind first."""
        if self.symmetric:
            yield total // 2
            return
        for before in reversed(between(self.sides, total - self.sides[-1], total // 2)):
            if total - before in self.sides:
                yield before
                if 2 * before != total:
                    yield total - before


class AxisSolutions:
    """The layers of one kind, best first, as a list that grows when more of it is looked at."""

    def __init__(self, transposed: bool, ends: Ends, ranges: Ranges):
        self.transposed, self.ends, self.ranges = transposed, ends, ranges
        self._found: list[tuple[Rank, Layer]] = []
        self._more = self._ranked()

    @cached_property
    def count(self) -> int:
        return sum(family.number() for family in self._families)

    def get(self, place: int) -> tuple[Rank, Layer] | None:
        """The solution at that place, or None behind the last."""
        while len(self._found) <= place:
            following = next(self._more, None)
            if following is None:
                return None
            self._found.append(following)
        return self._found[place]

    def __contains__(self, layer: Layer) -> bool:
        kernel, stride, dilation, before, after, extra = layer
        ranges = self.ranges
        if kernel not in ranges.kernel or stride not in ranges.stride or dilation not in ranges.dilation:
            return False
        if extra not in ranges.output_paddings(self.transposed, stride, dilation):
            return False
        sides = ranges.paddings(kernel, dilation)
        if before not in sides or after not in sides or (ranges.symmetric and before != after):
            return False
        return before + after - extra in paddings(self.transposed, kernel, stride, dilation, self.ends)

    def _ranked(self) -> Iterator[tuple[Rank, Layer]]:
        """Families that are alike in what comes first are merged by the rest."""
        for _, alike in groupby(self._families, key=_first_ranks):
            yield from merge(*(family.layers() for family in alike))

    @cached_property
    def _families(self) -> list[Family]:
        found: list[Family] = []
        for kernel in self.ranges.kernel:
            for dilation in self.ranges.dilation:
                sides = self.ranges.paddings(kernel, dilation)
                totals = self.totals(kernel, dilation)
                same = sum(conv_padding("same", kernel, 1, dilation))
                parts = [between(totals, 0, same), between(totals, same + 1, totals[-1])]
                for stride in self.strides(kernel, dilation):
                    found += self._of(kernel, stride, dilation, sides, parts)
        return sorted(found, key=_first_ranks)

    def _of(self, kernel: int, stride: int, dilation: int, sides: Values, parts: Sequence[Values]) -> Iterator[Family]:
        needed = paddings(self.transposed, kernel, stride, dilation, self.ends)
        if not needed:
            return
        extras = self.ranges.output_paddings(self.transposed, stride, dilation)
        for beyond, totals in enumerate(parts):
            if totals and (fitting := between(extras, totals[0] - needed[-1], totals[-1] - needed[0])):
                uneven = unevenness(self.transposed, kernel, stride, dilation)
                cost = taps_per_output(self.transposed, kernel, stride)
                rest = sides, totals, needed, fitting, self.ranges.symmetric
                border = int(beyond or needed.start < 0)  # no padding, and still something left
                yield Family(uneven, border, cost, dilation, kernel, stride, *rest)

    def totals(self, kernel: int, dilation: int) -> Values:
        """What the padding of both sides may come to."""
        return sums(self.ranges.paddings(kernel, dilation), self.ranges.symmetric)

    def strides(self, kernel: int, dilation: int, beside: int = 0) -> Values:
        """Those whose padding may be within bounds, and as many as `beside` on either side of them. What must be padded
        grows with the stride, so they are neighbours."""

        def least(stride: int) -> int:
            return paddings(self.transposed, kernel, stride, dilation, self.ends).start

        def most(stride: int) -> int:
            allowed = output_paddings(stride, dilation)[-1] if self.transposed else 0
            return paddings(self.transposed, kernel, stride, dilation, self.ends).stop - 1 + allowed

        strides, totals = self.ranges.stride, self.totals(kernel, dilation)
        first = bisect_left(strides, totals[0], key=most)
        last = bisect_left(strides, totals[-1] + 1, key=least)
        return strides[max(0, first - beside) : last + beside]


def _first_ranks(family: Family) -> tuple[int, int, Fraction]:
    return family[:3]
