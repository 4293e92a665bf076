"""Stretches of inputs: every offset finds its inputs in one, and none is longer than sharing it allows."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from trous.plan.window import stretches


@pytest.mark.parametrize("number", range(200))
def test_every_offset_is_a_shift_of_its_stretch(number: int) -> None:
    random = Random(str(number))
    down, gap = random.randint(1, 5), random.choice((0, 1, 3, 50))
    offsets = tuple(random.sample(range(-40, 40), random.randint(1, 12)))
    found, places, extent = stretches(offsets, down, gap)
    assert list(places) == sorted(offsets)
    assert extent == max(stretch.extent for stretch in found)
    for offset, (number_of_stretch, shift) in places.items():
        first, extent = found[number_of_stretch]
        assert 0 <= shift <= extent
        for step in range(3):
            assert down * step + offset == first + down * (step + shift)


@pytest.mark.parametrize("number", range(50))
def test_a_stretch_is_as_long_as_the_gaps_allow(number: int) -> None:
    random = Random(str(number))
    down, gap = random.randint(1, 4), random.randint(0, 4)
    offsets = tuple(random.sample(range(-30, 30), random.randint(1, 12)))
    found, places, _ = stretches(offsets, down, gap)
    shifts: list[list[int]] = [[] for _ in found]
    for number_of_stretch, shift in places.values():
        shifts[number_of_stretch].append(shift)
    for (_, extent), own in zip(found, map(sorted, shifts), strict=True):
        assert own[0] == 0 and own[-1] == extent
        assert all(b - a <= gap for a, b in pairwise(own))
    ends = sorted((first % down, first, first + down * extent) for first, extent in found)
    for (residue, _, last), (next_residue, following, _) in pairwise(ends):
        assert residue != next_residue or following - last > down * gap, "neighbours that should have been one"
