"""`trous bench` as a user meets it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from trous.bench import machine, roofline
from trous.cli import main

SMALL = "conv_transpose,n1,c3-2,x5x6,k3x3,s2,p1,op1"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(roofline, "SIZES", (1 << 16,))
    monkeypatch.setattr(machine, "busy", lambda: 0.0)
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", "bench", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def test_one_problem(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--peers", "torch,openvino", "--seconds", "0.1", "--threads", "1", "--mode", "train"]
    assert run("--problem", SMALL, *options, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "problem: 1 layers, float32, train, 1 thread\n" in printed
    assert "over PyTorch, channels last" in printed
    assert "OpenVINO: " in printed  # not installed, or without gradients
    assert os.listdir() == []


def test_a_list_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.json").write_text(json.dumps([{"id": "a", "problem": SMALL, "why": "a test"}]))
    assert run("mine.json", "--peers", "none", "--seconds", "0", "--dtype", "bfloat16", monkeypatch=monkeypatch) == 0
    (written,) = Path("benchmarks/results").glob("*-mine-bfloat16-forward.json")
    assert json.loads(written.read_text())["results"][0]["problem"] == f"{SMALL},bf16"
    assert f"wrote {written}" in capsys.readouterr().out
    assert run("mine.json", "a", "--peers", "none", "--seconds", "0", "-o", "mine.json/x", monkeypatch=monkeypatch) == 2
    assert "output must be where files can be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["calls", "--problem", "conv,c1-1,x4,k3", "--seconds", "0"], "Small calls"),
        (["memory", "mine.json", "a"], "most asked: "),
        pytest.param(
            ["models", "fsrcnn", "--seconds", "0", "--peers", "torch", "--frozen"],
            "best: geometric mean ",
            marks=pytest.mark.slow,
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_the_other_measures(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("mine.json").write_text(json.dumps([{"id": "a", "problem": SMALL, "why": "a test"}]))
    assert run(*arguments, monkeypatch=monkeypatch) == 0
    assert said in capsys.readouterr().out
    assert os.listdir() == ["mine.json"]  # a part of a measure is written where --output says so
    assert run(*arguments[:1], "--help", monkeypatch=monkeypatch) == 0
    assert "  trous bench " in capsys.readouterr().out


@pytest.mark.parametrize(("cores", "warned"), [(0.1, False), (1.5, True)])
def test_a_busy_machine_is_said_to_be_busy(
    cores: float, warned: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "busy", lambda: cores)
    assert run("calls", "--problem", "conv,c1-1,x4,k3", "--seconds", "0", monkeypatch=monkeypatch) == 0
    assert ("mind: 1.5 cores are at work for somebody else" in capsys.readouterr().err) == warned


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing"], "list must be a JSON file or one of held_out, shapes, got 'missing'"),
        (["shapes", "missing"], "id must be in the list shapes, got 'missing'"),
        (["--peers", "torch,mine"], "peers must be all, none, or some of torch, compile, "),
        (["models", "vgg"], "network must be one of gtcrn, "),
        (["memory", "shapes", "missing"], "id must be in the list shapes, got 'missing'"),
        (["--mode", "train", "--frozen"], "frozen must be left out in training"),
        (["--problem", "conv,x3"], "problem must state channels (c)"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err.startswith(f"trous: {said}")
    assert os.listdir() == []
