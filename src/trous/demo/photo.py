"""A photograph from disk, as the numbers that the demo works on."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trous.errors import TrousError

SHIPPED = Path(__file__).with_name("cat.jpg")
#: Whose photograph that is, and its terms.
CREDIT = SHIPPED.with_suffix(".txt")

#: Larger photographs are reduced to this many pixels along the longest side, so that the demo takes seconds.
LONGEST_SIDE = 512
#: The widest kernel enlarged or dilated must leave an interior to compare and to look at.
SHORTEST_SIDE = 32
#: Decoding more than this could exhaust the memory of a small machine.
MOST_PIXELS = 100_000_000


@dataclass(frozen=True)
class Photo:
    """`pixels` is `(1, 3, height, width)`, float32, 0 to 1; `notice` says what was done to fit, empty for nothing."""

    name: str
    pixels: np.ndarray
    notice: str = ""

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.pixels.shape[-2:]
        return height, width


def load_photo(path: Path) -> Photo:
    """Read any photograph that Pillow can: turned as its EXIF says, grey and 16-bit too, transparency over white.

    Raises TrousError for what is missing, not a picture, damaged, or too large or too small to use.
    """
    if not path.exists():
        raise TrousError("photo", "must be a file that exists", str(path))
    if not path.is_file():
        raise TrousError("photo", "must be a file", str(path))
    image = _decode(path)
    notice = ""
    width, height = image.size
    if max(width, height) > LONGEST_SIDE:
        image = _reduce(image)
        notice = f"reduced from {width} × {height}"
    if min(image.size) < SHORTEST_SIDE:
        rule = f"must have at least {SHORTEST_SIDE} pixels a side once its longest is at most {LONGEST_SIDE}"
        raise TrousError("photo", rule, f"{path} ({width} x {height})")
    return Photo(path.name, _planes(image), notice)


def _decode(path: Path) -> Any:
    """A Pillow image of mode RGB, or F between 0 and 1 for the deep grey ones that RGB cannot hold."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    too_large = TrousError("photo", f"must have at most {MOST_PIXELS // 10**6} megapixels", str(path))
    try:
        with warnings.catch_warnings():
            # Pillow warns of large and damaged pictures alike; the limit here is ours, and damage raises below.
            warnings.simplefilter("ignore")
            with Image.open(path) as opened:
                if opened.width * opened.height > MOST_PIXELS:
                    raise too_large
                opened.load()
                return _colours(ImageOps.exif_transpose(opened))
    except Image.DecompressionBombError:
        raise too_large from None
    except UnidentifiedImageError:
        raise TrousError("photo", "must be a picture in a format that Pillow reads", str(path)) from None
    except PermissionError:
        raise TrousError("photo", "must be readable", str(path)) from None
    except TrousError:
        raise
    except Exception as error:  # a damaged file makes a decoder raise almost anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TrousError("photo", f"must be undamaged ({reason})", str(path)) from None


def _colours(image: Any) -> Any:
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        values = np.nan_to_num(np.asarray(image, np.float32), posinf=0.0, neginf=0.0)
        full = next((top for top in (1.0, 255.0, 65535.0) if values.max() <= top), values.max())
        if image.mode.startswith("I;16"):
            full = 65535.0
        return Image.fromarray(np.clip(values / np.float32(full), 0, 1))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _reduce(image: Any) -> Any:
    from PIL import Image

    ratio = LONGEST_SIDE / max(image.size)
    size = tuple(max(1, round(n * ratio)) for n in image.size)
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _planes(image: Any) -> np.ndarray:
    pixels = np.asarray(image, np.float32)
    pixels = np.stack([pixels] * 3, -1) if image.mode == "F" else pixels / np.float32(255)
    # Reducing with a kernel that has negative lobes overshoots in mode F.
    return np.ascontiguousarray(np.clip(pixels, 0, 1).transpose(2, 0, 1)[None])
