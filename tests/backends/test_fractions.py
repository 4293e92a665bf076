"""Plans that no layer has: `up` and `down` both above 1, taps in any order and number. Back-ends owe them the same."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
import torch

from problems import Arrays, assert_all_identical, definition, run
from trous.backends import BACKENDS, Operation, name_of
from trous.plan import AxisPlan, Plan, Tap


def random_axis(random: Random, kernel: int) -> AxisPlan:
    """Each kernel index stands in one to three phases, each time at an offset of its own."""
    up, down = random.choice(((2, 3), (3, 2), (4, 6), (3, 3), (5, 2), (1, 1)))
    taps = {
        Tap(phase, k, random.randint(-4, 6))
        for k in range(kernel)
        for phase in random.sample(range(up), random.randint(1, min(up, 3)))
    }
    return AxisPlan(up, down, tuple(sorted(taps)), random.randint(0, 5))


def random_operation(seed: int) -> Operation:
    random = Random(seed)
    kernel = tuple(random.randint(1, 5) for _ in range(random.randint(1, 3)))
    plan = Plan(tuple(random_axis(random, k) for k in kernel))
    size = tuple(random.randint(1, 12) for _ in kernel)
    groups = random.choice((1, 1, 2, 3))
    ins, outs = (groups * random.randint(1, 3) for _ in range(2))
    return Operation(plan.bind(size), kernel, random.randint(1, 2), ins, outs, groups, random.random() < 0.5)


@pytest.mark.parametrize("backend", BACKENDS, ids=name_of)
@pytest.mark.parametrize("seed", range(60))
def test_any_plan(seed: int, backend) -> None:
    op = random_operation(seed)
    rng = np.random.default_rng(seed)
    shapes = (op.input_shape, op.weight_shape, (op.out_channels,), op.output_shape)
    given = Arrays(*(torch.from_numpy(rng.integers(1, 5, shape)).float() for shape in shapes))
    assert_all_identical(run(backend, op, given), definition(op, given), op, f"seed {seed}")
