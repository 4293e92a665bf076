"""`TROUS_CHECK=1`: generated code verifies each access, and every problem passes."""

from __future__ import annotations

import pytest

from problems import HAND_PICKED, INSTRUCTION_SETS, assert_all_identical, definition, integers, operation, run
from trous.backends import cpu
from trous.backends.cpu import target
from trous.problem import Problem, random_problems
from turns import slow_unless_new

PROBLEMS = (
    *slow_unless_new(
        (*HAND_PICKED, *random_problems(77, 200, dtypes=("float32", "float64"))), first=len(HAND_PICKED) // 2
    ),
    *slow_unless_new(random_problems(79, 60, dtypes=("bfloat16", "float16")), first=5),
)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_no_access_outside_an_array(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_CHECK", "1")
    op, given = operation(problem), integers(problem)
    assert_all_identical(run(cpu, op, given), definition(op, given), op, problem)


@pytest.mark.slow
@pytest.mark.parametrize("problem", tuple(random_problems(78, 1000)), ids=str)
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_no_access_outside_an_array_on_any_instruction_set(
    instruction_set: str, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TROUS_CHECK", "1")
    op, given = operation(problem), integers(problem)
    with target.use(instruction_set):
        assert_all_identical(run(cpu, op, given), definition(op, given), op, problem)
