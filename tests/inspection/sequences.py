"""Networks over sequences, with dilated convolutions; widths are small."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


class GatedLayer(nn.Module):
    """A dilated causal convolution, tanh times sigmoid; gives the way on and the part for the output."""

    def __init__(self, channels: int, skip: int, dilation: int):
        super().__init__()
        self.past = dilation
        self.signal = nn.Conv1d(channels, channels, 2, dilation=dilation)
        self.gate = nn.Conv1d(channels, channels, 2, dilation=dilation)
        self.onward = nn.Conv1d(channels, channels, 1)
        self.skip = nn.Conv1d(channels, skip, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        behind = F.pad(x, (self.past, 0))
        y = torch.tanh(self.signal(behind)) * torch.sigmoid(self.gate(behind))
        return x + self.onward(y), self.skip(y)


class WaveNet(nn.Module):
    """van den Oord, Dieleman, Zen, Simonyan, Vinyals, Graves, Kalchbrenner, Senior, Kavukcuoglu: WaveNet: A Generative
    Model for Raw Audio, 2016 (arXiv:1609.03499).

    A causal convolution, then stacks of gated layers with kernels of 2 whose dilation doubles (to 512 in the paper,
    several times over); residual and skip connections; ReLU, 1x1, ReLU, 1x1 and a softmax over the quantised values.
    """

    def __init__(self, values: int = 4, channels: int = 2, skip: int = 3, layers: int = 5, stacks: int = 2):
        super().__init__()
        self.first = nn.Conv1d(values, channels, 2)
        self.layers = nn.ModuleList(
            GatedLayer(channels, skip, 2**number) for _ in range(stacks) for number in range(layers)
        )
        self.last = nn.Sequential(nn.ReLU(), nn.Conv1d(skip, skip, 1), nn.ReLU(), nn.Conv1d(skip, values, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(F.pad(x, (1, 0)))
        skips = []
        for layer in self.layers:
            x, skip = layer(x)
            skips.append(skip)
        return torch.softmax(self.last(sum(skips)), dim=1)


class PreActivated(nn.Module):
    """Twice batch normalisation, ReLU and a dilated convolution; then the sum with what came in."""

    def __init__(self, channels: int, kernel: int, dilation: int):
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(2):
            conv = nn.Conv1d(channels, channels, kernel, dilation=dilation, padding="same")
            layers += [nn.BatchNorm1d(channels), nn.ReLU(), conv]
        self.body = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


class SpliceAI(nn.Module):
    """Jaganathan and others: Predicting Splicing from Primary Sequence with Deep Learning, Cell 176, 2019.

    Four groups of residual blocks with kernels 11, 11, 21, 41 and dilations 1, 4, 10, 25; a 1x1 convolution before
    them, and after each group into the sum of skips; the context of the outer positions is cropped. SpliceAI-10k has
    32 channels and 4 blocks a group, which take 10,000 positions of context. `(batch, 4, context + n)` to
    `(batch, 3, n)`.
    """

    GROUPS = ((11, 1), (11, 4), (21, 10), (41, 25))

    def __init__(self, channels: int = 32, repeats: int = 4, groups: Sequence[tuple[int, int]] = GROUPS):
        super().__init__()
        self.side = sum(repeats * dilation * (kernel - 1) for kernel, dilation in groups)
        self.first = nn.Conv1d(4, channels, 1)
        self.groups = nn.ModuleList(
            nn.Sequential(*(PreActivated(channels, *group) for _ in range(repeats))) for group in groups
        )
        self.skips = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in range(len(groups) + 1))
        self.last = nn.Conv1d(channels, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        total = self.skips[0](x)
        for group, skip in zip(self.groups, self.skips[1:], strict=True):
            x = group(x)
            total = total + skip(x)
        return F.softmax(self.last(total[:, :, self.side : -self.side]), dim=1)
