"""The separator of Conv-TasNet: from encoded speech to one mask for each speaker.

Luo, Mesgarani: Conv-TasNet: Surpassing Ideal Time-Frequency Magnitude Masking for Speech Separation, IEEE/ACM TASLP,
2019 (arXiv:1809.07454): stacks of dilated depthwise convolutions between pointwise ones, each followed by a PReLU of
one slope and a normalisation over channels and time.
"""

from __future__ import annotations

import torch
from torch import nn

EPS = 1e-8


class Block(nn.Module):
    """One depthwise convolution in its frame; gives what is added to the way on and what is added to the output."""

    def __init__(self, channels: int, hidden: int, skip: int, kernel: int, dilation: int):
        super().__init__()
        around = dilation * (kernel - 1) // 2
        self.body = nn.Sequential(
            nn.Conv1d(channels, hidden, 1),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, EPS),
            nn.Conv1d(hidden, hidden, kernel, padding=around, dilation=dilation, groups=hidden),
            nn.PReLU(),
            nn.GroupNorm(1, hidden, EPS),
        )
        self.onward = nn.Conv1d(hidden, channels, 1)
        self.skip = nn.Conv1d(hidden, skip, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.body(x)
        return x + self.onward(y), self.skip(y)


class Separator(nn.Module):
    """`(batch, features, frames)` to `(batch, speakers, features, frames)`; the defaults are the paper's best."""

    def __init__(
        self,
        features: int = 512,
        channels: int = 128,
        hidden: int = 512,
        skip: int = 128,
        kernel: int = 3,
        blocks: int = 8,
        stacks: int = 3,
        speakers: int = 2,
    ):
        super().__init__()
        self.speakers = speakers
        self.first = nn.Sequential(nn.GroupNorm(1, features, EPS), nn.Conv1d(features, channels, 1))
        self.blocks = nn.ModuleList(
            Block(channels, hidden, skip, kernel, 2**number) for _ in range(stacks) for number in range(blocks)
        )
        self.last = nn.Sequential(nn.PReLU(), nn.Conv1d(skip, speakers * features, 1), nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x)
        total = None
        for block in self.blocks:
            y, skip = block(y)
            total = skip if total is None else total + skip
        return self.last(total).unflatten(1, (self.speakers, -1))
