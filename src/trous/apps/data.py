"""Where data lies that is not part of trous."""

from __future__ import annotations

import os
from pathlib import Path

from trous.errors import TrousError


def data_folder() -> Path:
    """The folder that the environment variable TROUS_DATA names. Raises TrousError where there is none."""
    named = os.environ.get("TROUS_DATA", "")
    if not named or not Path(named).is_dir():
        raise TrousError("TROUS_DATA", "must name a folder of data (see docs/upsampling.md)", named)
    return Path(named)
