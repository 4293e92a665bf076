"""What is written is what was given; files are complete or as they were."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import ExifTags, Image, ImageCms

from trous.apps.pictures import Layout, formats, open_picture, save_picture, stored
from trous.apps.pictures.formats import JPEG, PNG, TIFF, WEBP, format_for
from trous.errors import TrousError

HEIGHT, WIDTH = 45, 61
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def samples(rng: np.random.Generator, bands: int, dtype: Any, size: tuple[int, int] = (HEIGHT, WIDTH)) -> np.ndarray:
    return rng.integers(0, np.iinfo(dtype).max + 1, (*size, bands), dtype)


def layout(array: np.ndarray) -> Layout:
    return Layout(*array.shape, array.dtype)


def strips(array: np.ndarray, step: int = 7) -> Iterator[np.ndarray]:
    return (array[start : start + step] for start in range(0, len(array), step))


def decoded(path: Path) -> np.ndarray:
    """By libvips, at once."""
    found = pyvips.Image.new_from_buffer(path.read_bytes(), "").numpy()
    return found.reshape(*found.shape[:2], -1)


def encoders() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "_run" in thread.name]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_exact(bands: int, dtype: Any, suffix: str, tmp_path: Path, rng: np.random.Generator) -> None:
    array, path = samples(rng, bands, dtype), tmp_path / f"x{suffix}"
    save_picture(path, strips(array), layout(array))
    found = decoded(path)
    assert found.dtype == dtype
    assert (found == array).all()
    if (bands, dtype) != (2, np.uint16):  # which Pillow does not know
        with Image.open(path) as image:
            assert image.size == (WIDTH, HEIGHT)
    assert os.listdir(tmp_path) == [path.name]
    assert path.stat().st_mode & 0o777 == 0o644
    assert encoders() == []


@pytest.mark.parametrize(("suffix", "bands"), [(".jpg", 1), (".jpeg", 3), (".webp", 3), (".webp", 4)])
def test_close(suffix: str, bands: int, tmp_path: Path) -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    array = np.stack([3 * x, 4 * y, 2 * x + 2 * y, 255 - 3 * x][:bands], -1).astype(np.uint8)
    save_picture(tmp_path / f"x{suffix}", strips(array), layout(array))
    found = decoded(tmp_path / f"x{suffix}")
    assert found.shape == array.shape
    assert np.abs(found.astype(int) - array).mean() < 2


@pytest.mark.parametrize("chunk", [100, 1000, 2000])
def test_rows_longer_and_shorter_than_a_chunk(
    chunk: int, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "CHUNK", chunk)
    array = samples(rng, 4, np.uint16)
    assert layout(array).row_bytes == 488
    save_picture(tmp_path / "x.png", strips(array), layout(array))
    assert (decoded(tmp_path / "x.png") == array).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_what_a_file_says_beside_its_pixels(suffix: str, tmp_path: Path, rng: np.random.Generator) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "Maker"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] = WIDTH
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    packet = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" dc:title="t"/></x:xmpmeta>'
    array = samples(rng, 3, np.uint8)
    Image.fromarray(array).save(tmp_path / "a.jpg", exif=exif, icc_profile=PROFILE, xmp=packet, dpi=(240, 240))
    like = open_picture(tmp_path / "a.jpg")
    large = like.rows(0, WIDTH).repeat(2, 0).repeat(2, 1)
    assert large.shape == (2 * WIDTH, 2 * HEIGHT, 3)
    path = tmp_path / f"b{suffix}"
    save_picture(path, strips(large), like.layout.times(2), like)

    with Image.open(path) as image:
        assert image.info["icc_profile"] == PROFILE
        assert image.size == (2 * HEIGHT, 2 * WIDTH)
        found = image.getexif()
        assert found.get(ExifTags.Base.Orientation, 1) == 1
        if suffix != ".webp":
            assert image.info["dpi"] == pytest.approx((240, 240), abs=0.01)
    header = pyvips.Image.new_from_file(str(path))
    assert header.get("xmp-data") == packet.replace(b"6", b"1")
    if suffix != ".tif":  # libvips writes none
        assert found[ExifTags.Base.Make] == "Maker"
        assert found.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
        assert found.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExifImageWidth] == 2 * HEIGHT


def test_a_thumbnail_is_left_out(tmp_path: Path, rng: np.random.Generator) -> None:
    """It would be that of the small picture."""
    array = samples(rng, 3, np.uint8)
    Image.fromarray(array).save(tmp_path / "thumb.jpg")
    thumb = (tmp_path / "thumb.jpg").read_bytes()
    tags = [(0x0201, 4, 1, 26 + 30), (0x0202, 4, 1, len(thumb))]
    body = b"MM\0*" + (8).to_bytes(4, "big") + (1).to_bytes(2, "big")
    body += b"".join(n.to_bytes(k, "big") for n, k in zip((0x0112, 3, 1, 1, 0), (2, 2, 4, 2, 2), strict=True))
    body += (26).to_bytes(4, "big") + len(tags).to_bytes(2, "big")
    body += b"".join(n.to_bytes(k, "big") for tag in tags for n, k in zip(tag, (2, 2, 4, 4), strict=True))
    body += bytes(4)
    assert len(body) == 56
    Image.fromarray(array).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + body + thumb)
    like = open_picture(tmp_path / "a.jpg")
    assert like.header.get("jpeg-thumbnail-data") == thumb
    save_picture(tmp_path / "b.jpg", strips(array), like.layout, like)
    assert thumb not in (tmp_path / "b.jpg").read_bytes()
    assert not pyvips.Image.new_from_file(str(tmp_path / "b.jpg")).get_typeof("jpeg-thumbnail-data")


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "rule"),
    [
        ("x.bmp", (9, 9, 3), np.uint8, "must end in one of .png, .jpg, .jpeg, .webp, .tif, .tiff"),
        ("x", (9, 9, 3), np.uint8, "must end in one of"),
        ("x.jpg", (9, 9, 4), np.uint8, "must be of a format that holds transparency: .png, .webp, .tif, .tiff"),
        ("x.jpg", (9, 9, 3), np.uint16, "must be of a format that holds 16 bits a sample: .png, .tif, .tiff"),
        ("x.webp", (9, 9, 2), np.uint16, "must be of a format that holds 16 bits a sample: .png, .tif, .tiff"),
        ("x.webp", (9, 16_384, 3), np.uint8, "must be of a format that holds 16384 × 9 pixels (WebP ends at 16,383"),
        ("x.jpg", (65_501, 9, 3), np.uint8, "a side): .png, .tif, .tiff"),
    ],
)
def test_what_a_format_does_not_hold(name: str, shape: Any, dtype: Any, rule: str, tmp_path: Path) -> None:
    def none() -> Iterator[np.ndarray]:
        raise AssertionError("no strip is to be computed")
        yield

    with pytest.raises(TrousError) as raised:
        save_picture(tmp_path / name, none(), Layout(*shape, np.dtype(dtype)))
    assert rule in raised.value.rule
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("kind", [JPEG, WEBP])
def test_the_longest_side_is_written(kind: formats.Format, tmp_path: Path) -> None:
    for size in ((1, kind.longest), (kind.longest, 1)):
        array = np.zeros((*size, 1 if kind is JPEG else 3), np.uint8)
        path = tmp_path / f"x.{kind.name.lower()}"
        save_picture(path, [array], layout(array))
        assert decoded(path).shape == array.shape


def test_a_large_tiff_is_a_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.zeros((9, 9, 3), np.uint8)
    monkeypatch.setattr(formats, "BIG_TIFF", array.nbytes - 1)
    save_picture(tmp_path / "x.tif", [array], layout(array))
    assert (tmp_path / "x.tif").read_bytes()[2] == 43  # of a TIFF: 42
    assert decoded(tmp_path / "x.tif").shape == array.shape
    assert format_for(Path("x.tiff"), layout(array)) is TIFF
    assert "bigtiff" not in PNG.arguments(layout(array))


class Stop(Exception):
    pass


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, TrousError])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_an_error_midway_leaves_what_was_there(
    suffix: str, error: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    path, array = tmp_path / f"x{suffix}", samples(rng, 3, np.uint8, (400, 300))
    path.write_bytes(b"old")

    def broken() -> Iterator[np.ndarray]:
        yield from strips(array[:200])
        raise error("midway", "", 0)

    with pytest.raises(error, match="midway"):
        save_picture(path, broken(), layout(array))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]
    assert encoders() == []


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        (lambda array: [array[:-1]], "must have 45 rows together"),
        (lambda array: [array, array], "must be of 61 × 45 pixels, 3 bands, uint8"),
        (lambda array: [array[:, 1:]], "must be of"),
        (lambda array: [array.astype(np.uint16)], "must be of"),
    ],
)
def test_strips_of_another_picture(wrong: Any, rule: str, tmp_path: Path, rng: np.random.Generator) -> None:
    array = samples(rng, 3, np.uint8)
    with pytest.raises(TrousError) as raised:
        save_picture(tmp_path / "x.png", wrong(array), layout(array))
    assert raised.value.rule.startswith(rule)
    assert os.listdir(tmp_path) == []


def test_where_no_file_can_be(tmp_path: Path, rng: np.random.Generator) -> None:
    array = samples(rng, 3, np.uint8)
    (tmp_path / "folder.png").mkdir()
    for name, said in (("missing/x.png", "No such file or directory"), ("folder.png", "not a folder")):
        with pytest.raises(TrousError, match=said):
            save_picture(tmp_path / name, strips(array), layout(array))
    assert os.listdir(tmp_path) == ["folder.png"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_a_full_disc(suffix: str, tmp_path: Path, rng: np.random.Generator, capfd: Any) -> None:
    """No deadlock either, when the encoder has given up and rows go on coming."""
    path, array = tmp_path / f"x{suffix}", samples(rng, 3, np.uint8, (1500, 1200))
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(TrousError, match="must be where a picture can be written") as raised:
            save_picture(path, strips(array, 50), layout(array))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "File too large" in raised.value.rule
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]
    assert encoders() == []
    assert capfd.readouterr() == ("", "")
