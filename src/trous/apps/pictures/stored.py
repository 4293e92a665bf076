"""Rows as a PNG in which nothing is compressed: a form in which libvips takes pictures of all kinds from a pipe.

Chunks and their order are those of the PNG specification (W3C, third edition), sections 5 and 11; the pixels are one
zlib stream (RFC 1950) of stored blocks.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from trous.apps.pictures.layout import Layout
from trous.errors import TrousError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Of IHDR, by the bands: grey, grey and alpha, RGB, RGB and alpha.
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}
#: A chunk has about so many bytes, one row at least.
CHUNK = 1 << 22


def stored_png(strips: Iterable[np.ndarray], layout: Layout) -> Iterator[bytes]:
    """The bytes of the file, piece by piece, from strips `(rows, width, bands)` from the top to the bottom.

    Raises TrousError if the strips are not those of such a picture.
    """
    colour = COLOUR_TYPES[layout.bands]
    yield SIGNATURE
    yield _chunk(
        b"IHDR", struct.pack(">IIBBBBB", layout.width, layout.height, 8 * layout.dtype.itemsize, colour, 0, 0, 0)
    )
    deflate, done = zlib.compressobj(0), 0
    step = max(1, CHUNK // layout.row_bytes)
    for strip in strips:
        done += len(strip)
        if strip.shape[1:] != (layout.width, layout.bands) or strip.dtype != layout.dtype or done > layout.height:
            raise TrousError("strips", f"must be of {layout} pixels, {layout.bands} bands, {layout.dtype}", strip.shape)
        for start in range(0, len(strip), step):
            yield _chunk(b"IDAT", deflate.compress(_lines(strip[start : start + step]).data))
    if done < layout.height:
        raise TrousError("strips", f"must have {layout.height} rows together", done)
    yield _chunk(b"IDAT", deflate.flush())
    yield _chunk(b"IEND", b"")


def _lines(strip: np.ndarray) -> np.ndarray:
    """Each row behind a byte that says that it is as it is (filter type 0); samples have the high byte first."""
    rows = np.ascontiguousarray(strip.astype(strip.dtype.newbyteorder(">"), copy=False))
    rows = rows.reshape(len(strip), -1).view(np.uint8)
    lines = np.zeros((len(rows), rows.shape[1] + 1), np.uint8)
    lines[:, 1:] = rows
    return lines


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join((struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))))
