"""Arrays as pictures inside a page: data URIs, and the part of a photograph worth a closer look."""

from __future__ import annotations

import base64
import io

import numpy as np


def data_uri(picture: np.ndarray, repeat: int = 1, lossless: bool = False) -> str:
    """`(3, height, width)` between 0 and 1 as a JPEG, or a PNG, of `repeat` pixels for each, within a data URI."""
    from PIL import Image

    pixels = np.clip(np.rint(np.asarray(picture, np.float64) * 255), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(pixels.repeat(repeat, 0).repeat(repeat, 1)))
    file = io.BytesIO()
    if lossless:
        image.save(file, "PNG", optimize=True)
    else:
        image.save(file, "JPEG", quality=88, optimize=True)
    kind = "png" if lossless else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def busiest(picture: np.ndarray, side: int, margin: int) -> tuple[int, int]:
    """Top and left of the square of `side` pixels, `margin` from the edges, whose colours differ most.

    Differences of colour count ten times those of brightness: things differ in colour, light and shadow in brightness.
    """
    red, green, blue = np.asarray(picture, np.float64)
    height, width = red.shape
    rows, columns = (range(min(margin, (n - side) // 2), max(margin, n - side - margin) + 1) for n in (height, width))

    def means(values: np.ndarray) -> np.ndarray:
        sums = np.pad(values.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        squares = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
        return squares[rows.start : rows.stop, columns.start : columns.stop] / side**2

    def variance(values: np.ndarray) -> np.ndarray:
        return means(values**2) - means(values) ** 2

    contrast = sum(map(variance, (red - green, green - blue, blue - red))) + variance(red + green + blue) / 10
    row, column = np.unravel_index(int(np.argmax(contrast)), (len(rows), len(columns)))
    return rows[row], columns[column]
