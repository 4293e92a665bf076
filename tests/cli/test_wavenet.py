"""`trous train wavenet` and `trous audio generate`: from a folder to a sound, and what is said of what cannot be."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from trous.apps.audio.sound import facts, read, write
from trous.cli import main

QUICK = [
    "--epochs", "1", "--steps", "1", "--batch", "1", "--segment", "64", "--layers", "1", "--channels", "4",
    "--skip", "4", "--mels", "4", "--strides", "4,4", "--sample-rate", "8000", "--example", "0.001",
]  # fmt: skip


def trous(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "noise").mkdir()
    for n in range(3):
        write(tmp_path / "noise" / f"{n}.wav", rng.uniform(-1, 1, 8820).astype(np.float32), 44100)
    return tmp_path


def test_a_folder_becomes_a_sound(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trous(["train", "wavenet", "noise", *QUICK], monkeypatch) == 0
    told = capsys.readouterr()
    assert "noise: 2 files to learn from, 1 held out, 1 epochs; 2 samples of context" in told.err
    assert "wrote runs/noise/weights.safetensors" in told.out
    assert "wrote runs/noise/example.wav: 0.001 s, like 1.wav" in told.out

    generate = ["audio", "generate", "runs/noise", "out.wav", "--mel-from", "noise/0.wav", "-s", "0.004"]
    assert trous(generate, monkeypatch) == 0
    assert "wrote out.wav: 0.00 s" in capsys.readouterr().out
    assert (facts("out.wav").frames, facts("out.wav").rate, facts("out.wav").subtype) == (32, 8000, "PCM_16")
    first = read("out.wav")[0]
    assert trous(generate, monkeypatch) == 2
    assert "target must not be there yet, but for --force" in capsys.readouterr().err
    assert trous([*generate, "--force"], monkeypatch) == 0
    np.testing.assert_array_equal(read("out.wav")[0], first)
    assert trous([*generate, "--force", "--seed", "1"], monkeypatch) == 0
    assert (read("out.wav")[0] != first).any()

    bench = ["bench", "wavenet", "runs/noise", "--like", "noise/1.wav", "--sample", "again.wav", "-o", "results"]
    assert trous(bench, monkeypatch) == 0
    assert "white noise" in capsys.readouterr().out
    assert facts("again.wav").frames == 1600
    assert sorted(path.suffix for path in Path("results").glob("*-wavenet-noise.*")) == [".json", ".md", ".png"]

    for words, said in (
        (["runs/noise", "a.wav"], "speech must be given to a network that is conditioned on it"),
        (["runs/noise", "a.wav", "--mel-from", "absent.wav"], "sound must be a file that is there, got 'absent.wav'"),
        (["runs/noise", "a.wav", "-s", "0"], "seconds must be a number above 0, got 0.0"),
        (["runs/noise", "a.txt", "--mel-from", "noise/0.wav"], "target must end in .wav"),
        (["noise/0.wav", "a.wav"], "weights must be a file of `trous train wavenet`"),
        (["absent", "a.wav"], "weights must be a file that can be read"),
    ):
        assert trous(["audio", "generate", *words], monkeypatch) == 2
        assert said in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["again.wav", "noise", "out.wav", "results", "runs"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "folder must be given, or a --recipe"),
        (["absent"], "folder must be a folder that is there, or one in that of TROUS_DATA, got 'absent'"),
        (["--recipe", "absent"], "recipe must be a file, or one of ljspeech, got 'absent'"),
        (["noise", "--output", "gaussian"], "output must be one of mulaw, mixture, got 'gaussian'"),
        (["noise", "--strides", "3,5"], "strides must be numbers with an even product"),
        (["noise", "--segment", "100000"], "folder must hold two .wav files of 4.54 s at least"),
    ],
)
def test_errors(
    words: list[str],
    said: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert trous(["train", "wavenet", *words], monkeypatch) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "runs").exists()
