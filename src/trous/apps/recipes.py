"""Recipes: all that decides what a training gives, in a TOML file that reproduces it."""

from __future__ import annotations

import json
import tomllib
import typing
from collections.abc import Collection
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from trous.errors import TrousError
from trous.files import replace_file

T = TypeVar("T")

#: Of a run's folder: what was asked for.
ASKED = "recipe.json"


def read_recipe(kind: type[T], path: Path, **changes: Any) -> T:
    """The recipe in a file: an instance of `kind`, a dataclass whose fields are the keys.

    `changes` stand in for what the file says, those that are None left out. Raises TrousError for a file that cannot
    be read, unknown and missing keys, and values of another type.
    """
    try:
        said = tomllib.loads(path.read_text())
    except OSError as error:
        raise TrousError("recipe", f"must be a file that can be read ({error.strerror})", str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TrousError("recipe", f"must be TOML ({error})", str(path)) from None
    return made(kind, said | {name: value for name, value in changes.items() if value is not None})


def made(kind: type[T], said: dict[str, Any]) -> T:
    """An instance of the dataclass, its values checked by their types."""
    known: Any = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    types = typing.get_type_hints(kind)
    for name, value in said.items():
        if name not in known:
            raise TrousError("recipe", f"must have no keys but {', '.join(known)}", name)
        wanted = typing.get_origin(types[name]) or types[name]
        if wanted is tuple and isinstance(value, list):
            said = said | {name: tuple(value)}
        elif wanted is float and type(value) is int:
            said = said | {name: float(value)}
        elif not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise TrousError("recipe", f"must give {name} as {wanted.__name__}", value)
    for name, field in known.items():
        if name not in said and field.default is MISSING and field.default_factory is MISSING:
            raise TrousError("recipe", "must give every key without a default", name)
    return kind(**said)


def shipped(folder: Path, name: str) -> Path:
    """The recipe of that name in a folder of recipes; a name that is a file is that file."""
    path = folder / f"{name}.toml"
    if path.exists():
        return path
    if Path(name).exists():
        return Path(name)
    names = ", ".join(sorted(path.stem for path in folder.glob("*.toml")))
    raise TrousError("recipe", f"must be a file, or one of {names}", name)


def claim(folder: Path, recipe: Any, free: Collection[str]) -> None:
    """Make the folder of a run, and keep the recipe in it; or see that it is that of a run with this recipe.

    Of the keys in `free` the values may have changed. Raises TrousError where another one has, and where nothing can be
    written.
    """
    asked = json.loads(json.dumps(asdict(recipe)))
    path = folder / ASKED
    try:
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else asked
        for key in asked.keys() - free:
            if before.get(key) != asked[key]:
                rule = f"must be a new folder, or that of a run with the same {key}, here {before.get(key)!r}"
                raise TrousError("out", rule, f"{folder} for {asked[key]!r}")
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, json.dumps(asked, indent=1) + "\n")
    except (OSError, json.JSONDecodeError) as error:
        raise TrousError("out", f"must be a folder that files can be written into ({error})", str(folder)) from None
