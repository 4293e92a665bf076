"""Pictures beside each other with a line or two below each, as a small PNG in grey."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np

#: Pixels: between cells and around all of them, of text, and of a line of it.
GAP, TEXT, LINE = 10, 14, 18
PAPER, INK, MUTED = 255, 40, 110


@dataclass(frozen=True)
class Cell:
    """A picture `(height, width)` with values from 0 (black) to 1 (white), what it is, and what more is said of it."""

    picture: np.ndarray
    name: str
    note: str = ""


def grid(cells: Sequence[Cell], columns: int, enlarged: int = 1) -> bytes:
    """A PNG of cells of one size, row by row; every pixel is repeated `enlarged` times along both axes.

    All share one scale of grey. Text that is wider than its picture makes the cells wider.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(TEXT)
    height, width = (n * enlarged for n in cells[0].picture.shape)
    each = max(width, *(int(font.getlength(text)) + 1 for cell in cells for text in (cell.name, cell.note)))
    lines = 1 + any(cell.note for cell in cells)
    rows = -(-len(cells) // columns)
    step = each + GAP, height + lines * LINE + GAP
    page = Image.new("L", (columns * step[0] + GAP, rows * step[1] + GAP), PAPER)
    pen = ImageDraw.Draw(page)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        left, top = GAP + column * step[0], GAP + row * step[1]
        page.paste(Image.fromarray(levels(cell.picture, enlarged)), (left, top))
        pen.text((left, top + height + 3), cell.name, INK, font)
        pen.text((left, top + height + 3 + LINE), cell.note, MUTED, font)
    buffer = BytesIO()
    page.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def levels(picture: np.ndarray, enlarged: int = 1) -> np.ndarray:
    """Of 8 bits, what is beyond black and white clipped."""
    pixels = np.rint(np.clip(np.asarray(picture, np.float64), 0, 1) * 255).astype(np.uint8)
    return pixels.repeat(enlarged, 0).repeat(enlarged, 1)


def centred(picture: np.ndarray, size: tuple[int, int], enlarged: int) -> np.ndarray:
    """A small picture with its pixels repeated, in the middle of a black one of `size`."""
    large = np.kron(picture, np.ones((enlarged, enlarged)))
    around = [((n - k) // 2, n - k - (n - k) // 2) for n, k in zip(size, large.shape, strict=True)]
    return np.pad(large, around)
