"""What a back-end is asked to do: a bound plan with its batch, channels and groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from trous.plan import BoundPlan


@dataclass(frozen=True)
class Operation:
    """One layer at one size.

    x is `(batch, in_channels, *input_size)`, y is `(batch, out_channels, *output_size)`. The weight is
    `(out_channels, in_channels/groups, *kernel)`, or with `weight_by_input`
    `(in_channels, out_channels/groups, *kernel)`: torch's layouts for the two kinds.
    """

    bound: BoundPlan
    kernel: tuple[int, ...]
    batch: int
    in_channels: int
    out_channels: int
    groups: int
    weight_by_input: bool

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        """Kept, since every call looks something up by its operation."""
        return hash((self.bound, self.batch, self.in_channels, self.out_channels, self.groups, self.weight_by_input))

    @cached_property
    def input_shape(self) -> tuple[int, ...]:
        return (self.batch, self.in_channels, *self.bound.input_size)

    @cached_property
    def output_shape(self) -> tuple[int, ...]:
        return (self.batch, self.out_channels, *self.bound.output_size)

    @cached_property
    def weight_shape(self) -> tuple[int, ...]:
        first, second = self.out_channels, self.in_channels
        if self.weight_by_input:
            first, second = second, first
        return (first, second // self.groups, *self.kernel)

    @cached_property
    def adjoint(self) -> Operation:
        """The gradient for the input: the adjoint plan over the same weight array, channels exchanged."""
        return replace(
            self,
            bound=self.bound.adjoint(),
            in_channels=self.out_channels,
            out_channels=self.in_channels,
            weight_by_input=not self.weight_by_input,
        )

    @property
    def multiplications(self) -> int:
        """Multiply-adds really executed, padding not counted."""
        return self.batch * self.in_channels * self.out_channels // self.groups * self.bound.multiplications
