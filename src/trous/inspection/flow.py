"""What the operations of a network do to what its values depend on.

Each function takes values and gives the values that come out. Front-ends (`torch_trace`, `onnx_trace`) translate the
operations of their graphs into these; `name` is the layer, for `Trail.everywhere`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from trous.inspection.values import NOTHING, Axis, Trail, Value, gathered, pattern
from trous.plan import AxisPlan, Tap
from trous.plan.bind import BoundAxis
from trous.plan.border import source_indices
from trous.plan.resample import moved_axis


def taps(
    value: Value, axes: Mapping[int, AxisPlan], shape: Sequence[int], name: str, *, groups: int = 0, channel: int = 1
) -> Value:
    """A layer that reads along the dimensions `axes` by their plans.

    Its outputs mix the channels of each of `groups` groups, or with 0, as in pooling, keep them apart.
    """
    trails = {}
    for axis, trail in value.trails.items():
        low, high = trail.low, trail.high
        for dim, plan in axes.items():
            low, high = _read(low, high, dim, BoundAxis(plan, value.shape[dim], shape[dim]))
        if trail.varies(axes):
            trail = trail.settled()
            along = trail.dim
            trail = trail.followed(axes[along]) if along is not None and along in axes else trail.lost()
        if groups:
            low = _mixed(low, channel, groups, shape[channel], np.min)
            high = _mixed(high, channel, groups, shape[channel], np.max)
            if trail.varies([channel]):
                trail = trail.mixed(name)
        trails[axis] = replace(trail, low=low, high=high)
    return Value(tuple(shape), trails, value.itemsize)


def padded(value: Value, dim: int, before: int, after: int, mode: str) -> Value:
    """Positions added on both sides, or cropped where negative: zeros, or inputs repeated as `mode` says.

    Repeated inputs are seen by the border alone and are no part of the field.
    """
    size = value.shape[dim] + before + after
    shape = (*value.shape[:dim], size, *value.shape[dim + 1 :])
    plain = taps(value, {dim: moved_axis(before, after)}, shape, "")
    if mode == "zeros":
        return plain
    source = np.array(source_indices(mode, value.shape[dim], before, after))
    trails = {}
    for axis, trail in plain.trails.items():
        own = value.trails[axis]
        low, high = (
            _flattened(_along(a, dim, value.shape[dim]).take(source, axis=dim), dim) for a in (own.low, own.high)
        )
        trails[axis] = replace(trail, low=low, high=high)
    return replace(plain, trails=trails)


def joined(values: Sequence[Value], shape: Sequence[int]) -> Value:
    """Element by element, as in a sum: shapes are aligned at their last dimension and ones are stretched."""
    rank = len(shape)
    aligned = []
    for value in values:
        missing = rank - len(value.shape)
        trails = {}
        for axis, trail in value.trails.items():
            arrays = [array.reshape((1,) * missing + array.shape) for array in (trail.low, trail.high)]
            if trail.places is not None:
                trail = replace(trail, places=trail.places.reshape((1,) * missing + trail.places.shape))
            if trail.dim is not None:
                stretched = value.shape[trail.dim] == 1 < shape[trail.dim + missing]
                trail = trail.lost() if stretched else replace(trail, dim=trail.dim + missing)
            trails[axis] = replace(trail, low=arrays[0], high=arrays[1])
        aligned.append(trails)
    return Value(tuple(shape), gathered(aligned), max(value.itemsize for value in values))


def rearranged(value: Value, move: Callable[[np.ndarray], np.ndarray]) -> Value:
    """Elements copied to other places: slices, transposes, reshapes, shuffles, anything that computes nothing.

    `move` does to an array of the value's shape what the network does to the value. Arrays come with strides of 0 along
    dimensions that nothing depends on, and where `move` keeps them they stay compact.
    """
    shape = move(_whole(np.zeros((1,) * len(value.shape), bool), value.shape)).shape
    trails = {}
    for axis, trail in value.trails.items():
        low, high = (compact(move(_whole(array, value.shape))) for array in (trail.low, trail.high))
        trail = replace(trail, low=low, high=high)
        if trail.field is not None and not (
            trail.dim is not None and value.shape[trail.dim] == 1 and shape == value.shape
        ):
            trail = _moved(trail, compact(move(_whole(_places(trail, value.shape), value.shape))))
        trails[axis] = trail
    return Value(shape, trails, value.itemsize)


def concatenated(values: Sequence[Value], dim: int) -> Value:
    """The values one behind the other along `dim`."""
    size = sum(value.shape[dim] for value in values)
    shape = (*values[0].shape[:dim], size, *values[0].shape[dim + 1 :])
    ones = (1,) * len(shape)
    trails: dict[Axis, Trail] = {}
    for axis in {axis for value in values for axis in value.trails}:
        start, found, lows, highs = 0, [], [], []
        for value in values:
            own, trail = value.shape[dim], value.trails.get(axis)
            lows.append(_along(trail.low if trail else np.full(ones, NOTHING), dim, own))
            highs.append(_along(trail.high if trail else np.full(ones, -1), dim, own))
            if trail and trail.dim == dim:
                trail = trail.followed(moved_axis(start, size - start - own))
            if trail:
                found.append(trail)
            start += own
        if any(trail.places is not None for trail in found):
            found = [trail.settled() for trail in found]
        if len(found) > 1 and any(trail.dim == dim for trail in found):
            found = [trail.lost() for trail in found]  # positions of several pieces make no one pattern
        low, high = _stacked(lows, dim), _stacked(highs, dim)
        trails |= gathered({axis: replace(trail, low=low, high=high)} for trail in found)
    return Value(shape, trails, values[0].itemsize)


def written(base: Value, part: Value, move: Callable[[np.ndarray], np.ndarray]) -> Value:
    """The base after `part` was written where `move` looks at it. The pattern is that of what fills most of it."""
    places = move(np.arange(prod(base.shape)).reshape(base.shape))
    trails = {}
    for axis in base.trails.keys() | part.trails.keys():
        old, new = base.trails.get(axis), part.trails.get(axis)
        low = np.array(_whole(old.low, base.shape)) if old else np.full(base.shape, NOTHING)
        high = np.array(_whole(old.high, base.shape)) if old else np.full(base.shape, -1)
        low.flat[places] = _whole(new.low, part.shape) if new else NOTHING
        high.flat[places] = _whole(new.high, part.shape) if new else -1
        most = 2 * prod(part.shape) > prod(base.shape)
        trail = new if new and (most or not old) else old
        assert trail is not None
        if trail is new and trail.field is not None:
            trail = trail.settled()
            trail = _written(trail, places, base.shape) if trail.field is not None else trail
        for dim in range(len(base.shape)):
            low, high = _flattened(low, dim), _flattened(high, dim)
        trails[axis] = replace(trail, low=low, high=high)
    return Value(base.shape, trails, base.itemsize)


def spread(value: Value, dims: Sequence[int], name: str) -> Value:
    """Every element also depends on all others along `dims`: a softmax, a normalisation by its statistics."""
    trails = {}
    for axis, trail in value.trails.items():
        low, high = _extremes(trail, dims)
        if trail.varies(dims):
            trail = _windowed(trail, dims) or trail.through(name)
        trails[axis] = replace(trail, low=low, high=high)
    return replace(value, trails=trails)


def reduced(value: Value, dims: Sequence[int], name: str, *, keep: bool = False) -> Value:
    """All elements along `dims` made one: a sum, a mean, a maximum."""
    trails = {}
    for axis, trail in value.trails.items():
        low, high = _extremes(trail, dims)
        if trail.varies(dims):
            trail = _windowed(trail, dims) or trail.mixed(name)
        trails[axis] = replace(trail, low=low, high=high)
    shape = tuple(1 if d in dims else n for d, n in enumerate(value.shape))
    kept = Value(shape, trails, value.itemsize)
    return kept if keep else rearranged(kept, lambda array: array.squeeze(tuple(dims)))


def accumulated(value: Value, dim: int, name: str, *, backwards: bool = False) -> Value:
    """Every element depends on those before it along `dim`, or behind it: a running sum, a recurrent layer."""
    size, trails = value.shape[dim], {}
    turn = (lambda array: np.flip(array, dim)) if backwards else (lambda array: array)
    for axis, trail in value.trails.items():
        low, high = (turn(_along(array, dim, size)) for array in (trail.low, trail.high))
        low, high = np.minimum.accumulate(low, axis=dim), np.maximum.accumulate(high, axis=dim)
        trail = trail.through(name) if trail.varies([dim]) else trail
        trails[axis] = replace(trail, low=compact(turn(low)), high=compact(turn(high)))
    return replace(value, trails=trails)


def contracted(first: Value, second: Value, shape: Sequence[int], name: str) -> Value:
    """A matrix product: the last dimension of the first with the last but one of the second.

    Where positions of one axis lie along the rows and along the columns, as in attention, rows keep theirs and see all
    of the columns': what a softmax and a second product make of it in any case.
    """
    rows = reduced(first, [len(first.shape) - 1], name, keep=True)
    columns = reduced(second, [len(second.shape) - 2], name, keep=True)
    last = [len(second.shape) - 1]
    for axis, trail in columns.trails.items():
        own = rows.trails.get(axis)
        if own is not None and own.varies([len(first.shape) - 2]) and trail.varies(last):
            columns.trails[axis] = _windowed(trail, last) or trail.mixed(name)
    return joined([rows, columns], shape)


def mixed(values: Sequence[Value], shape: Sequence[int], name: str) -> Value:
    """Everything depends on everything: what is not known better."""
    trails = []
    for value in values:
        ones = (1,) * len(shape)
        trails.append(
            {
                axis: replace(trail, low=trail.low.min().reshape(ones), high=trail.high.max().reshape(ones)).mixed(name)
                for axis, trail in value.trails.items()
            }
        )
    return Value(tuple(shape), gathered(trails), max((value.itemsize for value in values), default=4))


def _extremes(trail: Trail, dims: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The first and last input of all elements along `dims`."""
    over = tuple(dims)
    return trail.low.min(axis=over, keepdims=True), trail.high.max(axis=over, keepdims=True)


