"""The driver of the great comparison must fail where a back-end does."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from problems import HAND_PICKED, assert_all_close, assert_all_identical, definition, integers, operation, real, run
from problems import terms as terms_of
from trous.backends import loops
from trous.problem import Problem, random_problems

PROBLEM = Problem.parse("conv_transpose,n2,c4-6,x5x4,k3x3,s2,g2,bias")
OP = operation(PROBLEM)
GIVEN = integers(PROBLEM)


def wrong(name: str, damage: Callable[[Any], Any], only: Any = None) -> Any:
    """The definition, with the array that `name` fills damaged afterwards; `only` for that operation."""

    def damaged(operation: Any, *arrays: Any) -> None:
        getattr(loops, name)(operation, *arrays)
        if only in (None, operation):
            damage(arrays[-1])

    parts = {"__name__": "trous.backends.wrong", "why_not": loops.why_not}
    parts |= {"forward": loops.forward, "weight_grad": loops.weight_grad, name: damaged}
    return SimpleNamespace(**parts)


def unwritten(array: Any) -> None:
    array[(-1,) * array.ndim] = float("nan")


def off_by_one(array: Any) -> None:
    array[(0,) * array.ndim] += 1


def last_bit(array: Any) -> None:
    array[(0,) * array.ndim] = torch.nextafter(array[(0,) * array.ndim], torch.tensor(1e9))


@pytest.mark.parametrize("damage", [unwritten, off_by_one, last_bit])
@pytest.mark.parametrize(
    ("name", "only", "result"), [("forward", OP, "y"), ("forward", OP.adjoint, "dx"), ("weight_grad", OP, "dw")]
)
def test_one_wrong_element_of_any_result_fails(name: str, only: Any, result: str, damage: Any) -> None:
    expected = definition(OP, GIVEN)
    assert_all_identical(run(loops, OP, GIVEN), expected, OP, "sound")
    with pytest.raises(AssertionError, match=f"damaged {result}: 1 of"):
        assert_all_identical(run(wrong(name, damage, only), OP, GIVEN), expected, OP, "damaged")


def test_one_wrong_element_fails_on_real_data() -> None:
    given = real(PROBLEM)
    expected = definition(OP, given)
    assert_all_close(run(wrong("forward", last_bit), OP, given), expected, OP, "one bit")
    for damage in (unwritten, off_by_one):
        with pytest.raises(AssertionError, match="damaged y: 1 of"):
            assert_all_close(run(wrong("forward", damage), OP, given), expected, OP, "damaged")


def test_a_refusal_fails() -> None:
    backend = wrong("forward", unwritten)
    backend.why_not = lambda operation, x: "of reasons"
    with pytest.raises(AssertionError, match="wrong refuses: of reasons"):
        run(backend, OP, GIVEN)


def test_what_a_back_end_leaves_unwritten_is_nan() -> None:
    idle = SimpleNamespace(why_not=loops.why_not, forward=lambda *_: None, weight_grad=lambda *_: None)
    for result in run(idle, OP, GIVEN):
        assert result.isnan().all()


def test_hand_picked_problems_differ() -> None:
    assert len(set(HAND_PICKED)) == len(HAND_PICKED) > 40


@pytest.mark.parametrize("problem", (*HAND_PICKED, *random_problems(6, 40)), ids=str)
def test_integers_keep_every_sum_exact_and_show_every_term(problem: Problem) -> None:
    given = integers(problem)
    assert 16 * max(terms_of(operation(problem))) < 2**24
    for array in given:
        assert array is None or array.numel() == 0 or (array.abs().min() >= 1 and array.abs().max() <= 4)
        assert array is None or torch.equal(array, array.round())


def test_data_are_the_same_every_time_and_differ_between_problems() -> None:
    assert torch.equal(integers(PROBLEM).x, GIVEN.x)
    assert torch.equal(real(PROBLEM).x, real(PROBLEM).x)
    other = Problem.parse("conv_transpose,n2,c4-6,x5x4,k3x3,s2,g2")
    assert not torch.equal(integers(other).x, GIVEN.x)


def test_channels_last_is_in_the_memory_format() -> None:
    problem = Problem.parse("conv,n2,c4-6,x5x4,k3x3,last")
    given = integers(problem)
    for array in (given.x, given.dy, *run(loops, operation(problem), given)[:2]):
        assert array.stride(1) == 1 and array.is_contiguous(memory_format=torch.channels_last)
