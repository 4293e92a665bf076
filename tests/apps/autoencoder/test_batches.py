"""Batches: every picture as often as its area asks for, one size in each, and the same whenever they are made again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trous.apps.autoencoder.batches import Batches, noisy
from trous.apps.autoencoder.images import Pictures, find

SIZES = (20, 33), (40, 41), (70, 55), (40, 41), (8, 8)


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    """Every picture has a colour of its own, 20 apart."""
    for n, (height, width) in enumerate(SIZES):
        Image.new("L", (width, height), 20 * n).save(tmp_path / f"{n}.png")
    return Pictures(find([tmp_path]))


def test_crops_cover_the_area_and_share_batches_by_size(pictures: Pictures) -> None:
    batches = Batches(pictures, 3, 32)
    seen = {n: 0 for n in range(len(SIZES))}
    for place in range(len(batches)):
        noised, images = batches[place]
        assert noised is images and len(images) <= 3
        for image in images:
            (colour,) = (image * 255).round().unique().tolist()
            index = int(colour) // 20
            assert tuple(image.shape) == (1, *(min(n, 32) for n in SIZES[index]))
            seen[index] += 1
    assert seen == {0: 2, 1: 2, 2: 4, 3: 2, 4: 1}


def test_whole_pictures(pictures: Pictures) -> None:
    batches = Batches(pictures, 8, None)
    sizes = sorted(tuple(batches[n][1].shape) for n in range(len(batches)))
    assert sizes == [(1, 1, 8, 8), (1, 1, 20, 33), (1, 1, 70, 55), (2, 1, 40, 41)]


def test_crops_lie_everywhere(tmp_path: Path) -> None:
    row = np.tile(np.arange(40, dtype=np.uint8), (8, 1))
    Image.fromarray(row).save(tmp_path / "row.png")
    pictures = Pictures(find([tmp_path]))
    left = {
        int(image[0, 0, 0] * 255 + 0.5)
        for epoch in range(60)
        for batch in [Batches(pictures, 64, 8, epoch=epoch)]
        for place in range(len(batch))
        for image in batch[place][1]
    }
    assert left == set(range(33))


def test_the_same_again_and_others_in_the_next_epoch(pictures: Pictures) -> None:
    def made(**given: int) -> list[torch.Tensor]:
        batches = Batches(pictures, 3, 16, 0.1, **given)
        return [batches[n][0] for n in range(len(batches))]

    def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
        return all(x.shape == y.shape and torch.equal(x, y) for x, y in zip(a, b, strict=True))

    assert same(made(seed=1, epoch=2), made(seed=1, epoch=2))
    assert not same(made(seed=1, epoch=2), made(seed=1, epoch=3))
    assert not same(made(seed=1, epoch=2), made(seed=2, epoch=2))


def test_noise(pictures: Pictures) -> None:
    images = torch.full((4, 1, 50, 50), 0.5)
    difference = noisy(images, 0.25, 7) - images
    assert abs(difference.std() - 0.25) < 0.01 and abs(difference.mean()) < 0.01
    assert torch.equal(noisy(images, 0.25, 7), noisy(images, 0.25, 7))
    seen, clean = Batches(pictures, 3, 16, 0.25)[0]
    assert not torch.equal(seen, clean)