def _read(low: np.ndarray, high: np.ndarray, dim: int, bound: BoundAxis) -> tuple[np.ndarray, np.ndarray]:
    """The first and last input of what the taps of each output read."""
    low, high = _along(low, dim, bound.input_size), _along(high, dim, bound.input_size)
    lows = np.full((*low.shape[:dim], bound.output_size, *low.shape[dim + 1 :]), NOTHING)
    highs = np.full((*high.shape[:dim], bound.output_size, *high.shape[dim + 1 :]), -1)
    before = (slice(None),) * dim
    for tap in bound.live_taps:
        outputs, inputs = bound.slices(tap)
        to, of = (*before, outputs), (*before, inputs)
        np.minimum(lows[to], low[of], out=lows[to])
        np.maximum(highs[to], high[of], out=highs[to])
    return _flattened(lows, dim), _flattened(highs, dim)


def _mixed(array: np.ndarray, channel: int, groups: int, out: int, over: Callable[..., np.ndarray]) -> np.ndarray:
    """One number for each group of channels, for each output of the group."""
    channels = array.shape[channel]
    if channels == 1:
        return array
    split = array.reshape(*array.shape[:channel], groups, channels // groups, *array.shape[channel + 1 :])
    return _flattened(np.repeat(over(split, axis=channel + 1), out // groups, axis=channel), channel)


def _places(trail: Trail, shape: Sequence[int]) -> np.ndarray:
    """Which position each element holds."""
    if trail.places is not None:
        return trail.places
    assert trail.dim is not None
    return np.arange(shape[trail.dim]).reshape(_ones(len(shape), trail.dim, -1))


def _moved(trail: Trail, places: np.ndarray) -> Trail:
    """The trail after its positions went to `places`: along one dimension where they lie there one by one, evenly."""
    for dim in range(places.ndim):
        places = _flattened(places, dim)
    varying = [d for d, n in enumerate(places.shape) if n > 1]
    if not varying:
        return trail.lost()
    if len(varying) == 1:
        plan = pattern(places.reshape(-1, 1))
        if plan is not None and plan.up == 1:
            return replace(trail, dim=varying[0], places=None).followed(plan)
    return replace(trail, dim=None, places=places)


def _windowed(trail: Trail, dims: Sequence[int]) -> Trail | None:
    """The trail where all positions along `dims` are seen together and others lie outside of them, as windows do; None
    where windows are not alike, or there is but one."""
    if trail.places is None:
        return None
    first = trail.places.min(axis=tuple(dims), keepdims=True)
    if first.size == 1:
        return None
    inside = [d for d in dims if trail.places.shape[d] > 1]
    offsets = np.moveaxis(trail.places - first, inside, range(-len(inside), 0)).reshape(first.size, -1)
    if (np.sort(offsets, axis=1) != np.sort(offsets[0])).any():
        return None
    taps = tuple(Tap(0, k, int(offset)) for k, offset in enumerate(sorted(set(offsets[0].tolist()))))
    return replace(trail, places=first).followed(AxisPlan(1, 1, taps, 0))


def _written(trail: Trail, places: np.ndarray, shape: tuple[int, ...]) -> Trail:
    """The trail of a part that was written to `places` of an array of this shape, if it keeps dimensions and steps."""
    assert trail.dim is not None
    if places.ndim != len(shape):
        return trail.lost()
    line = np.moveaxis(places, trail.dim, 0).reshape(places.shape[trail.dim], -1)[:, 0]
    lines = np.stack(np.unravel_index(line, shape))
    steps = lines[:, 1:] - lines[:, :-1]
    if steps.any(axis=1).tolist() != [d == trail.dim for d in range(len(shape))] or (steps[trail.dim] != 1).any():
        return trail.lost()
    return trail.followed(moved_axis(int(lines[trail.dim, 0])))


def _ones(rank: int, dim: int, size: int) -> tuple[int, ...]:
    """The shape of what varies along `dim` alone."""
    return tuple(size if d == dim else 1 for d in range(rank))


def _whole(array: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """The array at its value's full shape, without a copy."""
    return np.broadcast_to(array, tuple(shape))


def _along(array: np.ndarray, dim: int, size: int) -> np.ndarray:
    """The array at full size along one dimension."""
    return np.broadcast_to(array, (*array.shape[:dim], size, *array.shape[dim + 1 :]))


def compact(array: np.ndarray) -> np.ndarray:
    """The array without what its strides of 0 only repeat."""
    return array[tuple(slice(0, 1) if not stride else slice(None) for stride in array.strides)]


def _flattened(array: np.ndarray, dim: int) -> np.ndarray:
    """The array with one position along `dim` if all are alike."""
    first = array.take([0], axis=dim) if array.shape[dim] else array
    return first if array.shape[dim] > 1 and (array == first).all() else array


def _stacked(parts: Sequence[np.ndarray], dim: int) -> np.ndarray:
    """The arrays one behind the other, at full size wherever one of them is."""
    rank = parts[0].ndim
    shape = [max(part.shape[d] for part in parts) for d in range(rank)]
    full = [np.broadcast_to(p, (*shape[:dim], p.shape[dim], *shape[dim + 1 :])) for p in parts]
    return _flattened(np.concatenate(full, axis=dim), dim)
