"""The command line as a user meets it: what it prints, what it writes, how it fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import trous
from trous.cli import main
from trous.demo import story as story_module


@pytest.fixture
def photo(tmp_path: Path, rng: np.random.Generator) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    path = folder / "mine.png"
    Image.fromarray(rng.integers(0, 256, (36, 40, 3), np.uint8)).save(path)
    return path


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of `trous ARGUMENTS`, within this process."""
    monkeypatch.setattr(sys, "argv", ["trous", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["demo", "--help"],
        ["convert", "-h"],
        ["draw", "--help"],
        ["plan", "-h"],
        ["explain", "-h"],
        ["inspect", "-h"],
        ["bench", "--help"],
        ["bench", "layers", "-h"],
    ],
)
def test_help_has_examples(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "Examples:\n" in printed
    assert "  trous " in printed


def test_as_a_module_and_without_torch() -> None:
    probe = "import runpy, sys; sys.argv = ['trous', '--version']\n"
    probe += "try: runpy.run_module('trous', run_name='__main__')\n"
    probe += "except SystemExit as exit: print(exit.code, sorted({'torch', 'PIL', 'rich'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == [f"trous {trous.__version__}", "0 []"]


def test_plan(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "conv_transpose,c2-3,x8,k3,s2", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "(1, 2, 8) -> (1, 3, 17), 144 multiplications" in printed
    assert str(trous.ConvTranspose(3, stride=2).plan()) in printed


def test_plan_as_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "conv_transpose,c2-3,x8,k3,s2,p1", "--json", monkeypatch=monkeypatch) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["input_shape"], data["output_shape"]) == ([1, 2, 8], [1, 3, 15])
    (axis,) = data["axes"]
    assert (axis["up"], axis["down"], axis["output_size"]) == (2, 1, 15)
    assert axis["taps"][0] == {"phase": 0, "kernel": 1, "offset": 0, "steps": [0, 8]}
    assert data["multiplications"] == 6 * sum(tap["steps"][1] - tap["steps"][0] for tap in axis["taps"])


def test_explain(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = "conv_transpose,c20-30,x8x40,k3x3,s2"
    for option, last in (([], False), (["--channels-last"], True)):
        assert run("explain", text, *option, monkeypatch=monkeypatch) == 0
        assert capsys.readouterr().out == f"{trous.explain(text, channels_last=last)}\n"


@pytest.mark.parametrize("size", [None, (9, 9)])
def test_convert(
    size: tuple[int, ...] | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text, spec = "conv,k3x3,s2,p1", trous.Conv((3, 3), 2, 1)
    text += ",x9x9" * (size is not None)
    assert run("convert", text, "--to", "onnx", monkeypatch=monkeypatch) == 0
    onnx = trous.conventions.to_onnx(spec)
    assert capsys.readouterr().out == f"{onnx}\n"
    assert run("convert", text, monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == list(trous.conventions.FRAMEWORKS)
    assert ("cannot: padding must be" in printed[2]) is (size is None)
    assert run("convert", text, "--json", monkeypatch=monkeypatch) == 0
    read = json.loads(capsys.readouterr().out)
    assert read["onnx"] == {"name": "Conv", "attributes": onnx.attributes}
    assert read["keras"].keys() == ({"error"} if size is None else {"name", "attributes"})
    assert run("convert", text, "--to", "pytorch", "--json", monkeypatch=monkeypatch) == 0
    assert trous.conventions.from_pytorch(**json.loads(capsys.readouterr().out)) == spec


def test_demo(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(story_module, "SECONDS", 0)
    out = tmp_path / "page.html"
    out.write_text("old")
    assert run("demo", str(photo), "--out", str(out), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert f"The page: {out}" in printed
    assert "lanczos × 3" in printed
    assert printed.count("✓") == 5
    assert "mine.png" in out.read_text(encoding="utf-8")
    assert sorted(os.listdir(tmp_path)) == ["page.html", "photos"]


def test_demo_of_what_is_wrong(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    conv = trous.conv_transpose
    monkeypatch.setattr(trous, "conv_transpose", lambda *a, **k: conv(*a, **k) + np.float32(0.01))
    monkeypatch.setattr(story_module, "SECONDS", 0)
    out = tmp_path / "page.html"
    assert run("demo", str(photo), "-o", str(out), monkeypatch=monkeypatch) == 1
    assert "✗" in capsys.readouterr().out
    assert "≠ PyTorch" in out.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["plan", "conv,c1-1,x8,k3,s0"], "stride must be at least 1"),
        (["convert", "conv,k3,s0"], "stride must be at least 1"),
        (["convert", "conv,s2"], "problem must state kernel (k)"),
        (["convert", "conv,x8x8,k3x3x3"], "size must have one entry for each of 3 axes"),
        (["convert", "conv,k3", "--to", "caffe"], "--to must be one of flax, jax, keras, onnx, pytorch"),
        (["convert", "conv,k3,s2,p1", "--to", "keras"], 'padding must be "valid" or "same"'),
        (["demo", "missing.jpg"], "photo must be a file that exists, got 'missing.jpg'"),
        (["demo", "photos"], "photo must be a file, got 'photos'"),
        (["demo", "--out", "missing/page.html"], "out must be where a file can be written (No such file"),
        (["demo", "--out", "photos"], "out must be a file, got 'photos'"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    said: str,
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments, monkeypatch=monkeypatch) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"trous: {said}")
    assert captured.out == ""
    assert os.listdir(tmp_path) == ["photos"]


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(story_module, "SECONDS", 0)
    out = tmp_path / "page.html"
    out.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert run("demo", str(photo), "--out", str(out), monkeypatch=monkeypatch) == 2
    assert "out must be where a file can be written (No space left on device)" in capsys.readouterr().err
    assert out.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["page.html", "photos"]


@pytest.mark.parametrize("name", ["torch", "PIL", "rich"])
def test_what_is_missing_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [m for m in sys.modules if m.partition(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.chdir(tmp_path)
    assert run("demo", monkeypatch=monkeypatch) == 2
    package = "pillow" if name == "PIL" else name
    expected = f"trous: {package} is not installed; the commands need: pip install typer rich pillow torch\n"
    assert capsys.readouterr().err == expected
