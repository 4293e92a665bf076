"""Compiled code: made once, kept on disk, quick to make, and never trusted blindly."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

from problems import assert_all_identical, definition, integers, operation, run
from trous.backends import cpu
from trous.backends.cpu import channelwise, correlate, engine, gemm, maps, overlap, stems, strips, target
from trous.backends.cpu.runs import Run
from trous.problem import Problem

LAYERS = (
    "conv,c64-64,x128x128,k3x3,d2,p2",
    "conv,c64-64,x128x128,k3x3,d2,p2,last",
    "conv_transpose,c64-64,x128x128,k4x4,s2,p1",
    "conv_transpose,c512-256,x200,k16,s8,p4",
    "conv_transpose,c56-1,x128x128,k9x9,s3,p4,op2",
    "conv,c128-128,x128x128,k3x3,d2,p2,g128",
    "conv,c128-128,x128x128,k3x3,d2,p2,g128,last",
    "conv_transpose,c1026-1,x224,k1024,s256",
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty disk cache, and nothing remembered in memory."""
    monkeypatch.setenv("TROUS_CACHE", str(tmp_path))
    forget(monkeypatch)
    return tmp_path


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    from trous.backends.cpu import forward_pass, weight_pass

    monkeypatch.setattr(engine, "_loaded", {})
    engine._jit.cache_clear()
    forward_pass._prepared.cache_clear()
    weight_pass._ready.cache_clear()


def forward(text: str) -> None:
    problem = Problem.parse(text)
    op, given = operation(problem), integers(problem)
    cpu.forward(op, given.x, given.w, given.bias, given.dy.clone())


def all_correct(text: str = "conv,c3-20,x9x10,k3x3,p1,bias") -> None:
    problem = Problem.parse(text)
    op, given = operation(problem), integers(problem)
    assert_all_identical(run(cpu, op, given), definition(op, given), op, text)


def test_code_is_kept_and_read_back(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    all_correct()
    assert list(cache.iterdir())
    forget(monkeypatch)
    monkeypatch.setattr(engine, "compile_object", None)  # compiling again would fail
    all_correct()


@pytest.mark.parametrize("damage", [lambda code: b"", lambda code: code[:-9], lambda code: code[:-1] + b"\0"])
def test_damaged_code_is_made_again(damage, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    all_correct()
    for file in cache.iterdir():
        file.write_bytes(damage(file.read_bytes()))
    forget(monkeypatch)
    all_correct()


def test_every_module_that_writes_code_is_part_of_the_key() -> None:
    """What a generator imports of this package, it writes code with, but for what knows the machine and the calls."""
    folder = Path(engine.__file__).parent
    for name in engine._GENERATORS:
        for node in ast.parse((folder / f"{name}.py").read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module.startswith(cpu.__name__):
                within = node.module.removeprefix(cpu.__name__).strip(".")
                used = {within.replace(".", "/")} if within else {alias.name for alias in node.names}
                assert used - {"target", "run"} <= set(engine._GENERATORS), name


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TROUS_CACHE", str(tmp_path / "file"))
    forget(monkeypatch)
    all_correct()


def test_an_empty_name_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_CACHE", "")
    assert engine.cache_folder() is None
    forget(monkeypatch)
    all_correct()


def test_a_new_size_or_batch_compiles_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = (
        "conv,n{},c7-20,x{}x{},k3x3,p1",
        "conv,n{},c7-20,x{}x{},k3x3,p1,last",
        "conv_transpose,n{},c7-20,x{}x{},k4x4,s2,p1",
        "conv,n{},c9-9,x{}x{},k3x3,p1,g9",
        "conv,n{},c9-9,x{}x{},k3x3,p1,g9,last",
    )
    for kind in kinds:
        for sizes in ((1, 2, 2), (4, 2, 2), (1, 9, 30), (1, 3, 333)):  # small depthwise maps have code of their own
            all_correct(kind.format(*sizes))
    monkeypatch.setattr(engine, "compile_object", None)
    for kind in kinds:
        for sizes in ((1, 1, 1), (2, 1, 7), (1, 7, 1), (3, 2, 2), (1, 5, 70), (1, 3, 300)):
            all_correct(kind.format(*sizes))


@pytest.mark.slow  # not for its length: a time limit holds on a quiet machine only
@pytest.mark.parametrize("text", LAYERS)
def test_compiling_is_quick(text: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer's first call within 150 ms more than its second, 10 ms when the code is on disk; processor time."""
    engine._machine(target.current())

    def timed() -> float:
        start = time.thread_time()
        forward(text)
        return time.thread_time() - start

    def cold(clear_disk: bool) -> float:
        """Of five pairs of calls, each with nothing in memory before: the quickest first less the quickest second."""
        firsts, seconds = [], []
        for _ in range(5):
            forget(monkeypatch)
            engine._jit()
            if clear_disk:
                for file in cache.iterdir():
                    file.unlink()
            firsts.append(timed())
            seconds.append(timed())
        return min(firsts) - min(seconds)

    assert cold(clear_disk=True) < 0.150
    assert cold(clear_disk=False) < 0.010


@pytest.mark.parametrize(
    ("family", "shape"),
    [
        (gemm, gemm.Shape("float32", 16, 14, 2, True, 2)),
        (gemm, gemm.Shape("float64", 8, 14, 2, False, channel_pitch=64)),
        (strips, strips.Shape("float32", 16, 4, 2, 2, 1, (1, 2, 3), (1, 2, 3), "columns", 1)),
        (overlap, overlap.Shape("float32", 16, 9, 3, 3, 1, None, 1)),
        (stems, stems.Shape("float32", 16, 6, 4, True, 1, "columns", 2, True)),
        (channelwise, channelwise.Shape("float32", 16, 4, 4, True, 4, Run(3, 2, 1))),
        (maps, maps.Shape("float32", 16, 8, 2, Run(3, 1, 2))),
        (correlate, correlate.Shape("float32", 16, 14, 2, "positions", "channels")),
    ],
    ids=lambda part: getattr(part, "name", part.__name__ if hasattr(part, "__name__") else None),
)
def test_text_depends_on_the_shape_alone(family, shape) -> None:
    assert family.build(shape) == family.build(shape)


def test_two_processes_agree_on_the_cache(cache: Path) -> None:
    script = "import numpy as np, trous; assert (trous.conv(np.ones((1, 3, 20)), np.ones((20, 3, 3))) == 9).all()"
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert not [file for file in cache.iterdir() if file.suffix != ".o"]
