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

from trous.plan import AxisPlan, Tap
from trous.plan.field import INPUT, Field

#: Positions after which the pattern of a field must have come back; what repeats later is as good as no pattern.
LONGEST_PERIOD = 4096

#: `low` where nothing is read; `high` is then -1.
NOTHING = 2**62


class Axis(NamedTuple):
    """An axis of the network's input: the number of the input and its dimension."""

    input: int
    dim: int


@dataclass(frozen=True)
class Trail:
    """How a value depends on one axis of the input; see the module.

    Position `p` of `field` lies at index `p` of dimension `dim`. Where a reshape has scattered the positions, `dim` is
    None and `places` says which position each element holds, an array that broadcasts to the value's shape; later ones
    may bring them together again. Without a field, elements depend on the whole axis through a layer that `everywhere`
    names, and nothing else joins them to it; or, where `vague`, on what `low` and `high` say at these sizes, which has
    no pattern.
    """

    dim: int | None
    field: Field | None
    everywhere: frozenset[str]
    low: np.ndarray
    high: np.ndarray
    places: np.ndarray | None = None
    vague: bool = False

    def mixed(self, name: str) -> Trail:
        """Behind the layer `name`, which lets the whole axis through and keeps no positions apart."""
        return replace(self, dim=None, field=None, places=None, everywhere=self.everywhere | {name})

    def lost(self) -> Trail:
        """The same inputs, but in no pattern any more."""
        return replace(self, dim=None, field=None, places=None, vague=True)

    def through(self, reason: str) -> Trail:
        """Position by position as before, and all of the axis besides."""
        return replace(self, everywhere=self.everywhere | {reason})

    def varies(self, dims: Iterable[int]) -> bool:
        """Whether positions differ along one of the dimensions."""
        return any(self.dim == d or (self.places is not None and self.places.shape[d] > 1) for d in dims)

    def followed(self, plan: AxisPlan) -> Trail:
        """The trail with its field behind a layer; without one where its pattern would hardly ever come back."""
        assert self.field is not None
        lasting = self.field.period_through(plan) <= LONGEST_PERIOD
        return replace(self, field=self.field.through(plan)) if lasting else self.lost()

    def settled(self) -> Trail:
        """The trail with scattered positions taken together along that dimension where they lie closest, if any."""
        if self.places is None:
            return self
        found = []
        for dim in (d for d, n in enumerate(self.places.shape) if n > 1):
            plan = pattern(np.moveaxis(self.places, dim, 0).reshape(self.places.shape[dim], -1))
            if plan is not None:
                found.append((max(plan.offsets) - min(plan.offsets), dim, plan))
        if not found:
            return self.lost()
        _, dim, plan = min(found, key=lambda each: each[:2])
        return replace(self, dim=dim, places=None).followed(plan)


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
    """What depends on both, position by position. One that is mixed leaves the pattern of the other."""
    low, high = np.minimum(first.low, second.low), np.maximum(first.high, second.high)
    both = Trail(None, None, first.everywhere | second.everywhere, low, high)
    if first.vague or second.vague:
        return both.lost()
    if first.field is None or second.field is None:
        local = first if second.field is None else second
        return replace(both, dim=local.dim, field=local.field, places=local.places)
    if not _alike(first, second):
        second = _placed(second, first)
    if not _alike(first, second):
        first, second = first.settled(), second.settled()
    if first.field is None or second.field is None or not _alike(first, second):
        return both.lost()
    return replace(both, dim=first.dim, field=first.field.joined(second.field), places=first.places)


def _alike(first: Trail, second: Trail) -> bool:
    """Whether the positions of both lie in the same places and move at one rate."""
    if first.field is None or second.field is None or first.field.jump != second.field.jump:
        return False
    if first.places is None or second.places is None:
        return first.places is second.places and first.dim == second.dim
    return first.places.shape == second.places.shape and bool((first.places == second.places).all())


def _placed(trail: Trail, other: Trail) -> Trail:
    """The trail with its positions named as those of the other, where each of these goes with one of its own in a
    pattern: a window's, of which all elements see the same."""
    if trail.places is None or other.places is None:
        return trail
    own, names = (array.ravel() for array in np.broadcast_arrays(trail.places, other.places))
    positions, first = np.unique(names, return_index=True)
    plan = pattern(own[first].reshape(-1, 1))
    if plan is None or (positions != np.arange(len(positions))).any() or (own != own[first][names]).any():
        return trail
    return replace(trail, places=other.places).followed(plan)


def pattern(rows: np.ndarray) -> AxisPlan | None:
    """The plan by which index `p` reads the positions `rows[p]`, if there is one: a pattern that comes back."""
    count = len(rows)
    for up in range(1, min(count // 2, LONGEST_PERIOD) + 1):
        steps = rows[up:] - rows[:-up]
        down = int(steps.flat[0])
        if down > 0 and (steps == down).all():
            offsets = [sorted(set(rows[phase].tolist())) for phase in range(up)]
            taps = [Tap(r, k, int(i)) for r, each in enumerate(offsets) for k, i in enumerate(each)]
            return AxisPlan(up, down, tuple(taps), 0)
    return None


def gathered(trails: Iterable[dict[Axis, Trail]]) -> dict[Axis, Trail]:
    """The trails of all, those of one axis united."""
    by_axis: dict[Axis, Trail] = {}
    for each in trails:
        for axis, trail in each.items():
            by_axis[axis] = united(by_axis[axis], trail) if axis in by_axis else trail
    return by_axis
