"""What must hold whatever the numbers are: duality, linearity, memory formats, NaN, repeatability."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from compare import assert_identical
from problems import HAND_PICKED, Arrays, assert_all_identical, definition, integers, operation, real, run, terms
from trous.backends import BACKENDS, Operation, cpu, loops, name_of, tensors
from trous.backends.cpu import run as cpu_run
from trous.plan import Plan
from trous.problem import Problem, random_problems

PROBLEMS = tuple(
    problem
    for problem in (*HAND_PICKED, *random_problems(31, 60, dtypes=("float32", "float64"), most_work=20_000))
    if problem.batch and min(problem.size) and problem.multiplications
)
FEW = PROBLEMS[5::4]


def every_second_slow(problems: Sequence[Problem]) -> list[Any]:
    return [
        pytest.param(problem, id=str(problem), marks=[pytest.mark.slow] * (n % 2)) for n, problem in enumerate(problems)
    ]


each_problem = pytest.mark.parametrize("problem", every_second_slow(PROBLEMS))
few_problems = pytest.mark.parametrize("problem", FEW, ids=str)
each_backend = pytest.mark.parametrize("backend", BACKENDS, ids=name_of)


def dot(a: Any, b: Any) -> float:
    return float((a.double() * b.double()).sum())


@each_backend
@each_problem
def test_each_operation_is_the_adjoint_of_the_others(problem: Problem, backend: ModuleType) -> None:
    """`<A x, v> = <x, A' v>` on real data, and the same for the weight. No definition is needed for this one."""
    problem = replace(problem, bias=False, dtype="float64")
    op, given = operation(problem), real(problem)
    y, dx, dw = run(backend, op, given)
    scale = float(y.norm() * given.dy.norm())
    room = 8 * 2.0**-53 * max(terms(op)) ** 0.5 * scale
    assert scale > 0
    assert abs(dot(y, given.dy) - dot(given.x, dx)) <= room
    assert abs(dot(y, given.dy) - dot(given.w, dw)) <= room


@each_backend
@few_problems
def test_linear_in_the_input_and_in_the_weight(problem: Problem, backend: ModuleType) -> None:
    problem = replace(problem, bias=False)
    op, one = operation(problem), integers(problem)
    two = one._replace(x=5 - one.x, w=5 * one.w.sign() - one.w)

    def y(x: Any, w: Any) -> Any:
        return run(backend, op, one._replace(x=x, w=w)).y

    assert_identical(y(3 * one.x - two.x, one.w), 3 * y(one.x, one.w) - y(two.x, one.w), problem, zeros=True)
    assert_identical(y(one.x, 3 * one.w - two.w), 3 * y(one.x, one.w) - y(one.x, two.w), problem, zeros=True)


@each_backend
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@few_problems
def test_nan_and_inf_reach_exactly_the_outputs_whose_taps_see_them(
    problem: Problem, value: float, backend: ModuleType
) -> None:
    op, given = operation(problem), integers(problem)
    clean = run(backend, op, given)
    place = tuple((n - 1) // 2 for n in given.x.shape)
    mark = torch.zeros(op.input_shape, dtype=given.x.dtype)
    mark[place] = 1
    seen = definition(op, Arrays(mark, given.w.abs(), None, given.dy)).y > 0
    x = given.x.clone()
    x[place] = value
    got = run(backend, op, given._replace(x=x)).y
    assert torch.equal(~torch.isfinite(got), seen)
    assert torch.equal(got[~seen], clean.y[~seen])
    if value == float("inf"):
        assert torch.equal(got[seen], torch.copysign(x[place], given.w.reshape(-1)[0]).expand(int(seen.sum())))


@pytest.mark.parametrize("backend", [tensors, loops], ids=name_of)
@few_problems
def test_nan_in_a_weight_reaches_only_the_outputs_that_use_it(problem: Problem, backend: ModuleType) -> None:
    """None whose tap falls into the padding. Machine code may multiply by the zeros there (docs/numerics.md)."""
    op, given = operation(problem), integers(problem)
    mark = torch.zeros_like(given.w)
    mark.view(-1)[-1] = 1
    used = definition(op, Arrays(given.x, mark, None, given.dy)).y > 0
    w = given.w.clone()
    w.view(-1)[-1] = float("nan")
    assert torch.equal(torch.isnan(run(backend, op, given._replace(w=w)).y), used)


@few_problems
def test_threads_and_repetition_change_nothing(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit on real data, where any change of order would show."""
    monkeypatch.setattr(cpu_run, "SMALL", 0)
    op, given = operation(problem), real(problem)
    with cpu_run.threads(1):
        expected = run(cpu, op, given)
    for count in (1, 2, 2, 3, 7):
        with cpu_run.threads(count):
            assert_all_identical(run(cpu, op, given), expected, op, f"{problem} on {count} threads")


