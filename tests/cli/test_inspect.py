"""`trous inspect` as a user meets it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from trous.cli import main

MODULE = """
import torch
from torch import nn

def factory():
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.ReLU(), nn.ConvTranspose2d(4, 1, 3, 2))

ready = factory()

def sized(width):
    return nn.Conv2d(1, width, 3)

def other():
    return 3
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of models in it, where the command is called."""
    (tmp_path / "some_models.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.delitem(sys.modules, "some_models", raising=False)
    return tmp_path


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", "inspect", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


@pytest.mark.parametrize("model", ["some_models:factory", "some_models:ready"])
def test_a_table(here: Path, model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(model, "--input", "1,1,8,8", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "ConvTranspose2d" in printed and "7x7" in printed
    assert "0: lost border: the last 1 of 8 positions of axis 0 are never read" in printed


def test_json(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("some_models:factory", "-i", "9x9", "--json", monkeypatch=monkeypatch) == 0
    data = json.loads(capsys.readouterr().out)
    assert [layer["output_size"] for layer in data["layers"]] == [[4, 4], [4, 4], [9, 9]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["some_models:missing"], "model must name what the module has: factory, other, ready, sized"),
        (["no_such_module:x"], "model must name a module that can be imported"),
        (["some_models:sized", "-i", "8"], "model must name a function that needs no arguments"),
        (["some_models:other", "-i", "8"], "model must give a torch.nn.Module, not int"),
        (["some_models"], "model must be module:factory or the path of an ONNX file that is there"),
        (["some_models:factory"], "input_size must be given"),
        (["some_models:factory", "-i", "a,b"], "input must be integers"),
        (["some_models:factory", "-i", "1,2,8,8"], "input_size must be what the model accepts"),
        (["some_models:factory", "-i", "8", "--axes", "7"], "axes must be dimensions of an input of rank 4"),
    ],
)
def test_bad_input_is_one_line(
    here: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(*arguments, monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("trous: ") and message in printed
    assert len(printed.splitlines()) == 1
