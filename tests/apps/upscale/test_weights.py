"""The networks that ship: small, of their recipes, and better than bicubic on every picture."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trous import TrousError
from trous.apps.recipes import read_recipe, shipped
from trous.apps.upscale import load
from trous.apps.upscale.model import Upscaler
from trous.apps.upscale.network import WEIGHTS
from trous.apps.upscale.recipe import RECIPES, Recipe
from trous.apps.upscale.scores import bicubic, mean, score

IMAGES = Path(os.environ.get("TROUS_DATA", "absent")) / "images"
#: Mean PSNR on Set5 of FSRCNN (Dong, Loy & Tang 2016, table 4).
FSRCNN = {2: 37.00, 3: 33.16, 4: 30.71}
#: FSRCNN's parameters, PReLU's and biases counted, and multiplications for a pixel of the small picture.
PARAMETERS, MULTIPLICATIONS = 12_800, 12_464


def test_all_together_are_small() -> None:
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 1_000_000


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_recipe_is_of_this_network(scale: int) -> None:
    network, recipe = load(scale), read_recipe(Recipe, shipped(RECIPES, f"small-x{scale}"))
    module = Upscaler(recipe.scale, recipe.channels, recipe.layers, recipe.kernel_size)
    shapes = [tuple(weight.shape) for weight, _ in network.convolutions]
    assert shapes == [tuple(layer.weight.shape) for layer in (module.first, *module.body)]
    assert network.up.shape == tuple(module.up.weight.shape)
    weights = [network.up, network.skip, *(weight for weight, _ in network.convolutions)]
    biases = [network.bias, *(bias for _, bias in network.convolutions)]
    assert sum(a.size for a in weights + biases) < PARAMETERS
    assert sum(a.size for a in weights) <= MULTIPLICATIONS


def test_what_does_not_ship() -> None:
    with pytest.raises(TrousError, match="model must be one of small, got 'huge'"):
        load(2, "huge")
    with pytest.raises(TrousError, match="scale must be one of 2, 3, 4, got 5"):
        load(5)


def check(folder: str, scale: int) -> float:
    """That every picture gains; the mean PSNR."""
    paths = sorted((IMAGES / folder).glob("*.png"))
    ours, plain = (list(score(enlarge, paths, scale)) for enlarge in (load(scale), bicubic(scale)))
    for mine, other in zip(ours, plain, strict=True):
        assert mine.psnr > other.psnr, mine
        assert mine.ssim > other.ssim, mine
    return mean(ours, folder).psnr


@pytest.mark.skipif(not IMAGES.exists(), reason="needs TROUS_DATA: images/set5")
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_scores(scale: int) -> None:
    assert check("set5", scale) >= FSRCNN[scale]


@pytest.mark.slow
@pytest.mark.skipif(not IMAGES.exists(), reason="needs TROUS_DATA: images/set14, kodak")
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("folder", ["set14", "kodak"])
def test_every_picture_gains(folder: str, scale: int) -> None:
    check(folder, scale)
