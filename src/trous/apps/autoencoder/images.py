"""Pictures as arrays: files of any size, folders of them, and the archives that MNIST and Fashion-MNIST come as.

An image is an array `(channels, height, width)` of uint8, with one channel (grey) or three (RGB).
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np

from trous.apps.data import SUFFIXES, pictures_in
from trous.errors import TrousError

#: Pixels that stay in memory once they were read.
BUDGET = 2**30
#: Formats of cameras, which say at the beginning of a file how the camera was held.
_TURNED = ("JPEG", "MPO", "TIFF", "WEBP")
#: The first four bytes of LeCun's IDX format: unsigned bytes with three axes, and with one.
_IMAGES, _LABELS = 0x803, 0x801


@dataclass(frozen=True)
class Picture:
    """Where an image is: a file, or one of those in an archive."""

    path: Path
    place: int | None = None

    @property
    def name(self) -> str:
        """The path, with the place in an archive behind a colon."""
        return str(self.path) if self.place is None else f"{self.path}:{self.place}"


class Pictures(Sequence[np.ndarray]):
    """Images of several sizes, all with `channels` (those of the richest if not given), read when they are asked for.

    Raises TrousError where a file is not there or not a picture: at once, from its first bytes, or when it is read.
    """

    def __init__(self, pictures: Sequence[Picture], channels: int | None = None) -> None:
        self.pictures = list(pictures)
        self._archives = {path: read_idx(path) for path in {p.path for p in self.pictures if p.place is not None}}
        headers = [_header(p.path) if p.place is None else (*self._of(p).shape, 1) for p in self.pictures]
        self.sizes: list[tuple[int, int]] = [(height, width) for height, width, _ in headers]
        self.channels = channels or max((c for *_, c in headers), default=1)
        self._kept: dict[int, np.ndarray] = {}
        self._budget = BUDGET

    @property
    def names(self) -> list[str]:
        return [picture.name for picture in self.pictures]

    def __len__(self) -> int:
        return len(self.pictures)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> list[np.ndarray]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        picture = self.pictures[index]
        if picture.place is not None:
            return np.broadcast_to(self._of(picture), (self.channels, *self.sizes[index]))
        if (image := self._kept.get(index)) is None:
            image = read_image(picture.path, self.channels)
            if image.nbytes <= self._budget:
                self._budget -= image.nbytes
                self._kept[index] = image
        return image

    def _of(self, picture: Picture) -> np.ndarray:
        """The pixels of a picture in an archive."""
        pixels: np.ndarray = self._archives[picture.path][picture.place]
        return pixels


def find(sources: Iterable[Path]) -> list[Picture]:
    """The pictures that files, folders (with those inside) and archives hold, in order of their names.

    Raises TrousError where there are none.
    """
    found: list[Picture] = []
    for source in sources:
        if source.is_dir():
            found += map(Picture, pictures_in(source))
        elif not source.is_file():
            raise TrousError("images", "must be files or folders that are there", str(source))
        elif "idx" in source.name and source.suffix.lower() not in SUFFIXES:
            archive = read_idx(source)
            if archive.ndim != 3:
                raise TrousError("images", "must be files, folders or archives of images, not of labels", str(source))
            found += [Picture(source, place) for place in range(len(archive))]
        else:
            found.append(Picture(source))
    if not found:
        raise TrousError("images", "must be one at least", [])
    return found


def read_image(path: Path, channels: int) -> np.ndarray:
    """A picture, `(channels, height, width)` of uint8; turned as its EXIF orientation says, without transparency.

    Grey of 16 bits is rounded to 8. Raises TrousError for a file that is damaged, or holds other numbers.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            turned = ImageOps.exif_transpose(image) if image.format in _TURNED else image
            if turned.mode in ("I", "F"):
                raise ValueError("it has more than 16 bits")
            if turned.mode.startswith("I;16"):  # which Pillow would clip
                turned = Image.fromarray(np.round(np.asarray(turned) / 257).astype(np.uint8))
            pixels = np.asarray(turned.convert("L" if channels == 1 else "RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _damaged(path, error) from None
    return pixels[None] if channels == 1 else np.moveaxis(pixels, -1, 0)


def save_image(path: Path, image: np.ndarray) -> None:
    """Write `(channels, height, width)` of uint8, in one step and in the format that the name ends in."""
    import io

    from PIL import Image

    from trous.files import replace_file

    Image.init()
    format = Image.EXTENSION.get(path.suffix.lower())
    if format not in Image.SAVE:
        raise TrousError("output", "must end as a picture's name, in .png for example", str(path))
    buffer = io.BytesIO()
    Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)).save(buffer, format)
    try:
        replace_file(path, buffer.getvalue())
    except OSError as error:
        raise TrousError("output", f"must be where a file can be written ({error.strerror})", str(path)) from None


def read_idx(path: Path) -> np.ndarray:
    """The images `(n, height, width)` or labels `(n,)` of an IDX file, gzipped or not, as uint8.

    The format is that of LeCun, Cortes & Burges, "The MNIST database": four bytes for type and axes, each size in four
    bytes, the values. Raises TrousError for a file that is not there, or holds something else.
    """
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        (kind,) = struct.unpack_from(">I", data)
        if kind not in (_IMAGES, _LABELS):
            raise ValueError(f"it begins with {kind:#x}")
        axes = 3 if kind == _IMAGES else 1
        shape = struct.unpack_from(f">{axes}I", data, 4)
        return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except FileNotFoundError:
        raise TrousError("images", "must be files or folders that are there", str(path)) from None
    except (OSError, EOFError, ValueError, struct.error) as error:
        raise TrousError("archive", f"must be an undamaged IDX file of images or labels ({error})", str(path)) from None


def _header(path: Path) -> tuple[int, int, int]:
    """Height, width and channels of a picture, from its first bytes."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            if image.format in _TURNED and image.getexif().get(0x0112, 1) > 4:  # they lie on their side
                width, height = height, width
            return height, width, 1 if image.mode in ("1", "L", "LA", "I", "I;16", "F") else 3
    except FileNotFoundError:
        raise TrousError("images", "must be files or folders that are there", str(path)) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> TrousError:
    return TrousError("images", f"must be undamaged pictures that Pillow reads ({error})", str(path))
