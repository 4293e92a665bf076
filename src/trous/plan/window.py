"""The inputs that neighbouring steps of an axis share: stretches of the input that taps only shift along.

At step `m` a tap reads `i = down*m + offset`. With `offset = down*shift + residue` that is place `m + shift` of every
`down`-th input, counted from `residue`: taps of one residue read the same sequence, shifted. A *stretch* is such a
sequence, copied once for a tile of steps and read by all taps whose shifts lie close together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Stretch(NamedTuple):
    """Inputs `down*(m + 0 .. extent) + offset` of step `m`: with `T` steps, `T + extent` inputs."""

    offset: int
    extent: int


class Place(NamedTuple):
    """Where a tap finds its input: number of the stretch, and places behind the stretch's first."""

    stretch: int
    shift: int


def stretches(offsets: Iterable[int], down: int, gap: int) -> tuple[list[Stretch], dict[int, Place]]:
    """The stretches that hold all `offsets`, and the place of each.

    Offsets of one residue share a stretch where their shifts lie at most `gap` apart; 0 gives each its own.

    >>> stretches([0, 1, 2], down=2, gap=1)[0]
    [Stretch(offset=0, extent=1), Stretch(offset=1, extent=0)]
    """
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
    return found, places
