"""Pairs are what `imresize` says, patches come from the same place in both, decided by seed and number alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trous import TrousError
from trous.apps.data import pictures_in
from trous.apps.quality import luma
from trous.apps.resize import imresize
from trous.apps.upscale.patches import Pair, Patches, batch, pair, pairs, read_luma


def numbered(rows: int, columns: int, scale: int, start: int = 0) -> Pair:
    """A pair in which every small pixel has a number of its own, and the large ones in its place the same."""
    small = (start + np.arange(rows * columns).reshape(rows, columns)).astype(np.uint16)
    return Pair(small, np.kron(small, np.ones((scale, scale), np.uint16)))


def test_a_pair_is_a_picture_and_what_imresize_makes_of_it(rng: np.random.Generator) -> None:
    large = rng.random((13, 17)) * 255
    small, kept = pair(large, 3)
    assert (small.shape, kept.shape) == ((4, 5), (12, 15))
    np.testing.assert_allclose(kept / 256, large[:12, :15], atol=1 / 512)
    np.testing.assert_allclose(small / 256, imresize(large[:12, :15], (4, 5)).clip(0, 255), atol=1 / 512)


def test_both_patches_come_from_one_place() -> None:
    sources = [numbered(6, 5, 2), numbered(4, 9, 2, start=1000)]
    patches = Patches(sources, 3, 2000, (0, 0))
    seen = set()
    for small, large in patches.__getitems__(list(range(2000))):
        np.testing.assert_array_equal(np.kron(small, np.ones((2, 2))), large)
        assert np.unique(small).size == 9
        seen.add(tuple(small.ravel().tolist()))
    corners = {min(values) for values in seen}
    assert corners == {
        *(r * 5 + c for r in range(4) for c in range(3)),
        *(1000 + r * 9 + c for r in (0, 1) for c in range(7)),
    }
    assert len(seen) == 26 * 8  # every place, turned and mirrored in every way


def test_seed_and_number_decide() -> None:
    sources = [numbered(20, 20, 2)]
    first, again, other = (Patches(sources, 4, 10, seed) for seed in ((1, 2), (1, 2), (1, 3)))
    assert all((first[n][0] == again[n][0]).all() for n in range(10))
    assert any((first[n][0] != other[n][0]).any() for n in range(10))


def test_a_batch_lies_between_0_and_1() -> None:
    small, large = batch(
        Patches([Pair(*[np.full((n, n), 255 * 256, np.uint16) for n in (8, 16)])], 4, 3, (0,)).__getitems__([0, 1, 2])
    )
    assert (small.shape, large.shape) == ((3, 1, 4, 4), (3, 1, 8, 8))
    assert small.min() == large.max() == 1


def test_pictures_are_found_and_read(tmp_path: Path, rng: np.random.Generator) -> None:
    colours = rng.integers(0, 256, (8, 6, 3), np.uint8)
    (tmp_path / "inner").mkdir()
    Image.fromarray(colours).save(tmp_path / "inner" / "b.PNG")
    Image.fromarray(colours[..., 0]).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    paths = pictures_in(tmp_path)
    assert [path.name for path in paths] == ["a.png", "b.PNG"]
    np.testing.assert_array_equal(read_luma(paths[1]), luma(colours))
    done: list[None] = []
    found = pairs(paths, 2, (1.0, 0.5), lambda: done.append(None))
    assert [p.small.shape for p in found] == [(4, 3), (2, 1)] * 2
    assert len(done) == 2


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(TrousError, match="folder must hold pictures"):
        pictures_in(tmp_path)
    (tmp_path / "a.png").write_bytes(b"\x89PNG but not for long")
    with pytest.raises(TrousError, match="picture must be one that can be read"):
        read_luma(tmp_path / "a.png")
    with pytest.raises(TrousError, match="patch must fit"):
        Patches([numbered(4, 9, 2)], 5, 1, (0,))
