"""An image enlarged by shuffled pixels, and networks in which one position sees the whole image; widths are small."""

from __future__ import annotations

import torch
from torch import nn


def espcn(scale: int = 3, width: int = 4, channels: int = 1) -> nn.Sequential:
    """Shi, Caballero, Huszár, Totz, Aitken, Bishop, Rueckert, Wang: Real-Time Single Image and Video Super-Resolution
    Using an Efficient Sub-Pixel Convolutional Neural Network, CVPR 2016 (arXiv:1609.05158).

    Kernels 5, 3, 3 at the low resolution with tanh between; the last gives `scale**2` channels for each colour, which
    become pixels. The paper's widths are 64 and 32.
    """
    return nn.Sequential(
        nn.Conv2d(channels, 2 * width, 5, padding=2),
        nn.Tanh(),
        nn.Conv2d(2 * width, width, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(width, channels * scale**2, 3, padding=1),
        nn.PixelShuffle(scale),
    )


class SqueezeExcitation(nn.Module):
    """A gate for each channel, from the mean of every channel over the image."""

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.gate = nn.Sequential(
            nn.Linear(channels, channels // reduction),
            nn.ReLU(inplace=True),
            nn.Linear(channels // reduction, channels),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.gate(self.pool(x).flatten(1))[:, :, None, None]


class SEBlock(nn.Module):
    """A basic residual block whose branch is gated before the sum."""

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.se = SqueezeExcitation(channels, reduction)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.se(self.body(x)))


def se_net(channels: int = 4, reduction: int = 2, blocks: int = 2) -> nn.Sequential:
    """Hu, Shen, Albanie, Sun, Wu: Squeeze-and-Excitation Networks, CVPR 2018 (arXiv:1709.01507; reduction 16).

    A strided stem and blocks; from the first gate on every position sees the whole image.
    """
    stem = nn.Sequential(nn.Conv2d(3, channels, 3, stride=2, padding=1), nn.BatchNorm2d(channels), nn.ReLU())
    return nn.Sequential(stem, *(SEBlock(channels, reduction) for _ in range(blocks)))


class EncoderBlock(nn.Module):
    """Attention between all tokens, then two layers for each token; each normalised before and added after."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """Dosovitskiy and others: An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale, ICLR 2021
    (arXiv:2010.11929).

    Patches by a convolution whose stride is its kernel, a class token, learned positions, pre-normalised blocks; the
    class is read off its token. ViT-B/16 has 768 channels, 12 blocks of 12 heads and patches of 16.
    """

    def __init__(
        self, size: int = 32, patch: int = 8, width: int = 8, heads: int = 2, blocks: int = 1, classes: int = 3
    ):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, stride=patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width) * 0.02)
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], dim=1) + self.places
        return self.head(self.norm(self.blocks(tokens))[:, 0])
