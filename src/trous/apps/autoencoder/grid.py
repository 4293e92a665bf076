"""Originals and reconstructions side by side, as one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

#: Pixels: the longer side of an image is brought to between these by whole factors, or shrunk; around images; of text.
SMALLEST, LARGEST, GAP, TEXT = 112, 480, 8, 13
#: Width of the whole up to which pairs stand beside each other.
WIDEST = 1400
_PAPER, _INK = (255, 255, 255), (60, 60, 60)


def cells(rows: Sequence[tuple[str, Sequence[np.ndarray]]], headings: Sequence[str]) -> np.ndarray:
    """A picture of cells, each with a line of text below and images beside each other.

    Args:
        rows: for each cell its text, and its images `(channels, height, width)` of uint8, as many as headings.
        headings: what the images are, above every column of cells.

    Returns:
        `(3, height, width)` of uint8.
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(TEXT)
    shown = [(text, [_shown(image) for image in images]) for text, images in rows]
    each = max(max(image.width for _, images in shown for image in images), *(_width(font, h) for h in headings))
    text_room = len(headings) * (each + GAP) - GAP
    heights = [max(image.height for image in images) + TEXT + 2 * GAP for _, images in shown]
    width = len(headings) * (each + GAP) + 2 * GAP
    columns = max(1, min(len(shown), WIDEST // width, math.ceil(math.sqrt(sum(heights) / width))))
    tops = [TEXT + 2 * GAP]
    for start in range(0, len(shown), columns):
        tops.append(tops[-1] + max(heights[start : start + columns]))
    page = Image.new("RGB", (columns * width, tops[-1]), _PAPER)
    pen = ImageDraw.Draw(page)
    for number, (text, images) in enumerate(shown):
        down, across = divmod(number, columns)
        left, upper = across * width + GAP, tops[down]
        for place, image in enumerate(images):
            page.paste(image, (left + place * (each + GAP), upper))
            if down == 0:
                pen.text((left + place * (each + GAP), GAP), headings[place], _INK, font)
        pen.text((left, upper + max(image.height for image in images) + 2), _fitting(font, text, text_room), _INK, font)
    return np.moveaxis(np.asarray(page), -1, 0)


def _shown(image: np.ndarray) -> Any:
    """An image at a size that is seen well: whole factors for small ones, so that pixels stay pixels."""
    from PIL import Image

    picture = Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)).convert("RGB")
    longer = max(picture.size)
    if longer > LARGEST:
        return picture.resize([max(1, round(n * LARGEST / longer)) for n in picture.size], Image.Resampling.LANCZOS)
    factor = math.ceil(SMALLEST / longer)
    return picture.resize([n * factor for n in picture.size], Image.Resampling.NEAREST)


def _width(font: Any, text: str) -> int:
    return math.ceil(font.getlength(text))


def _fitting(font: Any, text: str, room: int) -> str:
    """The text, its beginning left out where it is too long: names differ at their end."""
    if _width(font, text) <= room:
        return text
    while text and _width(font, "…" + text) > room:
        text = text[1:]
    return "…" + text
