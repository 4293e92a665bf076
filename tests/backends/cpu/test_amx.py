"""Layers on AMX: every layout of tiles against the definition, bit for bit; nothing read or written outside."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from compare import assert_identical
from problems import HAND_PICKED, integers, operation, real, rebind, torch_results
from trous.arrays import empty
from trous.backends import cpu, loops
from trous.backends.cpu import amx_dense, amx_pass, forward_pass, run, target
from trous.backends.cpu.tables import Strides
from trous.backends.epilogue import NOTHING, Epilogue
from trous.problem import Problem, random_problems

pytestmark = pytest.mark.skipif("amx" not in target.available(), reason="this processor has no AMX")

#: Small ones, which would not be worth it, and ones of several windows, blocks of channels, groups and planes.
SMALL = tuple(
    Problem.parse(f"{problem},bf16") for problem in map(str, HAND_PICKED) if not problem.endswith("f64")
) + tuple(random_problems(91, 200, dtypes=("bfloat16",)))
LARGE = tuple(
    Problem.parse(f"{text},bf16")
    for text in """
    conv,n2,c40-72,x31x33,k3x3,p1,bias
    conv,n2,c40-72,x31x33,k3x3,p1,bias,last
    conv,n3,c40-72,x31x33,k3x3,s2,d2,p2,g2,bias
    conv,n3,c40-72,x31x33,k3x3,s2,d2,p2,g2,last
    conv,c70-33,x20x40,k3x5,s2x4,p2
    conv,c70-33,x20x40,k3x5,s2x7,p2
    conv,c600-40,x30x70,k3x3,d7,p7
    conv,c600-300,x9x11,k3x3,p1,last
    conv,c64-128,x1600,k2,p256,d512
    conv,c33-16,x9000,k13,d10,p60,last
    conv,c32-32,x9x8x17,k3x3x3,d2,p2
    conv,n2,c64-64,x12x13,k3x3,p1,g4
    conv,n2,c64-64,x12x13,k3x3,p1,g4,last
    conv_transpose,c64-40,x20x30,k4x4,s2,p1,bias
    conv_transpose,c64-40,x20x30,k4x4,s2,p1,bias,last
    conv_transpose,c40-24,x50,k24,s8,p3
    conv_transpose,c40-24,x50,k24,s9,p3
    conv_transpose,c40-24,x50,k24,s9,p3,last
    conv_transpose,c56-1,x20x30,k9x9,s3,p4,op2
    conv_transpose,c56-1,x20x30,k9x9,s3,p4,op2,last
    conv_transpose,c64-1,x9x8x17,k3x3x3,s2,p1,op1
    conv_transpose,c64-4,x9x20,k3x3,s2,p1,op1,last
    """.split()  # noqa: SIM905
)


@pytest.fixture
def wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take AMX wherever it can be taken, and no work is too small for threads."""
    monkeypatch.setattr(amx_pass, "VECTORS", 1e-9)
    monkeypatch.setattr(amx_pass, "VECTORS_OF_FEW", 1e-9)
    monkeypatch.setattr(run, "SMALL", 0)
    forward_pass._prepared.cache_clear()
    yield
    forward_pass._prepared.cache_clear()


def forward(problem: Problem, arrays, epilogue: Epilogue = NOTHING, residual=None):
    op = operation(problem)
    y = empty(op.output_shape, arrays.x, problem.channels_last)
    y[...] = float("nan")
    cpu.forward(op, arrays.x, arrays.w, arrays.bias, y, epilogue, residual)
    return y


def kernel(problem: Problem, arrays) -> str:
    return forward_pass.kernel_for(
        operation(problem), Strides.of(arrays.x, arrays.w, forward(problem, arrays)), problem.dtype
    )


