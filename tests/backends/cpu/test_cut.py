"""How dense layers are cut: whatever the layer, a thread keeps little, and every step is in one box."""

from __future__ import annotations

import json
from importlib.resources import files
from math import prod

import pytest

from problems import operation
from trous.backends.cpu import dense, target, weight_binding, weight_pass
from trous.backends.cpu.tables import Strides
from trous.problem import Problem

LAYERS = [
    entry["problem"]
    for name in ("shapes", "held_out")
    for entry in json.loads(files("trous.bench").joinpath("lists", f"{name}.json").read_text())
]


def _strides(shape: tuple[int, ...], last: bool) -> tuple[int, ...]:
    order = (shape[0], *shape[2:], shape[1]) if last else shape
    plain = [prod(order[axis + 1 :]) for axis in range(len(order))]
    return (plain[0], plain[-1], *plain[1:-1]) if last else tuple(plain)


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("text", LAYERS)
def test_a_thread_keeps_at_most_2_mb(text: str, last: bool) -> None:
    op = operation(Problem.parse(text))
    strides = Strides(_strides(op.input_shape, last), _strides(op.weight_shape, False), _strides(op.output_shape, last))
    shape, bound = dense.bind(op, strides, "float32", target.current(), False)
    assert bound.scratch <= 2 << 20, shape
    tiles = bound.items
    for axis in "zyx":
        assert bound.number(f"tile_{axis}") * bound.number(f"tiles_{axis}") >= bound.number(f"steps_{axis}")
        tiles //= bound.number(f"tiles_{axis}")
    assert tiles >= 1


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
@pytest.mark.parametrize("text", LAYERS)
def test_nor_does_it_for_a_weight_gradient(text: str, last: bool) -> None:
    op = operation(Problem.parse(text))
    strides = Strides(_strides(op.input_shape, last), _strides(op.weight_shape, False), _strides(op.output_shape, last))
    tiling = weight_pass.tiling_for(op, strides, "float32", target.current())
    _, bound = weight_binding.bind(tiling, weight_pass._weight_strides(op, strides), False)
    assert bound.scratch <= 2 << 20
