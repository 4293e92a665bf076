"""Mel spectrograms as a strided convolution: they run, stream and learn as any other layer."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from trous.apps.audio.wavenet.architecture import HOPS, framing
from trous.errors import TrousError

#: Of a sine of full amplitude a channel's value is 1 at most; below this all is silence.
FLOOR = 1e-5


def mel(hertz: np.ndarray) -> np.ndarray:
    """The mel scale in HTK's formula (Young et al., The HTK Book, section 5.4): `2595 log10(1 + f / 700)`."""
    return 2595 * np.log10(1 + hertz / 700)


def filters(mels: int, size: int, sample_rate: int) -> np.ndarray:
    """Triangles evenly spaced on the mel scale from 0 to half the sample rate, each of sum 1; `(mels, size//2 + 1)`.

    Each begins and ends at the middle of its neighbours. Raises TrousError where one would hold none of the
    frequencies of a Fourier transform over `size` samples.

    >>> filters(3, 16, 16000).round(2)
    array([[0.  , 1.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.2 , 0.54, 0.26, 0.  , 0.  , 0.  , 0.  , 0.  ],
           [0.  , 0.  , 0.03, 0.18, 0.31, 0.24, 0.16, 0.08, 0.  ]])
    """
    frequencies = mel(np.arange(size // 2 + 1) * sample_rate / size)
    middles = np.linspace(0, frequencies[-1], mels + 2)
    hertz, edges = (700 * (10 ** (m / 2595) - 1) for m in (frequencies, middles))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    weights = np.minimum((hertz - low) / (middle - low), (high - hertz) / (high - middle)).clip(min=0)
    sums = weights.sum(1, keepdims=True)
    if not sums.all():
        raise TrousError("mels", f"must be so few that each has one of {size // 2 + 1} frequencies", mels)
    return weights / sums


class Mel(nn.Module):
    """Sound `(batch, 1, n)` to its mel spectrogram `(batch, mels, n//hop)`, from -1, silence, to 1.

    The magnitudes of a short-time Fourier transform, `4*hop` samples under a Hann window, evenly around the `hop`
    samples of their column, averaged by `filters`. A value is `1 + 0.4 log10(average)`; beyond both ends is silence.
    """

    waves: Tensor
    filters: Tensor

    def __init__(self, mels: int, hop: int, sample_rate: int):
        super().__init__()
        self.hop, self.frames, size = hop, framing(hop), HOPS * hop
        window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
        angles = 2 * np.pi * np.outer(np.arange(size // 2 + 1), np.arange(size)) / size
        waves = np.concatenate([np.cos(angles), np.sin(angles)])[:, None] * (2 * window / window.sum())
        for name, values in (("waves", waves), ("filters", filters(mels, size, sample_rate)[..., None])):
            self.register_buffer(name, torch.from_numpy(values.astype(np.float32)), persistent=False)

    def forward(self, sound: Tensor) -> Tensor:
        spectrum = nn.functional.conv1d(sound, self.waves, stride=self.frames.stride, padding=self.frames.padding)
        real, imaginary = spectrum.chunk(2, 1)
        averages = nn.functional.conv1d(torch.sqrt(real * real + imaginary * imaginary), self.filters)
        return 1 + 0.4 * torch.log10(averages.clamp(min=FLOOR))
