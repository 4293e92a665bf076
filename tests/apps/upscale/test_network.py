"""The network on NumPy arrays against the torch module, and its halo against what really changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from trous import TrousError
from trous.apps.upscale.model import Upscaler, tensors, widen
from trous.apps.upscale.network import Network, read

KERNELS = {2: 10, 3: 13, 4: 12}


def network(scale: int, **kinds: int) -> Network:
    torch.manual_seed(scale)
    return Network(scale, tensors(Upscaler(scale, **{"kernel": KERNELS[scale], **kinds})))


@pytest.mark.parametrize("scale", KERNELS)
def test_equals_the_torch_module(scale: int, rng: np.random.Generator) -> None:
    module = widen(Upscaler(scale, channels=8, layers=2, kernel=KERNELS[scale]), 12)
    x = rng.random((13, 17), np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(x)[None, None])[0, 0].numpy()
    assert expected.shape == (13 * scale, 17 * scale)
    np.testing.assert_allclose(Network(scale, tensors(module)).run(x), expected, atol=1e-5)


@pytest.mark.parametrize("scale", KERNELS)
def test_the_halo_is_what_outputs_depend_on(scale: int, rng: np.random.Generator) -> None:
    net = network(scale)
    size, middle = 4 * net.halo + 1, 2 * net.halo
    x = rng.random((size, size), np.float32)
    moved = x.copy()
    moved[middle, middle] += 1
    changed = np.nonzero(net.run(moved) != net.run(x))
    for along in changed:
        assert along.min() // scale == middle - net.halo
        assert along.max() // scale == middle + net.halo


def test_the_edge_is_continued(rng: np.random.Generator) -> None:
    net = network(2)
    x = rng.random((9, 6), np.float32)
    around = np.pad(x, 20, mode="edge")
    np.testing.assert_allclose(net(x), net.run(around)[40:-40, 40:-40], atol=1e-6)


def test_starts_as_nearly_bicubic(rng: np.random.Generator) -> None:
    flat = np.full((8, 8), 0.5, np.float32)
    assert abs(network(2)(flat) - 0.5).max() < 0.1


def test_weights_of_two_factors_are_multiplied_out() -> None:
    module = widen(Upscaler(2, channels=4, layers=1), 6)
    found = tensors(module)
    assert {name: array.shape for name, array in found.items()} == {
        name: tuple(t.shape) for name, t in Upscaler(2, channels=4, layers=1).state_dict().items()
    }
    wide, narrow = module.body[0].parametrizations.weight.original0, module.body[0].parametrizations.weight.original1
    x = torch.rand(1, 4, 5, 5)
    with torch.no_grad():
        twice = torch.nn.functional.conv2d(torch.nn.functional.conv2d(x, wide, padding=1), narrow[..., None, None]) + x
        once = torch.nn.functional.conv2d(x, torch.from_numpy(found["body.0.weight"]), padding=1)
    torch.testing.assert_close(once, twice)


def test_files_that_are_not_weights(tmp_path: Path) -> None:
    import safetensors.numpy

    path = tmp_path / "x.safetensors"
    with pytest.raises(TrousError, match="can be read"):
        read(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(TrousError, match="trous train upscale"):
        read(path)
    safetensors.numpy.save_file({"w": np.ones(1)}, path)
    with pytest.raises(TrousError, match="trous train upscale"):
        read(path)


def test_kernels_that_lie_unevenly_are_refused() -> None:
    with pytest.raises(TrousError, match="kernel must be the scale, 2, and an even number more"):
        Upscaler(2, kernel=9)
