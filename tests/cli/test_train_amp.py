"""`trous train amp`: from two sound files to a `.nam` file, and what it says of bad input."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from apps.audio.amp.playing import amplifier, guitar, late
from trous.apps.audio import sound
from trous.apps.audio.nam import load
from trous.cli import main

RATE = 8000
QUICK = ["--size", "nano", "--epochs", "1", "--crop", "8192", "--batch", "4"]


def run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", "train", "amp", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    played = guitar(10, RATE)
    sound.write("di.wav", played, RATE)
    sound.write("plexi.wav", late(amplifier(played), 25), RATE)
    return tmp_path


def test_two_files_become_a_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--input", "di.wav", "--target", "plexi.wav", *QUICK]
    words += ["--name", "Plexi", "--tone-type", "crunch", "--input-level", "12.5"]
    assert run(words, monkeypatch) == 0
    told = capsys.readouterr()
    assert "the target comes 25 samples (3.12 ms) after the input" in told.err
    assert "trous: mind: 9 s are little to learn from" in told.err
    assert "a new run in runs/plexi" in told.err
    assert "wrote runs/plexi/amp.nam: error-to-signal ratio " in told.out
    metadata = load("runs/plexi/amp.nam").metadata
    assert (metadata["name"], metadata["tone_type"], metadata["input_level_dbu"]) == ("Plexi", "crunch", 12.5)
    assert run(words, monkeypatch) == 0
    assert "going on with runs/plexi" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-i", "absent.wav", "-t", "plexi.wav"], "input must be a file that is there, got 'absent.wav'"),
        (["-i", "di.wav", "-t", "di.wav"], "target must be what came out of the amplifier, and is the input"),
        (["-i", "di.wav", "-t", "plexi.wav", "--size", "huge"], "size must be one of standard, lite, feather, nano"),
        (["-i", "di.wav", "-t", "plexi.wav", "--tone-type", "loud"], "tone-type must be one of clean, overdrive,"),
        (["-i", "di.wav", "-t", "plexi.wav", "--epochs", "1", "--minutes", "1"], "minutes must not stand beside"),
        (["-i", "di.wav", "-t", "plexi.wav", "--crop", "90000"], "input must go on for "),
    ],
)
def test_errors(
    words: list[str], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words, monkeypatch) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (folder / "runs").exists()
