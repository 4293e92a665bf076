"""The network: images of any size come back in theirs; a code of the whole image has as many values as asked for."""

from __future__ import annotations

import math

import pytest
import torch

from trous import TrousError
from trous.apps.autoencoder.model import Architecture, Autoencoder


@pytest.mark.parametrize("size", [(28, 28), (37, 53), (2, 64), (101, 7)])
def test_any_size_comes_back(size: tuple[int, int]) -> None:
    network = Autoencoder(Architecture(3, 5, None, (4, 6, 8)))
    images = torch.rand(2, 3, *size)
    code = network.encode(images)
    rows, columns = (math.ceil(math.ceil(n // 2 / 2) / 2) for n in size)
    assert code.shape == (2, 5, rows, columns)
    assert network.decode(code, size).shape == network(images).shape == images.shape


@pytest.mark.parametrize("code", [1, 16, 64])
def test_a_code_for_the_whole_image(code: int) -> None:
    network = Autoencoder(Architecture(1, code, (28, 28), (4, 6, 8)))
    images = torch.rand(3, 1, 28, 28)
    assert network.encode(images).shape == (3, code, 1, 1)
    assert network(images).shape == images.shape


def test_every_value_of_the_code_is_used_and_every_pixel_depends_on_it() -> None:
    network = Autoencoder(Architecture(1, 6, (20, 23), (4, 6)))
    images = torch.rand(1, 1, 20, 23, requires_grad=True)
    network.encode(images).square().sum().backward()
    assert images.grad is not None and (images.grad != 0).all()
    code = torch.rand(1, 6, 1, 1)
    spread = torch.autograd.functional.jacobian(lambda z: network.decode(z, (20, 23)), code)
    assert (spread.abs().amax(dim=(0, 1, 4, 6, 7)) > 0).all()


def test_first_weights_keep_more_of_the_scale_than_torchs() -> None:
    """An output of a transposed layer with stride 2 sums a quarter of its kernel, where torch counts all of it."""
    network = Autoencoder(Architecture(1, 32, (28, 28)))
    code, images = torch.randn(64, 32, 1, 1), torch.randn(64, 1, 28, 28)

    def scales() -> tuple[float, float]:
        return float(network.decode(code, (28, 28)).std()), float(network.encode(images).std())

    for parameter in network.parameters():
        parameter.requires_grad_(False)
    ours = scales()
    for module in network.modules():
        if isinstance(module, torch.nn.modules.conv._ConvNd):
            module.reset_parameters()
    assert all(0.05 < scale < 1 for scale in ours)
    assert all(a > 4 * b for a, b in zip(ours, scales(), strict=True))


def test_a_reconstruction_is_a_picture() -> None:
    network = Autoencoder(Architecture(1, 4, None, (4, 6)))
    images = 20 * torch.randn(2, 1, 16, 16)
    again = network.reconstruct(images)
    assert again.min() == 0 and again.max() == 1 and not again.requires_grad
    assert network(images).min() < 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"channels": 2}, r"channels must be 1 \(grey\) or 3 \(RGB\), got 2"),
        ({"code": 0}, "code must be at least 1, got 0"),
        ({"widths": ()}, r"widths must be one layer at least, got \(\)"),
        ({"widths": (4, 0)}, "widths must be at least 1"),
        ({"size": (28,)}, "size must be height and width"),
    ],
)
def test_architectures_that_cannot_be(given: dict[str, object], said: str) -> None:
    with pytest.raises(TrousError, match=said):
        Architecture(**given)  # type: ignore[arg-type]


def test_images_that_it_is_not_for() -> None:
    whole, any_size = (Autoencoder(Architecture(1, 4, size, (4, 6, 8))) for size in ((28, 28), None))
    with pytest.raises(TrousError, match="images must be of 28×28 pixels, for whose whole the code is, got '28×27'"):
        whole.encode(torch.rand(1, 1, 28, 27))
    with pytest.raises(TrousError, match=r"images must have shape \(batch, 1, height, width\), got \(1, 3, 28, 28\)"):
        whole.encode(torch.rand(1, 3, 28, 28))
    with pytest.raises(TrousError, match=r"input_size must be at least \(2, 2\) for this encoder, got \(1, 40\)"):
        any_size.encode(torch.rand(1, 1, 1, 40))
