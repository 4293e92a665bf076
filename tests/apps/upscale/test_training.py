"""A run that was stopped and gone on with ends where one that was not ends; recipes that ship can be read."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from trous import TrousError
from trous.apps.fitting import Machines, fit
from trous.apps.recipes import read_recipe
from trous.apps.upscale import training
from trous.apps.upscale.recipe import RECIPES, Recipe
from trous.apps.upscale.training import Pictures, prepared, train

SMALL: dict[str, Any] = {
    "channels": 4, "layers": 1, "width": 6, "held_out": 1, "steps": 4, "batch": 2, "patch": 10, "sizes": (1.0, 0.5)
}  # fmt: skip
ONE = Machines("cpu", 1)


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four pictures of blurred noise."""
    monkeypatch.setenv("TROUS_DATA", str(tmp_path))
    (tmp_path / "pictures").mkdir()
    for n in range(4):
        noise = Image.fromarray(rng.integers(0, 256, (48, 56, 3), np.uint8))
        noise.filter(ImageFilter.GaussianBlur(2)).save(tmp_path / "pictures" / f"{n}.png")
    return tmp_path


def weights(network: Any) -> list[np.ndarray]:
    return [w for w, _ in network.convolutions] + [network.up, network.bias, network.skip]


def test_a_stopped_run_goes_on_as_if_it_had_not_been(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(2, ("pictures",), epochs=3, **SMALL)
    whole = train(recipe, prepared(recipe), folder / "whole", ONE)

    step, seen = training.Training.training_step, []

    def stopped(self: Any, *args: Any) -> Any:
        seen.append(self.global_step)
        if len(seen) == 10:  # in the third epoch
            raise KeyboardInterrupt
        return step(self, *args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Training, "training_step", stopped)
        train(recipe, prepared(recipe), folder / "parts", ONE)
    assert not (folder / "parts" / "weights.safetensors").exists()
    monkeypatch.setattr(
        training.Training, "training_step", lambda self, *a: seen.append(self.global_step) or step(self, *a)
    )
    parts = train(recipe, prepared(recipe), folder / "parts", ONE)
    assert seen[10:] == [8, 9, 10, 11]
    for a, b in zip(weights(whole), weights(parts), strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_learns_and_writes_down_how(folder: Path) -> None:
    recipe = Recipe(2, ("pictures",), epochs=2, rate=0.01, **SMALL | {"steps": 30})
    train(recipe, prepared(recipe), folder / "run", ONE)
    with open(folder / "run" / "logs" / "version_0" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["loss"]) for row in rows if row["loss"]]
    assert losses[1] < losses[0]
    assert all(20 < float(row["psnr"]) < 60 for row in rows if row["psnr"])
    assert list((folder / "run" / "logs" / "version_0").glob("events.*"))


def test_patches_change_with_the_epoch_and_not_with_the_run(folder: Path) -> None:
    class At:
        current_epoch, world_size = 0, 1

    def first(epoch: int) -> np.ndarray:
        At.current_epoch = epoch
        pictures = Pictures(recipe, found, found)
        pictures.trainer = At()
        return next(iter(pictures.train_dataloader()))[0].numpy()

    recipe = Recipe(2, ("pictures",), epochs=3, **SMALL)
    found = training.pairs(training.pictures_in(folder / "pictures"), 2, (1.0,), lambda: None)
    np.testing.assert_array_equal(first(1), first(1))
    assert (first(0) != first(1)).any()


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_that_ship(path: Path) -> None:
    recipe = read_recipe(Recipe, path)
    assert path.stem.endswith(f"x{recipe.scale}")
    assert not {"set5", "set14", "kodak"} & {part for name in recipe.folders for part in Path(name).parts}


def test_some_are_held_out(folder: Path) -> None:
    pictures = prepared(Recipe(2, ("pictures",), epochs=1, **SMALL | {"held_out": 3}))
    assert (len(pictures.learnt), len(pictures.held_out)) == (3 * 2, 1)


def test_a_run_is_of_one_recipe(folder: Path) -> None:
    recipe = Recipe(2, ("pictures",), epochs=1, **SMALL)
    train(recipe, prepared(recipe), folder / "run", ONE)
    with pytest.raises(TrousError, match="out must be a new folder, or that of a run with the same rate"):
        train(replace(recipe, rate=0.1), prepared(recipe), folder / "run", ONE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale": 5}, "scale must be at most 4, got 5"),
        ({"patch": 8}, "patch must be at least 9, got 8"),
        ({"rate": 0.0}, "rate must be a number above 0"),
        ({"sizes": (2.0,)}, "sizes must be numbers above 0 and to 1"),
    ],
)
def test_recipes_that_cannot_be(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TrousError) as caught:
        Recipe(**{"scale": 2, "folders": ()} | changes)
    assert said in str(caught.value)


def test_errors(folder: Path) -> None:
    (folder / "one").mkdir()
    (folder / "pictures" / "0.png").rename(folder / "one" / "0.png")
    with pytest.raises(TrousError, match="folders must hold two pictures at least"):
        prepared(Recipe(2, ("one",)))
    with pytest.raises(TrousError, match="machines must be what Lightning can use"):
        fit(None, None, folder, epochs=1, machines=Machines("abacus"))
