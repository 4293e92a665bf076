"""`trous train upscale`: from a folder of pictures to weights, and what it says of bad input."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from trous.apps.upscale import read
from trous.cli import main

QUICK = ["--epochs", "1", "--steps", "2", "--batch", "1", "--patch", "12", "--channels", "4", "--layers", "1"]


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    return trous(["train", "upscale", *words], monkeypatch)


def trous(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.fixture
def photos(tmp_path: Path, rng: np.random.Generator) -> Path:
    (tmp_path / "photos").mkdir()
    for n in range(3):
        noise = Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8))
        noise.filter(ImageFilter.GaussianBlur(2)).save(tmp_path / "photos" / f"{n}.png")
    return tmp_path / "photos"


def test_a_folder_becomes_weights(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(photos.parent)
    assert run(["photos", "--scale", "3", *QUICK], monkeypatch) == 0
    told = capsys.readouterr()
    assert "wrote runs/upscale-x3/weights.safetensors" in told.out
    assert "a new run in runs/upscale-x3" in told.err
    network = read(Path("runs/upscale-x3/weights.safetensors"))
    assert (network.scale, network.up.shape) == (3, (4, 1, 15, 15))
    assert run(["photos", "--scale", "3", *QUICK], monkeypatch) == 0
    assert "going on with runs/upscale-x3" in capsys.readouterr().err

    weights = "runs/upscale-x3/weights.safetensors"
    assert trous(["upscale", "photos/0.png", "large.png", "--model", weights], monkeypatch) == 0
    with Image.open("large.png") as large:
        assert large.size == (120, 120)
    assert trous(["upscale", "photos/0.png", "2.png", "--scale", "2", "--model", weights], monkeypatch) == 2
    assert "scale must be that of the weights, 3, got 2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "folders must be given, and a --scale, or a --recipe"),
        (["photos"], "folders must be given, and a --scale, or a --recipe"),
        (["photos", "--scale", "7"], "scale must be at most 4, got 7"),
        (
            ["absent", "--scale", "2"],
            "folder must be a folder that is there, or one in that of TROUS_DATA, got 'absent'",
        ),
        (["--recipe", "absent"], "recipe must be a file, or one of small-x2, small-x3, small-x4, got 'absent'"),
        (["photos", "--scale", "2", "--kernel", "9", *QUICK], "kernel must be the scale, 2, and an even number more"),
        (["photos", "--scale", "2", "--patch", "64"], "patch must fit into a picture at the reduced size, got 64"),
        (["photos", "--scale", "2", *QUICK, "--accelerator", "abacus"], "machines must be what Lightning can use"),
    ],
)
def test_errors(
    words: list[str],
    said: str,
    photos: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photos.parent)
    assert run(words, monkeypatch) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list(photos.parent.rglob("weights.safetensors"))
