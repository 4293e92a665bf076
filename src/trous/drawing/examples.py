"""The models of the gallery: small, and every weight 1, so that their pictures are the same everywhere."""

from __future__ import annotations

from typing import Any


def boxes(depth: int) -> Any:
    """Convolutions of 3x3 in sequence."""
    from torch import nn

    return ones(nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(depth))))


def dilated(depth: int) -> Any:
    """Convolutions of one axis and 3 taps whose dilation doubles."""
    from torch import nn

    layers = (nn.Conv1d(1, 1, 3, dilation=2**n, padding=2**n, bias=False) for n in range(depth))
    return ones(nn.Sequential(*layers))


def encoder_decoder() -> Any:
    """A small U-Net (Ronneberger, Fischer & Brox, 2015) with transposed convolutions and dilated ones in its middle."""
    import torch
    from torch import nn

    def convolution(channels: int, out: int, stride: int = 1, dilation: int = 1) -> Any:
        layer = nn.Conv2d(channels, out, 3, stride, dilation, dilation)
        return nn.Sequential(layer, nn.BatchNorm2d(out), nn.ReLU())

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = convolution(3, 16)
            self.down = nn.ModuleList([convolution(16, 32, stride=2), convolution(32, 64, stride=2)])
            self.middle = nn.Sequential(*(convolution(64, 64, dilation=2**n) for n in range(1, 4)))
            self.up = nn.ModuleList([nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ConvTranspose2d(32, 16, 4, 2, 1)])
            self.join = nn.ModuleList([convolution(64, 32), convolution(32, 16)])
            self.last = nn.Conv2d(16, 1, 1)

        def forward(self, x: Any) -> Any:
            fine = self.first(x)
            half = self.down[0](fine)
            x = self.middle(self.down[1](half))
            for up, join, skipped in zip(self.up, self.join, (half, fine), strict=True):
                x = join(torch.cat([skipped, up(x)], dim=1))
            return self.last(x)

    return ones(UNet())


def ones(model: Any) -> Any:
    """The model with every weight 1 and every bias 0."""
    for name, parameter in model.named_parameters():
        parameter.data.fill_(0.0 if name.endswith("bias") else 1.0)
    return model
