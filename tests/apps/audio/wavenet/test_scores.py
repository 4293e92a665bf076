"""Distances between sounds, the curve of a run, and both as a page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trous import TrousError
from trous.apps.audio.wavenet.architecture import Architecture
from trous.apps.audio.wavenet.network import WaveNet
from trous.apps.audio.wavenet.report import record
from trous.apps.audio.wavenet.scores import Epoch, curve, likeness, mel_distance

ARCHITECTURE = Architecture(
    layers=1, channels=4, skip=4, mels=4, condition=3, strides=(4, 4), sample_rate=8000
)  # few and small: the tests generate


def test_half_as_loud_is_six_decibels_away(rng: np.random.Generator) -> None:
    sound = rng.uniform(-1, 1, 1600).astype(np.float32)
    assert mel_distance(sound, sound, ARCHITECTURE) == 0
    assert mel_distance(sound, sound / 2, ARCHITECTURE) == pytest.approx(20 * np.log10(2), abs=1e-3)


def test_the_curve_of_a_run_that_was_gone_on_with(tmp_path: Path) -> None:
    for version, rows in (
        (0, ["0,,7.5,9", "0,7.0,,9", "1,,6.5,19"]),
        (1, ["1,,6.4,19", "1,6.0,,19"]),
        (10, ["2,,6.2,29", "2,5.5,,29", "3,5,,29"]),
    ):
        folder = tmp_path / "logs" / f"version_{version}"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text("\n".join(["epoch,bits,held_out_bits,step", *rows, ""]))
    assert curve(tmp_path) == [Epoch(1, 7.0, 7.5), Epoch(2, 6.0, 6.4), Epoch(3, 5.5, 6.2)]
    with pytest.raises(TrousError, match="run must be the folder of a run of trous train wavenet"):
        curve(tmp_path / "logs")


def test_a_report(tmp_path: Path, rng: np.random.Generator) -> None:
    sound, told = (0.1 * rng.standard_normal(48)).astype(np.float32), []
    found, made = likeness(WaveNet(ARCHITECTURE).eval(), sound, told.append)
    assert (made.shape, told[-1], found.seconds) == ((48,), 48, 48 / 8000)
    assert found.rounded < found.noise and found.rounded < found.generated
    epochs = [Epoch(n, 8 / n, 9 / n) for n in range(1, 40)]
    pages = record("tiny", ARCHITECTURE, epochs, found, 1234).write(tmp_path)
    assert [path.suffix for path in pages] == [".json", ".md", ".png"]
    page = pages[1].read_text()
    assert "| 1 | 8.000 | 9.000 |" in page and "| 39 | 0.205 | 0.231 |" in page and "white noise" in page
