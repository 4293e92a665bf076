"""Recipes are read whole or refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from trous import TrousError
from trous.apps.recipes import read_recipe, shipped


@dataclass(frozen=True)
class Cake:
    eggs: int
    sugar: float = 0.5
    layers: tuple[str, ...] = ()
    iced: bool = False


def written(folder: Path, text: str) -> Path:
    path = folder / "cake.toml"
    path.write_text(text)
    return path


def test_values_come_from_the_file_and_changes_before_it(tmp_path: Path) -> None:
    path = written(tmp_path, 'eggs = 3\nsugar = 1\nlayers = ["a", "b"]\n')
    assert read_recipe(Cake, path) == Cake(3, 1.0, ("a", "b"))
    assert type(read_recipe(Cake, path).sugar) is float
    assert read_recipe(Cake, path, eggs=5, sugar=None) == Cake(5, 1.0, ("a", "b"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sugar = 1.0", "every key without a default, got 'eggs'"),
        ("eggs = 3\nflour = 2", "no keys but eggs, sugar, layers, iced, got 'flour'"),
        ("eggs = 2.5", "eggs as int, got 2.5"),
        ("eggs = true", "eggs as int, got True"),
        ("eggs = 3\niced = 1", "iced as bool, got 1"),
        ("eggs =", "must be TOML"),
    ],
)
def test_errors(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TrousError, match="recipe") as caught:
        read_recipe(Cake, written(tmp_path, text))
    assert said in str(caught.value)


def test_recipes_by_name_and_by_file(tmp_path: Path) -> None:
    path = written(tmp_path, "eggs = 3")
    assert shipped(tmp_path, "cake") == path
    assert shipped(tmp_path / "elsewhere", str(path)) == path
    with pytest.raises(TrousError, match="a file, or one of cake"):
        shipped(tmp_path, "bread")
    with pytest.raises(TrousError, match="can be read"):
        read_recipe(Cake, tmp_path)
