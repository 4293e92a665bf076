"""Reports against derivatives: every layer of every network, at corners, borders, the centre and random positions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

import trous
from inspection.gradients import Hull, Output, Position, dependence, one_thread
from inspection.networks import NETWORKS, Network
from trous.inspection import Report
from trous.inspection.values import Axis, Value


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def report(entry: Network) -> Report:
    dtype = torch.complex64 if entry.complex_input else torch.float32
    return trous.inspect(entry.build(), torch.zeros(entry.shape, dtype=dtype))


def hull(value: Value, axes: tuple[Axis, ...], position: Position) -> Hull:
    """First and last input on each axis, all of the batch and of the channels taken together."""
    ends = []
    for axis in axes:
        trail = value.trails.get(axis)
        if trail is None:
            return None
        low, high = (
            np.broadcast_to(a, value.shape)[(slice(None), slice(None), *position)] for a in (trail.low, trail.high)
        )
        if low.min() > high.max():
            return None
        ends.append((int(low.min()), int(high.max())))
    return tuple(ends)


def values(inspected: Report, judged: dict[str, list[Output]]) -> Iterator[tuple[str, Value, Output]]:
    """What both know: the outputs of layers, call by call, and the network's own."""
    for name, outputs in judged.items():
        if name == "":
            yield "output", inspected.graph.outputs[0], outputs[0]
            continue
        layers = [layer for layer in inspected if layer.name == name]
        for layer, output in zip(layers, outputs, strict=False):
            yield name, layer.output, output


def some(entry: Network) -> list[str]:
    """The network's output, and every fifth of its modules."""
    return ["", *[name for name, _ in entry.build().named_modules() if name][::5]]


def every(entry: Network) -> None:
    """All modules."""


MODULES = [some, pytest.param(every, marks=pytest.mark.slow)]


@pytest.mark.parametrize("modules", MODULES)
@pytest.mark.parametrize("name", NETWORKS)
def test_intervals_are_those_of_derivatives(name: str, modules: Callable[[Network], list[str] | None]) -> None:
    entry = NETWORKS[name]
    inspected = report(entry)
    judged = dependence(entry.build(), entry.shape, modules=modules(entry), complex_input=entry.complex_input)
    compared = 0
    for layer, value, output in values(inspected, judged):
        assert value.shape == output.shape, layer
        for position, expected in output.hulls.items():
            assert hull(value, inspected.graph.axes, position) == expected, (layer, position)
            compared += 1
    assert compared > 10


@pytest.mark.parametrize("modules", MODULES)
@pytest.mark.parametrize("name", [name for name, entry in NETWORKS.items() if entry.reach != "global"])
def test_fields_are_those_of_derivatives(name: str, modules: Callable[[Network], list[str] | None]) -> None:
    """With statistics held: no position sees more than the field says, and one in the middle sees all of it."""
    entry = NETWORKS[name]
    inspected = report(entry)
    judged = dependence(entry.build(), entry.shape, modules=modules(entry), statistics="held")
    for layer, value, output in values(inspected, judged):
        for number, axis in enumerate(inspected.graph.axes):
            trail = value.trails[axis].settled()
            if trail.field is None:
                continue
            assert trail.dim is not None
            size, longest = entry.shape[axis.dim], 0
            for position, expected in output.hulls.items():
                if expected is None:
                    continue
                first, last = expected[number]
                index = position[trail.dim - 2]
                planned = trail.field.at(index).interval
                assert planned.start <= first and last < planned.stop, (layer, position)
                longest = max(longest, last - first + 1)
                inside = planned.start >= 0 and planned.stop <= size
                if inside and index == output.shape[trail.dim] // 2:
                    assert (first, last) == (planned.start, planned.stop - 1), (layer, position)
            assert longest <= trail.field.size
