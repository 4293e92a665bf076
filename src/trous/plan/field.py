"""Fields: which inputs of a network each position of a value inside it depends on, along one axis, at any size.

Layers of one rate each make a pattern that repeats: position `period*m + r` depends on the inputs

    advance*m + first[r] + j        for every j whose bit is set in seen[r]

so a field is a list of bit sets, one for each of `period` phases, and it knows no sizes. A layer composes with its tap
plan, branches that meet are joined by union; both are exact, holes included. What padding cuts off is no part of it:
fields hold for positions far enough from the border. See docs/plan.md, section 9.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import gcd, lcm
from typing import NamedTuple

from trous.plan.axis import AxisPlan


class Seen(NamedTuple):
    """Inputs `first + j` for the set bits j of `bits`; bit 0 is set unless there are none."""

    first: int
    bits: int

    def moved(self, by: int) -> Seen:
        return Seen(self.first + by, self.bits) if self.bits else self

    @property
    def interval(self) -> range:
        """From the first to the last input, holes included; `range(0)` for none."""
        return range(self.first, self.first + self.bits.bit_length()) if self.bits else range(0)

    @property
    def share(self) -> float:
        """Share of the interval that is really read: below 1 where there are holes, 1 where nothing is read."""
        return self.bits.bit_count() / self.bits.bit_length() if self.bits else 1.0


def union(parts: Iterable[Seen]) -> Seen:
    """Every input that one of the parts reads."""
    known = [part for part in parts if part.bits]
    if not known:
        return Seen(0, 0)
    first, bits = min(part.first for part in known), 0
    for part in known:
        bits |= part.bits << (part.first - first)
    return Seen(first, bits)


@dataclass(frozen=True)
class Field:
    """What positions `period*m + phase` see, for each phase, moved by `advance` inputs from one `m` to the next."""

    advance: int
    phases: tuple[Seen, ...]

    @property
    def period(self) -> int:
        return len(self.phases)

    @property
    def jump(self) -> Fraction:
        """Inputs from one position to the next, on average: the product of strides over that of upsampling factors."""
        return Fraction(self.advance, self.period)

    @cached_property
    def size(self) -> int:
        """The receptive field: inputs from the first to the last that a position sees, the largest over all phases."""
        return max(len(seen.interval) for seen in self.phases)

    @property
    def share(self) -> float:
        """Share of that interval which is read, the smallest over the phases; below 1 is gridding."""
        return min(seen.share for seen in self.phases)

    @property
    def start(self) -> int:
        """The lowest input that position 0 sees; negative where it lies in the padding."""
        return self.phases[0].first

    @cached_property
    def center(self) -> Fraction:
        """Where the field of position 0 is centred, in inputs: that of the whole grid of positions, phases averaged."""
        seen = [(Fraction(s.first + s.interval[-1], 2) - r * self.jump) for r, s in enumerate(self.phases) if s.bits]
        return sum(seen, Fraction(0)) / len(seen) if seen else Fraction(0)

    @property
    def shift(self) -> Fraction:
        """How far the fields lie to the right of where an image resized by `1/jump` has its pixels, in inputs.

        Pixel `o` of such an image covers the inputs from `o*jump` to `(o + 1)*jump` (half-pixel centres).
        """
        return self.center - (self.jump - 1) / 2

    def misplaced(self, inputs: int, outputs: int) -> Fraction:
        """How far to the right of the middle of `inputs` the field of the middle of `outputs` is centred, in inputs.

        0 where both ends lose or gain alike, as by "valid" or "same" padding of an odd kernel.
        """
        return self.center + self.jump * (outputs - 1) / 2 - Fraction(inputs - 1, 2)

    def at(self, position: int) -> Seen:
        """What one position sees."""
        steps, phase = divmod(position, self.period)
        return self.phases[phase].moved(self.advance * steps)

    def period_through(self, axis: AxisPlan) -> int:
        """After how many positions behind a layer the pattern is back for certain; `through` may find less."""
        return axis.up * self.period // gcd(self.period, axis.down)

    def through(self, axis: AxisPlan) -> Field:
        """The field behind a layer that reads this one: the union of what its taps read.

        The layer moves on by `down` positions a step; the pattern is back where that is a multiple of the period.
        """
        steps = self.period // gcd(self.period, axis.down)
        phases = [
            union(self.at(axis.down * m + tap.offset) for tap in taps) for m in range(steps) for taps in axis.by_phase
        ]
        return _shortest(self.advance * axis.down * steps // self.period, tuple(phases))

    def joined(self, other: Field) -> Field:
        """The field of what is computed from both, position by position. Raises ValueError where their rates differ."""
        if self.jump != other.jump:
            raise ValueError(f"positions {self.jump} and {other.jump} inputs apart do not meet one by one")
        period = lcm(self.period, other.period)
        phases = tuple(union((self.at(position), other.at(position))) for position in range(period))
        return _shortest(int(self.jump * period), phases)


#: The input itself.
INPUT = Field(1, (Seen(0, 1),))


def _shortest(advance: int, phases: tuple[Seen, ...]) -> Field:
    """The field with the shortest period of the pattern."""
    field = Field(advance, phases)
    factor = 2
    while factor <= field.period:
        period, step = field.period // factor, field.advance // factor
        whole = not (field.period % factor or field.advance % factor)
        if whole and all(
            seen == field.phases[r % period].moved(step * (r // period)) for r, seen in enumerate(field.phases)
        ):
            field = Field(step, field.phases[:period])
        else:
            factor += 1
    return field
