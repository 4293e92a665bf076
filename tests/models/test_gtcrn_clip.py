"""A trained network on real speech: the published weights turn the noisy clip into the published clean one."""

from __future__ import annotations

import copy
import os
import wave
from pathlib import Path

import numpy as np
import pytest
import torch

import trous
from trous.bench.networks import gtcrn

#: The published clip was written as 16-bit numbers, rounded down.
FULL = 2.0**15


@pytest.fixture(scope="module")
def folder() -> Path:
    if not os.environ.get("TROUS_DATA"):
        pytest.skip("TROUS_DATA does not say where the GTCRN weights and clips are")
    folder = Path(os.environ["TROUS_DATA"], "models", "gtcrn")
    if not folder.is_dir():
        pytest.skip(f"no GTCRN weights and clips in {folder}")
    return folder


def read(path: Path) -> torch.Tensor:
    """The samples of a 16-bit clip, as whole numbers in float64."""
    with wave.open(str(path)) as clip:
        assert (clip.getnchannels(), clip.getsampwidth(), clip.getframerate()) == (1, 2, 16000)
        return torch.from_numpy(np.frombuffer(clip.readframes(clip.getnframes()), "<i2").astype(np.float64))


@pytest.fixture(scope="module")
def network(folder: Path) -> gtcrn.GTCRN:
    network = gtcrn.GTCRN().eval()
    saved = torch.load(folder / "model_trained_on_dns3.tar", weights_only=True, map_location="cpu")
    network.load_state_dict(saved["model"])
    return network


@pytest.mark.parametrize("layers", ["torch", "trous"])
def test_the_published_clip_is_reproduced(folder: Path, network: gtcrn.GTCRN, layers: str) -> None:
    noisy, published = read(folder / "mix.wav"), read(folder / "enh.wav")
    if layers == "trous":
        network = trous.accelerate(copy.deepcopy(network))
    with torch.no_grad():
        samples = FULL * gtcrn.enhance(network, (noisy / FULL).float()).double()
    assert samples.shape == published.shape == (len(noisy) // gtcrn.HOP * gtcrn.HOP,)
    # Rounding down leaves [0, 1); float32 moves the ends by a fraction of 1% of a step.
    left = samples - published
    assert left.min().item() >= -0.01 and left.max().item() <= 1.01
    noise = (left - left.mean()).square().mean()
    assert 10 * torch.log10(published.square().mean() / noise) > 76  # dB; 16-bit rounding alone of this clip


def frames_of(clip: torch.Tensor) -> torch.Tensor:
    """The spectrum that `enhance` gives to the network, one column after the other: `(1, BINS, frames)`."""
    window = torch.hann_window(gtcrn.WINDOW, dtype=clip.dtype).sqrt()
    padded = torch.nn.functional.pad(clip[None], (gtcrn.HOP, gtcrn.HOP), mode="reflect")[0]
    columns = [
        torch.fft.rfft(window * padded[at : at + gtcrn.WINDOW]) for at in range(0, len(clip) + 1 - gtcrn.HOP, gtcrn.HOP)
    ]
    return torch.stack([*columns, torch.fft.rfft(window * padded[-gtcrn.WINDOW :])], -1)[None]


class Speaker:
    """Turns columns of a spectrum into samples as they come."""

    def __init__(self) -> None:
        self.window = torch.hann_window(gtcrn.WINDOW).sqrt()
        self.tail = torch.zeros(gtcrn.HOP)
        self.said: list[torch.Tensor] = []

    def take(self, spectrum: torch.Tensor) -> None:
        for column in spectrum[0].unbind(-1):
            frame = self.window * torch.fft.irfft(column)
            self.said.append(self.tail + frame[: gtcrn.HOP])
            self.tail = frame[gtcrn.HOP :]


@pytest.mark.parametrize("frames", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_fed_frame_by_frame_it_says_the_published_clip(folder: Path, network: gtcrn.GTCRN, frames: int) -> None:
    noisy, published = read(folder / "mix.wav") / FULL, read(folder / "enh.wav") / FULL
    live, speaker = trous.stream(network), Speaker()
    for number, block in enumerate(frames_of(noisy[: len(published)].float()).split(frames, -1)):
        for part in block.split(1, -1) if number < 3 else [block]:
            clean = live.push(part)
            assert clean.shape == part.shape  # nothing is waited for
            speaker.take(clean)
    assert live.flush().shape[-1] == 0
    assert live.delay == 0
    said = torch.cat(speaker.said[1:]).double()  # the first hop lies before the clip
    assert said.shape == published.shape
    assert (said - published).abs().max() <= 1e-3


class Enhancer(torch.nn.Module):
    """`enhance` of layers alone: `(batch, samples)` to the same, the spectrum and the way back inside."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network, self.window = network, torch.hann_window(gtcrn.WINDOW).sqrt()

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(clip, (gtcrn.HOP, gtcrn.HOP), mode="reflect")
        frames = torch.fft.rfft(self.window * padded.unfold(-1, gtcrn.WINDOW, gtcrn.HOP))
        clean = self.window * torch.fft.irfft(self.network(frames.transpose(1, 2)).transpose(1, 2))
        # overlapping frames added up: each of its samples is a channel with a place of its own
        places = torch.eye(gtcrn.WINDOW)[:, None]
        return torch.nn.functional.conv_transpose1d(clean.transpose(1, 2), places, stride=gtcrn.HOP)[
            :, 0, gtcrn.HOP : -gtcrn.HOP
        ]


def test_fed_samples_it_says_the_published_clip(folder: Path, network: gtcrn.GTCRN) -> None:
    noisy, published = read(folder / "mix.wav") / FULL, read(folder / "enh.wav") / FULL
    live, clip = trous.stream(Enhancer(network).eval()), noisy[None, : 40 * gtcrn.HOP].float()
    with torch.no_grad():
        whole = gtcrn.enhance(network, clip[0])
    said, at = [], 0
    for count in [100, 1, 2000, 512, 7] + [gtcrn.HOP * 3] * 9 + [clip.shape[-1]]:
        said.append(live.push(clip[:, at : at + count]))
        at += count
    said.append(live.flush())
    got = torch.cat(said, -1)[0]
    torch.testing.assert_close(got, whole, rtol=0, atol=2e-6)
    settled = 36 * gtcrn.HOP  # what lies near the end of the excerpt is padded otherwise in the clip
    assert (got[:settled] - published[:settled]).abs().max() <= 1e-3
    assert live.delay == gtcrn.WINDOW - 1  # the first sample of a hop waits for all of the second window that holds it


def test_swapping_changes_the_clip_by_rounding_only(folder: Path, network: gtcrn.GTCRN) -> None:
    clip = read(folder / "mix.wav")[:32000] / FULL
    ours = trous.accelerate(copy.deepcopy(network))
    fine = copy.deepcopy(network).double()
    with torch.no_grad():
        exact = gtcrn.enhance(fine, clip)
        torchs = gtcrn.enhance(network, clip.float())
        single = gtcrn.enhance(ours, clip.float())
        double = gtcrn.enhance(trous.accelerate(fine), clip)
    scale = exact.abs().max()
    assert (double - exact).abs().max() <= 1e-12 * scale
    assert (single - torchs).abs().max() <= 1e-5 * scale
