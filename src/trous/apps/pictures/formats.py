"""The formats that are written, and what they cannot hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trous.apps.pictures.layout import Layout
from trous.errors import TrousError

#: A TIFF of more bytes needs 64-bit offsets; a little less than 2**32, for what lies around the pixels.
BIG_TIFF = 4_000_000_000


@dataclass(frozen=True)
class Format:
    """A file format as libvips writes it: its operation, options, and limits.

    `longest` is in pixels a side; `failing` says why it may fail where no limit is known.
    """

    name: str
    save: str
    options: Mapping[str, Any] = field(default_factory=dict)
    longest: int = 10_000_000  # the most that libvips has
    alpha: bool = True
    deep: bool = True
    failing: str = ""

    def arguments(self, layout: Layout) -> dict[str, Any]:
        """The options for a picture."""
        if self is TIFF and layout.height * layout.row_bytes > BIG_TIFF:
            return {**self.options, "bigtiff": True}
        return dict(self.options)


# Compression at a level that keeps up with the network: the highest takes three times as long and saves a tenth.
PNG = Format("PNG", "pngsave_target", {"compression": 2, "filter": "sub"})
TIFF = Format(
    "TIFF",
    "tiffsave_target",
    {"compression": "deflate", "level": 2, "predictor": "horizontal", "tile": True, "tile_width": 256}
    | {"tile_height": 256},
)
JPEG = Format("JPEG", "jpegsave_target", {"Q": 95, "subsample_mode": "off"}, 65_500, alpha=False, deep=False)
# Below effort 2 libwebp cannot hold what it has to say of large pictures in detail; above it takes five times as long.
WEBP = Format(
    "WebP",
    "webpsave_target",
    {"Q": 95, "effort": 2},
    16_383,
    deep=False,
    failing="WebP may not hold what so large a picture has to say; .png and .tif do",
)

#: By the suffix of the file.
FORMATS: dict[str, Format] = {
    ".png": PNG,
    ".jpg": JPEG,
    ".jpeg": JPEG,
    ".webp": WEBP,
    ".tif": TIFF,
    ".tiff": TIFF,
}


def format_for(target: Path, layout: Layout) -> Format:
    """The format that the suffix of a file names. Raises TrousError if it cannot hold such a picture."""
    found = FORMATS.get(target.suffix.lower())
    if found is None:
        raise TrousError("target", f"must end in one of {', '.join(FORMATS)}", str(target))
    for holds, what in (
        (found.alpha or not layout.alpha, "transparency"),
        (found.deep or not layout.deep, "16 bits a sample"),
        (max(layout.size) <= found.longest, f"{layout} pixels ({found.name} ends at {found.longest:,} a side)"),
    ):
        if not holds:
            raise TrousError("target", f"must be of a format that holds {what}: {_able(layout)}", str(target))
    return found


def _able(layout: Layout) -> str:
    """The suffixes of the formats that hold such a picture."""
    able = (
        suffix
        for suffix, kind in FORMATS.items()
        if kind.alpha >= layout.alpha and kind.deep >= layout.deep and kind.longest >= max(layout.size)
    )
    return ", ".join(able)
