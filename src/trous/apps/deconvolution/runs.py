"""What came of runs that take long, kept in a folder, a small file for each: whatever was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from trous.bench.machine import machine
from trous.files import replace_file


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the file holds; where it is not there yet, what `make` gives, which it then holds.

    To what is made is added the commit that made it, for a record that is put together from several.
    """
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = {**make(), "commit": machine()["commit"]}
        replace_file(path, json.dumps(made) + "\n")
    found: dict[str, Any] = json.loads(path.read_text())
    return found
