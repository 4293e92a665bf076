"""The checked mode finds what it is for, and a call's threads, settings and memory stay within bounds."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from problems import integers, operation, rebind
from trous import TrousError
from trous.backends import cpu
from trous.backends.cpu import (
    correlate,
    dense,
    forward_pass,
    gemm,
    overlap,
    overlap_plan,
    run,
    stem_plan,
    stems,
    strip_plan,
    strips,
    target,
    weight_pass,
)
from trous.backends.cpu.tables import Strides
from trous.problem import Problem


@pytest.mark.parametrize(
    ("text", "fields", "bind"),
    [
        ("conv,c3-5,x9x10,k3x3,p1", stems.FIELDS, stem_plan.bind),
        ("conv,c16-16,x9x10,k3x3,p1", gemm.FIELDS, dense.bind),
        ("conv,c8-2,x17x10,k3x3,p1", overlap.FIELDS, overlap_plan.bind),
        ("conv,c4-4,x9x10,k3x3,p1,g4", strips.FIELDS, strip_plan.bind),
    ],
)
@pytest.mark.parametrize("lie", ["in_y", "out_y"])
def test_a_wrong_size_is_caught(text, fields, bind, lie, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell the kernel that the arrays are larger than they are: checked code turns every access outside away."""
    problem = Problem.parse(text)
    op, given = operation(problem), integers(problem)

    def lying(*arguments):
        shape, bound = bind(*arguments)
        for name in (lie, "steps_y", "tile_y"):
            if name in fields.place:
                bound.header[fields.place[name]] += 3
        return shape, bound

    rebind(monkeypatch, bind, lying)
    monkeypatch.setenv("TROUS_CHECK", "1")
    forward_pass._prepared.cache_clear()
    around = np.full(given.dy.numel() + 2000, 7.0, np.float32)
    y = around[1000:-1000].reshape(tuple(given.dy.shape))
    try:
        with pytest.raises(RuntimeError, match="left its arrays"):
            cpu.forward(op, given.x.numpy(), given.w.numpy(), None, y)
    finally:
        forward_pass._prepared.cache_clear()
    assert (around[:1000] == 7).all() and (around[-1000:] == 7).all()


@pytest.mark.parametrize(
    "text", ["conv,c3-5,x9x10,k3x3,p1", "conv,c20-50,x9x10,k3x3,p1", "conv,c40-40,x9x10,k3x3,p1,g40"]
)
def test_a_wrong_size_is_caught_in_the_weight_gradient(text, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = Problem.parse(text)
    op, given = operation(problem), integers(problem)
    bind = weight_pass.bind

    def lying(*arguments):
        shape, bound = bind(*arguments)
        for side in ("left", "right"):
            bound.header[correlate.FIELDS.place[f"{side}_size_y"]] += 3
        return shape, bound

    monkeypatch.setattr(weight_pass, "bind", lying)
    monkeypatch.setenv("TROUS_CHECK", "1")
    weight_pass._ready.cache_clear()
    try:
        with pytest.raises(RuntimeError, match="left its arrays"):
            cpu.weight_grad(op, given.x, given.dy, given.w.clone())
    finally:
        weight_pass._ready.cache_clear()


def test_threads_follow_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_NUM_THREADS", "3")
    assert run.thread_count() == 3
    with run.threads(5):
        assert run.thread_count() == 5
    monkeypatch.setenv("TROUS_NUM_THREADS", "none")
    with pytest.raises(TrousError, match=r"TROUS_NUM_THREADS must be a number of threads, at least 1, got 'none'"):
        run.thread_count()


def test_without_torch_the_setting_of_openmp_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TROUS_NUM_THREADS", raising=False)
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setenv("OMP_NUM_THREADS", "4,3")
    assert run.thread_count() == 4
    monkeypatch.setenv("OMP_NUM_THREADS", "0")
    with pytest.raises(TrousError, match="OMP_NUM_THREADS must be"):
        run.thread_count()
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert run.thread_count() >= 1


def test_an_unknown_instruction_set_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_CPU", "mmx")
    with pytest.raises(TrousError, match="TROUS_CPU must be one of"):
        target.current()


@pytest.mark.parametrize(
    "text",
    [
        "conv,c64-64,x128x128,k3x3,d2,p2",
        "conv,c512-256,x33x33,k3x3,d12,p12",
        "conv_transpose,c512-256,x8x8,k4x4,s2,p1",
        "conv_transpose,c1026-1,x224,k1024,s256",
        "conv_transpose,c64-32,x32x32x32,k4x4x4,s2,p1",
        "conv,c512-512,x2048,k3,d5,p5",
    ],
)
def test_scratch_memory_stays_small(text: str) -> None:
    """A few megabytes for a thread, whatever the size of the layer."""
    problem = Problem.parse(text)
    op, given = operation(problem), integers(problem)
    _, bound = dense.bind(op, Strides.of(given.x, given.w, given.dy), "float32", target.current(), False)
    assert bound.scratch < 4e6


def test_many_threads_may_call_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SMALL", 0)
    problem = Problem.parse("conv,c16-16,x40x41,k3x3,p1")
    op, given = operation(problem), integers(problem)
    expected = given.dy.clone()
    cpu.forward(op, given.x, given.w, None, expected)

    def call(_: int) -> bool:
        y = given.dy.clone()
        with run.threads(2):
            cpu.forward(op, given.x, given.w, None, y)
        return bool((y == expected).all())

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(call, range(60)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """The parent's worker threads do not live on in the child, which must not wait for them."""
    script = """
import os, warnings
import numpy as np, trous
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork beside threads
x, w = np.ones((4, 16, 64, 64), np.float32), np.ones((16, 16, 3, 3), np.float32)
expected = trous.conv(x, w)
child = os.fork()
if child == 0:
    os._exit(0 if (trous.conv(x, w) == expected).all() else 3)
assert os.waitpid(child, 0)[1] == 0
"""
    environment = {**os.environ, "TROUS_NUM_THREADS": "2"}
    assert subprocess.run([sys.executable, "-c", script], timeout=60, env=environment).returncode == 0
