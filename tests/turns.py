"""Instruction sets that take turns: few kernels are compiled, and no kind of kernel is left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import Any

import pytest
import torch

from problems import INSTRUCTION_SETS, Results, operation
from trous.arrays import empty
from trous.backends.cpu import forward_pass, target, weight_pass
from trous.backends.cpu.tables import Strides
from trous.problem import Problem


def taking_turns(problems: Iterable[Problem], passes: Sequence[str] = Results._fields, first: float = inf) -> list[Any]:
    """Parameters: problems with the instruction sets to run each on.

    The `first` problems take one in turn. Every problem takes those on which one of the `passes` takes a family of
    kernels that no earlier problem takes there, in its dtype and memory format. Later ones that bring nothing new are
    left out.
    """
    seen: set[tuple[str, ...]] = set()
    parameters = []
    for number, problem in enumerate(problems):
        chosen = []
        for name in INSTRUCTION_SETS:
            kinds = set(kinds_of_kernels(problem, name, passes))
            if (number < first and name == turn(number)) or not kinds <= seen:
                chosen.append(name)
                seen |= kinds
        if chosen:
            parameters.append(pytest.param(problem, chosen, id=f"{problem}-{'-'.join(chosen)}"))
    return parameters


def turn(number: int) -> str:
    """The instruction set whose turn it is."""
    return INSTRUCTION_SETS[number % len(INSTRUCTION_SETS)]


def slow_unless_new(problems: Iterable[Problem], first: int) -> list[Any]:
    """Parameters: problems, those behind the `first` slow unless they bring a kind to the widest instruction set."""
    runs = [(problem, target.available()[-1]) for problem in problems]
    fast = bring_new(runs, first)
    return [
        pytest.param(problem, id=str(problem), marks=[pytest.mark.slow] * (n not in fast))
        for n, (problem, _) in enumerate(runs)
    ]


def bring_new(runs: Iterable[tuple[Problem, str]], first: int) -> set[int]:
    """Numbers of the `first` runs, a problem on an instruction set, and of those behind that bring a kind of kernel."""
    seen: set[tuple[str, ...]] = set()
    found = set()
    for number, run in enumerate(runs):
        kinds = set(kinds_of_kernels(*run))
        if number < first or not kinds <= seen:
            found.add(number)
        seen |= kinds
    return found


def kinds_of_kernels(
    problem: Problem, instruction_set: str, passes: Sequence[str] = Results._fields
) -> Iterator[tuple[str, ...]]:
    """Of each pass: its family, instruction set, dtype and memory format. Nothing is compiled."""
    op, like = operation(problem), torch.empty(0)
    x, y = (empty(shape, like, problem.channels_last) for shape in (op.input_shape, op.output_shape))
    w = torch.empty(op.weight_shape)
    given = (instruction_set, problem.dtype, "last" if problem.channels_last else "first")
    with target.use(instruction_set):
        if "y" in passes and y.numel():
            yield "y", _family(op, Strides.of(x, w, y), problem), *given
        if "dx" in passes and x.numel():
            yield "dx", _family(op.adjoint, Strides.of(y, w, x), problem), *given
        if "dw" in passes and op.multiplications:
            form = weight_pass.tiling_for(op, Strides.of(x, w, y), problem.dtype, target.current()).form
            yield "dw", "columns" if form.columns else "lanewise" if form.lanewise else "outer", *given


def _family(op: Any, strides: Strides, problem: Problem) -> str:
    family, _ = forward_pass._family(op, strides, problem.dtype, target.current())
    return family.kernel.__name__
