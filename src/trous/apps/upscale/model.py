"""The network that enlarges, as a torch module, and how it is made wider while it learns.

    f = act(conv5x5(x))      h = act(conv3x3(...act(conv3x3(f))))      y = up(h + f) + skip(x)

All but the last line is at the size of the input, where a pixel costs least (Dong, Loy & Tang 2016, FSRCNN). `up` and
`skip` are transposed convolutions; `skip` starts as bicubic interpolation, so that the rest learns what is missing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from trous.apps.upscale.network import ACTIVATION, enlarging_spec
from trous.interpolation import interpolation_kernel, interpolation_spec
from trous.nn import Conv2d, ConvTranspose2d

#: Of the weights that `up` starts with: little, beside what `skip` gives.
_FAINT = 0.1
#: Pixels to continue an edge by: more than the halo of any network here.
_AROUND = 16


class Upscaler(nn.Module):
    """Luma `(batch, 1, height, width)` to `(batch, 1, scale*height, scale*width)`.

    Beyond the border it sees zeros. `trous.apps.upscale.network.Network` computes the same on NumPy arrays, and
    continues the edge.

    Args:
        scale: 2, 3 or 4.
        channels: of every feature map.
        layers: of 3x3.
        kernel: of the transposed convolution; `kernel - scale` must be even.
    """

    def __init__(self, scale: int = 2, channels: int = 16, layers: int = 4, kernel: int = 10):
        super().__init__()
        self.scale = scale
        self.first = Conv2d(1, channels, 5, padding="same", activation=ACTIVATION)
        self.body = nn.ModuleList(
            Conv2d(channels, channels, 3, padding="same", activation=ACTIVATION) for _ in range(layers)
        )
        spec = enlarging_spec(kernel, scale)
        self.up = ConvTranspose2d(channels, 1, spec.kernel, scale, spec.padding)
        self.skip = skip_layer(scale)
        with torch.no_grad():
            self.up.weight.mul_(_FAINT)
            for layer in (self.first, *self.body, self.up):
                layer.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        features = self.first(x)
        hidden = features
        for layer in self.body:
            hidden = layer(hidden)
        return self.up(hidden + features) + self.skip(x)


def skip_layer(scale: int) -> ConvTranspose2d:
    """Bicubic interpolation of one channel."""
    spec = interpolation_spec("bicubic", scale)
    layer = ConvTranspose2d(1, 1, spec.kernel, scale, spec.padding, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(interpolation_kernel("bicubic", scale)))
    return layer


class Wide(nn.Module):
    """A weight as the product of two: a convolution to `width` channels, and a 1x1 convolution to those wanted.

    Between the two is nothing, so that they are one convolution, which is what runs; but the two learn faster, and end
    better (Bhardwaj et al. 2022, SESR, section 3). Where channels stay as many, what comes in is added.
    """

    identity: Tensor

    def __init__(self, weight: Tensor, width: int):
        super().__init__()
        self.width = width
        identity = torch.zeros_like(weight)
        if weight.shape[0] == weight.shape[1]:
            nn.init.dirac_(identity)
        self.register_buffer("identity", identity, persistent=False)

    def forward(self, wide: Tensor, narrow: Tensor) -> Tensor:
        return (narrow @ wide.flatten(1)).view_as(self.identity) + self.identity

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Two weights to begin with; what `weight` held does not count."""
        wide = weight.new_empty(self.width, *weight.shape[1:])
        narrow = weight.new_empty(weight.shape[0], self.width)
        return nn.init.xavier_uniform_(wide), nn.init.xavier_uniform_(narrow)


def widen(network: Any, width: int) -> Any:
    """The network with the weights of its `first` and `body` made of two, for training. They begin anew."""
    for layer in (network.first, *network.body):
        parametrize.register_parametrization(layer, "weight", Wide(layer.weight, width))
    return network


@torch.no_grad()
def enlarge_by(network: nn.Module, luma: np.ndarray) -> np.ndarray:
    """Luma `(height, width)` enlarged by a module like `Upscaler`, the edge continued."""
    around = torch.from_numpy(np.pad(luma.astype(np.float32), _AROUND, mode="edge"))
    parameter = next(network.parameters())
    large = network(around.to(parameter)[None, None])[0, 0].float().cpu().numpy()
    cut = _AROUND * large.shape[0] // around.shape[0]
    return large[cut:-cut, cut:-cut]


def tensors(network: Upscaler) -> dict[str, Any]:
    """The numbers that run, as NumPy arrays by their names in the module, every product of two multiplied out."""
    named = {**dict(network.named_parameters()), **{f"{name}.weight": m.weight for name, m in _layers(network)}}
    return {name: t.detach().float().cpu().numpy() for name, t in named.items() if "parametrizations" not in name}


def _layers(network: Upscaler) -> list[tuple[str, Any]]:
    return [(name, module) for name, module in network.named_modules() if isinstance(module, (Conv2d, ConvTranspose2d))]
