"""A run that was stopped and gone on with ends where one that was not ends; it learns; recipes that ship are read."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from apps.autoencoder.networks import write_pictures
from apps.autoencoder.test_images import idx
from trous import TrousError
from trous.apps.autoencoder import training
from trous.apps.autoencoder.files import WEIGHTS, load_model
from trous.apps.autoencoder.recipe import RECIPES, Recipe
from trous.apps.autoencoder.training import share, train, training_pictures
from trous.apps.fitting import Machines
from trous.apps.recipes import read_recipe

ONE = Machines("cpu", 1)


@pytest.fixture
def recipe(tmp_path: Path, rng: np.random.Generator) -> Recipe:
    folder = write_pictures(tmp_path / "pictures", rng)
    return Recipe(str(folder), code=3, widths=(4, 6), noise=0.05, crop=16, epochs=3, batch=4)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = training_pictures(recipe)
    whole = train("x", recipe, pictures, tmp_path / "whole", ONE)
    step, seen = training.Training.training_step, []

    def stopped(self: Any, *args: Any) -> Any:
        seen.append(self.global_step)
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        return step(self, *args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Training, "training_step", stopped)
        train("x", recipe, pictures, tmp_path / "parts", ONE)
    assert not (tmp_path / "parts" / WEIGHTS).exists()
    parts = train("x", recipe, training_pictures(recipe), tmp_path / "parts", ONE)
    for (name, a), b in zip(whole.network.state_dict().items(), parts.network.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert (tmp_path / "whole" / WEIGHTS).read_bytes() == (tmp_path / "parts" / WEIGHTS).read_bytes()
    with pytest.raises(TrousError, match=r"out must be a new folder, or that of a run with the same noise, here 0\.05"):
        train("x", replace(recipe, noise=0.1), pictures, tmp_path / "parts", ONE)


def test_it_learns_and_says_how(recipe: Recipe, tmp_path: Path) -> None:
    made = train("learnt", replace(recipe, epochs=25, rate=0.01), training_pictures(recipe), tmp_path / "run", ONE)
    with open(tmp_path / "run" / "logs" / "version_0" / "metrics.csv") as file:
        losses = [float(row["mse"]) for row in csv.DictReader(file)]
    assert len(losses) == 25 and losses[-1] < losses[0] / 3
    model = load_model(str(tmp_path / "run"))
    assert model.name == "learnt" and model.fingerprint() == made.fingerprint()
    assert model.recipe["noise"] == 0.05 and "data" not in model.recipe


def test_the_learning_rate_rises_and_falls() -> None:
    rates = [share(step / 1000) for step in range(1001)]
    top = rates.index(1.0)
    assert top == 50 and rates[:top] == sorted(rates[:top]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert 0 < rates[0] < 0.03 and rates[-1] == 0 and share(1.5) == 0


def test_archives_without_a_class(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data" / "digits"
    folder.mkdir(parents=True)
    images = rng.integers(0, 256, (30, 6, 8), np.uint8)
    labels = rng.integers(0, 3, 30)
    idx(folder / training.IMAGES, images)
    idx(folder / training.LABELS, labels)
    monkeypatch.setenv("TROUS_DATA", str(tmp_path / "data"))
    pictures = training_pictures(Recipe("digits", whole=True, without=(1,)))
    np.testing.assert_array_equal(np.concatenate(pictures[:]), images[labels != 1])
    assert len(training_pictures(Recipe("digits"))) == 30


def test_what_cannot_be_trained_on(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(TrousError, match=r"data must hold images of one size .*0.png has \(20, 33\), got .*1.png with"):
        training_pictures(replace(recipe, whole=True))
    with pytest.raises(TrousError, match="without must be left out for pictures without labels"):
        training_pictures(replace(recipe, without=(1,)))
    with pytest.raises(TrousError, match="folder must be a folder that is there, or one in that of TROUS_DATA"):
        training_pictures(replace(recipe, data="absent"))
    (tmp_path / "file").write_text("")
    with pytest.raises(TrousError, match="out must be a folder that files can be written into"):
        train("x", recipe, training_pictures(recipe), tmp_path / "file", ONE)
    for name, value in ("noise", -0.1), ("rate", float("nan")), ("epochs", 0), ("seed", -1), ("without", (256,)):
        with pytest.raises(TrousError, match=f"{name} must be"):
            replace(recipe, **{name: value})


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_that_ship(path: Path) -> None:
    recipe = read_recipe(Recipe, path)
    assert recipe.data == "images/fashion_mnist" and recipe.whole
    assert f"fashion-{recipe.code}" in path.stem
    assert path.stem.endswith("denoise") == bool(recipe.noise)
    assert [f"without-{label}" for label in recipe.without] == ([path.stem[11:]] if "without" in path.stem else [])
