"""The generator of HiFi-GAN: a mel spectrogram to a waveform.

Kong, Kim, Bae: HiFi-GAN: Generative Adversarial Networks for Efficient and High Fidelity Speech Synthesis,
NeurIPS 2020 (arXiv:2010.05646): transposed convolutions, each followed by the mean of residual blocks of several
kernels and dilations (the paper's multi-receptive-field fusion), leaky ReLU of slope 0.1, weight normalisation on
every layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional as F

SLOPE = 0.1
Norm = Callable[[nn.Module], nn.Module]


class Residual(nn.Module):
    """Three times: a dilated convolution, a plain one, and the sum with what came in."""

    def __init__(self, channels: int, kernel: int, dilations: Sequence[int], norm: Norm):
        super().__init__()

        def conv(dilation: int) -> nn.Module:
            return norm(nn.Conv1d(channels, channels, kernel, padding=dilation * (kernel - 1) // 2, dilation=dilation))

        self.dilated = nn.ModuleList(conv(dilation) for dilation in dilations)
        self.plain = nn.ModuleList(conv(1) for _ in dilations)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for dilated, plain in zip(self.dilated, self.plain, strict=True):
            x = x + plain(F.leaky_relu(dilated(F.leaky_relu(x, SLOPE)), SLOPE))
        return x


class Generator(nn.Module):
    """`(batch, mels, frames)` to `(batch, 1, frames * product of strides)`.

    The shape is the paper's V1 (its channels are 512, its kernels and strides the defaults). `norm` wraps every
    convolution: one of torch's two kinds of weight normalisation.
    """

    def __init__(
        self,
        norm: Norm,
        mels: int = 80,
        channels: int = 512,
        kernels: Sequence[int] = (16, 16, 4, 4),
        strides: Sequence[int] = (8, 8, 2, 2),
        block_kernels: Sequence[int] = (3, 7, 11),
        dilations: Sequence[int] = (1, 3, 5),
    ):
        super().__init__()
        self.first = norm(nn.Conv1d(mels, channels, 7, padding=3))
        self.up = nn.ModuleList()
        self.blocks = nn.ModuleList()
        for kernel, stride in zip(kernels, strides, strict=True):
            half = channels // 2
            self.up.append(norm(nn.ConvTranspose1d(channels, half, kernel, stride, padding=(kernel - stride) // 2)))
            self.blocks.append(nn.ModuleList(Residual(half, size, dilations, norm) for size in block_kernels))
            channels = half
        self.last = norm(nn.Conv1d(channels, 1, 7, padding=3))

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        x = self.first(mel)
        for up, blocks in zip(self.up, self.blocks, strict=True):
            assert isinstance(blocks, nn.ModuleList)
            x = up(F.leaky_relu(x, SLOPE))
            x = torch.stack([block(x) for block in blocks]).mean(dim=0)
        return torch.tanh(self.last(F.leaky_relu(x, SLOPE)))
