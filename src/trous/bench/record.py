"""A measurement as a table on the terminal and as files: JSON for programs, Markdown for people, a picture."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from trous.bench.machine import machine
from trous.files import replace_file

T = TypeVar("T")

#: Yields what it is given, and shows which is at hand: `track(items, name of one)`.
Track = Callable[[Iterable[T], Callable[[T], str]], Iterable[T]]

Table = tuple[Sequence[str], Sequence[Sequence[str]]]  #: header and rows


@dataclass(frozen=True)
class Record:
    """What was measured. `name` is the files', `facts` are sentences under the tables, `more` is for the page only."""

    name: str
    title: str
    explanation: str
    tables: Sequence[Table]
    facts: Sequence[str]
    document: Mapping[str, Any]
    more: Sequence[Table] = ()
    picture: bytes | None = field(default=None, repr=False)

    def write(self, folder: Path) -> list[Path]:
        """`name` and the day in `folder`, which is made if need be; each file is complete or not there."""
        stem = f"{time.strftime('%Y-%m-%d', time.gmtime())}-{self.name}"
        about = machine()
        document = {"title": self.title, "machine": about, "facts": list(self.facts), **self.document}
        contents: dict[str, str | bytes] = {
            ".json": json.dumps(document, indent=1) + "\n",
            ".md": self._page(about, f"{stem}.png"),
        }
        if self.picture is not None:
            contents[".png"] = self.picture
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / (stem + suffix) for suffix in contents]
        for path, content in zip(paths, contents.values(), strict=True):
            replace_file(path, content)
        return paths

    def _page(self, about: Mapping[str, str], picture: str) -> str:
        facts = [*self.facts, *(f"{name}: {value}" for name, value in about.items())]
        lines = [f"# {self.title}", "", self.explanation, "", *(f"- {fact}" for fact in facts)]
        if self.picture is not None:
            lines += ["", f"![{self.title}]({picture})"]
        for header, rows in (*self.tables, *self.more):
            numeric = numeric_columns(header, rows)
            lines += ["", _line(header), _line(["---:" if right else "---" for right in numeric]), *map(_line, rows)]
        return "\n".join([*lines, ""])


def numeric_columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns hold numbers, and so are set to the right."""
    return [all(not row[place] or row[place][0].isdigit() for row in rows) for place in range(len(header))]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