@pytest.mark.parametrize("problem", [p for p in SMALL if p.batch and min(p.size)], ids=str)
def test_small_problems(problem: Problem, wanted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_CHECK", "1")
    op, given = operation(problem), integers(problem)
    expected = torch.empty(op.output_shape, dtype=torch.bfloat16)
    loops.forward(op, given.x, given.w, given.bias, expected)
    assert_identical(forward(problem, given), expected, problem, zeros=True)


@pytest.mark.parametrize("problem", LARGE, ids=str)
@pytest.mark.parametrize("checked", ["0", "1"])
def test_large_problems(problem: Problem, checked: str, wanted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_CHECK", checked)
    given = integers(problem)
    expected = torch_results(problem, given.map(lambda a: a.float())).y.to(torch.bfloat16)
    with run.threads(2):
        assert kernel(problem, given).startswith("amx") or "s9,p3,bf16" in str(problem)
        assert_identical(forward(problem, given), expected, problem)
    turned = given._replace(w=given.w.transpose(0, 1).contiguous().transpose(0, 1))
    assert_identical(forward(problem, turned), expected, f"{problem}, the weight's channels exchanged in memory")
    kernel_last = given._replace(w=given.w.movedim(1, -1).contiguous().movedim(-1, 1))
    assert_identical(forward(problem, kernel_last), expected, f"{problem}, the weight channels-last")


@pytest.mark.parametrize(
    "text", ["conv,n2,c64-48,x19x21,k3x3,p1,bias,bf16", "conv,c64-48,x19x21,k3x3,p1,bias,last,bf16"]
)
def test_one_rounding_of_real_data(text: str) -> None:
    """One unit in the last place at most from the rounded sum in float64, and that seldom."""
    problem = Problem.parse(text)
    given = real(problem)
    assert kernel(problem, given).startswith("amx")
    expected = torch_results(problem, given.map(lambda a: a.double())).y.to(torch.bfloat16)
    got = forward(problem, given)
    places = (got.view(torch.int16).int() - expected.view(torch.int16).int()).abs()
    assert places.max() <= 1
    assert (places > 0).float().mean() < 0.01


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "text",
    [
        f"conv_transpose,{kind}{last},bf16"
        for last in ("", ",last")
        for kind in (
            "c56-1,x20x30,k9x9,s3,p4,op2",
            "c20-3,x9,k3,s2,p1,op1,bias",
            "c20-2,x5x4x6,k3x3x3,s2,p1",
            "c40-24,x9x10,k3x3,s2",
        )
    ],
)
def test_nan_and_inf_reach_exactly_the_outputs_whose_taps_see_them(text: str, value: float, wanted: None) -> None:
    """Phases that share a tile have zeros for weights where others have taps."""
    problem = Problem.parse(text)
    given = integers(problem)
    clean = forward(problem, given)
    assert kernel(problem, given).startswith("amx")
    x = given.x.clone()
    place = tuple((n - 1) // 2 for n in x.shape)
    x[place] = value
    mark = torch.zeros_like(given.x)
    mark[place] = 1
    seen = torch_results(problem, given._replace(x=mark, w=given.w.abs(), bias=None).map(lambda a: a.float())).y > 0
    got = forward(problem, given._replace(x=x))
    assert 0 < seen.float().mean() < 1
    assert torch.equal(~torch.isfinite(got), seen)
    assert torch.equal(got[~seen], clean[~seen])


@pytest.mark.parametrize("last", ["", ",last"])
@pytest.mark.parametrize(
    "epilogue", [Epilogue("relu"), Epilogue("leaky_relu", slope=0.25), Epilogue("relu", residual=True)]
)
def test_epilogues_before_the_rounding(epilogue: Epilogue, last: str, wanted: None) -> None:
    problem = Problem.parse(f"conv_transpose,c40-24,x12x13,k4x4,s2,p1,bias{last},bf16")
    given = integers(problem)
    given = given._replace(w=given.w * torch.tensor([1.0, -1.0]).bfloat16().repeat(12)[:, None, None])
    residual = given.dy * 3
    plain = torch_results(problem, given.map(lambda a: a.float())).y + (residual.float() if epilogue.residual else 0)
    expected = torch.relu(plain) if epilogue.activation == "relu" else torch.nn.functional.leaky_relu(plain, 0.25)
    got = forward(problem, given, epilogue, residual if epilogue.residual else None)
    assert_identical(got, expected.to(torch.bfloat16), f"{epilogue} {last}", zeros=True)


@pytest.mark.parametrize("last", ["", ",last"])
@pytest.mark.parametrize("lie", ["in_y", "out_y", "in_channels", "window_length", "panels_length"])
def test_a_wrong_size_is_caught(lie: str, last: str, wanted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles that would leave their memory are turned away too."""
    bind = amx_pass.bind

    def lying(*arguments):
        shape, bound = bind(*arguments)
        place = amx_dense.FIELDS.place
        if lie.endswith("length"):
            bound.header[place[lie]] = 600
        else:
            bound.header[place[lie]] += 3
        bound.header[place["steps_y"]] += 3
        bound.header[place["rows_each"]] += 3
        return shape, bound

    rebind(monkeypatch, bind, lying)
    monkeypatch.setenv("TROUS_CHECK", "1")
    problem = Problem.parse(f"conv,c33-20,x9x10,k3x3,p1{last},bf16")
    given = integers(problem)
    with pytest.raises(RuntimeError, match="left its arrays"):
        forward(problem, given)


def test_a_layer_of_few_channels_stays_with_vectors() -> None:
    problem = Problem.parse("conv,c8-8,x40x40,k3x3,p1,g8,bf16")
    assert not kernel(problem, integers(problem)).startswith("amx")


def test_processes_without_the_permission_do_without_tiles() -> None:
    """Code for tiles is never run where the system refuses them."""
    script = """
import ctypes
from trous.backends.cpu import target
target._tiles_are_granted = lambda: False
assert target.available()[-1] == "avx512" and not target.current().matrix_tiles
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=60, env=dict(os.environ)).returncode == 0


def test_the_configuration_is_as_the_manual_has_it() -> None:
    block = amx_pass.configuration([(16, 64), (5, 32)]).view(np.uint8)
    assert (block[0], block[48], block[49], block[16], block[18]) == (1, 16, 5, 64, 32)
    assert block.sum() == 1 + 16 + 5 + 64 + 32
