"""WaveNet (van den Oord et al. 2016, arXiv:1609.03499): every sample from those before it, by dilated convolutions.

    h = first(sample)
    z = dilated(h) + condition(c)        a = tanh(z1) * sigmoid(z2)        h, s = h + residual(a), s + skip(a)
    y = last(relu(hidden(relu(s))))

The second line is a layer, equations 2 and 3 and figure 4 of the paper; the third its output, where skips meet.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trous.apps.audio.wavenet.architecture import Architecture, enlarging
from trous.apps.audio.wavenet.mel import Mel
from trous.apps.audio.wavenet.outputs import Output, output
from trous.nn import Conv1d, ConvTranspose1d

#: Behind every layer between spectrogram and samples.
ACTIVATION = ("leaky_relu", 0.4)


class Layer(nn.Module):
    """A dilated convolution, its gate, and the ways on: to the next layer and to the output."""

    def __init__(self, architecture: Architecture, dilation: int, last: bool):
        super().__init__()
        channels = architecture.channels
        self.dilated = Conv1d(channels, 2 * channels, architecture.kernel, padding="causal", dilation=dilation)
        conditions = architecture.conditions
        self.condition = Conv1d(conditions, 2 * channels, 1, bias=False) if conditions else None
        self.residual = None if last else Conv1d(channels, channels, 1)
        self.skip = Conv1d(channels, architecture.skip, 1)

    def forward(self, h: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        z = self.dilated(h)
        if self.condition is not None:
            z = z + self.condition(condition)
        filtered, gate = z.chunk(2, 1)
        a = torch.tanh(filtered) * torch.sigmoid(gate)
        return h if self.residual is None else h + self.residual(a), self.skip(a)


class Core(nn.Module):
    """What runs for every sample.

    From `(batch, 1 + conditions, n)`, the samples and what each is conditioned on, to `(batch, outputs, n)`: what the
    samples up to each say of the next. So it is given the samples one late, and does not delay them itself.
    """

    def __init__(self, architecture: Architecture, outputs: int):
        super().__init__()
        self.first = Conv1d(1, architecture.channels, 1)
        dilations = architecture.dilations
        self.layers = nn.ModuleList(Layer(architecture, d, n == len(dilations) - 1) for n, d in enumerate(dilations))
        self.hidden = Conv1d(architecture.skip, architecture.skip, 1)
        self.last = Conv1d(architecture.skip, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h, condition = self.first(x[:, :1]), x[:, 1:]
        sums = None
        for layer in self.layers:
            h, skip = layer(h, condition)
            sums = skip if sums is None else sums + skip
        assert sums is not None  # there is a layer
        return self.last(torch.relu(self.hidden(torch.relu(sums))))


class Conditioning(nn.Module):
    """A mel spectrogram `(batch, mels, columns)` to something for every sample, `(batch, condition, columns*hop)`.

    A convolution over three columns, then transposed convolutions. Each kernel lies evenly around the outputs in the
    place of an input, and all phases have as many taps: no pattern with the period of the hop comes of the overlap.
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        channels = architecture.condition
        self.first = Conv1d(architecture.mels, 2 * channels, 3, padding="same", activation=ACTIVATION)
        widths = [2 * channels, *[channels] * len(architecture.strides)]
        self.up = nn.Sequential(
            *(
                ConvTranspose1d(before, after, spec.kernel, spec.stride, spec.padding, activation=ACTIVATION)
                for before, after, spec in zip(widths, widths[1:], map(enlarging, architecture.strides), strict=False)
            )
        )

    def forward(self, mel: Tensor) -> Tensor:
        return self.up(self.first(mel))


class WaveNet(nn.Module):
    """The core, what it is conditioned by, and what its outputs mean.

    >>> net = WaveNet(Architecture(layers=4, cycle=2, channels=4, skip=4, mels=0))
    >>> net(torch.zeros(1, 100)).shape
    torch.Size([1, 256, 100])
    """

    def __init__(self, architecture: Architecture):
        super().__init__()
        self.architecture = architecture
        self.output: Output = output(architecture)
        self.core = Core(architecture, self.output.channels)
        #: Sound `(batch, 1, n)`, `n` a multiple of the hop, to conditions `(batch, conditions, n)`.
        self.conditions: nn.Sequential | None = None
        if architecture.mels:
            spectrogram = Mel(architecture.mels, architecture.hop, architecture.sample_rate)
            self.conditions = nn.Sequential(spectrogram, Conditioning(architecture))

    def forward(self, levels: Tensor, conditions: Tensor | None = None) -> Tensor:
        """What is said of the sample behind each, `(batch, outputs, n)`.

        Args:
            levels: `(batch, n)`, samples as `self.output.encode` gives them.
            conditions: `(batch, conditions, n)`, of the samples that are predicted: the first is that of the sample
                behind `levels[:, 0]`.
        """
        x = levels[:, None]
        return self.core(x if conditions is None else torch.cat([x, conditions], 1))
