"""The plan of an N-dimensional layer: one axis plan per axis, their product."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from trous.errors import TrousError
from trous.plan.axis import AxisPlan
from trous.plan.bind import BoundAxis, BoundPlan


@dataclass(frozen=True)
class Plan:
    """Axis plans, outermost axis first. Groups and channels stand outside: the taps are the same for all of them.

    Plans are compared and hashed by value. `print(plan)` shows the taps as a table.
    """

    axes: tuple[AxisPlan, ...]

    @property
    def ndim(self) -> int:
        return len(self.axes)

    def adjoint(self) -> Plan:
        """The plan of the transposed matrix: a convolution's adjoint is the transposed convolution, tap for tap."""
        return Plan(tuple(axis.adjoint() for axis in self.axes))

    def output_size(self, size: int | Sequence[int]) -> tuple[int, ...]:
        """Output size per axis; see `AxisPlan.output_size`."""
        sizes = self._per_axis("size", size)
        return tuple(axis.output_size(n) for axis, n in zip(self.axes, sizes, strict=True))

    def bind(self, size: int | Sequence[int], output_size: int | Sequence[int] | None = None) -> BoundPlan:
        """The plan with its sizes: ranges of live taps and counts of multiplications.

        `output_size` defaults to what the size rule gives. A gradient binds it explicitly, since the adjoint of a
        strided layer has several sizes to return to.
        """
        sizes = self._per_axis("size", size)
        outputs = self.output_size(sizes) if output_size is None else self._per_axis("output_size", output_size)
        for n in outputs:
            if n < 0:
                raise TrousError("size", f"must be large enough to give an output, not one of size {n}", size)
        return bind(self, sizes, outputs)

    def _per_axis(self, name: str, value: int | Sequence[int]) -> tuple[int, ...]:
        try:
            values = tuple(map(operator.index, value if isinstance(value, Iterable) else (value,)))
        except TypeError:
            raise TrousError(name, "must be an integer or one integer per axis", value) from None
        if len(values) != self.ndim:
            raise TrousError(name, f"must have one entry for each of the plan's {self.ndim} axes", value)
        if any(n < 0 for n in values):
            raise TrousError(name, "must not be negative", value)
        return values

    def __str__(self) -> str:
        from trous.plan.table import plan_table

        return plan_table(self)


@lru_cache(maxsize=4096)
def bind(plan: Plan, sizes: tuple[int, ...], outputs: tuple[int, ...]) -> BoundPlan:
    """`Plan.bind` of sizes that need no check."""
    axes = zip(plan.axes, sizes, outputs, strict=True)
    return BoundPlan(plan, tuple(BoundAxis(axis, n, out) for axis, n, out in axes))
