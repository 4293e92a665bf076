"""Which back-end is taken, and what the user hears about it."""

from __future__ import annotations

import re
import warnings

import pytest
import torch

from problems import integers, operation
from trous import backends
from trous.backends import BACKENDS, choose, cpu, loops, name_of, tensors
from trous.errors import SlowPathWarning, TrousError
from trous.problem import Problem

SINGLE = Problem.parse("conv,c2-3,x9,k3")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No back-end named from outside, nothing warned of yet."""
    monkeypatch.delenv("TROUS_BACKEND", raising=False)
    monkeypatch.setattr(backends, "_warned", set())


def chosen(problem: Problem):
    return choose(operation(problem), integers(problem).x)


def refusing(backend, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "why_not", lambda operation, x: reason)


def test_best_first_and_the_definition_last() -> None:
    assert [name_of(backend) for backend in BACKENDS] == ["cpu", "tensors", "loops"]


def test_every_back_end_keeps_the_contract() -> None:
    for backend in BACKENDS:
        assert all(callable(getattr(backend, name)) for name in ("why_not", "forward", "weight_grad"))


def test_the_first_that_accepts_is_taken_without_a_word() -> None:
    assert chosen(SINGLE) is cpu


def test_passing_over_machine_code_warns_once_for_each_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(cpu, "of reasons", monkeypatch)
    with pytest.warns(SlowPathWarning, match=re.escape("slower back-end tensors (cpu: of reasons)")):
        assert chosen(SINGLE) is tensors
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert chosen(SINGLE) is tensors
    refusing(cpu, "of other reasons", monkeypatch)
    with pytest.warns(SlowPathWarning, match="of other reasons"):
        chosen(SINGLE)


def test_the_definition_takes_what_all_others_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(cpu, "of this", monkeypatch)
    refusing(tensors, "of that", monkeypatch)
    with pytest.warns(SlowPathWarning) as heard:
        assert chosen(SINGLE) is loops
    assert [str(warning.message).split("(")[1] for warning in heard] == ["cpu: of this)", "tensors: of that)"]


def test_the_cpu_back_end_says_what_it_cannot_do() -> None:
    x, op = integers(SINGLE).x, operation(SINGLE)
    assert "int32" in cpu.why_not(op, x.int())
    assert "meta" in cpu.why_not(op, x.to("meta"))
    assert all(cpu.why_not(op, x.to(dtype)) is None for dtype in (torch.float32, torch.bfloat16, torch.float16))


@pytest.mark.parametrize("backend", BACKENDS, ids=name_of)
def test_the_environment_names_the_only_one(backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for by name is no surprise: no warning."""
    monkeypatch.setenv("TROUS_BACKEND", name_of(backend))
    assert chosen(SINGLE) is backend


def test_a_named_back_end_that_refuses_is_an_error_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_BACKEND", "cpu")
    with pytest.raises(TrousError, match=r"TROUS_BACKEND must accept the problem \(cpu: dtype int32.*got 'cpu'"):
        choose(operation(SINGLE), integers(SINGLE).x.int())


@pytest.mark.parametrize("name", ["", "gpu", "CPU"])
def test_a_name_that_is_none_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_BACKEND", name)
    with pytest.raises(TrousError, match="TROUS_BACKEND must be one of cpu, tensors, loops"):
        chosen(SINGLE)
