"""FSRCNN, an image enlarged by a whole number.

Dong, Loy, Tang: Accelerating the Super-Resolution Convolutional Neural Network, ECCV 2016 (arXiv:1608.00367): features,
shrinking, mapping, expanding, and one transposed convolution at the end; PReLU with a slope for each channel.
"""

from __future__ import annotations

from torch import nn


def network(scale: int, wide: int = 56, narrow: int = 12, mappings: int = 4) -> nn.Sequential:
    """`(batch, 1, height, width)` to `scale` times the size. The defaults are the paper's d, s and m."""
    layers: list[nn.Module] = [nn.Conv2d(1, wide, 5, padding=2), nn.PReLU(wide)]
    layers += [nn.Conv2d(wide, narrow, 1), nn.PReLU(narrow)]
    for _ in range(mappings):
        layers += [nn.Conv2d(narrow, narrow, 3, padding=1), nn.PReLU(narrow)]
    layers += [nn.Conv2d(narrow, wide, 1), nn.PReLU(wide)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(wide, 1, 9, scale, padding=4, output_padding=scale - 1))
