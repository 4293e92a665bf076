"""`trous autoencode` and `trous train autoencoder` as a user meets them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from apps.autoencoder.networks import SIZES, small_model, write_pictures
from trous.apps.autoencoder.files import save_model
from trous.cli import main


def run(words: list[object], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", *map(str, words)])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    write_pictures(tmp_path / "pictures", rng)
    save_model(tmp_path / "small.safetensors", small_model())
    return tmp_path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize("command", ["encode", "decode", "show", "score", "measure"])
def test_help(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["autoencode", command, "--help"], monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "Examples:\n" in printed and f"  trous autoencode {command}" in printed


def test_help_of_training(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["train"], ["train", "autoencoder"]):
        assert run([*words, "--help"], monkeypatch) == 0
        assert "  trous train autoencoder photos" in capsys.readouterr().out


def test_to_codes_and_back(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    model, codes = folder / "small.safetensors", folder / "x.codes"
    assert run(["autoencode", "encode", folder / "pictures", "-m", model, "-o", codes], monkeypatch) == 0
    values = sum(3 * h * w for h, w in SIZES)
    assert f"4 pictures, {values:,} values as " in capsys.readouterr().out
    assert run(["autoencode", "decode", codes, "-m", model, "-o", folder / "back"], monkeypatch) == 0
    assert "wrote 4 pictures into" in capsys.readouterr().out
    back = sorted((folder / "back").iterdir())
    assert [path.name for path in back] == ["0-0.png", "1-1.png", "2-2.png", "3-3.png"]
    assert [pixels(path).shape[:2] for path in back] == list(SIZES)
    assert run(["autoencode", "decode", codes, "-m", model, "-o", folder / "one.png"], monkeypatch) == 2
    assert "out must be a folder for 4 pictures" in capsys.readouterr().err
    single = folder / "pictures" / "2.png"
    assert run(["autoencode", "encode", single, "-m", model, "-o", codes], monkeypatch) == 0
    assert run(["autoencode", "decode", codes, "-m", model, "-o", folder / "one.png"], monkeypatch) == 0
    np.testing.assert_array_equal(pixels(folder / "one.png"), pixels(back[2]))


def test_show(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["autoencode", "show", folder / "pictures", "-m", folder / "small.safetensors", "-o", folder / "pairs.png"]
    assert run([*words, "--limit", 3], monkeypatch) == 0
    assert "pairs.png: 3 pictures" in capsys.readouterr().out
    assert pixels(folder / "pairs.png").shape[2] == 3


def test_score(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["autoencode", "score", folder / "pictures", "-m", folder / "small.safetensors"]
    assert run([*words, "--json"], monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    errors = [each["mse"] for each in told["images"]]
    assert told["model"] == "small" and errors == sorted(errors, reverse=True) and len(errors) == 4
    assert run([*words, "--limit", 2], monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "4 pictures by small: median 0." in printed
    assert [each["image"] in printed for each in told["images"]] == [True, True, False, False]


def test_train_and_go_on(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    words: list[object] = ["train", "autoencoder", folder / "pictures", "--out", folder / "run", "--accelerator", "cpu"]
    words += ["--devices", 1, "--code", 2, "--widths", "3,4", "--crop", 16, "--batch", 4]
    assert run([*words, "--epochs", 1], monkeypatch) == 0
    printed = capsys.readouterr()
    assert f"a new run in {folder / 'run'}" in printed.err and "pictures: 4 pictures, epochs: 1" in printed.err
    assert "epoch 1 of 1: mse 0." in printed.out and "weights.safetensors: " in printed.out
    assert run([*words, "--epochs", 2], monkeypatch) == 0
    printed = capsys.readouterr()
    assert f"going on with {folder / 'run'}" in printed.err
    assert "epoch 2 of 2" in printed.out and "epoch 1 of" not in printed.out
    assert run(["autoencode", "score", folder / "pictures", "-m", folder / "run"], monkeypatch) == 0
    assert run([*words, "--epochs", 2, "--rate", 0.1], monkeypatch) == 2
    assert "out must be a new folder, or that of a run with the same rate" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["autoencode", "score", "absent.png"], "images must be files or folders that are there"),
        (
            ["autoencode", "encode", "pictures", "-m", "small.safetensors", "-o", "absent/x"],
            "output must be where a file",
        ),
        (["autoencode", "decode", "pictures/0.png"], "codes must be an undamaged safetensors file"),
        (["autoencode", "show", "pictures", "-m", "absent"], "model must be"),
        (
            ["autoencode", "show", "pictures", "-m", "small.safetensors", "-o", "x.doc"],
            "output must end as a picture's",
        ),
        (["autoencode", "measure", "--data", "pictures"], "data must be the folder of Fashion-MNIST's four archives"),
        (["train", "autoencoder"], "folder must be given, or a --recipe"),
        (["train", "autoencoder", "absent"], "folder must be a folder that is there"),
        (["train", "autoencoder", "pictures", "--whole"], "data must hold images of one size"),
        (["train", "autoencoder", "--recipe", "absent"], "recipe must be a file, or one of fashion-16"),
        (["train", "autoencoder", "pictures", "--widths", "a"], "widths must be integers"),
        (["train", "autoencoder", "pictures", "--accelerator", "abacus"], "machines must be what Lightning can use"),
    ],
)
def test_errors(
    words: list[str], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    assert run(list(words), monkeypatch) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"trous: {said}")


@pytest.mark.parametrize(
    ("name", "said"),
    [("safetensors", "'pyvips[binary]' safetensors"), ("lightning", "lightning tensorboard")],
)
def test_what_is_missing_is_named(
    name: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [m for m in sys.modules if m.startswith("trous.apps.autoencoder")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    assert run(["train", "autoencoder", folder / "pictures", "--out", folder / "run"], monkeypatch) == 2
    assert capsys.readouterr().err == f"trous: {name} is not installed; the commands need: pip install {said}\n"
