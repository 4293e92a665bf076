"""The inputs that neighbouring steps of an axis share: stretches of the input that taps only shift along.

At step `m` a tap reads `i = down*m + offset`. With `offset = down*shift + residue` that is place `m + shift` of every
`down`-th input, counted from `residue`: taps of one residue read the same sequence, shifted. A *stretch* is such a
sequence, copied once for a tile of steps and read by all taps whose shifts lie close together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple


class Stretch(NamedTuple):
    """Inputs `down*(m + 0 .. extent) + offset` of step `m`: with `T` steps, `T + extent` inputs."""

    offset: int
    extent: int


class Place(NamedTuple):
    """Where a tap finds its input: number of the stretch, and places behind the stretch's first."""

    stretch: int
    shift: int


@dataclass(frozen=True, eq=False)
class Stretches:
    """The stretches that hold the offsets of an axis, the place of each offset, and the largest extent.

    Those asked for again are the same object, and what is kept by them is found by that.
    """

    found: tuple[Stretch, ...]
    places: dict[int, Place]  #: offsets ascending
    extent: int


def stretches(offsets: tuple[int, ...], down: int, gap: int) -> Stretches:
    """The stretches that hold all `offsets`.

    Offsets of one residue share a stretch where their shifts lie at most `gap` apart; 0 gives each its own.

    >>> stretches((0, 1, 2), down=2, gap=1).found
    (Stretch(offset=0, extent=1), Stretch(offset=1, extent=0))
    """
    return _stretches(offsets, down, min(gap, (max(offsets) - min(offsets)) // down if offsets else 0))


@lru_cache(maxsize=1024)
def live_share(offsets: tuple[int, ...], down: int, size: int, steps: int, each: int) -> float:
    """Share of the taps of `steps` steps that are not skipped, when those in a box of `each` steps skip together, and
    only where none of them finds one of the `size` inputs.

    >>> live_share((-2, 0, 2), down=1, size=4, steps=4, each=2)
    0.6666666666666666
    """
    if not offsets or not steps:
        return 1.0
    found = 0
    for offset in offsets:
        low, high = max(0, -(offset // down)), min(steps - 1, (size - 1 - offset) // down)  # of a tap's own steps
        if low < steps and high >= 0:
            found += max(0, min(steps, (high // each + 1) * each) - low // each * each)
    return found / (steps * len(offsets))


def settled(offsets: tuple[int, ...], down: int) -> int:
    """Steps of a tile from which on its stretches are what they are for every larger one: each overlaps the next."""
    return (offsets[-1] - offsets[0]) // down if offsets else 0


def overhang(offsets: tuple[int, ...], down: int, size: int, steps: int) -> int:
    """How many steps, at the end where they are more, miss the `size` inputs by their farthest offset.

    >>> overhang((-2, 0, 2), down=1, size=4, steps=4)
    2
    """
    if not offsets:
        return 0
    return max(-min(offsets), max(offsets) + down * (steps - 1) - size + 1) // down


@lru_cache(maxsize=1024)
def _stretches(offsets: tuple[int, ...], down: int, gap: int) -> Stretches:
    found: list[Stretch] = []
    places: dict[int, Place] = {}
    for offset in sorted(offsets, key=lambda o: (o % down, o)):
        if found:
            first, extent = found[-1]
            shift = (offset - first) // down
            if offset % down == first % down and shift - extent <= gap:
                found[-1] = Stretch(first, shift)
                places[offset] = Place(len(found) - 1, shift)
                continue
        found.append(Stretch(offset, 0))
        places[offset] = Place(len(found) - 1, 0)
    extent = max((stretch.extent for stretch in found), default=0)
    return Stretches(tuple(found), dict(sorted(places.items())), extent)
