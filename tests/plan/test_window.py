"""Stretches of inputs: every offset finds its inputs in one, and none is longer than sharing it allows."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from trous.plan.window import live_share, overhang, stretches


@pytest.mark.parametrize("number", range(200))
def test_every_offset_is_a_shift_of_its_stretch(number: int) -> None:
    random = Random(str(number))
    down, gap = random.randint(1, 5), random.choice((0, 1, 3, 50))
    offsets = tuple(random.sample(range(-40, 40), random.randint(1, 12)))
    held = stretches(offsets, down, gap)
    found, places = held.found, held.places
    assert list(places) == sorted(offsets)
    assert held.extent == max(stretch.extent for stretch in found)
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
    held = stretches(offsets, down, gap)
    found, places = held.found, held.places
    shifts: list[list[int]] = [[] for _ in found]
    for number_of_stretch, shift in places.values():
        shifts[number_of_stretch].append(shift)
    for (_, extent), own in zip(found, map(sorted, shifts), strict=True):
        assert own[0] == 0 and own[-1] == extent
        assert all(b - a <= gap for a, b in pairwise(own))
    ends = sorted((first % down, first, first + down * extent) for first, extent in found)
    for (residue, _, last), (next_residue, following, _) in pairwise(ends):
        assert residue != next_residue or following - last > down * gap, "neighbours that should have been one"


def test_offsets_that_find_an_input_are_counted_box_by_box() -> None:
    draw, partly = Random(0), 0
    for _ in range(2000):
        down, size, steps, each = draw.randint(1, 4), draw.randint(0, 30), draw.randint(1, 30), draw.randint(1, 12)
        offsets = tuple(draw.randint(-40, 60) for _ in range(draw.randint(1, 4)))
        boxes = [range(steps)[first : first + each] for first in range(0, steps, each)]
        found = sum(len(box) for box in boxes for o in offsets if down * box[-1] + o >= 0 and down * box[0] + o < size)
        assert live_share(offsets, down, size, steps, each) == found / (steps * len(offsets))
        partly += 0 < found < steps * len(offsets)
    assert partly > 500


def test_steps_that_miss_the_input_by_the_farthest_offset_are_counted() -> None:
    draw = Random(1)
    for _ in range(500):
        size, steps = draw.randint(1, 30), draw.randint(1, 30)
        offsets = tuple(draw.randint(-40, 60) for _ in range(draw.randint(1, 4)))
        before = sum(m + min(offsets) < 0 for m in range(-100, 200)) - 100
        behind = sum(m + max(offsets) >= size for m in range(-100, steps + 100)) - 100
        assert overhang(offsets, 1, size, steps) == max(before, behind)
