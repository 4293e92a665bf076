"""Pictures, stacks and folders: what `deconvolve` gives for the numbers of the file, and what goes along."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.ndimage import gaussian_filter

import trous
from trous.apps.deblur.files import Deblurred, deblur_file
from trous.apps.deblur.psf import Psf, read_psf
from trous.apps.deblur.restore import Settings, decoded, encoded, enlarged
from trous.apps.pictures import Layout, each_picture, open_picture, save_picture
from trous.errors import TrousError

PSF = read_psf("gaussian:0.8")


def settings(**options: Any) -> Settings:
    return Settings(**{"psf": PSF, "method": "wiener", "noise": 3.0, **options})


def smooth(rng: np.random.Generator, *shape: int, full: int = 255) -> np.ndarray:
    x = gaussian_filter(rng.random(shape), [1.0 if n > 4 else 0.0 for n in shape])
    return full * (0.1 + 0.8 * (x - x.min()) / (x.max() - x.min()))


def pixels(path: Path) -> np.ndarray:
    picture = open_picture(path)
    return picture.rows(0, picture.layout.height)


def save(path: Path, array: np.ndarray) -> np.ndarray:
    save_picture(path, [array], Layout(*array.shape, array.dtype))
    return array


def test_curves_of_srgb() -> None:
    values = np.linspace(0, 1, 256)
    np.testing.assert_allclose(encoded(decoded(values)), values, atol=1e-7)
    assert decoded(0.5) == pytest.approx(0.21404, abs=1e-5)


def test_enlarged_by_straight_lines(rng: np.random.Generator) -> None:
    plane = rng.integers(0, 256, (5, 6), np.uint8)
    assert (enlarged(plane, 3)[::3, ::3] == plane).all()
    assert enlarged(np.array([[0, 90]], np.uint8), 3).tolist() == [[0, 30, 60, 90, 90, 90]] * 3
    assert (enlarged(plane[..., None], 2)[..., 0] == enlarged(plane, 2)).all()


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("scale", [1, 2])
def test_a_picture(scale: int, dtype: Any, bands: int, tmp_path: Path, rng: np.random.Generator) -> None:
    full = np.iinfo(dtype).max
    before = save(tmp_path / "a.png", smooth(rng, 18, 21, bands, full=full).astype(dtype))
    done = deblur_file(tmp_path / "a.png", tmp_path / "b.png", settings(scale=scale))
    after = pixels(tmp_path / "b.png")
    colours = before[..., : bands - 1 + bands % 2].astype(np.float32)
    linear = bands > 2 or dtype == np.uint8
    light = decoded(colours / full) * full if linear else colours
    wanted = trous.deconvolve(light, PSF.values, method="wiener", stride=scale, noise=3.0, channel_axis=-1)
    wanted = encoded(np.maximum(wanted, 0) / full) * full if linear else wanted
    assert after.dtype == dtype and after.shape == (18 * scale, 21 * scale, bands)
    error = np.abs(after[..., : colours.shape[-1]] - np.clip(wanted, 0, full))
    assert error.max() < 0.51 + full * 1e-5
    if bands % 2 == 0:
        assert (after[::scale, ::scale, -1] == before[..., -1]).all()
    assert (done.before, done.linear, done.outcome.noise) == ("21 × 18", linear, 3.0)


def test_the_noise_of_jpeg_is_not_taken_for_none(tmp_path: Path, rng: np.random.Generator) -> None:
    picture = Image.fromarray(smooth(rng, 40, 40, 3).astype(np.uint8))
    for suffix in ("jpg", "png"):
        picture.save(tmp_path / f"a.{suffix}")
    lossy, exact = (
        deblur_file(tmp_path / f"a.{suffix}", tmp_path / "b.png", settings(noise=None)).outcome.noise
        for suffix in ("jpg", "png")
    )
    assert lossy >= 0.005 * 255
    assert exact < 0.005 * 255


def test_the_profile_goes_along(tmp_path: Path, rng: np.random.Generator) -> None:
    profile = open_picture(save_srgb(tmp_path / "a.png", rng)).header.get("icc-profile-data")
    deblur_file(tmp_path / "a.png", tmp_path / "b.png", settings())
    assert open_picture(tmp_path / "b.png").header.get("icc-profile-data") == profile


def save_srgb(path: Path, rng: np.random.Generator) -> Path:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(smooth(rng, 12, 12, 3).astype(np.uint8)).save(path, icc_profile=profile)
    return path


def test_highlights_are_left_out(tmp_path: Path, rng: np.random.Generator) -> None:
    """A light that is brighter than the file can hold: what is known of it is around it."""
    scene = smooth(rng, 60, 60) / 255
    scene[30:33, 30:33] = 20
    blurred = gaussian_filter(scene, 0.8, truncate=4)
    save(tmp_path / "a.png", np.rint(65535 * np.minimum(blurred, 1)).astype(np.uint16)[..., None])
    far = np.ones((60, 60), bool)
    far[24:39, 24:39] = False
    errors, left_out = {}, {}
    for saturated in (True, False):
        options = dict(saturated=saturated, method="total_variation", noise=20.0)
        done = deblur_file(tmp_path / "a.png", tmp_path / "b.png", settings(**options))
        errors[saturated] = np.abs(pixels(tmp_path / "b.png")[..., 0] / 65535 - np.minimum(scene, 1))[~far].mean()
        left_out[saturated] = done.outcome.left_out
    assert left_out == {True: int((blurred >= 1).sum()), False: 0}
    assert errors[True] < 0.7 * errors[False]


def test_a_white_page_is_white(tmp_path: Path, rng: np.random.Generator) -> None:
    page = np.full((20, 20, 1), 255, np.uint8)
    page[5:9, 5:9] = 30
    save(tmp_path / "a.png", page)
    assert deblur_file(tmp_path / "a.png", tmp_path / "b.png", settings()).outcome.left_out == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64])
def test_pages(dtype: Any, tmp_path: Path, rng: np.random.Generator) -> None:
    """Each by itself, in the type of the file, whatever that is."""
    stack = smooth(rng, 3, 16, 20, full=250).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    told: list[float] = []
    done = deblur_file(tmp_path / "a.tif", tmp_path / "b.tif", settings(), progress=told.append)
    after = tifffile.imread(tmp_path / "b.tif")
    assert after.dtype == dtype and done.before == done.after == "20 × 16 × 3 (XYQ)"
    for page, sharp in zip(stack, after, strict=True):
        wanted = trous.deconvolve(page, PSF.values, method="wiener", noise=3.0)
        wanted = wanted if stack.dtype.kind == "f" else np.clip(np.rint(wanted), *ends(dtype))
        np.testing.assert_allclose(sharp, wanted, atol=1e-3 if stack.dtype.kind == "f" else 1)
    assert told == sorted(told) and told[-1] == 1


def ends(dtype: Any) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def test_ends_of_wide_integers(tmp_path: Path) -> None:
    """What lies beyond the largest integer is the largest, and not a negative one."""
    stack = np.zeros((2, 20, 20), np.int64)
    stack[:, 4:16, 4:16] = np.iinfo(np.int64).max
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    deblur_file(tmp_path / "a.tif", tmp_path / "b.tif", settings(saturated=False, noise=1e9))
    after = tifffile.imread(tmp_path / "b.tif")
    assert (after == np.iinfo(np.int64).max).any()
    assert after[:, 5:15, 5:15].min() > 0


def test_a_volume(tmp_path: Path, rng: np.random.Generator) -> None:
    psf = read_psf("gaussian:0.5,0.8,0.8")
    volume = smooth(rng, 9, 16, 20).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", volume, photometric="minisblack")
    deblur_file(tmp_path / "a.tif", tmp_path / "b.tif", settings(psf=psf))
    wanted = trous.deconvolve(volume, psf.values, method="wiener", noise=3.0)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "b.tif"), wanted, atol=1e-4)


def test_what_imagej_says_goes_along(tmp_path: Path, rng: np.random.Generator) -> None:
    stack = smooth(rng, 2, 7, 2, 12, 14).astype(np.uint16)
    metadata = {"axes": "TZCYX", "spacing": 0.5, "unit": "um", "finterval": 2.0, "mode": "composite"}
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, resolution=(10, 5), metadata=metadata)
    psf = read_psf("gaussian:0.4,0.5,0.5")
    deblur_file(tmp_path / "a.tif", tmp_path / "b.tif", settings(psf=psf, scale=2))
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.is_imagej and file.series[0].axes == "TZCYX" and file.series[0].shape == (2, 14, 2, 24, 28)
        said = file.imagej_metadata
        assert said is not None
        assert (said["spacing"], said["unit"], said["finterval"], said["mode"]) == (0.25, "um", 2.0, "composite")
        assert file.pages.first.resolution == (20, 10)


def test_what_ome_says_goes_along(tmp_path: Path, rng: np.random.Generator) -> None:
    stack = smooth(rng, 3, 2, 12, 14).astype(np.float32)
    metadata = {"axes": "ZCYX", "PhysicalSizeX": 0.1, "PhysicalSizeXUnit": "µm", "PhysicalSizeZ": 0.5}
    metadata["Channel"] = {"Name": ["red", "blue"]}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, ome=True, metadata=metadata)
    deblur_file(tmp_path / "a.ome.tif", tmp_path / "b.ome.tif", settings(scale=2))
    with tifffile.TiffFile(tmp_path / "b.ome.tif") as file:
        assert file.series[0].axes == "ZCYX" and file.series[0].shape == (3, 2, 24, 28)
        xml = file.ome_metadata or ""
    for said in ('PhysicalSizeX="0.05"', 'PhysicalSizeXUnit="µm"', 'PhysicalSizeZ="0.5"', 'Name="red"', 'Name="blue"'):
        assert said in xml


def test_pages_in_colour(tmp_path: Path, rng: np.random.Generator) -> None:
    stack = smooth(rng, 2, 12, 14, 3).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb")
    deblur_file(tmp_path / "a.tif", tmp_path / "b.tif", settings())
    wanted = trous.deconvolve(stack, PSF.values, method="wiener", noise=3.0, channel_axis=-1)
    np.testing.assert_allclose(tifffile.imread(tmp_path / "b.tif"), wanted, atol=1e-4)


def test_what_is_not_a_number_is_filled_in(tmp_path: Path) -> None:
    slope = np.add.outer(np.arange(20), np.arange(24)).astype(np.float32)
    holes = slope.copy()
    holes[5, 6], holes[9, 9] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "a.tif", holes)
    done = deblur_file(tmp_path / "a.tif", tmp_path / "b.tif", settings(method="total_variation", noise=0.01))
    assert done.outcome.filled == 2
    assert np.abs(tifffile.imread(tmp_path / "b.tif") - slope)[2:-2, 2:-2].max() < 1.5


def test_a_folder(tmp_path: Path, rng: np.random.Generator) -> None:
    album = tmp_path / "album"
    album.mkdir()
    save(album / "a.png", smooth(rng, 12, 14, 3).astype(np.uint8))
    (album / "b.png").write_bytes(b"no picture")
    tifffile.imwrite(album / "c.tif", smooth(rng, 2, 12, 14), photometric="minisblack")
    (album / "notes.txt").write_text("text")
    work = partial(deblur_file, settings=settings())
    report = each_picture(album, tmp_path / "sharp", work)
    assert [done.target.name for done in report.done] == ["a.png", "c.tif"]
    assert [path.name for path, _ in report.failed] == ["b.png"]
    again = each_picture(album, tmp_path / "sharp", work)
    assert [path.name for path in again.there] == ["a.png", "c.tif"] and not again.done
    assert len(each_picture(album, tmp_path / "sharp", work, replace=True).done) == 2


@pytest.mark.parametrize(
    ("name", "target", "options", "message"),
    [
        ("a.png", "b.png", {"psf": read_psf("gaussian:1,1,1")}, "psf must have two axes for a picture"),
        ("a.png", "b.png", {"psf": read_psf("box:15")}, r"psf must be no larger than the picture, 12 × 14"),
        ("a.png", "b.gif", {}, r"target must end in one of \.png"),
        ("a.png", "a.png", {}, "target must be another file than the source"),
        ("a.png", "b.png", {"psf": Psf(np.ones((3, 3)) / 9, "x"), "method": "magic"}, "method must be one of"),
        ("float.tif", "b.png", {}, r"target must end in \.tif or \.tiff: float.tif is a stack"),
        ("float.tif", "b.tif", {"linear": True}, r"source must have integers for --linear.*float\.tif"),
        ("float.tif", "b.tif", {"noise_is_share": True}, "source must have integers for --noise in percent"),
        ("float.tif", "b.tif", {"psf": read_psf("gaussian:.2,.2,.2")}, "float.tif is no volume, its axes are YX"),
        ("dark.tif", "b.tif", {"method": "richardson_lucy"}, r"source must not be negative .*dark\.tif \(-1\.0\)"),
        ("none.png", "b.png", {}, r"source must be a file that can be read \(No such file"),
        ("none.tif", "b.tif", {}, r"source must be a file that can be read \(No such file"),
        ("text.tif", "b.tif", {}, "source must be a picture"),
        ("cut.tif", "b.tif", {}, "source must be an undamaged TIFF"),
        ("complex.tif", "b.tif", {}, "source must have integers or floats of at most 64 bits"),
        ("a.png", "nowhere/b.png", {}, "target must be where a picture can be written"),
        ("float.tif", "nowhere/b.tif", {}, "target must be where a picture can be written"),
    ],
)
def test_what_cannot_be(
    name: str, target: str, options: dict[str, Any], message: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    save(tmp_path / "a.png", smooth(rng, 12, 14, 3).astype(np.uint8))
    tifffile.imwrite(tmp_path / "float.tif", smooth(rng, 12, 14))
    tifffile.imwrite(tmp_path / "dark.tif", np.full((12, 14), -1.0))
    tifffile.imwrite(tmp_path / "complex.tif", np.full((12, 14), 1j))
    tifffile.imwrite(tmp_path / "cut.tif", smooth(rng, 5, 50, 50), photometric="minisblack")
    (tmp_path / "cut.tif").write_bytes((tmp_path / "cut.tif").read_bytes()[:5000])
    (tmp_path / "text.tif").write_text("text")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(TrousError, match=message):
        deblur_file(tmp_path / name, tmp_path / target, settings(**options))
    assert sorted(tmp_path.iterdir()) == before


def test_the_result_says_what_it_is(tmp_path: Path, rng: np.random.Generator) -> None:
    save(tmp_path / "a.png", smooth(rng, 12, 14, 1).astype(np.uint8))
    options = settings(method="total_variation", iterations=7, scale=2, noise=0.01, noise_is_share=True, linear=False)
    done = deblur_file(tmp_path / "a.png", tmp_path / "b.png", options)
    assert isinstance(done, Deblurred)
    assert (done.before, done.after, done.more, done.linear) == ("14 × 12", "28 × 24", 0, False)
    assert (done.outcome.iterations, done.outcome.noise) == (7, pytest.approx(2.55))
