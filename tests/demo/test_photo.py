"""Photographs of every kind come in as RGB between 0 and 1; what is none is refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trous.demo import photo as module
from trous.demo.photo import CREDIT, LONGEST_SIDE, SHIPPED, load_photo
from trous.errors import TrousError

HEIGHT, WIDTH = 33, 47


@pytest.fixture
def grey(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (HEIGHT, WIDTH), np.uint8)


def saved(path: Path, values: np.ndarray, **options: object) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


def test_the_shipped_one() -> None:
    photo = load_photo(SHIPPED)
    assert photo.size == (300, 451)
    assert photo.pixels.dtype == np.float32
    assert photo.pixels.flags.c_contiguous
    assert photo.notice == ""
    assert photo.pixels.std() > 0.1
    assert SHIPPED.stat().st_size < 200_000
    assert "CC0" in CREDIT.read_text(encoding="utf-8")


def test_colours_are_exact(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    photo = load_photo(saved(tmp_path / "a.png", values))
    assert photo.size == (HEIGHT, WIDTH)
    assert np.array_equal(np.rint(photo.pixels[0] * 255), values.transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "YCbCr", "LA", "1"])
def test_other_modes_are_the_same_picture(tmp_path: Path, grey: np.ndarray, mode: str) -> None:
    path = tmp_path / ("a.tif" if mode in ("CMYK", "YCbCr") else "a.png")
    levels = (grey > 127).astype(np.uint8) * 255 if mode == "1" else grey
    Image.fromarray(levels).convert(mode).save(path)
    pixels = load_photo(path).pixels[0] * 255
    assert np.abs(pixels - levels).max() <= 2


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_keep_their_depth(tmp_path: Path, rng: np.random.Generator, suffix: str) -> None:
    values = rng.integers(0, 4000, (HEIGHT, WIDTH), np.uint16)
    pixels = load_photo(saved(tmp_path / f"a.{suffix}", values)).pixels[0]
    assert np.abs(pixels - values / 65535).max() < 1e-6
    assert len(np.unique(pixels)) > 256


def test_floats_and_what_is_not_finite(tmp_path: Path, rng: np.random.Generator) -> None:
    values = rng.random((HEIGHT, WIDTH), np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    pixels = load_photo(saved(tmp_path / "a.tif", values)).pixels[0]
    assert np.array_equal(pixels[:, 1:], np.stack([values[1:]] * 3))
    assert not pixels[:, 0, :3].any()


@pytest.mark.parametrize("empty", [np.uint16, np.float32])
def test_black(tmp_path: Path, empty: type) -> None:
    assert not load_photo(saved(tmp_path / "a.tif", np.zeros((HEIGHT, WIDTH), empty))).pixels.any()


def test_transparency_is_white(tmp_path: Path) -> None:
    values = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    values[:, :20, 3] = 255
    pixels = load_photo(saved(tmp_path / "a.png", values)).pixels[0]
    assert not pixels[:, :, :20].any()
    assert (pixels[:, :, 20:] == 1).all()


def test_turned_as_the_camera_was(tmp_path: Path, grey: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise to show it upright
    photo = load_photo(saved(tmp_path / "a.png", grey, exif=exif))
    assert photo.size == (WIDTH, HEIGHT)
    assert np.array_equal(np.rint(photo.pixels[0, 0] * 255), np.rot90(grey, -1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_large_ones_are_reduced(tmp_path: Path, dtype: type) -> None:
    values = np.zeros((300, 1200), dtype)
    values[:, 600:] = np.iinfo(dtype).max
    photo = load_photo(saved(tmp_path / "a.png", values))
    assert photo.size == (128, LONGEST_SIDE)
    assert photo.notice == "reduced from 1200 × 300"
    assert photo.pixels.min() == 0
    assert photo.pixels.max() == 1


def refused(path: Path, rule: str) -> None:
    with pytest.raises(TrousError, match=rule) as caught:
        load_photo(path)
    assert caught.value.argument == "photo"
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_is_no_picture(tmp_path: Path, grey: np.ndarray) -> None:
    refused(tmp_path / "missing.jpg", "must be a file that exists")
    refused(tmp_path, "must be a file,")
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    refused(text, "in a format that Pillow reads")
    text.write_bytes(b"")
    refused(text, "in a format that Pillow reads")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "gif"])
def test_damaged_ones(tmp_path: Path, grey: np.ndarray, suffix: str) -> None:
    path = saved(tmp_path / f"a.{suffix}", grey)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    refused(path, "must be undamaged|in a format that Pillow reads")


def test_sizes_that_cannot_be(tmp_path: Path, grey: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(saved(tmp_path / "small.png", grey[:31]), "must have at least 32 pixels a side")
    refused(saved(tmp_path / "thin.png", np.zeros((40, 2000), np.uint8)), "must have at least 32 pixels a side")
    path = saved(tmp_path / "a.png", grey)
    monkeypatch.setattr(module, "MOST_PIXELS", grey.size - 1)
    refused(path, "megapixels")
    monkeypatch.undo()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", grey.size // 4)
    refused(path, "megapixels")
