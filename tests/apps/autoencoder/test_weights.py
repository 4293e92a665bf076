"""The weights that come with trous have the scores that docs/models/autoencoder.md gives for them."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from trous.apps.autoencoder.files import SHIPPED, load_model, shipped
from trous.apps.autoencoder.measure import FOLDER, FashionMnist, measure
from trous.apps.autoencoder.recipe import RECIPES, Recipe
from trous.apps.recipes import read_recipe

DATA = Path(os.environ.get("TROUS_DATA", "absent")) / FOLDER
RECORDED = Path(__file__).parents[3] / "benchmarks" / "results" / "autoencoder" / "scores.csv"


@pytest.fixture(scope="module")
def data() -> FashionMnist:
    if not DATA.exists():
        pytest.skip(f"needs TROUS_DATA: {FOLDER}")
    return FashionMnist(DATA)


def recorded() -> dict[str, dict[str, str]]:
    with open(RECORDED) as file:
        return {row["model"]: row for row in csv.DictReader(file)}


def test_what_is_shipped_is_small_and_told_of() -> None:
    assert {"fashion-16", "fashion-32", "fashion-64", "fashion-32-denoise"} <= set(shipped()) <= set(recorded())
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 1_500_000


@pytest.mark.parametrize("name", shipped())
def test_weights_are_those_of_their_recipe(name: str) -> None:
    model = load_model(name)
    recipe = read_recipe(Recipe, RECIPES / f"{name}.toml").to_dict()
    assert model.name == name
    assert model.recipe == {key: value for key, value in recipe.items() if key != "data"}


@pytest.mark.parametrize("name", shipped())
def test_scores(name: str, data: FashionMnist) -> None:
    """At most 70 % of PCA's error, of images without noise or with."""
    found = measure(load_model(name), data)
    for key, value in found.items():
        if isinstance(value, float):
            assert value == pytest.approx(float(recorded()[name][key]), rel=1e-3), key
    if "noise" in found:
        assert found["mse_denoised"] <= 0.7 * found["mse_denoised_pca"]
    elif "auroc" not in found:
        assert found["ratio"] <= 0.7
