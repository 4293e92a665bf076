"""The PSF that a command is given: in words, or from a file, checked and explained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trous.apps.deblur.kernels import kernels
from trous.errors import TrousError
from trous.inverse.psf import box, disk, gaussian, motion

#: What a word makes of its numbers, and how many there may be.
WORDS: dict[str, tuple[Callable[[Sequence[float]], np.ndarray], range]] = {
    "gaussian": (lambda numbers: gaussian(numbers if len(numbers) > 1 else numbers[0]), range(1, 4)),
    "motion": (lambda numbers: motion(*numbers), range(1, 3)),
    "disk": (lambda numbers: disk(*numbers), range(1, 2)),
    "box": (lambda numbers: box(numbers if len(numbers) > 1 else numbers[0]), range(1, 4)),
}
FORMS = "gaussian:SIGMA, motion:LENGTH,ANGLE, disk:RADIUS, box:WIDTH or a file (.png, .tif, .npy, .mat and others)"
#: So many kernels of a file are listed.
LISTED = 12
#: Pixels from which on it is said that a PSF is not centred, and of one that has no middle.
OFF_CENTRE, OFF_MIDDLE = 0.75, 0.25
#: Of the highest value, from which on the lowest is called a background, if a PSF has so many pixels a side.
BACKGROUND, WIDE = 0.01, 9


@dataclass(frozen=True)
class Psf:
    """A PSF of sum 1 with its centre at index size//2, where it comes from, and what is to be known of it."""

    values: np.ndarray
    name: str
    notes: tuple[str, ...] = ()

    def check_fits(self, sizes: Sequence[int]) -> None:
        """Raise TrousError where the PSF is larger than the result, whose sizes along the blurred axes are `sizes`."""
        if any(k > n for k, n in zip(self.values.shape, sizes, strict=True)):
            rule = f"must be no larger than the picture, {_by(sizes)}"
            raise TrousError("psf", rule, f"{self.name} ({_by(self.values.shape)})")


def read_psf(text: str, *, centre: bool = False) -> Psf:
    """The PSF that `text` says.

    Args:
        text: `gaussian:2`, `gaussian:2,2,1` (one for each axis: depth, rows, columns), `motion:15,30`, `disk:3`,
            `box:5`; or a file, `FILE:3` or `FILE:name` for one of several: the third is 3.
        centre: put the centroid in the middle, by whole pixels: zeros are added at one side.

    Raises:
        TrousError: it cannot be had, or is none: values that are not finite, negative, all zero; in colours; of other
            than two or three axes.
    """
    word, colon, numbers = text.partition(":")
    if colon and word in WORDS:
        return Psf(_from_words(word, numbers, text), text)
    values = _chosen(text)
    _check(values, text)
    values = trimmed(values.astype(float))
    values = centred(values) if centre else values
    psf = Psf(values / values.sum(), text)
    return replace(psf, notes=_notes(psf.values, centre))


def trimmed(psf: np.ndarray) -> np.ndarray:
    """The PSF without the zeros that lie at both sides of its centre; what it does to a picture stays the same.

    >>> trimmed(np.array([0, 0, 1, 2, 0, 0, 0]))
    array([1, 2, 0])
    """
    window = []
    for axis, size in enumerate(psf.shape):
        others = tuple(other for other in range(psf.ndim) if other != axis)
        lit, middle = np.flatnonzero(psf.any(axis=others)), size // 2
        reach = max(middle - lit[0], lit[-1] - middle)
        window.append(slice(max(middle - reach, 0), middle + reach + 1))
    return psf[tuple(window)]


