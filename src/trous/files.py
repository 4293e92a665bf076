"""Files that are complete or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to within the block, which takes the place of `path` in one step when that ends.

    A reader sees the old file or the new one.
    Raises OSError. After that or any other error in the block, what was there is as it was.
    """
    path = path.resolve()  # so that a link stays one
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            yield file
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # a temporary file is its owner's alone
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def replace_file(path: Path, content: str | bytes) -> None:
    """Write `content` (text as UTF-8) to `path`, in place of what is there, in one step.

    Raises OSError, and then leaves what was there as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    with replacing(path) as file:
        file.write(data)
