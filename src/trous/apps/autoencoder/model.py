"""The network: an encoder of convolutions and pooling, and the decoder that `trous.mirror` derives from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod, sqrt
from typing import Any

import torch
from torch import Tensor, nn

from trous.errors import TrousError
from trous.mirroring import mirror
from trous.nn import Conv2d, ConvTranspose2d
from trous.spec import integer

#: Of images with this many pixels a side a decoder is made where none is given; it serves every size.
ANY_SIZE = (64, 64)


@dataclass(frozen=True)
class Architecture:
    """What an autoencoder is built from.

    With a `size` (height and width) the code is `code` values for the whole image: the last convolution's kernel is all
    of the remaining map. Without one, images may have any size and the code is a map with `code` values at each place.
    `channels` are those of an image, 1 (grey) or 3 (RGB). `widths` are the channels of the layers before the code: the
    first halves the size and is pooled, the second keeps it, each further one halves it.

    Raises TrousError for numbers that cannot be.
    """

    channels: int = 1
    code: int = 32
    size: tuple[int, int] | None = None
    widths: tuple[int, ...] = (32, 64, 64)

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise TrousError("channels", "must be 1 (grey) or 3 (RGB)", self.channels)
        integer("code", self.code, 1)
        if not self.widths:
            raise TrousError("widths", "must be one layer at least", self.widths)
        for name in ("widths", "size"):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, tuple(integer(name, n, 1) for n in given))
        if self.size is not None and len(self.size) != 2:
            raise TrousError("size", "must be height and width", self.size)

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON has them."""
        return asdict(self)


class Autoencoder(nn.Module):
    """Images `(batch, channels, height, width)`, values from 0 to 1, to codes and back to exactly their size.

    `code`: `(batch, code, 1, 1)`, or `(batch, code, rows, columns)` without a size in the architecture.
    """

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture = architecture or Architecture()
        size = architecture.size or ANY_SIZE
        first, *others = architecture.widths
        layers: list[nn.Module] = [
            Conv2d(architecture.channels, first, 4, stride=2, padding=1),
            nn.GELU(),
            nn.AvgPool2d(2, ceil_mode=True),
        ]
        channels = first
        for depth, width in enumerate(others):
            layers += [Conv2d(channels, width, 3, stride=1 if depth == 0 else 2, padding=1), nn.GELU()]
            channels = width
        kernel = 1 if architecture.size is None else _map_size(layers, architecture)
        self.encoder = nn.Sequential(*layers, Conv2d(channels, architecture.code, kernel))
        self.decoder = mirror(self.encoder, size, activation=nn.GELU)
        for module in self.modules():
            if isinstance(module, (Conv2d, ConvTranspose2d)):
                _begin(module)

    def check(self, size: Sequence[int]) -> None:
        """Raise TrousError for images of a size (height, width) that the network is not for."""
        own = self.architecture.size
        if own is not None and tuple(size) != own:
            rule = f"must be of {own[0]}×{own[1]} pixels, for whose whole the code is"
            raise TrousError("images", rule, "×".join(map(str, size)))
        self.decoder.sizes(tuple(size))

    def encode(self, images: Tensor) -> Tensor:
        """The codes of images. Raises TrousError for other channels, or a size that the network is not for."""
        channels = self.architecture.channels
        if images.ndim != 4 or images.shape[1] != channels:
            raise TrousError("images", f"must have shape (batch, {channels}, height, width)", tuple(images.shape))
        self.check(images.shape[2:])
        code: Tensor = self.encoder(images)
        return code

    def decode(self, codes: Tensor, size: Sequence[int]) -> Tensor:
        """Images of `size` (height, width), not clipped, from their codes. Raises TrousError for another size."""
        images: Tensor = self.decoder(codes, input_size=tuple(size))
        return images

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction, as it is trained: not clipped to 0..1."""
        return self.decode(self.encode(images), images.shape[2:])

    @torch.no_grad()
    def reconstruct(self, images: Tensor) -> Tensor:
        """The reconstruction as a picture: clipped to 0..1, without gradients."""
        return self(images).clamp(0, 1)


def _begin(layer: Conv2d | ConvTranspose2d) -> None:
    """First weights that keep the scale of values through a layer and its activation (He et al. 2015, equation 10).

    An output of a transposed layer sums the taps of its phase, not the kernel, so that torch's own would shrink it.
    """
    taps = prod(len(axis.taps) / axis.up for axis in layer._spec().plan(len(layer.kernel_size)).axes)
    nn.init.normal_(layer.weight, std=sqrt(2 * layer.groups / (layer.in_channels * taps)))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


@torch.no_grad()
def _map_size(layers: list[nn.Module], architecture: Architecture) -> Any:
    """Height and width of what is left of an image before the code."""
    assert architecture.size is not None
    return tuple(nn.Sequential(*layers)(torch.zeros(1, architecture.channels, *architecture.size)).shape[2:])
