"""Networks that label every pixel or voxel, and one that restores an image of odd sizes; widths are small."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F


def unit(before: int, after: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    """Convolution, batch normalisation, ReLU; padded so that only the stride changes the size."""
    around = dilation * (kernel - 1) // 2
    conv = nn.Conv2d(before, after, kernel, stride, around, dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU(inplace=True))


class Pyramid(nn.Module):
    """Atrous spatial pyramid pooling: one 1x1 and three 3x3 convolutions side by side, and the mean of the image."""

    def __init__(self, before: int, width: int, rates: Sequence[int], image_level: bool):
        super().__init__()
        self.branches = nn.ModuleList([unit(before, width, 1), *(unit(before, width, 3, dilation=r) for r in rates)])
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), unit(before, width, 1)) if image_level else None
        self.project = unit((len(self.branches) + image_level) * width, width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = [branch(x) for branch in self.branches]
        if self.pooled is not None:
            found.append(F.interpolate(self.pooled(x), size=x.shape[2:], mode="bilinear", align_corners=False))
        return self.project(torch.cat(found, dim=1))


class DeepLabV3(nn.Module):
    """Chen, Papandreou, Schroff, Adam: Rethinking Atrous Convolution for Semantic Image Segmentation, 2017
    (arXiv:1706.05587).

    Output stride 16; its head has rates 6, 12 and 18, and image-level features unless that is turned off. Logits are
    enlarged bilinearly to the size of the image. The residual backbone is reduced to one convolution for each halving,
    then those of the last block, whose rates are 2 times the multi-grid `grid` (1, 2, 4 in the paper's best).
    """

    def __init__(self, width: int = 2, classes: int = 2, image_level: bool = True, grid: Sequence[int] = (1, 2, 4)):
        super().__init__()
        self.backbone = nn.Sequential(
            unit(3, width, 7, stride=2),
            nn.MaxPool2d(3, stride=2, padding=1),
            unit(width, width, 3, stride=2),
            unit(width, width, 3, stride=2),
            *(unit(width, width, 3, dilation=2 * rate) for rate in grid),
        )
        self.pyramid = Pyramid(width, width, (6, 12, 18), image_level)
        self.classify = nn.Conv2d(width, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.classify(self.pyramid(self.backbone(x)))
        return F.interpolate(logits, size=x.shape[2:], mode="bilinear", align_corners=False)


class Stage(nn.Module):
    """V-Net's stage: kernels of 5 with PReLU; what came in is added to the last one before its activation."""

    def __init__(self, before: int, channels: int, layers: int):
        super().__init__()
        counts = [before] + [channels] * (layers - 1)
        self.convs = nn.ModuleList(nn.Conv3d(count, channels, 5, padding=2) for count in counts)
        self.acts = nn.ModuleList(nn.PReLU(channels) for _ in counts)

    def forward(self, x: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
        for number, (conv, act) in enumerate(zip(self.convs, self.acts, strict=True), 1):
            x = conv(x)
            x = act(x + kept if number == len(self.convs) else x)
        return x


class VNet(nn.Module):
    """Milletari, Navab, Ahmadi: V-Net: Fully Convolutional Neural Networks for Volumetric Medical Image Segmentation,
    3DV 2016 (arXiv:1606.04797).

    Kernels of 5 in residual stages; convolutions of kernel 2 and stride 2 in place of pooling, which double the
    channels; transposed ones of the same sizes on the way up, joined to the features of the way down. The paper's
    stages have 1, 2, 3, 3, 3 layers. The one channel of the volume is added to all channels of the first stage.
    """

    def __init__(self, width: int = 2, layers: Sequence[int] = (1, 2, 3, 3, 3), classes: int = 2):
        super().__init__()
        widths = [width * 2**level for level in range(len(layers))]
        self.left = nn.ModuleList(
            Stage(w if level else 1, w, count) for level, (w, count) in enumerate(zip(widths, layers, strict=True))
        )
        self.down = nn.ModuleList(nn.Conv3d(w, 2 * w, 2, stride=2) for w in widths[:-1])
        self.up = nn.ModuleList(nn.ConvTranspose3d(2 * w, w, 2, stride=2) for w in widths[-2::-1])
        self.right = nn.ModuleList(
            Stage(2 * w, w, count) for w, count in zip(widths[-2::-1], layers[-2::-1], strict=True)
        )
        self.last = nn.Conv3d(width, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = []
        for stage, down in zip(self.left, [*self.down, None], strict=True):
            x = stage(x, x)
            kept.append(x)
            x = x if down is None else F.relu(down(x))
        for stage, up, skip in zip(self.right, self.up, kept[-2::-1], strict=True):
            x = F.relu(up(x))
            x = stage(torch.cat([x, skip], dim=1), x)
        return F.softmax(self.last(x), dim=1)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, with a strided 1x1 convolution on it where the size changes."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.first = unit(before, after, 3, stride)
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != after:
            self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(self.first(x))
        y += self.shortcut(x)
        return F.relu(y)


class ResNetFCN(nn.Module):
    """He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016 (arXiv:1512.03385), under the
    decoder of Long, Shelhamer, Darrell: Fully Convolutional Networks for Semantic Segmentation, CVPR 2015
    (arXiv:1411.4038): scores of the last three stages, coarse ones enlarged bilinearly and added to finer ones.

    Stem of 7x7 with stride 2 and a maximum over 3x3 with stride 2; four stages of basic blocks. One block a stage here
    instead of two.
    """

    def __init__(self, width: int = 2, classes: int = 2, blocks: int = 1):
        super().__init__()
        self.stem = nn.Sequential(unit(3, width, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1))
        self.stages = nn.ModuleList()
        before = width
        for number in range(4):
            after = width * 2**number
            strides = [2 if number else 1] + [1] * (blocks - 1)
            firsts = [before] + [after] * (blocks - 1)
            self.stages.append(nn.Sequential(*(BasicBlock(b, after, s) for b, s in zip(firsts, strides, strict=True))))
            before = after
        self.scores = nn.ModuleList(nn.Conv2d(width * 2**number, classes, 1) for number in (1, 2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.shape[2:]
        x = self.stem(x)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        total = None
        for score, feature in zip(reversed(self.scores), reversed(features[1:]), strict=True):
            found = score(feature)
            if total is not None:
                found = found + F.interpolate(total, size=found.shape[2:], mode="bilinear", align_corners=False)
            total = found
        return F.interpolate(total, size=size, mode="bilinear", align_corners=False)


class OddAutoencoder(nn.Module):
    """A strided encoder and the transposed decoder that returns to its sizes, whatever they are.

    Dumoulin, Visin: A guide to convolution arithmetic for deep learning, 2016 (arXiv:1603.07285), section 4: several
    sizes lead to one under a stride, and output padding says to which of them the transposed layer returns. Kernels,
    strides and paddings are uneven on purpose; `output_size` asks for the size of the way down.
    """

    LAYERS = (((3, 5), (2, 3), (1, 2)), ((4, 3), (3, 2), (1, 0)), ((3, 3), (2, 2), (0, 1)))

    def __init__(self, width: int = 3):
        super().__init__()
        counts = [1] + [width] * len(self.LAYERS)
        pairs = list(zip(counts, counts[1:], self.LAYERS, strict=False))
        self.down = nn.ModuleList(nn.Conv2d(before, after, *layer) for before, after, layer in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(after, before, *layer) for before, after, layer in pairs[::-1])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        sizes = []
        for down in self.down:
            sizes.append(x.shape[2:])
            x = F.elu(down(x))
        for up, size in zip(self.up, sizes[::-1], strict=True):
            x = up(x if up is self.up[0] else F.elu(x), output_size=size)
        return x
