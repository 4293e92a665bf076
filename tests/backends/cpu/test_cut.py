"""How dense layers are cut: whatever the layer, a thread keeps little, and every step is in one box."""

from __future__ import annotations

import json
from importlib.resources import files
from math import prod
from random import Random

import pytest

from problems import operation
from trous.backends.cpu import cut, dense, target
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


def test_offsets_that_find_an_input_are_counted_box_by_box() -> None:
    draw, partly = Random(0), 0
    for _ in range(2000):
        down, size, steps, each = draw.randint(1, 4), draw.randint(0, 30), draw.randint(1, 30), draw.randint(1, 12)
        offsets = tuple(draw.randint(-40, 60) for _ in range(draw.randint(1, 4)))
        boxes = [range(steps)[first : first + each] for first in range(0, steps, each)]
        found = sum(len(box) for box in boxes for o in offsets if down * box[-1] + o >= 0 and down * box[0] + o < size)
        assert cut._alive(down, offsets, size, steps, each) == found / (steps * len(offsets))
        partly += 0 < found < steps * len(offsets)
    assert partly > 500
