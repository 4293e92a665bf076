"""Epilogues of every back-end: bit for bit on integers where nothing rounds, elsewhere to the last places."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from compare import assert_identical
from problems import HAND_PICKED, INSTRUCTION_SETS, integers, operation
from trous.arrays import empty
from trous.backends import BACKENDS, cpu, loops, name_of, tensors
from trous.backends.cpu import target
from trous.backends.epilogue import Epilogue, finish
from trous.problem import Problem, random_problems
from turns import taking_turns

#: Slopes are powers of two, so that products of integers with them are exact.
PLAIN = (Epilogue("relu"), Epilogue("leaky_relu", slope=0.25), Epilogue("leaky_relu", slope=-2.0))
WITH_RESIDUAL = (
    Epilogue(residual=True),
    Epilogue("relu", residual=True),
    Epilogue("leaky_relu", slope=0.5, residual=True),
)
PROBLEMS = (*HAND_PICKED, *random_problems(31, 60))


def signed(problem: Problem) -> tuple[Any, Any, Any, Any]:
    """x, w, bias and a residual of integers with either sign."""
    given = integers(problem)
    rng = np.random.default_rng(len(str(problem)))
    flip = torch.from_numpy(rng.choice([-1, 1], given.w.shape)).to(given.w.dtype)
    residual = torch.from_numpy(rng.integers(-20, 21, given.dy.shape)).to(given.dy.dtype)
    return given.x, given.w * flip, given.bias, empty(residual.shape, residual, problem.channels_last).copy_(residual)


def run(backend: ModuleType, problem: Problem, arrays: tuple, epilogue: Epilogue) -> Any:
    x, w, bias, residual = arrays
    op = operation(problem)
    assert backend.why_not(op, x) is None
    y = empty(op.output_shape, x, problem.channels_last)
    y[...] = float("nan")
    backend.forward(op, x, w, bias, y, epilogue, residual if epilogue.residual else None)
    return y


@pytest.mark.parametrize(("problem", "instruction_sets"), taking_turns(PROBLEMS, ("y",), first=15))
def test_bit_for_bit(problem: Problem, instruction_sets: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`loops` is torch's activation of the convolution, and every back-end is `loops`. Epilogues take turns."""
    monkeypatch.setenv("TROUS_CHECK", "1")
    turn = len(str(problem)) % 3
    assert_bit_for_bit(problem, instruction_sets, (PLAIN[turn], WITH_RESIDUAL[turn]))


@pytest.mark.slow
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_bit_for_bit_on_every_instruction_set(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_CHECK", "1")
    assert_bit_for_bit(problem, INSTRUCTION_SETS, (*PLAIN, *WITH_RESIDUAL))


def assert_bit_for_bit(problem: Problem, instruction_sets: Sequence[str], epilogues: Sequence[Epilogue]) -> None:
    arrays = signed(problem)
    plain, empty = run(loops, problem, arrays, Epilogue()), 0 in operation(problem).output_shape
    for epilogue in epilogues:
        expected = run(loops, problem, arrays, epilogue)
        if problem.dtype in ("float32", "float64"):  # the others would round twice
            total = plain + arrays[3] if epilogue.residual else plain
            assert_identical(expected, activated(total, epilogue), f"{problem} {epilogue}", zeros=True, empty=empty)
        for instruction_set in instruction_sets:
            with target.use(instruction_set):
                got = run(cpu, problem, arrays, epilogue)
            assert_identical(got, expected, f"{problem} {epilogue} {instruction_set}", zeros=True, empty=empty)
        got = run(tensors, problem, arrays, epilogue)
        assert_identical(got, expected, f"{problem} {epilogue} tensors", zeros=True, empty=empty)


def activated(total: Any, epilogue: Epilogue) -> Any:
    match epilogue.activation:
        case "relu":
            return torch.relu(total)
        case "leaky_relu":
            return torch.nn.functional.leaky_relu(total, epilogue.slope)
    return total


@pytest.mark.parametrize("backend", BACKENDS, ids=name_of)
@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_curves_of_real_data(dtype: torch.dtype, name: str, backend: ModuleType) -> None:
    """A convolution that copies its input, so that what is compared is the activation alone."""
    problem = Problem.parse(f"conv,c1-1,x2000,k1{',f64' if dtype == torch.float64 else ''}")
    x = torch.linspace(-12, 12, 2000, dtype=dtype).reshape(1, 1, -1)
    residual = torch.full_like(x, 0.5)
    got = run(backend, problem, (x, torch.ones(1, 1, 1, dtype=dtype), None, residual), Epilogue(name, residual=True))
    expected = getattr(torch, name)((x + residual).double())
    ulp = torch.finfo(dtype).eps * expected.abs()
    assert ((got.double() - expected).abs() <= 5 * ulp).all()  # 4 of ours, 1 of the float64 reference


@pytest.mark.parametrize("backend", BACKENDS, ids=name_of)
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh", "sigmoid"])
def test_what_is_not_finite(name: str, backend: ModuleType) -> None:
    x = torch.tensor([float("nan"), float("inf"), float("-inf"), -0.0, 0.0, -1e30, 1e30]).reshape(1, 1, -1)
    problem = Problem.parse("conv,c1-1,x7,k1")
    bias = torch.tensor([-0.0])  # 0 would take the sign from -0
    got = run(backend, problem, (x, torch.ones(1, 1, 1), bias, None), Epilogue(name))
    function = getattr(torch.nn.functional, name) if name == "leaky_relu" else getattr(torch, name)
    nan = torch.isnan(x)
    assert torch.isnan(got[nan]).all() and torch.equal(got[~nan], function(x[~nan]))


@pytest.mark.parametrize("convert", [lambda a: a.numpy(), lambda a: a], ids=["numpy", "torch"])
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh", "sigmoid"])
def test_both_libraries_finish_alike(name: str, convert: Any) -> None:
    total = torch.linspace(-3, 3, 31, dtype=torch.float64)
    residual = torch.linspace(1, -1, 31, dtype=torch.float64)
    function = getattr(torch.nn.functional, name) if name == "leaky_relu" else getattr(torch, name)
    kept = convert(total.clone())
    got = finish(kept, Epilogue(name, residual=True), convert(residual))
    assert got is kept
    np.testing.assert_allclose(np.asarray(got), function(total + residual).numpy(), rtol=1e-15, atol=1e-16)