def transposed_axes(op: Operation, order: tuple[int, ...]) -> Operation:
    """The same operation with its axes in another order."""
    bound, plan = op.bound, op.bound.plan
    permuted = Plan(tuple(plan.axes[n] for n in order))
    sizes = (tuple(size[n] for n in order) for size in (bound.input_size, bound.output_size))
    return replace(op, bound=permuted.bind(*sizes), kernel=tuple(op.kernel[n] for n in order))


@each_backend
@pytest.mark.parametrize("problem", every_second_slow([p for p in PROBLEMS if p.ndim > 1][::2]))
def test_permuted_axes_give_permuted_answers(problem: Problem, backend: ModuleType) -> None:
    op, given = operation(problem), integers(problem)
    order = tuple(reversed(range(problem.ndim)))
    dims = (0, 1, *(2 + n for n in order))
    moved = given.map(lambda array: array.permute(dims).contiguous() if array.ndim > 1 else array)
    expected = run(backend, op, given).map(lambda array: array.permute(dims))
    turned = transposed_axes(op, order)
    assert_all_identical(run(backend, turned, moved), expected, turned, problem)


def spread(array: Any) -> Any:
    """Every second element, along every axis, of a larger array."""
    wide = torch.full([2 * n for n in array.shape], 77, dtype=array.dtype)
    view = wide[tuple([slice(None, None, 2)] * array.ndim)]
    return view.copy_(array)


def inner_of_larger(array: Any) -> Any:
    """A window in the middle of a larger array."""
    wide = torch.full([n + 3 for n in array.shape], 77, dtype=array.dtype)
    return wide[tuple(slice(1, n + 1) for n in array.shape)].copy_(array)


def batch_last(array: Any) -> Any:
    return array.movedim(0, -1).contiguous().movedim(-1, 0)


def channels_last(array: Any) -> Any:
    return array.movedim(1, -1).contiguous().movedim(-1, 1) if array.ndim > 2 else array


def reversed_in_memory(array: Any) -> Any:
    """NumPy only: negative strides on every axis."""
    every = tuple([slice(None, None, -1)] * array.ndim)
    return np.ascontiguousarray(array.numpy()[every])[every]


FORMS: tuple[Callable[[Any], Any], ...] = (spread, inner_of_larger, batch_last, channels_last, reversed_in_memory)


@each_backend
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@few_problems
def test_strides_change_nothing(problem: Problem, form: Callable[[Any], Any], backend: ModuleType) -> None:
    """Inputs and outputs of any strides: the same bits in the result, and no bit beside it."""
    op, given = operation(problem), integers(problem)
    expected = definition(op, given)
    ours = given.map(form)
    results = [form(torch.full(want.shape, float("nan"), dtype=want.dtype)) for want in expected]
    backend.forward(op, ours.x, ours.w, ours.bias, results[0])
    backend.forward(op.adjoint, ours.dy, ours.w, None, results[1])
    backend.weight_grad(op, ours.x, ours.dy, results[2])
    as_tensors = [torch.from_numpy(r.copy()) if isinstance(r, np.ndarray) else r for r in results]
    assert_all_identical(type(expected)(*as_tensors), expected, op, f"{problem} {form.__name__}")
    if form in (spread, inner_of_larger):
        for result in results:
            whole = torch.empty(0, dtype=result.dtype).set_(result.untyped_storage())
            assert int((whole != 77).sum()) <= result.numel()


@each_backend
@few_problems
def test_expanded_inputs(problem: Problem, backend: ModuleType) -> None:
    """Strides of zero: one sample for the whole batch, one number for the whole gradient."""
    problem = replace(problem, batch=3)
    op, given = operation(problem), integers(problem)
    expanded = given._replace(x=given.x[:1].expand(given.x.shape), dy=given.dy[:1, :1].expand(given.dy.shape))
    expanded = expanded._replace(w=given.w[:1].expand(given.w.shape))
    if given.bias is not None:
        expanded = expanded._replace(bias=given.bias[:1].expand(given.bias.shape))
    expected = definition(op, expanded.map(torch.clone))
    assert_all_identical(run(backend, op, expanded), expected, op, problem)
