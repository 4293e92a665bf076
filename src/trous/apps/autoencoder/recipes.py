"""Recipes: everything that a training run follows from, as a TOML file beside this module or from the command line."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from trous.errors import TrousError
from trous.spec import integer

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """What is trained, on what, and how; the defaults are those for a folder of pictures.

    `data` is a folder; in the recipes that are shipped one below TROUS_DATA. `whole` asks for `code` values for the
    whole image, all of one size, in the place of as many for each place of a map. `crop` is the side of the squares
    that are cut from the pictures in training, None for whole pictures. `noise` is the standard deviation of the
    Gaussian noise on what the encoder sees, pixels being from 0 to 1. `without` is a class that is left out.
    """

    name: str = "autoencoder"
    data: str = ""
    without: int | None = None
    code: int = 32
    whole: bool = False
    widths: tuple[int, ...] = (32, 64, 64)
    noise: float = 0.0
    crop: int | None = 64
    epochs: int = 50
    batch: int = 32
    lr: float = 2e-3
    weight_decay: float = 0.0
    precision: str = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("code", "epochs", "batch"):
            integer(name, getattr(self, name), 1)
        if self.crop is not None:
            integer("crop", self.crop, 1)
        for name in ("noise", "weight_decay", "lr"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
                raise TrousError(name, "must be a number from 0", value)
        object.__setattr__(self, "widths", tuple(self.widths))

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON has it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def with_(self, **given: Any) -> Recipe:
        """The recipe with what was given, None for what was not."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})


def shipped() -> list[str]:
    """The names of the recipes that come with trous."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def read_recipe(name: str) -> Recipe:
    """A recipe by its name, or from a TOML file. Raises TrousError for an unknown one, and for what is wrong in it."""
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise TrousError("recipe", f"must be a TOML file or one of {', '.join(shipped())}", name) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrousError("recipe", f"must be valid TOML ({error})", name) from None
    known = {field.name for field in fields(Recipe)}
    if unknown := sorted(set(given) - known):
        raise TrousError("recipe", f"must hold only {', '.join(sorted(known))}", unknown[0])
    try:
        return Recipe(**{"name": path.stem, **given})
    except TrousError as error:
        raise error.within(path.name) from None
