"""The generator of a DCGAN.

Radford, Metz, Chintala: Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks,
ICLR 2016 (arXiv:1511.06434): transposed convolutions of stride 2 instead of pooling, batch normalisation everywhere
but in the last layer, ReLU inside and tanh at the end, weights drawn from a normal distribution of deviation 0.02.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn


class Generator(nn.Module):
    """`(batch, latent)` to `(batch, channels, size, size)`, where size is 4 doubled once for every entry of `widths`.

    `kernel` is 4 (padding 1) or, as drawn in the paper, 5: padding 2 and one row and column of output_padding. The
    phases of the second have unequal numbers of taps.
    """

    def __init__(self, latent: int = 32, widths: Sequence[int] = (48, 24, 12), channels: int = 3, kernel: int = 4):
        super().__init__()
        doubled = {"stride": 2, "padding": (kernel - 1) // 2, "output_padding": kernel % 2, "bias": False}
        layers: list[nn.Module] = [nn.ConvTranspose2d(latent, widths[0], 4, bias=False)]
        for before, after in zip(widths, (*widths[1:], channels), strict=True):
            layers += [nn.BatchNorm2d(before), nn.ReLU(), nn.ConvTranspose2d(before, after, kernel, **doubled)]
        self.layers = nn.Sequential(*layers, nn.Tanh())
        for layer in self.layers:
            if isinstance(layer, nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
            elif isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.weight, 1.0, 0.02)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.layers(z[:, :, None, None])
