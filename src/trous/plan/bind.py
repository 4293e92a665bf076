"""A plan with its sizes: which taps land inside the arrays, for which steps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from math import prod
from typing import TYPE_CHECKING

from trous.plan.axis import AxisPlan, Tap

if TYPE_CHECKING:
    from trous.plan.plan import Plan


@dataclass(frozen=True)
class BoundAxis:
    """One axis plan between `input_size` and `output_size` positions."""

    plan: AxisPlan
    input_size: int
    output_size: int

    def steps(self, tap: Tap) -> range:
        """The `m` at which both sides of the tap exist: `0 <= up*m + phase < output`, `0 <= down*m + offset < input`.

        Empty for a tap whose whole range falls into the padding.
        """
        up, down = self.plan.up, self.plan.down
        first = max(0, -(tap.offset // down))
        last = min((self.output_size - 1 - tap.phase) // up, (self.input_size - 1 - tap.offset) // down)
        return range(first, max(first, last + 1))

    def slices(self, tap: Tap) -> tuple[slice, slice]:
        """The outputs that a live tap feeds and the inputs that it reads, one for one, as slices of the two sides."""
        steps, plan = self.steps(tap), self.plan
        outputs = slice(plan.up * steps[0] + tap.phase, plan.up * steps[-1] + tap.phase + 1, plan.up)
        inputs = slice(plan.down * steps[0] + tap.offset, plan.down * steps[-1] + tap.offset + 1, plan.down)
        return outputs, inputs

    @cached_property
    def _counts(self) -> tuple[int, ...]:
        """The number of steps of every tap. A long kernel's taps have few distinct ones, and a new size counts anew."""
        up, last = self.plan.up, self.output_size - 1
        known: dict[tuple[int, int], int] = {}
        counts = []
        for tap in self.plan.taps:
            like = tap.offset, (last - tap.phase) // up
            if like not in known:
                known[like] = len(self.steps(tap))
            counts.append(known[like])
        return tuple(counts)

    @cached_property
    def live_taps(self) -> tuple[Tap, ...]:
        """The taps that do any work at these sizes."""
        return tuple(compress(self.plan.taps, self._counts))

    @cached_property
    def multiplications(self) -> int:
        """Multiplications really executed along this axis: taps that land inside, counted."""
        return sum(self._counts)


@dataclass(frozen=True)
class BoundPlan:
    """An N-dimensional plan bound to sizes; the product of its bound axes. `print(bound)` shows it as a table."""

    plan: Plan
    axes: tuple[BoundAxis, ...]

    @property
    def input_size(self) -> tuple[int, ...]:
        return tuple(axis.input_size for axis in self.axes)

    @property
    def output_size(self) -> tuple[int, ...]:
        return tuple(axis.output_size for axis in self.axes)

    def adjoint(self) -> BoundPlan:
        """The adjoint plan between the same two sizes, so that the matrix is exactly the transpose."""
        return self.plan.adjoint().bind(self.output_size, self.input_size)

    @property
    def multiplications(self) -> int:
        """Multiplications executed for one input channel feeding one output channel; padding is not counted."""
        return prod(axis.multiplications for axis in self.axes)

    def __str__(self) -> str:
        from trous.plan.table import bound_table

        return bound_table(self)
