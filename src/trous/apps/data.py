"""Where data lies that is not part of trous, and the pictures in it."""

from __future__ import annotations

import os
from pathlib import Path

from trous.errors import TrousError

#: Of pictures in folders; a file that is named may have any that Pillow reads.
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".pgm", ".ppm")


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


def pictures_in(folder: Path) -> list[Path]:
    """Every picture in the folder and the folders in it, by their suffix, in an order that depends on names alone.

    Raises TrousError where there are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not found:
        raise TrousError("folder", f"must hold pictures ({', '.join(SUFFIXES)})", str(folder))
    return found
