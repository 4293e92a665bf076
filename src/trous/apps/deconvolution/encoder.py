"""The first layer of a trained encoder, undone: by its transposed convolution, by least squares, and by the decoder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trous.functional import conv_transpose
from trous.spec import Conv

MODEL = "fashion-64"
#: In TROUS_DATA; three of the test images, told apart at a glance.
IMAGES, SHOWN = "images/fashion_mnist/t10k-images-idx3-ubyte.gz", (0, 2, 12)
#: Feature maps that are left where the layer has fewer outputs than inputs.
FEW = 2
#: What may be left of the residual and the gradient, as `scipy.sparse.linalg.lsmr` counts it.
TOLERANCE = 1e-9


@dataclass(frozen=True)
class Way:
    """A picture, how it came back, and its root mean square error; all `(height, width)`, values from 0 to 1."""

    name: str
    picture: np.ndarray
    error: float


class FirstLayer:
    """The encoder's first convolution as NumPy arrays.

    Attributes:
        weight: `(out_channels, in_channels, *kernel)`, in float64.
        bias: `(out_channels,)`.
        spec: its kernel, stride and padding.
    """

    def __init__(self, model: str = MODEL):
        from trous.apps.autoencoder.files import load_model

        self.network: Any = load_model(model).network
        self.layer: Any = self.network.encoder[0]
        state: dict[str, Any] = self.layer.state_dict()
        self.weight, self.bias = (state[name].double().numpy() for name in ("weight", "bias"))
        self.spec = Conv(self.layer.kernel_size, self.layer.stride, self.layer.padding)

    def maps(self, picture: np.ndarray) -> np.ndarray:
        """`(out_channels, height, width)`: what the layer gives, before the activation and without its bias."""
        import torch

        with torch.no_grad():
            given = self.layer(torch.from_numpy(picture)[None, None].float())[0]
        return given.double().numpy() - self.bias[:, None, None]

    def transposed(self, maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        """Of the shape of the picture, by the layer's own weights."""
        given = {"stride": self.spec.stride, "padding": self.spec.padding, "output_size": size}
        picture: np.ndarray = conv_transpose(maps, self.weight, **given)[0]
        return picture

    def least_squares(self, maps: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        """The picture whose maps come nearest, the smallest of these if there are several; from the first maps alone
        where fewer than all are given."""
        from scipy.sparse.linalg import lsmr

        weight = np.ascontiguousarray(self.weight[: len(maps)])
        operator = self.spec.plan(len(size)).bind(size).linear_operator(weight)
        found: np.ndarray = lsmr(operator, maps.ravel(), atol=TOLERANCE, btol=TOLERANCE, maxiter=10000)[0]
        return found.reshape(size)

    def decoded(self, picture: np.ndarray) -> np.ndarray:
        """Through the whole encoder and the trained decoder."""
        import torch

        with torch.no_grad():
            return self.network.reconstruct(torch.from_numpy(picture)[None, None].float())[0, 0].double().numpy()


def ways(layer: FirstLayer, picture: np.ndarray) -> Iterator[Way]:
    """The picture and what comes back by every way. The transposed convolution is shown as bright as is nearest."""

    def way(name: str, back: np.ndarray) -> Way:
        return Way(name, back, float(np.sqrt(np.square(back - picture).mean())))

    maps, size = layer.maps(picture), picture.shape
    adjoint = layer.transposed(maps, size)
    yield way("original", picture)
    yield way("transposed conv.", adjoint * (adjoint * picture).sum() / np.square(adjoint).sum())
    yield way(f"lsmr, {len(maps)} maps", layer.least_squares(maps, size))
    yield way(f"lsmr, {FEW} maps", layer.least_squares(maps[:FEW], size))
    yield way("trained decoder", layer.decoded(picture))


def garments(root: Path) -> list[np.ndarray]:
    """Test images of Fashion-MNIST in the folder of data, values from 0 to 1, in float64."""
    from trous.apps.autoencoder.images import read_idx

    images = read_idx(root / IMAGES)
    return [images[n] / 255.0 for n in SHOWN]
