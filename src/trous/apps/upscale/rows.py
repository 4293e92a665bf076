"""Whole pictures, in colour, in strips of rows: memory for a strip, and the same pixels as all at once.

The network sees luma. What it makes of it differs from plain bicubic interpolation by the detail that interpolation
misses, and that is added to the interpolated red, green and blue alike, which leaves the colours as they were (in
Y, Cb, Cr: the network on Y, bicubic on Cb and Cr). Transparency is interpolated, the colours multiplied with it, so
that what is invisible leaves no fringe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from trous.apps.quality import BLACK, LUMA
from trous.apps.upscale.network import Network
from trous.errors import TrousError
from trous.functional import conv_transpose
from trous.interpolation import interpolation_kernel, interpolation_spec

#: Rows that the height of a strip is a multiple of. Register tiles are 1 to 6 rows high, and which of them a row is
#: decides in what order its products are added up: where all strips begin at a multiple of every height, a row is the
#: same one of its tile in a strip as in the whole, and has the same bits.
ALIGNED = 60
#: Rows of a strip at most, and its pixels, unless 60 rows have more; columns of the blocks that it is computed in. What
#: is computed twice, the rows and columns around, should be little, and the feature maps small.
ROWS, STRIP, COLUMNS = 480, 2**21, 960
#: Bands of a picture: grey, grey and alpha, RGB, RGB and alpha.
BANDS = (1, 2, 3, 4)

Read = Callable[[int, int], np.ndarray]


def enlarge(image: np.ndarray, network: Network) -> np.ndarray:
    """The picture at `network.scale` times its size.

    Args:
        image: `(height, width)`, or `(height, width, bands)` with 1 (grey), 2 (grey and alpha), 3 (RGB) or 4 bands
            (RGB and alpha), of uint8 or uint16.
        network: what `load` gives.

    Returns:
        An array of the same dtype and number of axes.

    Raises:
        TrousError: another shape or type, or an empty picture.
    """
    array = np.asarray(image)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in BANDS) or not array.size:
        raise TrousError("image", "must have shape (height, width) or (height, width, 1 to 4 bands)", array.shape)
    if array.dtype not in (np.uint8, np.uint16):
        raise TrousError("image", "must be of uint8 or uint16", str(array.dtype))
    bands = array.reshape(*array.shape[:2], -1)
    strips = enlarge_rows(lambda start, stop: bands[start:stop], array.shape[:2], network)
    large = np.concatenate(list(strips))
    return large if array.ndim == 3 else large[..., 0]


def enlarge_rows(read: Read, size: tuple[int, int], network: Network, strip: int | None = None) -> Iterator[np.ndarray]:
    """The enlarged picture from the top to the bottom, strip by strip.

    Args:
        read: gives rows `start` to `stop` of the picture, `(rows, width, bands)`, of uint8 or uint16. Each row is asked
            for once, from the top to the bottom.
        size: height and width of the picture.
        network: what `load` gives.
        strip: rows of the small picture at a time, rounded up to a multiple of 60; if not given 480, or as many as have
            two million pixels.

    Yields:
        Arrays `(rows*scale, width*scale, bands)` of the same dtype.
    """
    height, width = size
    step = ALIGNED * (-(-strip // ALIGNED) if strip else max(1, min(ROWS, STRIP // width) // ALIGNED))
    halo = network.halo
    kept = read(0, 0)  # no rows yet, but the type and the bands of them
    first = 0  # the row of the picture that comes first in kept
    for start in range(0, height, step):
        stop = min(start + step, height)
        above, below = max(start - halo, 0), min(stop + halo, height)
        kept = np.concatenate([kept[above - first :], read(first + len(kept), below)])
        first = above
        missing = (halo - (start - above), halo - (below - stop))
        yield _strip(np.pad(kept, (missing, (0, 0), (0, 0)), mode="edge"), network)


def _strip(rows: np.ndarray, network: Network) -> np.ndarray:
    """A strip enlarged, block by block, from its rows and those around it."""
    halo, scale = network.halo, network.scale
    height, width, bands = rows.shape
    out = np.empty(((height - 2 * halo) * scale, width * scale, bands), rows.dtype)
    cut = slice(halo * scale, -halo * scale)
    for start in range(0, width, COLUMNS):
        stop = min(start + COLUMNS, width)
        left, right = max(start - halo, 0), min(stop + halo, width)
        missing = (halo - (start - left), halo - (right - stop))
        block = np.pad(rows[:, left:right], ((0, 0), missing, (0, 0)), mode="edge")
        out[:, start * scale : stop * scale] = _enlarged(block, network)[cut, cut]
    return out


def _enlarged(pixels: np.ndarray, network: Network) -> np.ndarray:
    """Pixels of uint8 or uint16 enlarged; those close to the border see zeros beyond it."""
    top = np.float32(np.iinfo(pixels.dtype).max)
    bands = pixels.transpose(2, 0, 1).astype(np.float32)
    opaque = len(bands) % 2 == 1
    seen = bands if opaque else bands[:-1] * (bands[-1:] / top)
    large = interpolated(seen, network.scale)
    detail = _detail(seen, large, top, network)
    out = np.empty((*large.shape[1:], len(bands)), pixels.dtype)
    large += detail
    if not opaque:
        opacity = interpolated(bands[-1:], network.scale)
        large *= top / opacity.clip(1, None)  # less than 1 is all but invisible
        large = np.concatenate([large, opacity])
    for number, plane in enumerate(large):  # a band at a time, which the cache holds
        plane += np.float32(0.5)  # rounded, halves up, by cutting off what follows the point
        out[..., number] = plane.clip(0, top, out=plane)
    return out


def _detail(seen: np.ndarray, large: np.ndarray, top: np.float32, network: Network) -> np.ndarray:
    """What the network knows of the luma of `seen` beyond its interpolation, `large`; all from 0 to `top`."""
    black, white = np.float32(BLACK / 255), np.float32(sum(LUMA))  # what networks are trained on: 16 to 235, by 255
    detail = network.run(_grey(seen) * (white / top) + black)
    detail -= black
    detail *= top / white
    detail -= _grey(large)
    return detail


def _grey(colours: np.ndarray) -> np.ndarray:
    """Luma from 0 on. One product after the other: what a matrix product gives depends on the size of the strip."""
    if len(colours) == 1:
        return colours[0]
    share = np.array(LUMA, np.float32) / np.float32(sum(LUMA))
    total = colours[0] * share[0]
    for plane, weight in zip(colours[1:], share[1:], strict=True):
        total += plane * weight
    return total


def interpolated(bands: np.ndarray, scale: int) -> np.ndarray:
    """Bands `(bands, height, width)` by bicubic interpolation, zeros beyond the border."""
    spec = interpolation_spec("bicubic", scale)
    x = np.ascontiguousarray(bands)[:, None]
    return conv_transpose(x, _bicubic(scale), stride=spec.stride, padding=spec.padding)[:, 0]


@lru_cache(maxsize=8)
def _bicubic(scale: int) -> np.ndarray:
    return interpolation_kernel("bicubic", scale)
