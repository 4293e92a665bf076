"""Reading and finding pictures, and what is said of those that cannot be read."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trous import TrousError
from trous.apps.autoencoder.images import Picture, Pictures, find, read_idx, read_image, save_image


def idx(path: Path, values: np.ndarray) -> Path:
    """An IDX file of these values."""
    head = struct.pack(f">I{values.ndim}I", 0x800 + values.ndim, *values.shape)
    data = head + values.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_folders_files_and_archives(tmp_path: Path, rng: np.random.Generator) -> None:
    grey, rgb = rng.integers(0, 256, (9, 7), np.uint8), rng.integers(0, 256, (5, 8, 3), np.uint8)
    (tmp_path / "a" / "b").mkdir(parents=True)
    Image.fromarray(grey).save(tmp_path / "a" / "b" / "grey.png")
    Image.fromarray(rgb).save(tmp_path / "a" / "rgb.BMP")
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    digits = rng.integers(0, 256, (3, 4, 6), np.uint8)
    archive = idx(tmp_path / "some-idx3-ubyte.gz", digits)
    pictures = Pictures(find([tmp_path / "a", archive]))
    assert [Path(name).name for name in pictures.names] == [
        "grey.png",
        "rgb.BMP",
        *(f"{archive.name}:{n}" for n in (0, 1, 2)),
    ]
    assert pictures.sizes == [(9, 7), (5, 8), *[(4, 6)] * 3] and pictures.channels == 3
    np.testing.assert_array_equal(pictures[0], np.stack([grey] * 3))
    np.testing.assert_array_equal(pictures[1], np.moveaxis(rgb, -1, 0))
    np.testing.assert_array_equal(pictures[4], np.stack([digits[2]] * 3))
    assert Pictures(find([archive])).channels == 1
    np.testing.assert_array_equal(Pictures(find([archive]))[1], digits[1][None])


def test_a_picture_is_turned_as_its_exif_says(tmp_path: Path, rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (6, 9, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    Image.fromarray(pixels).save(tmp_path / "turned.webp", exif=exif, lossless=True)
    pictures = Pictures([Picture(tmp_path / "turned.webp")])
    np.testing.assert_array_equal(np.moveaxis(pictures[0], 0, -1), np.rot90(pixels, -1))
    assert pictures.sizes == [(9, 6)]


def test_what_is_saved_is_read(tmp_path: Path, rng: np.random.Generator) -> None:
    for channels in (1, 3):
        image = rng.integers(0, 256, (channels, 5, 4), np.uint8)
        save_image(tmp_path / "x.png", image)
        np.testing.assert_array_equal(read_image(tmp_path / "x.png", channels), image)
    with pytest.raises(TrousError, match=r"output must end as a picture's name, in \.png for example"):
        save_image(tmp_path / "x.doc", image)
    with pytest.raises(TrousError, match="output must be where a file can be written"):
        save_image(tmp_path / "absent" / "x.png", image)


def test_16_bits(tmp_path: Path, rng: np.random.Generator) -> None:
    fine = rng.integers(0, 2**16, (5, 4)).astype(np.uint16)
    Image.fromarray(fine).save(tmp_path / "fine.png")
    expected = np.round(fine / 257)
    np.testing.assert_array_equal(read_image(tmp_path / "fine.png", 1)[0], expected)
    np.testing.assert_array_equal(read_image(tmp_path / "fine.png", 3), np.stack([expected] * 3))
    assert Pictures(find([tmp_path])).channels == 1
    Image.fromarray(rng.random((5, 4), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(TrousError, match="it has more than 16 bits"):
        read_image(tmp_path / "float.tif", 1)


def test_labels(tmp_path: Path) -> None:
    labels = np.array([3, 1, 4, 1, 5], np.uint8)
    np.testing.assert_array_equal(read_idx(idx(tmp_path / "labels-idx1-ubyte", labels)), labels)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TrousError, match="images must be files or folders that are there"):
        find([tmp_path / "absent.png"])
    with pytest.raises(TrousError, match="folder must hold pictures"):
        find([tmp_path])
    with pytest.raises(TrousError, match="images must be files, folders or archives of images, not of labels"):
        find([idx(tmp_path / "labels-idx1-ubyte", np.arange(3))])
    with pytest.raises(TrousError, match="images must be one at least"):
        find([])
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(TrousError, match=r"images must be undamaged pictures that Pillow reads .*text.png"):
        Pictures(find([tmp_path]))
    whole = tmp_path / "whole.png"
    Image.effect_noise((64, 64), 50).save(whole)
    whole.write_bytes(whole.read_bytes()[:-2000])
    cut = Pictures([Picture(whole)])
    with pytest.raises(TrousError, match=r"images must be undamaged pictures .*whole.png"):
        cut[0]


@pytest.mark.parametrize(
    "damage", [b"", b"\x00\x00\x08", b"\x00\x00\x0d\x03" + bytes(12), b"\x00\x00\x08\x01\x00\x00\x00\x09ab"]
)
def test_a_damaged_archive(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x-idx1-ubyte"
    path.write_bytes(damage)
    with pytest.raises(TrousError, match="archive must be an undamaged IDX file of images or labels"):
        read_idx(path)
    packed = tmp_path / "x-idx1-ubyte.gz"
    packed.write_bytes(gzip.compress(bytes(100))[:-12])
    with pytest.raises(TrousError, match="archive must be an undamaged IDX file"):
        read_idx(packed)
