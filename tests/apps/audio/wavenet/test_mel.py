"""The spectrogram is torch's short-time Fourier transform, its filters are triangles, and it streams."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trous import TrousError, stream
from trous.apps.audio.wavenet.mel import Mel, filters, mel


def test_it_is_the_fourier_transform_averaged_by_the_filters(rng: np.random.Generator) -> None:
    sound = torch.from_numpy(rng.uniform(-1, 1, 16 * 20).astype(np.float32))
    window = torch.hann_window(64, periodic=True)
    padded = torch.nn.functional.pad(sound, (24, 24))
    found = torch.stft(padded, 64, 16, window=window, center=False, return_complex=True).abs() * (2 / window.sum())
    wanted = 1 + 0.4 * torch.log10((torch.from_numpy(filters(8, 64, 16000)).float() @ found).clamp(min=1e-5))
    torch.testing.assert_close(Mel(8, 16, 16000)(sound[None, None])[0], wanted, rtol=1e-4, atol=1e-5)


def test_silence_and_full_scale() -> None:
    columns = Mel(8, 16, 16000)
    assert torch.equal(columns(torch.zeros(1, 1, 64)), torch.full((1, 8, 4), -1.0))
    sine = torch.sin(2 * torch.pi * 0.25 * torch.arange(640.0))
    assert -1 < columns(sine[None, None]).max() <= 1


def test_filters_are_even_on_the_mel_scale() -> None:
    weights = filters(40, 1024, 22050)
    np.testing.assert_allclose(weights.sum(1), 1)
    heard = mel(np.arange(513) * 22050 / 1024)
    middles = (weights * heard).sum(1)
    np.testing.assert_allclose(np.diff(middles)[5:], mel(np.array(11025.0)) / 41, rtol=0.1)
    assert mel(np.array(1000.0)) == pytest.approx(1000, abs=0.1)


def test_it_streams(rng: np.random.Generator) -> None:
    columns = Mel(8, 16, 16000).eval()
    sound = torch.from_numpy(rng.uniform(-1, 1, (1, 1, 160)).astype(np.float32))
    live = stream(columns)
    parts = [live.push(block) for block in sound.split([1, 40, 7, 112], -1)]
    torch.testing.assert_close(torch.cat([*parts, live.flush()], -1), columns(sound))
    assert live.delay == 39  # a window ends 40 samples behind the first of its column


def test_too_many_channels() -> None:
    with pytest.raises(TrousError, match="mels must be so few that each has one of 9 frequencies"):
        filters(40, 16, 16000)
