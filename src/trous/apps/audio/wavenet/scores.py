"""What a run is worth: how its bits fell, and how close what it generates comes to the spectrogram that it follows."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trous.apps.audio.wavenet.architecture import Architecture
from trous.apps.audio.wavenet.mel import Mel
from trous.apps.audio.wavenet.network import WaveNet
from trous.apps.audio.wavenet.synthesis import sounds
from trous.apps.fitting import LOGS
from trous.errors import TrousError

#: dB of amplitude for 1 of a spectrogram's values.
DECIBELS = 50


@dataclass(frozen=True)
class Epoch:
    """Bits that a sample costs after so many epochs, of what is learnt from and of what is held out."""

    number: int
    bits: float
    held_out: float


def curve(run: Path) -> list[Epoch]:
    """Of a run's folder the epochs that it has had, by its logs; the later of two that are written down twice."""
    found: dict[int, dict[str, float]] = {}
    for path in sorted((run / LOGS).glob("version_*/metrics.csv"), key=lambda path: int(path.parent.name[8:])):
        with open(path, newline="") as file:
            for row in csv.DictReader(file):
                values = {name: float(row[name]) for name in ("bits", "held_out_bits") if row.get(name)}
                found.setdefault(int(row["epoch"]) + 1, {}).update(values)
    epochs = [Epoch(n, v["bits"], v["held_out_bits"]) for n, v in sorted(found.items()) if len(v) == 2]
    if not epochs:
        raise TrousError("run", "must be the folder of a run of trous train wavenet, after an epoch", str(run))
    return epochs


def mel_distance(sound: np.ndarray, other: np.ndarray, architecture: Architecture) -> float:
    """The mean absolute difference of two sounds' mel spectrograms in dB, float32 arrays `(n,)` from -1 to 1.

    It does not hear phases: two noises of one colour are close.
    """
    spectrogram = Mel(architecture.mels, architecture.hop, architecture.sample_rate)
    count = min(len(sound), len(other)) // architecture.hop * architecture.hop
    with torch.no_grad():
        a, b = (spectrogram(torch.from_numpy(x[:count])[None, None]) for x in (sound, other))
    return float((a - b).abs().mean()) * DECIBELS


@dataclass(frozen=True)
class Likeness:
    """Distances in dB from a sound: of what was generated to follow it, and of others for comparison."""

    generated: float
    rounded: float  #: the sound itself, brought to the network's levels and back
    noise: float  #: white noise, as loud
    seconds: float


def likeness(
    network: WaveNet, sound: np.ndarray, done: Callable[[int], None], seed: int = 0
) -> tuple[Likeness, np.ndarray]:
    """How close the network comes to a sound `(n,)`, and what it made; `done(n)` is told how many samples it has."""
    architecture, parts, count = network.architecture, [], 0
    for block in sounds(network, len(sound), seed, speech=[sound[None]]):
        parts.append(block[0])
        done(count := count + block.shape[1])
    made = np.concatenate(parts)
    levels = network.output.encode(torch.from_numpy(sound))
    rms = float(np.sqrt(np.mean(np.square(sound))))
    white = rms * np.random.default_rng(seed).standard_normal(len(sound)).astype(np.float32)
    back = network.output.decode(levels).numpy()
    generated, rounded, noise = (mel_distance(x, sound, architecture) for x in (made, back, white))
    return Likeness(generated, rounded, noise, len(sound) / architecture.sample_rate), made
