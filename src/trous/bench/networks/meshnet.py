"""MeshNet, a segmentation of brain volumes by dilated convolutions at full resolution.

Fedorov, Johnson, Damaraju, Ozerin, Calhoun, Plis: End-to-end learning of brain tissue segmentation from imperfect
labeling, IJCNN 2017 (arXiv:1612.00940); dilations and names of the layers are those of the published weights.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

DILATIONS = (1, 2, 4, 8, 16, 8, 4, 2, 1)


class MeshNet(nn.Module):
    """`(batch, 1, depth, height, width)` to `(batch, classes, depth, height, width)`."""

    def __init__(self, channels: int = 5, classes: int = 3):
        super().__init__()
        layers: list[nn.Module] = []
        for number, dilation in enumerate(DILATIONS):
            before = channels if number else 1
            conv = nn.Conv3d(before, channels, 3, padding=dilation, dilation=dilation)
            parts = OrderedDict(conv=conv, bnorm=nn.BatchNorm3d(channels), relu=nn.ReLU(inplace=True))
            layers.append(nn.Sequential(parts))
        self.model = nn.Sequential(*layers, nn.Conv3d(channels, classes, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)
