"""Values inside a network, and what each position of one depends on of the network's input.

For every axis of the input a value keeps a `Trail`, which answers twice:

- `field`: which inputs the taps on the way reach, at any size and holes included, along which dimension of the value
  (`trous.plan.field`); `everywhere` names the layers that let all of the input through besides, such as attention;
- `low` and `high`: at the sizes at hand the first and last input on which each element depends, borders, branches,
  global layers and all. Arrays that broadcast to the value's shape; an element that depends on none has `low > high`.

Operations on values are in `trous.inspection.flow`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import NamedTuple

import numpy as np

from trous.plan.field import INPUT, Field

#: `low` where nothing is read; `high` is then -1.
NOTHING = 2**62


class Axis(NamedTuple):
    """An axis of the network's input: the number of the input and its dimension."""

    input: int
    dim: int


@dataclass(frozen=True)
class Trail:
    """How a value depends on one axis of the input; see the module.

    `dim` is None where positions of the input no longer lie along one dimension, `field` also where the pattern has no
    period of its own: positions then see what `low` and `high` say, at these sizes.
    """

    dim: int | None
    field: Field | None
    everywhere: frozenset[str]
    low: np.ndarray
    high: np.ndarray

    def lost(self, *everywhere: str) -> Trail:
        """The same inputs, but no longer position by position; `everywhere` names a layer that mixes all of them."""
        return replace(self, dim=None, field=None, everywhere=self.everywhere.union(everywhere))

    def through(self, reason: str) -> Trail:
        """Position by position as before, and all of the axis besides."""
        return replace(self, everywhere=self.everywhere | {reason})


@dataclass(frozen=True, eq=False)
class Value:
    """One array that passes through the network. A weight, or anything else that no input reaches, has no trails."""

    shape: tuple[int, ...]
    trails: dict[Axis, Trail]
    itemsize: int = 4

    @property
    def bytes(self) -> int:
        return prod(self.shape) * self.itemsize

    def depends(self, axis: Axis, index: Sequence[int]) -> range:
        """The inputs from the first to the last on which the element at `index` depends, along one axis."""
        trail = self.trails.get(axis)
        if trail is None:
            return range(0)
        low, high = (int(np.broadcast_to(array, self.shape)[tuple(index)]) for array in (trail.low, trail.high))
        return range(low, high + 1) if low <= high else range(0)


def network_input(number: int, shape: Sequence[int], dims: Iterable[int], itemsize: int = 4) -> Value:
    """An input of the network whose dimensions `dims` are to be followed."""
    trails = {}
    for dim in dims:
        positions = np.arange(shape[dim]).reshape([-1 if d == dim else 1 for d in range(len(shape))])
        trails[Axis(number, dim)] = Trail(dim, INPUT, frozenset(), positions, positions)
    return Value(tuple(shape), trails, itemsize)


def united(first: Trail, second: Trail) -> Trail:
    """What depends on both, position by position. One that is lost leaves the pattern of the other."""
    low, high = np.minimum(first.low, second.low), np.maximum(first.high, second.high)
    both = Trail(None, None, first.everywhere | second.everywhere, low, high)
    if first.field is None or second.field is None:
        local = first if second.field is None else second
        return replace(both, dim=local.dim, field=local.field)
    if first.dim != second.dim or first.field.jump != second.field.jump:
        return both
    return replace(both, dim=first.dim, field=first.field.joined(second.field))


def gathered(trails: Iterable[dict[Axis, Trail]]) -> dict[Axis, Trail]:
    """The trails of all, those of one axis united."""
    by_axis: dict[Axis, Trail] = {}
    for each in trails:
        for axis, trail in each.items():
            by_axis[axis] = united(by_axis[axis], trail) if axis in by_axis else trail
    return by_axis
