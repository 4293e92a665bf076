"""Sound files through models: the numbers of the model, at any rate, in blocks of any size."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from apps.audio.nam.models import filled, smaller
from trous.apps.audio import nam, sound
from trous.apps.audio.nam.rendering import render
from trous.errors import TrousError


@pytest.fixture(scope="module")
def amp() -> nam.Amp:
    torch.manual_seed(1)
    network = nam.fresh("nano")
    with torch.no_grad():
        network.head_scale.fill_(1.0)
    return nam.Amp(network)


def guitar(path: Path, frames: int, rate: int, channels: int = 1, subtype: str = "FLOAT") -> np.ndarray:
    """Plucked tones, no higher than 3 kHz, so that any rate holds them."""
    at = np.arange(frames) / rate
    tones = [np.sin(2 * np.pi * hertz * at + phase) for hertz, phase in ((196, 0), (440, 1), (1200, 2), (2900, 3))]
    whole = np.stack([0.1 * sum(np.roll(tones, i, axis=0)[:3]) * np.exp(-3 * at) for i in range(channels)])
    sound.write(path, whole.astype(np.float32), rate, subtype=subtype)
    return sound.read(path)[0]


def expected(amp: nam.Amp, samples: np.ndarray) -> np.ndarray:
    return amp(torch.from_numpy(samples)[:, None])[:, 0].numpy()


@pytest.mark.parametrize(("channels", "block"), [(1, 8192), (3, 77)])
def test_at_the_model_s_rate(tmp_path: Path, amp: nam.Amp, channels: int, block: int) -> None:
    samples = guitar(tmp_path / "in.wav", 5003, 48000, channels)
    seen: list[tuple[int, int]] = []
    done = render(
        amp,
        tmp_path / "in.wav",
        tmp_path / "out.wav",
        block=block,
        progress=lambda frames, whole: seen.append((frames, whole)),
    )
    out, rate = sound.read(tmp_path / "out.wav")
    assert (rate, out.shape, done.resampled) == (48000, samples.shape, False)
    assert np.abs(out - expected(amp, samples)).max() < 1e-6
    assert seen[-1] == (5003, 5003)
    assert seen == sorted(seen)


@pytest.mark.parametrize("rate", [44100, 96000, 32000])
def test_at_another_rate_without_delay(tmp_path: Path, amp: nam.Amp, rate: int) -> None:
    """The same sound at 48 kHz, through the model and brought to the other rate, is what comes out."""
    guitar(tmp_path / "in.wav", rate // 4, rate)
    done = render(amp, tmp_path / "in.wav", tmp_path / "out.wav")
    out, said = sound.read(tmp_path / "out.wav")
    assert (said, out.shape, done.resampled) == (rate, (1, rate // 4), True)
    at_48 = guitar(tmp_path / "48.wav", 12000, 48000)
    sound.write(tmp_path / "48.wav", expected(amp, at_48), 48000, subtype="FLOAT")
    wanted = sound.read(tmp_path / "48.wav", rate=rate)[0]
    inside = slice(rate // 10, -(rate // 100))  # the file begins and ends in the middle of tones
    assert np.abs(wanted).max() > 0.05
    assert np.abs(out - wanted)[:, inside].max() < 1e-3 * np.abs(wanted).max()


@pytest.mark.parametrize(("frames", "rate"), [(1, 192000), (2, 44100), (4411, 44100)])
def test_as_many_frames_come_out(tmp_path: Path, amp: nam.Amp, frames: int, rate: int) -> None:
    guitar(tmp_path / "in.wav", frames, rate)
    render(amp, tmp_path / "in.wav", tmp_path / "out.wav", block=500)
    assert sound.facts(tmp_path / "out.wav").frames == frames


def test_gains_bits_and_clipping(tmp_path: Path, amp: nam.Amp) -> None:
    samples = guitar(tmp_path / "in.flac", 3000, 48000, subtype="PCM_16")
    done = render(amp, tmp_path / "in.flac", tmp_path / "out.wav", gain_before=2.0, gain_after=30.0)
    wanted = 30 * expected(amp, 2 * samples)
    assert (done.subtype, sound.facts(tmp_path / "out.wav").subtype) == ("PCM_16", "PCM_16")
    assert done.clipped == (np.abs(wanted) > 1).sum() > 10
    assert done.peak == pytest.approx(np.abs(wanted).max(), rel=1e-5)
    assert np.abs(sound.read(tmp_path / "out.wav")[0] - wanted.clip(-1, 1)).max() < 1.01 / 32768


def test_an_lstm_in_blocks(tmp_path: Path) -> None:
    (tmp_path / "a.nam").write_text(json.dumps(smaller(0) | {"sample_rate": 8000}))
    amp = nam.load(tmp_path / "a.nam")
    samples = guitar(tmp_path / "in.wav", 1000, 8000, 2)
    render(amp, tmp_path / "in.wav", tmp_path / "out.wav", block=64)
    out = sound.read(tmp_path / "out.wav")[0]
    assert np.abs(out - expected(amp, samples)).max() < 1e-6
    assert np.abs(np.diff(out)).max() > 1e-4


def test_what_cannot_be_rendered(tmp_path: Path, amp: nam.Amp) -> None:
    guitar(tmp_path / "in.wav", 100, 48000)
    before = (tmp_path / "in.wav").read_bytes()
    (tmp_path / "link.wav").symlink_to(tmp_path / "in.wav")
    for target in ("in.wav", "link.wav"):
        with pytest.raises(TrousError, match="target must be another file than the source"):
            render(amp, tmp_path / "in.wav", tmp_path / target)
    assert (tmp_path / "in.wav").read_bytes() == before
    config = {"input_size": 1, "hidden_size": 2, "num_layers": 1, "out_channels": 2}
    (tmp_path / "wide.nam").write_text(json.dumps(filled("LSTM", config, 1)))
    with pytest.raises(TrousError, match="model must take and give one channel, got '1, 2'"):
        render(nam.load(tmp_path / "wide.nam"), tmp_path / "in.wav", tmp_path / "out.wav")
    assert not (tmp_path / "out.wav").exists()


def test_a_model_that_gives_no_numbers_leaves_no_file(tmp_path: Path) -> None:
    network = nam.fresh("nano")
    with torch.no_grad():
        network.head_scale.fill_(torch.inf)
    guitar(tmp_path / "in.wav", 100, 48000)
    with pytest.raises(TrousError, match="must have finite samples to be written"):
        render(nam.Amp(network), tmp_path / "in.wav", tmp_path / "out.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.wav"]
