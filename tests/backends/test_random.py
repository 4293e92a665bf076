"""The great comparison: random problems, every back-end and instruction set, against the definition and torch.

A failing test is named by its problem, `conv,c3-4,x9,k3,...`, which is all that is needed to repeat it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

import trous
from compare import assert_identical
from problems import (
    HAND_PICKED,
    INSTRUCTION_SETS,
    Arrays,
    Results,
    assert_all_close,
    assert_all_identical,
    definition,
    integers,
    operation,
    real,
    run,
    torch_results,
)
from trous.backends import BACKENDS, Operation, cpu, loops, name_of, tensors
from trous.backends.cpu import run as cpu_run
from trous.backends.cpu import target
from trous.backends.cpu.openmp import Team
from trous.backends.cpu.pool import Pool
from trous.backends.cpu.run import threads
from trous.problem import Problem, random_problems
from turns import bring_new, taking_turns, turn

SEED, COUNT = 2026, 3000
ALL = (*HAND_PICKED, *random_problems(SEED, COUNT, dtypes=("float32", "float64")))

FAST = bring_new(((problem, turn(number)) for number, problem in enumerate(ALL[:600])), first=60)
#: Problems and their numbers. Most are slow, since each compiles code of its own, which the tests of a number share.
NUMBERED = [
    pytest.param(number, problem, marks=[pytest.mark.slow] * (number not in FAST)) for number, problem in enumerate(ALL)
]
NOT_EMPTY = [entry for entry in NUMBERED if entry.values[1].batch and min(entry.values[1].size)]


@pytest.fixture(autouse=True)
def _no_work_is_too_small_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_run, "SMALL", 0)


def assert_cpu_identical(op: Operation, given: Arrays, expected: Results, instruction_set: str, what: object) -> None:
    for count in (1, 2):
        with target.use(instruction_set), threads(count):
            got = run(cpu, op, given)
        assert_all_identical(got, expected, op, f"{what} on cpu, {instruction_set}, {count} threads")


def test_two_threads_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the comparison below calls two threads."""
    problem = Problem.parse("conv,n2,c8-16,x20x20,k3x3")
    shared = []

    def record(kind: Any) -> None:
        share = kind.run

        def recording(pool: Any, *arguments: Any) -> None:
            shared.append((pool.size, arguments[-1]))
            share(pool, *arguments)

        monkeypatch.setattr(kind, "run", recording)

    record(Pool)
    record(Team)
    with threads(2):
        run(cpu, operation(problem), integers(problem))
    assert shared and all(size >= 2 and count == 2 for size, count in shared)


@pytest.mark.parametrize(("number", "problem"), NUMBERED, ids=str)
def test_back_ends_equal_the_definition(number: int, problem: Problem) -> None:
    """Bit for bit, forward and both gradients, on one thread and two; the instruction sets take turns."""
    op, given = operation(problem), integers(problem)
    expected = definition(op, given)
    assert_cpu_identical(op, given, expected, turn(number), problem)
    assert_all_identical(run(tensors, op, given), expected, op, f"{problem} on tensors")
    in_numpy = run(tensors, op, given.map(lambda array: array.numpy()))
    assert_all_identical(in_numpy, expected.map(lambda array: array.numpy()), op, f"{problem} on tensors, NumPy")


@pytest.mark.slow
@pytest.mark.parametrize("problem", ALL, ids=str)
def test_every_instruction_set_equals_the_definition(problem: Problem) -> None:
    op, given = operation(problem), integers(problem)
    expected = definition(op, given)
    for instruction_set in INSTRUCTION_SETS:
        assert_cpu_identical(op, given, expected, instruction_set, problem)


@pytest.mark.slow
@pytest.mark.parametrize("problem", ALL, ids=str)
def test_frozen_weights_equal_the_definition(problem: Problem) -> None:
    given, spec = integers(problem), problem.spec
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    options = {name: getattr(spec, name) for name in names if hasattr(spec, name)}
    frozen, expected = trous.freeze(given.w), definition(operation(problem), given)
    for _ in range(2):  # packed, and as it was packed before
        y = getattr(trous, problem.kind)(given.x, frozen, given.bias, **options)
        assert_identical(y, expected.y, problem, zeros=True, empty=not y.numel())


@pytest.mark.parametrize(("number", "problem"), NOT_EMPTY, ids=str)
def test_back_ends_agree_with_torch(number: int, problem: Problem) -> None:
    """In float64 on real data. torch's own convolutions are a reference not written here; they refuse empty input.

    The cpu back-end takes part in the problems of float64.
    """
    wide = replace(problem, dtype="float64")
    op, given = operation(wide), real(wide)
    expected = torch_results(wide, given)
    with target.use(turn(number)):
        for backend in BACKENDS if wide == problem else (tensors, loops):
            assert_all_close(run(backend, op, given), expected, op, f"{wide} on {name_of(backend)}")


SIXTEEN_BITS = tuple(random_problems(SEED, 150, dtypes=("bfloat16", "float16")))


@pytest.mark.parametrize(("problem", "instruction_sets"), taking_turns(SIXTEEN_BITS, first=20))
def test_sixteen_bits_are_rounded_once(problem: Problem, instruction_sets: Sequence[str]) -> None:
    """Sums in float32 are exact, so that one rounding at the end gives the same bits everywhere."""
    assert_rounded_once(problem, instruction_sets)


@pytest.mark.slow
@pytest.mark.parametrize("problem", SIXTEEN_BITS, ids=str)
def test_sixteen_bits_are_rounded_once_on_every_instruction_set(problem: Problem) -> None:
    assert_rounded_once(problem, INSTRUCTION_SETS)


def assert_rounded_once(problem: Problem, instruction_sets: Sequence[str]) -> None:
    op, given = operation(problem), integers(problem)
    expected = definition(op, given)
    wide = definition(op, given.map(lambda array: array.float()))
    rounded = wide.map(lambda array: array.to(given.x.dtype))
    assert_all_identical(expected, rounded, op, f"{problem} on loops")
    assert_all_identical(run(tensors, op, given), expected, op, f"{problem} on tensors")
    for instruction_set in instruction_sets:
        assert_cpu_identical(op, given, expected, instruction_set, problem)