def centred(psf: np.ndarray) -> np.ndarray:
    """The PSF with zeros at one side of each axis, so that the pixel nearest its centroid is the middle.

    >>> centred(np.array([0, 1, 2, 1]))
    array([0, 1, 2, 1, 0])
    """
    middle = [int(n // 2 + np.rint(off)) for n, off in zip(psf.shape, off_centre(psf), strict=True)]
    reach = [max(m, n - 1 - m) for n, m in zip(psf.shape, middle, strict=True)]
    sides = [(r - m, r - (n - 1 - m)) for n, m, r in zip(psf.shape, middle, reach, strict=True)]
    return trimmed(np.pad(psf, sides))


def off_centre(psf: np.ndarray) -> list[float]:
    """How far the centroid is from index size//2, in pixels along each axis."""
    places = (np.arange(n) - n // 2 for n in psf.shape)
    return [
        float((place * psf.sum(axis=tuple(a for a in range(psf.ndim) if a != axis))).sum() / psf.sum())
        for axis, place in enumerate(places)
    ]


def _from_words(word: str, numbers: str, text: str) -> np.ndarray:
    make, counts = WORDS[word]
    try:
        given = [float(number) for number in numbers.split(",")]
    except ValueError:
        given = []
    if len(given) not in counts:
        wanted = "a number" if counts == range(1, 2) else f"{counts[0]} to {counts[-1]} numbers joined by commas"
        raise TrousError("psf", f"must have {wanted} behind {word}:", text)
    try:
        return make(given)
    except TrousError as error:
        raise TrousError("psf", f"{error.argument} {error.rule}", text) from None


def _chosen(text: str) -> np.ndarray:
    """The kernel of a file, or the one of several that is named behind it."""
    path, choice = Path(text), ""
    while not path.exists() and ":" in path.name:
        before, _, last = str(path).rpartition(":")
        path, choice = Path(before), f"{last}:{choice}" if choice else last
    if not path.exists():
        raise TrousError("psf", f"must be {FORMS}", text)
    found = kernels(path)
    if len(found) == 1 and not choice:
        return found[0][1]
    if len(found) == 1 and choice.isdecimal() and found[0][1].ndim == 3:  # planes, of which each is a kernel
        found = [(str(number), plane) for number, plane in enumerate(found[0][1], 1)]
    if choice.isdecimal() and 1 <= int(choice) <= len(found):
        return found[int(choice) - 1][1]
    for name, array in found:
        if choice and choice == name:
            return array
    listed = ", ".join(
        f"{n}: {name or 'PSF'} ({_by(array.shape)})" for n, (name, array) in enumerate(found[:LISTED], 1)
    )
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    raise TrousError("psf", f"must name one of those in the file, as {path}:1: {listed}{more}", text)


def _check(values: np.ndarray, text: str) -> None:
    if values.ndim not in (2, 3):
        raise TrousError("psf", "must have two axes, or three for volumes", f"{text} ({_by(values.shape)})")
    if values.dtype.kind == "c":
        raise TrousError("psf", "must be of real numbers", f"{text} ({values.dtype})")
    if bad := int(np.count_nonzero(~np.isfinite(values))):
        raise TrousError("psf", "must be finite", f"{text} ({bad} values are NaN or infinite)")
    if not values.any():
        raise TrousError("psf", "must not be zero everywhere", text)
    if values.min() < 0:
        negative, whole = -values[values < 0].sum(dtype=float), np.abs(values.astype(float)).sum()
        rule = "must not be negative: light only adds. If a background was taken off a measured PSF, put 0 in place of"
        rule += " what is below; kernels that sharpen are for trous.deconvolve"
        share = (
            f"lowest {values.min():.3g}, highest {values.max():.3g}; {100 * negative / whole:.2g} % of it is negative"
        )
        raise TrousError("psf", rule, f"{text} ({share})")


def _notes(psf: np.ndarray, was_centred: bool) -> tuple[str, ...]:
    """What may be wrong with a PSF that came from a file."""
    notes, off, size = [], off_centre(psf), psf.shape
    if not was_centred and any(abs(d) >= OFF_CENTRE for d in off):
        notes.append(
            f"the PSF's centroid is {_apart(off)} from its centre (index size//2), and what is sharp will lie"
            " as far to the other side; --centre puts it right"
        )
    elif not was_centred and any(n % 2 == 0 and abs(d) >= OFF_MIDDLE for n, d in zip(size, off, strict=True)):
        notes.append(
            f"a PSF of even size ({_by(size)}) has no middle: its centre is index size//2, its centroid {_apart(off)}"
            " from there, and what is sharp will lie as far to the other side. One of odd size does not move it"
        )
    if min(size) >= WIDE and psf.min() > BACKGROUND * psf.max():
        notes.append(
            f"the PSF is nowhere below {100 * psf.min() / psf.max():.2g} % of its peak: if that is a background, take"
            " it off first"
        )
    return tuple(notes)


def _apart(off: Sequence[float]) -> str:
    """`2.3 rows and -1.0 columns`."""
    names = ("planes", "rows", "columns")[-len(off) :]
    return " and ".join(f"{d:+.1f} {name}" for d, name in zip(off, names, strict=True))


def _by(sizes: Sequence[int]) -> str:
    return " × ".join(map(str, sizes))
