"""How much of a checkerboard there is in what a network makes: on flat pictures, and in the spectrum of real ones.

An upsampling layer treats the `scale*scale` places that an output pixel can have in an input pixel by weights of their
own. Where their sums differ, a flat picture becomes a pattern of that period (Odena, Dumoulin & Olah 2016); in real
pictures the pattern moves with their content, and shows as energy at the frequencies `1/scale` and its multiples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product

import numpy as np

Enlarge = Callable[[np.ndarray], np.ndarray]  #: luma (height, width), 0 to 1, to scale times the size

#: Grey levels looked at, and pixels to a side of their pictures.
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
FLAT = 24
#: Frequencies to each side of one that make up its surroundings.
_AROUND = 6
#: Power that stands for none.
_NOTHING = 1e-30


def on_flat_pictures(enlarge: Enlarge, scale: int) -> float:
    """Root mean square difference of the phases to their mean, in levels of 0 to 255, over flat pictures."""
    found = []
    for level in LEVELS:
        large = np.asarray(enlarge(np.full((FLAT, FLAT), level, np.float32)), np.float64) * 255
        middle = large[FLAT * scale // 3 :, FLAT * scale // 3 :][:scale, :scale]
        found.append(np.square(middle - middle.mean()).mean())
    return float(np.sqrt(np.mean(found)))


def in_the_spectrum(errors: Iterable[np.ndarray], scale: int) -> float:
    """By how many dB the errors of real pictures have more power at the multiples of `1/scale` than around them.

    The ratio of powers is averaged over pictures and frequencies; 0 where the pattern of the scale does not stand out.
    `errors` are `(height, width)`, the enlarged picture less the true one.
    """
    found = []
    for error in errors:
        height, width = (n // scale * scale for n in error.shape)
        window = np.outer(np.hanning(height), np.hanning(width))
        cut = error[:height, :width]
        power = np.square(np.abs(np.fft.fft2((cut - cut.mean()) * window)))
        for row, column in product(range(scale), repeat=2):
            if row or column:
                found.append(_above_surroundings(power, row * height // scale, column * width // scale))
    return float(10 * np.log10(np.mean(found)))


def _above_surroundings(power: np.ndarray, row: int, column: int) -> float:
    rows, columns = (np.arange(-_AROUND, _AROUND + 1) + n for n in (row, column))
    around = np.take(np.take(power, rows, axis=0, mode="wrap"), columns, axis=1, mode="wrap")
    middle = slice(_AROUND - 1, _AROUND + 2)  # the window spreads a frequency over its neighbours
    peak = around[middle, middle].mean()
    others = (around.sum() - around[middle, middle].sum()) / (around.size - 9)
    return float((peak + _NOTHING) / (others + _NOTHING))
