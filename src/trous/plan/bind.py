"""A plan with its sizes: which taps land inside the arrays, for which steps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from math import prod
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from trous.plan.axis import AxisPlan, Tap

if TYPE_CHECKING:
    from trous.plan.plan import Plan


_phase = attrgetter("phase")


@dataclass(frozen=True)
class BoundAxis:
    """One axis plan between `input_size` and `output_size` positions."""

    plan: AxisPlan
    input_size: int
    output_size: int

    @property
    def step_count(self) -> int:
        """Steps that reach every output; the last may lack some phases."""
        return -(-self.output_size // self.plan.up)

    def steps(self, tap: Tap) -> range:
        """The `m` at which both sides of the tap exist: `0 <= up*m + phase < output`, `0 <= down*m + offset < input`.

        Empty for a tap whose whole range falls into the padding.
        """
        last = (self.output_size - 1 - tap.phase) // self.plan.up
        first = max(0, -(tap.offset // self.plan.down))
        last = min(last, (self.input_size - 1 - tap.offset) // self.plan.down)
        return range(first, max(first, last + 1))

    def slices(self, tap: Tap) -> tuple[slice, slice]:
        """The outputs that a live tap feeds and the inputs that it reads, one for one, as slices of the two sides."""
        steps, plan = self.steps(tap), self.plan
        outputs = slice(plan.up * steps[0] + tap.phase, plan.up * steps[-1] + tap.phase + 1, plan.up)
        inputs = slice(plan.down * steps[0] + tap.offset, plan.down * steps[-1] + tap.offset + 1, plan.down)
        return outputs, inputs

    @cached_property
    def _counts(self) -> list[tuple[int, int]]:
        """Numbers of taps and the steps that each of them has. Taps of one offset differ in phase: those up to the
        phase of the last output have as many steps as that one, the others one fewer."""
        last, phase = divmod(self.output_size - 1, self.plan.up)
        down, inputs = self.plan.down, self.input_size
        counts = []
        for offset, taps in self.plan.by_offset.items():
            first, end = max(0, -(offset // down)), (inputs - 1 - offset) // down + 1
            most = len(taps) if taps[-1][0] <= phase else bisect_right(taps, phase, key=_phase)
            counts.append((most, max(0, min(last + 1, end) - first)))
            if most < len(taps):
                counts.append((len(taps) - most, max(0, min(last, end) - first)))
        return counts

    @cached_property
    def live(self) -> AxisPlan:
        """The plan of the taps that do any work at these sizes: the plan itself where all do, as at most sizes."""
        if all([steps for taps, steps in self._counts if taps]):
            return self.plan
        return replace(self.plan, taps=tuple(tap for tap in self.plan.taps if self.steps(tap)))

    @property
    def live_taps(self) -> tuple[Tap, ...]:
        """The taps that do any work at these sizes."""
        return self.live.taps

    @property
    def unread(self) -> tuple[int, int, int]:
        """Inputs that no output reads: those before the first that is read, those between, those behind the last."""
        seen = bytearray(self.input_size)
        for tap in self.live_taps:
            _, inputs = self.slices(tap)
            seen[inputs] = b"\1" * len(range(*inputs.indices(self.input_size)))
        before, behind = seen.find(1), self.input_size - 1 - seen.rfind(1)
        if before < 0:
            return 0, 0, self.input_size
        return before, seen.count(0) - before - behind, behind

    @cached_property
    def multiplications(self) -> int:
        """Multiplications really executed along this axis: taps that land inside, counted."""
        return sum(taps * steps for taps, steps in self._counts)


@dataclass(frozen=True)
class BoundPlan:
    """An N-dimensional plan bound to sizes; the product of its bound axes. `print(bound)` shows it as a table."""

    plan: Plan
    axes: tuple[BoundAxis, ...]

    @staticmethod
    def of(axes: Iterable[BoundAxis]) -> BoundPlan:
        """The product of bound axes."""
        from trous.plan.plan import Plan

        along = tuple(axes)
        return BoundPlan(Plan(tuple(axis.plan for axis in along)), along)

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

    def linear_operator(self, w: Any, **options: Any) -> Any:
        """The matrix of this plan with weight `w`, as SciPy's solvers take it; see `trous.inverse.linear_operator`,
        which has the options. It needs SciPy, and so stands above, where it is fetched from when asked for."""
        inverse: Any = import_module("trous.inverse")
        return inverse.linear_operator(self, w, **options)

    def __str__(self) -> str:
        from trous.plan.table import bound_table

        return bound_table(self)
