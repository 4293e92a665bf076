"""Colours in even steps of lightness, for maps: equal differences of a value are seen as equal.

Lightness is that of Oklab (Ottosson, "A perceptual color space for image processing", 2020).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Linear sRGB to the responses of the eye's three cones; their cube roots to lightness, green-red and blue-yellow.
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def lightness(colour: str) -> float:
    """0 for black, 1 for white; of `#rrggbb`."""
    return float(_oklab(colour)[0])


def even_steps(stops: Sequence[str], count: int) -> list[str]:
    """`count` colours from the first stop through the others to the last, their lightness in even steps.

    The stops are `#rrggbb` and grow lighter all the way, or darker.
    """
    known = np.array([_oklab(stop) for stop in stops])
    steps = np.linspace(known[0, 0], known[-1, 0], count)
    rising = known[np.argsort(known[:, 0])]
    return [_colour(np.array([np.interp(step, rising[:, 0], channel) for channel in rising.T])) for step in steps]


def _oklab(colour: str) -> np.ndarray:
    shares = np.frombuffer(bytes.fromhex(colour[1:]), np.uint8) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return _LAB @ np.cbrt(_CONES @ linear)


def _colour(lab: np.ndarray) -> str:
    linear = np.clip(np.linalg.solve(_CONES, np.linalg.solve(_LAB, lab) ** 3), 0, 1)
    shares = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return "#" + "".join(f"{round(255 * share):02x}" for share in shares.tolist())
