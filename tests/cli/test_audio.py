"""`trous audio render` and `trous audio info` as a user meets them."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from trous.apps.audio import nam, sound
from trous.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a model and a dry guitar, of noise."""
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(2)
    network = nam.fresh("nano")
    with torch.no_grad():
        network.head_scale.fill_(1.0)
    training = {"validation_esr": 0.0123, "settings": {"ignore_checks": False}}
    nam.save(nam.trained(network, name="Loud One", loudness=-12.0, training=training), "amp.nam")
    noise = 0.05 * np.random.default_rng(1).standard_normal((2, 4000))
    sound.write("di.wav", noise.astype(np.float32), 44100, subtype="PCM_16")
    return tmp_path


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", "audio", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


@pytest.mark.parametrize(
    ("command", "example"),
    [("render", "trous audio render amp.nam di.wav out.wav"), ("info", "trous audio info amp.nam")],
)
def test_help(command: str, example: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help", monkeypatch=monkeypatch) == 0
    assert example in capsys.readouterr().out


def test_render(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("render", "amp.nam", "di.wav", "out.wav", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "di.wav: 0.1 s, 44100 Hz, 2 channels"
    assert printed[1] == "resampled to the model's 48000 Hz and back"
    assert printed[2].startswith("out.wav: PCM_16, peak -")
    assert printed[2].endswith("times real time")
    said = sound.facts("out.wav")
    assert (said.rate, said.channels, said.frames, said.subtype) == (44100, 2, 4000, "PCM_16")


def test_gain_and_normalize(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, options in (("a", ["--normalize"]), ("b", ["--output-gain", "-6"])):
        assert run("render", "amp.nam", "di.wav", f"{name}.wav", *options, monkeypatch=monkeypatch) == 0
    a, b = sound.read("a.wav")[0], sound.read("b.wav")[0]
    assert np.abs(a).max() > 0.01
    assert np.abs(a - b).max() < 2e-4  # from -12 dB to -18 dB


def test_clipping_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("render", "amp.nam", "di.wav", "out.wav", "--output-gain", "60", monkeypatch=monkeypatch) == 0
    told = capsys.readouterr().err
    assert "above full scale" in told and "were clipped; try --output-gain " in told
    gain = told.strip().rsplit(" ", 1)[1]
    assert run("render", "amp.nam", "di.wav", "out.wav", "-f", "--output-gain", gain, monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["amp.nam", "di.wav", "di.wav"], "target must not be there yet, but for --force"),
        (["amp.nam", "di.wav", "di.wav", "--force"], "target must be another file than the source"),
        (["amp.nam", "di.wav", "out.mp3"], "target must end in .wav"),
        (["amp.nam", "amp.nam", "out.wav"], "sound must be a sound file"),
        (["di.wav", "di.wav", "out.wav"], "model must be a whole .nam file"),
        (["none.nam", "di.wav", "out.wav"], "model must be a file that is there"),
        (["amp.nam", "di.wav", "out.wav", "--gain", "500"], "gain must be from -200 to 200 dB"),
        (["quiet.nam", "di.wav", "out.wav", "--normalize"], "normalize needs a model that says how loud it is"),
    ],
)
def test_errors(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nam.save(nam.Amp(nam.fresh("nano")), "quiet.nam")
    before = Path("di.wav").read_bytes()
    assert run("render", *arguments, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert told.startswith("trous: ") and message in told
    assert sorted(path.name for path in Path().iterdir()) == ["amp.nam", "di.wav", "quiet.nam"]
    assert Path("di.wav").read_bytes() == before


def test_being_told_to_end_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound.Writer, "write", lambda self, block: os.kill(os.getpid(), signal.SIGTERM))
    before = signal.getsignal(signal.SIGTERM)
    assert run("render", "amp.nam", "di.wav", "out.wav", monkeypatch=monkeypatch) == 143
    assert signal.getsignal(signal.SIGTERM) == before
    assert sorted(path.name for path in Path().iterdir()) == ["amp.nam", "di.wav"]


def test_what_strangers_write_steers_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    said = {"name": "a\x1b[31mb", "b[red]": "[bold]c", "loudness": 1e300, "training": 7, "date": {"year": 1}}
    nam.save(nam.Amp(nam.fresh("nano"), metadata=said), "strange.nam")
    assert run("info", "strange.nam", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "\x1b" not in printed and "a [31mb" in printed and "b[red]" in printed and "[bold]c" in printed
    assert nam.load("strange.nam").loudness is None


def test_info(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("info", "amp.nam", monkeypatch=monkeypatch) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "architecture WaveNet, file version 0.5.4 weights 842 4 channels dilations 1 2 4 8 16 32 64" in printed
    assert "sample rate 48000 Hz receptive field 4,093 samples, 85.3 ms" in printed
    assert "name Loud One loudness -12 dB error to signal 0.0123" in printed
    assert run("info", "amp.nam", "--json", monkeypatch=monkeypatch) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["weights"], found["receptive_field"], found["receptive_field_ms"]) == (842, 4093, 85.271)
    assert found["metadata"]["training"]["validation_esr"] == 0.0123
