"""Where data lies that is not part of trous."""

from __future__ import annotations

import os
from pathlib import Path

from trous.errors import TrousError


def data_folder() -> Path:
    """The folder that the environment variable TROUS_DATA names. Raises TrousError where there is none."""
    named = os.environ.get("TROUS_DATA", "")
    if not named or not Path(named).is_dir():
        raise TrousError("TROUS_DATA", "must be set to a folder of data that is there", named)
    return Path(named)


def located(name: str) -> Path:
    """A folder that is there, as it is named or in that of TROUS_DATA. Raises TrousError for any other."""
    root = os.environ.get("TROUS_DATA")
    for folder in (Path(name), *([Path(root, name)] if root else [])):
        if folder.is_dir():
            return folder
    raise TrousError("folder", "must be a folder that is there, or one in that of TROUS_DATA", name)
