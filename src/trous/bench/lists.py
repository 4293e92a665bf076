"""Lists of layers: those that come with the package, and files of the same form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from trous.errors import TrousError
from trous.problem import Problem

FOLDER = Path(__file__).with_name("lists")


@dataclass(frozen=True)
class Case:
    """A layer of a list; `why` says whose it is."""

    id: str
    problem: Problem
    why: str


def packaged() -> list[str]:
    """The names of the lists that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read_cases(named: str) -> list[Case]:
    """The layers of a packaged list, or of a JSON file: objects of `id`, `problem` (`Problem.parse`) and `why`.

    Raises TrousError for a name that is neither, for a file of another form, and for a problem that cannot be.
    """
    path = FOLDER / f"{named}.json" if named in packaged() else Path(named)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [Case(entry["id"], Problem.parse(entry["problem"]), entry["why"]) for entry in entries]
    except OSError:
        raise TrousError("list", f"must be a JSON file or one of {', '.join(packaged())}", named) from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        rule = f"must hold JSON objects of id, problem and why ({type(error).__name__}: {error})"
        raise TrousError("list", rule, named) from None


def chosen(cases: list[Case], ids: list[str], named: str) -> list[Case]:
    """The cases of `ids`, in the order of the list; all where none is named. Raises TrousError for an unknown one."""
    unknown = set(ids) - {case.id for case in cases}
    if unknown:
        raise TrousError("id", f"must be in the list {named}", ", ".join(sorted(unknown)))
    return [case for case in cases if not ids or case.id in ids]
