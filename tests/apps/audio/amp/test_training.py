"""A run of seconds: the error falls, what is written plays as it was trained, and a run that was stopped goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from apps.audio.amp.playing import amplifier, guitar, late
from trous.apps.audio import sound
from trous.apps.audio.amp.loudness import levels
from trous.apps.audio.amp.measures import esr
from trous.apps.audio.amp.recipe import Recipe
from trous.apps.audio.amp.recording import Recording, read_recording
from trous.apps.audio.amp.report import curve, spectrum
from trous.apps.audio.amp.training import MODEL, PLAYED, REPORT, TARGET, Training, train
from trous.apps.audio.nam import fresh, load
from trous.apps.fitting import CHECKPOINTS
from trous.errors import TrousError

RATE = 8000
RECIPE = Recipe("di.wav", "amp.wav", size="nano", epochs=4, crop=2048, rate=0.02, seed=1)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    folder = tmp_path_factory.mktemp("recording")
    played = guitar(12, RATE)
    sound.write(folder / "di.wav", played, RATE, subtype="FLOAT")
    sound.write(folder / "amp.wav", late(amplifier(played), 40), RATE, subtype="FLOAT")
    return read_recording(folder / "di.wav", folder / "amp.wav", fresh("nano").reach or 0, crop=2048)[0]


def test_the_error_falls_and_what_is_written_plays_alike(recording: Recording, tmp_path: Path) -> None:
    ratio = train(RECIPE, recording, tmp_path, metadata={"name": "Small", "gear_make": "Nobody"}, quiet=True)
    measured = curve(tmp_path)
    assert len(measured) == RECIPE.epochs
    assert ratio == pytest.approx(min(esr for _, esr in measured), rel=1e-3)
    assert ratio < 0.2  # 1 is what silence has
    assert [minutes for minutes, _ in measured] == sorted(minutes for minutes, _ in measured)

    amp = load(tmp_path / MODEL)
    assert (amp.rate, amp.metadata["name"], amp.metadata["gear_make"]) == (RATE, "Small", "Nobody")
    assert amp.metadata["training"]["validation_esr"] == pytest.approx(ratio)
    assert amp.metadata["training"]["data"]["latency"]["calibration"]["delays"] == [40]
    again = amp(torch.from_numpy(recording.input)[None, None])[0, 0, recording.held_out :].numpy()
    played, target = (sound.read(tmp_path / name)[0][0] for name in (PLAYED, TARGET))
    assert np.abs(again - played).max() < 1e-5
    assert np.abs(recording.target[recording.held_out :] - target).max() < 1e-6
    assert esr(played, target) == pytest.approx(ratio, rel=1e-3)
    assert (tmp_path / REPORT).read_bytes().startswith(b"\x89PNG")


def test_a_run_goes_on_as_if_it_had_not_been_stopped(
    recording: Recording, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(RECIPE, crop=8192, epochs=2)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(short, recording, whole, quiet=True)

    class Stopped(Exception):
        pass

    def stop(self: Training) -> None:
        if self.current_epoch == 1:
            raise Stopped

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(Training, "on_train_epoch_start", stop)
        train(short, recording, parts, quiet=True)
    assert not (parts / MODEL).exists()
    train(short, recording, parts, quiet=True)
    ours, theirs = (load(folder / MODEL).network.weights() for folder in (whole, parts))
    assert torch.equal(ours, theirs)
    assert len(curve(parts)) == 2
    state = torch.load(parts / CHECKPOINTS / "last.ckpt", weights_only=False)
    assert state["seconds"] > 0
    with pytest.raises(TrousError, match="out must be a new folder, or that of a run with the same size"):
        train(replace(short, size="feather"), recording, parts, quiet=True)


def test_a_run_ends_when_its_time_is_over(recording: Recording, tmp_path: Path) -> None:
    train(replace(RECIPE, minutes=0.01), recording, tmp_path, quiet=True)
    minutes = [minutes for minutes, _ in curve(tmp_path)]
    assert 0.01 <= minutes[-1] < 0.1
    assert (tmp_path / MODEL).exists()


def test_loudness_and_gain() -> None:
    signal = torch.sin(torch.arange(4000) * 0.05)
    linear = levels(lambda x: 0.5 * x, signal)
    assert linear["loudness"] == pytest.approx(20 * np.log10(0.5 * np.sqrt(0.5)), abs=0.01)
    assert linear["gain"] == pytest.approx(0, abs=1e-6)
    assert levels(lambda x: x.sign(), signal)["gain"] == pytest.approx(9 / 11, abs=1e-6)  # 10 of 11 factors give sound
    assert levels(lambda x: 0 * x, signal)["gain"] == 0


def test_the_spectrum_of_a_tone_is_its_power() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    hertz, decibels = spectrum(tone, RATE)
    assert abs(hertz[np.argmax(decibels)] - 1000) < 2
    assert decibels.max() == pytest.approx(10 * np.log10(0.5**2 / 2), abs=0.1)
