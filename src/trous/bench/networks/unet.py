"""A U-Net in two or three dimensions.

Ronneberger, Fischer, Brox: U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015
(arXiv:1505.04597); Çiçek, Abdulkadir, Lienkamp, Brox, Ronneberger: 3D U-Net, MICCAI 2016 (arXiv:1606.06650), which adds
batch normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

CONV = {2: nn.Conv2d, 3: nn.Conv3d}
UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL = {2: nn.MaxPool2d, 3: nn.MaxPool3d}


def double_conv(dims: int, before: int, after: int, padding: int, normed: bool) -> nn.Sequential:
    """Two kernels of 3 on every axis, each followed by ReLU (after a batch normalisation if `normed`)."""
    layers: list[nn.Module] = []
    for channels in (before, after):
        layers.append(CONV[dims](channels, after, 3, padding=padding, bias=not normed))
        if normed:
            layers.append(NORM[dims](after))
        layers.append(nn.ReLU())
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """`(batch, in_channels, *size)` to `(batch, classes, *size)`; without padding each 3-kernel takes 2 off every axis.

    `widths` are the channels of the levels, finest first. The features of the way down are cropped at the centre to
    the size of the way up before both are joined. Dropout stands at the end of the way down, as in the first paper.
    """

    def __init__(
        self,
        dims: int,
        in_channels: int,
        classes: int,
        widths: Sequence[int] = (8, 16, 32),
        padding: int = 0,
        normed: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        befores = (in_channels, *widths[:-1])
        self.down = nn.ModuleList(
            double_conv(dims, before, after, padding, normed) for before, after in zip(befores, widths, strict=True)
        )
        self.pool = POOL[dims](2)
        self.dropout = nn.Dropout(dropout)
        pairs = list(zip(widths[1:], widths[:-1], strict=True))[::-1]
        self.up = nn.ModuleList(UP[dims](coarse, fine, 2, stride=2) for coarse, fine in pairs)
        self.join = nn.ModuleList(double_conv(dims, 2 * fine, fine, padding, normed) for _, fine in pairs)
        self.head = CONV[dims](widths[0], classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for depth, block in enumerate(self.down):
            x = block(x if depth == 0 else self.pool(x))
            kept.append(x)
        x = self.dropout(x)
        for up, join, skip in zip(self.up, self.join, kept[-2::-1], strict=True):
            x = up(x)
            x = join(torch.cat([crop(skip, x.shape[2:]), x], dim=1))
        return self.head(x)


def crop(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """The centre of `x`, `size` positions on each axis."""
    for axis, length in enumerate(size, start=2):
        x = x.narrow(axis, (x.shape[axis] - length) // 2, length)
    return x
