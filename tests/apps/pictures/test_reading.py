"""Pictures come out of files as Pillow reads them; what is no picture, or half of one, is one clear error."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageCms, ImageOps

from trous.apps.pictures import open_picture, reading
from trous.apps.pictures.vips import vips
from trous.errors import TrousError

HEIGHT, WIDTH = 37, 53
#: Of Pillow, with the bands that come out.
MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def picture(rng: np.random.Generator, mode: str = "RGB", size: tuple[int, int] = (HEIGHT, WIDTH)) -> Image.Image:
    image = Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(rng.integers(0, 256, size, np.uint8)))
    return image


def by_pillow(path: Path, mode: str | None = None) -> np.ndarray:
    """What Pillow reads, turned as EXIF says, `(height, width, bands)`."""
    with Image.open(path) as image:
        found = np.asarray(ImageOps.exif_transpose(image.convert(mode) if mode else image))
    return found.reshape(*found.shape[:2], -1)


def whole(path: Path, step: int = 5) -> np.ndarray:
    """All rows, by strips."""
    opened = open_picture(path)
    height, width = opened.layout.size
    strips = [opened.rows(start, min(start + step, height)) for start in range(0, height, step)]
    found = np.concatenate(strips)
    assert (found.shape, found.dtype) == ((height, width, opened.layout.bands), opened.layout.dtype)
    return found


def refusal(path: Path) -> TrousError:
    """What reading it raises."""
    with pytest.raises(TrousError) as raised:
        whole(path)
    assert raised.value.argument == "source"
    assert str(path) in str(raised.value.value)
    assert "\n" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("mode", MODES)
def test_samples_are_those_of_the_file(mode: str, suffix: str, tmp_path: Path, rng: np.random.Generator) -> None:
    image, path = picture(rng, mode), tmp_path / f"x{suffix}"
    image.save(path, **({"lossless": True, "exact": True} if suffix == ".webp" else {}))
    expected = np.asarray(image)
    if suffix == ".webp":  # it has no grey
        expected = np.asarray(image.convert("RGBA" if mode[-1] == "A" else "RGB"))
    assert (whole(path) == expected.reshape(*expected.shape[:2], -1)).all()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg(mode: str, tmp_path: Path, rng: np.random.Generator) -> None:
    picture(rng, mode).save(tmp_path / "x.jpg", quality=90, subsampling=0)
    assert (whole(tmp_path / "x.jpg") == by_pillow(tmp_path / "x.jpg")).all()


def test_jpeg_with_a_map_of_its_highlights(tmp_path: Path) -> None:
    """What telephones write; the picture is the one that all viewers show."""
    light = np.linspace(0, 3, HEIGHT * WIDTH * 3, dtype=np.float32).reshape(HEIGHT, WIDTH, 3)
    pyvips.Image.new_from_array(light).copy(interpretation="scrgb").uhdrsave(str(tmp_path / "x.jpg"))
    assert pyvips.Image.new_from_file(str(tmp_path / "x.jpg")).get("vips-loader") == "uhdrload"
    assert (whole(tmp_path / "x.jpg") == by_pillow(tmp_path / "x.jpg")).all()
    assert not open_picture(tmp_path / "x.jpg").header.get_typeof("gainmap-data")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits(suffix: str, tmp_path: Path, rng: np.random.Generator) -> None:
    samples = rng.integers(0, 65536, (HEIGHT, WIDTH), np.uint16)
    Image.fromarray(samples).save(tmp_path / f"x{suffix}")
    assert (whole(tmp_path / f"x{suffix}")[..., 0] == samples).all()


@pytest.mark.parametrize("name", ["p.png", "1.png", "1.tif", "p.gif", "clear.png", "interlaced.png"])
def test_palettes_and_few_bits_become_eight(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    mode = {"p": "P", "1": "1", "c": "L", "i": "RGB"}[name[0]]
    expected = {"P": "RGB", "1": "L"}.get(mode, mode)
    picture(rng, mode).save(tmp_path / name, **({"transparency": 9} if name == "clear.png" else {}))
    if name == "interlaced.png":
        pyvips.Image.new_from_file(str(tmp_path / name)).copy_memory().pngsave(str(tmp_path / name), interlace=True)
    if name == "clear.png":
        with Image.open(tmp_path / name) as opened:
            assert (whole(tmp_path / name) == np.asarray(opened.convert("RGBA").convert("LA"))).all()
    else:
        assert (whole(tmp_path / name) == by_pillow(tmp_path / name, expected)).all()


@pytest.mark.parametrize("turned", ["in memory", "by a file"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(
    orientation: int, suffix: str, turned: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: Any
) -> None:
    if turned == "by a file":
        monkeypatch.setattr(reading, "IN_MEMORY", 0)
    path, exif = tmp_path / f"x{suffix}", Image.Exif()
    exif[274] = orientation
    picture(rng).save(path, exif=exif, **({"lossless": True} if suffix == ".webp" else {"quality": 90}))
    expected, found = by_pillow(path), whole(path)
    assert found.shape == expected.shape
    # The two decoders interpolate chroma alike, but for this rounding.
    assert np.abs(found.astype(int) - expected).max() <= (2 if suffix == ".jpg" else 0)


def test_a_large_picture_is_turned_in_order(tmp_path: Path, rng: np.random.Generator, monkeypatch: Any) -> None:
    """More than one tile each way."""
    monkeypatch.setattr(reading, "IN_MEMORY", 0)
    exif = Image.Exif()
    exif[274] = 6
    image = picture(rng, "RGBA", (600, 700))
    image.save(tmp_path / "x.png", exif=exif)
    assert (whole(tmp_path / "x.png", 64) == np.asarray(image.transpose(Image.Transpose.ROTATE_270))).all()


@pytest.mark.parametrize("name", ["x.jpg", "x.tif"])
def test_cmyk_becomes_rgb(name: str, tmp_path: Path) -> None:
    inks = np.zeros((8, 8, 4), np.uint8)
    inks[:4, :, 1:3] = 255  # magenta and yellow: red; without ink: white
    Image.fromarray(inks, mode="CMYK").save(tmp_path / name, quality=95)
    found = whole(tmp_path / name).astype(int)
    assert found.shape == (8, 8, 3)
    red, white = found[1, 4], found[6, 4]
    assert red[0] > 200 and red[1:].max() < 70
    assert white.min() > 245


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated")
def test_the_profile_is_at_hand(tmp_path: Path, rng: np.random.Generator) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture(rng).save(tmp_path / "x.png", icc_profile=profile)
    assert open_picture(tmp_path / "x.png").header.get("icc-profile-data") == profile


@pytest.mark.parametrize("name", ["x.tif", "x.gif", "x.webp"])
def test_of_several_pages_the_first(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    first, second = picture(rng), picture(rng)
    options: dict[str, Any] = {"lossless": True} if name == "x.webp" else {}
    first.save(tmp_path / name, save_all=True, append_images=[second, first], **options)
    assert open_picture(tmp_path / name).pages == 3
    assert (whole(tmp_path / name)[..., :3] == by_pillow(tmp_path / name, "RGB")).all()


@pytest.mark.parametrize("name", ["a[1].png", "b[page=2]", "ü ñ.png", "picture"])
def test_names_are_names(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    """libvips takes brackets for options, and trous suffixes for nothing."""
    image = picture(rng)
    image.save(tmp_path / name, "PNG")
    assert (whole(tmp_path / name) == np.asarray(image)).all()


@pytest.mark.parametrize("share", [0.5, 0.9, "last"])
@pytest.mark.parametrize("name", ["x.png", "x.jpg", "progressive.jpg", "x.webp", "x.tif", "deflated.tif", "x.gif"])
def test_cut_short(name: str, share: float | str, tmp_path: Path, rng: np.random.Generator, capfd: Any) -> None:
    path = tmp_path / name
    options: dict[str, Any] = {}
    if name == "progressive.jpg":
        options["progressive"] = True
    if name == "deflated.tif":
        options["compression"] = "tiff_adobe_deflate"
    picture(rng, size=(300, 200)).save(path, **options)
    whole(path)
    data = path.read_bytes()
    tail = {"x.png": 20, "x.gif": 9}.get(name, 1)  # these end in some bytes that are no pixels
    path.write_bytes(data[: -tail if share == "last" else int(len(data) * float(share))])
    assert refusal(path).rule.startswith("must be ")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["x.png", "x.tif"])
def test_damaged(name: str, tmp_path: Path, rng: np.random.Generator, capfd: Any) -> None:
    path = tmp_path / name
    picture(rng, size=(300, 200)).save(path, **({"compression": "tiff_adobe_deflate"} if name == "x.tif" else {}))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    path.write_bytes(data)
    assert refusal(path).rule.startswith("must be undamaged")
    assert capfd.readouterr() == ("", "")


def test_what_is_no_picture(tmp_path: Path) -> None:
    def file(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    known = "must be a picture (PNG, JPEG, WebP, TIFF, GIF, AVIF)"
    assert refusal(tmp_path / "missing.png").rule == "must be a file that can be read (No such file or directory)"
    assert refusal(tmp_path).rule == "must be a file that can be read (Is a directory)"
    assert refusal(file("empty.png", b"")).rule == "must be a picture, not an empty file"
    assert refusal(file("text.png", b"no picture")).rule == known
    assert refusal(file("page.svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')).rule == known
    assert refusal(file("table.csv", b"1,2\n3,4\n")).rule == known


def test_a_size_that_only_the_header_has(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 900_000, 900_000, 16, 6, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    data = struct.pack(">I", 4) + b"IDAT" + b"\x78\x01\x03\x00" + struct.pack(">I", zlib.crc32(b"IDAT\x78\x01\x03\x00"))
    (tmp_path / "x.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + data)
    assert refusal(tmp_path / "x.png").rule.startswith("must be undamaged")


@pytest.mark.parametrize(
    ("samples", "rule"),
    [
        (np.zeros((4, 4), np.float32), "must have 8 or 16 bits a sample"),
        (np.zeros((4, 4), np.int32), "must have 8 or 16 bits a sample"),
        (np.zeros((4, 4, 5), np.uint8), "must be grey or RGB, with alpha or without"),
    ],
)
def test_other_samples(samples: np.ndarray, rule: str, tmp_path: Path) -> None:
    pyvips.Image.new_from_array(samples).tiffsave(str(tmp_path / "x.tif"))
    assert refusal(tmp_path / "x.tif").rule == rule


def test_bindings_without_the_library(tmp_path: Path, rng: np.random.Generator, monkeypatch: Any) -> None:
    picture(rng).save(tmp_path / "x.png")
    (tmp_path / "pyvips.py").write_text("raise OSError(\"cannot load library 'libvips.so.42'\")")
    monkeypatch.syspath_prepend(tmp_path)
    for module in [name for name in sys.modules if name.partition(".")[0] == "pyvips"]:
        monkeypatch.delitem(sys.modules, module)
    vips.cache_clear()
    with pytest.raises(TrousError, match=r"libvips must be there for pyvips: pip install 'pyvips\[binary\]'"):
        open_picture(tmp_path / "x.png")
