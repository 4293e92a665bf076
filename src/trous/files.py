"""Files that are complete or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace_file(path: Path, text: str) -> None:
    """Write `text` to `path`, in place of what is there, in one step: a reader sees the old file or the new one.

    Raises OSError, and then leaves what was there as it was.
    """
    path = path.resolve()  # so that a link stays one
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
        try:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # a temporary file is its owner's alone
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
