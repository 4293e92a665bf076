"""Fewer runs must reach every kind of kernel that all runs together reach."""

from __future__ import annotations

import pytest

from problems import HAND_PICKED, INSTRUCTION_SETS
from trous.backends.cpu import target
from trous.problem import Problem, random_problems
from turns import bring_new, kinds_of_kernels, slow_unless_new, taking_turns, turn

PROBLEMS = (*HAND_PICKED[::2], *random_problems(7, 40, dtypes=("float32", "float64", "bfloat16")))
EVERYWHERE = [(problem, name) for problem in PROBLEMS for name in INSTRUCTION_SETS]


def reached(runs: list[tuple[Problem, str]], *passes: str) -> set[tuple[str, ...]]:
    return {kind for problem, name in runs for kind in kinds_of_kernels(problem, name, passes or ("y", "dx", "dw"))}


@pytest.mark.parametrize("passes", [("y",), ("dx", "dw"), ("y", "dx", "dw")], ids="-".join)
@pytest.mark.parametrize("first", [0, 10, len(PROBLEMS)])
def test_turns_leave_no_kind_out(passes: tuple[str, ...], first: int) -> None:
    turns = [entry.values for entry in taking_turns(PROBLEMS, passes, first)]
    runs = [(problem, name) for problem, chosen in turns for name in chosen]
    assert reached(runs, *passes) == reached(EVERYWHERE, *passes)
    assert len(runs) < len(EVERYWHERE) * 2 / 3
    assert [problem for problem, _ in turns[:first]] == list(PROBLEMS[:first])


def test_runs_that_bring_nothing_are_named() -> None:
    runs = [(problem, turn(number)) for number, problem in enumerate(PROBLEMS)]
    kept = bring_new(runs, first=10)
    assert set(range(10)) < kept < set(range(len(runs)))
    assert reached([runs[number] for number in kept]) == reached(runs)


def test_what_is_not_slow_reaches_every_kind_of_the_widest_set() -> None:
    widest = target.available()[-1]
    entries = slow_unless_new(PROBLEMS, first=10)
    assert [problem for entry in entries for problem in entry.values] == list(PROBLEMS)
    fast = [(problem, widest) for entry in entries if not entry.marks for problem in entry.values]
    assert 10 < len(fast) < len(PROBLEMS)
    assert reached(fast) == reached([(problem, widest) for problem in PROBLEMS])
