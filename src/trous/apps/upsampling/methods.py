"""Networks that enlarge, alike in all but where and how they do it.

Four have the same convolutions at the size of the input and differ in the last layer alone, which has 25 weights for
each feature and output pixel, one of them fewer. The fifth enlarges first, as SRCNN does, and spends the same
multiplications at the size of the output. All add what they find to bicubic interpolation, which is not trained.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from trous.apps.upscale.model import Upscaler, skip_layer, widen
from trous.apps.upscale.network import ACTIVATION, enlarging_spec
from trous.inspection import inspect
from trous.nn import Conv2d, ConvTranspose2d

CHANNELS, LAYERS, WIDTH = 16, 4, 128
#: Weights to each side that an output pixel has for each feature.
TAPS = 5


class InterpolateFirst(nn.Module):
    """Bicubic interpolation, then convolutions at the size that came of it (Dong et al. 2014, SRCNN)."""

    def __init__(self, scale: int, channels: int, layers: int):
        super().__init__()
        self.skip = skip_layer(scale).requires_grad_(False)
        self.first = Conv2d(1, channels, TAPS, padding="same", activation=ACTIVATION)
        self.body = nn.ModuleList(
            Conv2d(channels, channels, 3, padding="same", activation=ACTIVATION) for _ in range(layers)
        )
        self.last = Conv2d(channels, 1, TAPS, padding="same")
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def forward(self, x: Tensor) -> Tensor:
        plain = self.skip(x)
        features = hidden = self.first(plain)
        for layer in self.body:
            hidden = layer(hidden)
        return self.last(hidden + features) + plain


def transposed(scale: int) -> nn.Module:
    """Even overlap: every output pixel has as many taps."""
    spec = enlarging_spec(TAPS * scale, scale)
    return ConvTranspose2d(CHANNELS, 1, spec.kernel, scale, spec.padding)


def transposed_uneven(scale: int) -> nn.Module:
    """A kernel that the stride does not divide, such as FSRCNN's 9 at stride 2."""
    return ConvTranspose2d(CHANNELS, 1, TAPS * scale - 1, scale, "same")


def sub_pixel(scale: int) -> nn.Module:
    """A convolution to as many channels as a pixel becomes pixels, then a shuffle (Shi et al. 2016, ESPCN)."""
    return nn.Sequential(Conv2d(CHANNELS, scale**2, TAPS, padding="same"), nn.PixelShuffle(scale))


def resize_convolution(scale: int) -> nn.Module:
    """Pixels repeated, then a convolution (Odena, Dumoulin & Olah 2016)."""
    return nn.Sequential(nn.Upsample(scale_factor=scale), Conv2d(CHANNELS, 1, TAPS, padding="same"))


#: The last layer by what it is called.
LAST: dict[str, Callable[[int], nn.Module]] = {
    "transposed": transposed,
    "transposed, uneven": transposed_uneven,
    "sub-pixel": sub_pixel,
    "resize-convolution": resize_convolution,
}
#: Channels and layers of `InterpolateFirst` with about as many multiplications as the others have.
AFFORDABLE = {2: (8, 4), 3: (8, 2), 4: (5, 3)}
INTERPOLATE_FIRST = "interpolate first"
METHODS = (*LAST, INTERPOLATE_FIRST)


def network(method: str, scale: int) -> nn.Module:
    """The network of that method, its convolutions made of two for training."""
    if method == INTERPOLATE_FIRST:
        return widen(InterpolateFirst(scale, *AFFORDABLE[scale]), WIDTH)
    found = Upscaler(scale, CHANNELS, LAYERS, TAPS * scale)
    found.skip.requires_grad_(False)
    last = LAST[method](scale)
    with torch.no_grad():
        for parameter in last.parameters():
            parameter.mul_(0.1)
    found.add_module("up", last)
    return widen(found, WIDTH)


def multiplications(module: nn.Module, scale: int) -> float:
    """For each output pixel, those by padding counted; by `trous.inspect`."""
    size = 64
    report = inspect(module.eval(), (1, 1, size, size)).to_dict()
    return float(report["nominal_macs"] / (size * scale) ** 2)


def plain(module: nn.Module) -> nn.Module:
    """The network as it runs, every weight that was made of two multiplied out."""
    for layer in module.modules():
        if parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight")
    return module.eval()
