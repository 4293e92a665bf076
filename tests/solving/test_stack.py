"""`solve_stack`: the best of all kernels, told with its numbers, and right on real arrays."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import trous
from trous.errors import TrousError
from trous.plan.reach import receptive_field
from trous.plan.stack import is_gapless
from trous.solving import solve_stack


@pytest.mark.parametrize(
    ("wanted", "kernel", "layers"), [(16000, 2, 14), (16000, 3, 9), (22050, 2, 15), (22050, 3, 10)]
)
def test_one_second_of_sound(wanted: int, kernel: int, layers: int) -> None:
    stack = solve_stack(wanted, kernel)
    assert stack.layers == layers and wanted <= stack.receptive_field <= wanted + kernel - 2
    assert is_gapless(kernel, stack.dilations)
    for padding in ("causal", "same", "valid"):
        assert receptive_field([spec.plan() for spec in stack.specs(padding)]) == (stack.receptive_field,)


@pytest.mark.parametrize("wanted", [1, 2, 5, 16, 17, 100, 4097, 16000])
def test_the_best_kernel(wanted: int) -> None:
    """Each objective against one stack for each kernel."""
    each = [solve_stack(wanted, kernel) for kernel in range(2, 12)]
    assert solve_stack(wanted, range(2, 12)).layers == min(stack.layers for stack in each)
    fewest = solve_stack(wanted, set(range(2, 12)), objective="multiplications")
    assert fewest.multiplications == min(stack.multiplications for stack in each)


def test_every_input_of_the_field_is_read_and_none_later() -> None:
    """Ones through the layers, an impulse at each input: the last output of a causal stack."""
    stack = solve_stack(20, 3)
    size = stack.receptive_field + 6
    x = np.eye(size)[:, None]
    for spec in stack.specs():
        x = trous.conv(x, np.ones((1, 1, 3)), padding=spec.padding, dilation=spec.dilation)
    reads = x[:, 0, -1] > 0
    assert reads.tolist() == [False] * 6 + [True] * stack.receptive_field


def test_the_largest_dilation_is_kept() -> None:
    stack = solve_stack(3070, max_dilation=512)
    assert max(stack.dilations) == 512 and stack.receptive_field == 3070 and is_gapless(2, stack.dilations)
    assert stack.layers < 30  # three blocks of WaveNet, dilations 1 to 512, see 3,070 inputs


def test_numbers() -> None:
    stack = solve_stack(16, 2, channels=3)
    assert (stack.parameters, stack.multiplications) == (4 * 2 * 9, 4 * 2 * 9)
    assert (stack.context, stack.memory) == (15, 45)
    dilated, plain, single, strided = stack.alternatives()
    assert (dilated.layers, dilated.receptive_field, dilated.multiplications) == (4, 16, 72)
    assert (plain.layers, plain.receptive_field, plain.parameters) == (15, 16, 270)
    assert (single.layers, single.receptive_field, single.multiplications) == (1, 16, 144)
    assert (strided.layers, strided.receptive_field, strided.rate) == (4, 16, Fraction(1, 16))
    assert strided.multiplications == 18 * Fraction(15, 16)


def test_one_input() -> None:
    assert solve_stack(1).dilations == (1,)
    for stack in (solve_stack(1), solve_stack(5, 1000)):
        assert "dilated" in str(stack)


@pytest.mark.parametrize(
    ("arguments", "named", "said"),
    [
        ((0,), {}, "receptive_field must be at least 1"),
        ((4.5,), {}, "receptive_field must be one integer"),
        ((4, 1), {}, "kernel must be 2 to"),
        ((4,), {"objective": "depth"}, "objective must be one of layers, multiplications"),
        ((4,), {"max_dilation": 0}, "max_dilation must be at least 1"),
        ((4,), {"channels": 0}, "channels must be at least 1"),
        ((10**6,), {"max_dilation": 1}, "max_dilation must be larger: a stack would have 999999 layers"),
    ],
)
def test_what_cannot_be_asked(arguments: tuple[Any, ...], named: dict[str, Any], said: str) -> None:
    with pytest.raises(TrousError) as error:
        solve_stack(*arguments, **named)
    assert str(error.value).startswith(said)


def test_a_padding_that_is_none() -> None:
    with pytest.raises(TrousError, match="padding must be one of"):
        solve_stack(4).specs("half")
