"""PSFs as a command is given them: words, every kind of file, and what is refused or noted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from PIL import Image
from scipy.signal import convolve

from trous.apps.deblur.psf import centred, off_centre, read_psf, trimmed
from trous.errors import TrousError
from trous.inverse.psf import box, disk, gaussian, motion

KERNEL = np.array([[0, 1, 2], [1, 5, 1], [0, 3, 0]])


def cells(*arrays: np.ndarray) -> np.ndarray:
    found = np.empty((1, len(arrays)), object)
    found[0, :] = arrays
    return found


def write_hdf5(path: Path, **variables: Any) -> None:
    """As MATLAB writes version 7.3: axes in the opposite order, lists as cells."""
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            if isinstance(value, list):
                inside = [file.create_dataset(f"#refs#/{name}{i}", data=a.T) for i, a in enumerate(value)]
                made = file.create_dataset(name, data=np.array([[a.ref] for a in inside], h5py.ref_dtype))
                made.attrs["MATLAB_class"] = np.bytes_("cell")
            else:
                file.create_dataset(name, data=value.T).attrs["MATLAB_class"] = np.bytes_("double")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("gaussian:2", gaussian(2)),
        ("gaussian:1,2,.5", gaussian([1, 2, 0.5])),
        ("motion:15,30", motion(15, 30)),
        ("motion:4", motion(4)),
        ("disk:3", disk(3)),
        ("box:3", box(3)),
        ("box:1,2.5", box([1, 2.5])),
    ],
)
def test_words(text: str, values: np.ndarray) -> None:
    psf = read_psf(text)
    assert (psf.values == values).all() and psf.notes == ()


@pytest.mark.parametrize(
    "suffix", ["png", "tif", "float.tif", "npy", "npz", "mat", "7.3.mat", "rgb.png", "16.png", "bmp.mat"]
)
def test_files(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"psf.{suffix}"
    match suffix:
        case "png":
            Image.fromarray(KERNEL.astype(np.uint8)).save(path)
        case "rgb.png":
            Image.fromarray(np.stack([KERNEL.astype(np.uint8)] * 3, -1)).save(path)
        case "16.png":
            Image.fromarray((KERNEL * 9000).astype(np.uint16)).save(path)
        case "tif":
            tifffile.imwrite(path, KERNEL.astype(np.uint16))
        case "float.tif":
            tifffile.imwrite(path, KERNEL / 7)
        case "npy":
            np.save(path, KERNEL)
        case "npz":
            np.savez(path, psf=KERNEL)
        case "mat":
            scipy.io.savemat(path, {"psf": KERNEL, "note": "text"})
        case "7.3.mat":
            write_hdf5(path, psf=KERNEL)
        case _:
            scipy.io.savemat(path, {"psf": {"inner": KERNEL}})
    psf = read_psf(str(path))
    np.testing.assert_allclose(psf.values, KERNEL / 13, rtol=1e-12)


def test_a_volume(tmp_path: Path) -> None:
    volume = np.arange(1, 28).reshape(3, 3, 3).astype(np.float32)
    tifffile.imwrite(tmp_path / "psf.tif", volume, photometric="minisblack")
    np.testing.assert_allclose(read_psf(f"{tmp_path}/psf.tif").values, volume / volume.sum(), rtol=1e-6)
    plane = read_psf(f"{tmp_path}/psf.tif:2").values
    np.testing.assert_allclose(plane, volume[1] / volume[1].sum(), rtol=1e-6)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_several_in_one_file(version: str, tmp_path: Path) -> None:
    path, other = tmp_path / "kernels.mat", np.array([[1, 2, 3]])
    if version == "5":
        scipy.io.savemat(path, {"kernels": cells(KERNEL, other), "single": KERNEL + 1})
    else:
        write_hdf5(path, kernels=[KERNEL, other], single=KERNEL + 1)
    for choice, wanted in (("2", other), ("kernels:2", other), ("1", KERNEL), ("single", KERNEL + 1)):
        np.testing.assert_allclose(read_psf(f"{path}:{choice}").values, wanted / wanted.sum())
    listed = r"1: kernels:1 \(3 × 3\), 2: kernels:2 \(1 × 3\), 3: single \(3 × 3\)"
    for choice in ("", ":4", ":0", ":nothing"):
        with pytest.raises(TrousError, match=rf"psf must name one of those in the file, as .*: {listed}"):
            read_psf(f"{path}{choice}")


def test_the_borders_of_no_light_are_cut_off_and_nothing_changes(rng: np.random.Generator) -> None:
    x = rng.random((40, 40))
    for size, lit in (((11, 12), np.s_[3:6, 5:9]), ((8, 8), np.s_[0:3, 4:5]), ((9, 9), np.s_[4:5, 4:5])):
        psf = np.zeros(size)
        psf[lit] = rng.random(psf[lit].shape)
        cut = trimmed(psf)
        assert cut.size < psf.size
        whole, same = convolve(x, psf), convolve(x, cut)
        first = [a // 2 - b // 2 for a, b in zip(psf.shape, cut.shape, strict=True)]
        window = tuple(slice(f, f + n) for f, n in zip(first, same.shape, strict=True))
        np.testing.assert_allclose(whole[window], same, atol=1e-12)


def test_centred(rng: np.random.Generator) -> None:
    for shape in ((7, 10), (4, 4), (3, 5, 6)):
        psf = rng.random(shape) * np.arange(1, shape[-1] + 1) ** 2
        moved = centred(psf)
        assert np.abs(off_centre(moved)).max() <= 0.5
        assert moved.sum() == pytest.approx(psf.sum())
        assert sorted(moved[moved > 0]) == sorted(psf.ravel())
        assert all(n % 2 for n in moved.shape)


def test_notes(tmp_path: Path) -> None:
    path = tmp_path / "psf.npy"

    def notes(psf: np.ndarray, **options: bool) -> tuple[str, ...]:
        np.save(path, psf)
        return read_psf(str(path), **options).notes

    off = np.zeros((7, 7))
    off[0, 4] = 1
    (note,) = notes(off)
    assert note.startswith("the PSF's centroid is -3.0 rows and +1.0 columns from its centre")
    assert notes(off, centre=True) == ()
    (note,) = notes(np.outer([0.01, 2, 2, 0.01], [0.01, 2, 0.01]))
    assert note.startswith("a PSF of even size (4 × 3) has no middle")
    assert notes(np.pad(np.outer([1, 2, 1], [1, 2, 1]), ((2, 1), (3, 2)))) == (), "even, but where it should be"
    (note,) = notes(gaussian(1) + 0.01)
    assert note.startswith("the PSF is nowhere below 5.9 % of its peak")


@pytest.mark.parametrize(
    ("psf", "message"),
    [
        (KERNEL - 1, r"psf must not be negative: light only adds.*lowest -1, highest 4; 30 % of it is negative"),
        (KERNEL * 0, "psf must not be zero everywhere"),
        (np.where(KERNEL == 5, np.nan, KERNEL), r"psf must be finite, got .*1 values are NaN or infinite"),
        (KERNEL * 1j, "psf must be of real numbers"),
        (KERNEL[0], r"psf must have two axes, or three for volumes, got .*\(3\)"),
        (np.ones((2, 2, 2, 2)), "psf must have two axes, or three"),
        (np.zeros((0, 3)), "psf must have an array of numbers"),
    ],
)
def test_what_is_no_psf(psf: np.ndarray, message: str, tmp_path: Path) -> None:
    np.save(tmp_path / "psf.npy", psf)
    with pytest.raises(TrousError, match=message):
        read_psf(f"{tmp_path}/psf.npy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gauss:2", "psf must be gaussian:SIGMA, motion:LENGTH,ANGLE, disk:RADIUS, box:WIDTH or a file"),
        ("gaussian:", "psf must have 1 to 3 numbers joined by commas behind gaussian:, got 'gaussian:'"),
        ("motion:1,2,3", "psf must have 1 to 2 numbers"),
        ("disk:1,2", "psf must have a number behind disk:"),
        ("disk:x", "psf must have a number behind disk:"),
        ("disk:-1", "psf radius must be above 0 and finite, in pixels, got 'disk:-1'"),
        ("missing.mat:3", "psf must be gaussian:SIGMA"),
    ],
)
def test_words_that_are_wrong(text: str, message: str) -> None:
    with pytest.raises(TrousError, match=message):
        read_psf(text)


@pytest.mark.parametrize("suffix", ["png", "tif", "npy", "npz", "mat"])
@pytest.mark.parametrize(
    "content", [b"", b"no kernel", b"\x93NUMPY\x01\x00", b"II*\0" + bytes(20), b"PK\3\4" + bytes(9)]
)
def test_broken_files(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"psf.{suffix}"
    path.write_bytes(content)
    with pytest.raises(TrousError, match=r"^psf "):
        read_psf(str(path))


def test_a_file_cut_short(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"psf": gaussian(3)}, do_compression=True)
    write_hdf5(tmp_path / "b.mat", psf=gaussian(3))
    np.save(tmp_path / "c.npy", gaussian(3))
    tifffile.imwrite(tmp_path / "d.tif", gaussian(3))
    for path in sorted(tmp_path.iterdir()):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(TrousError, match=r"^psf must be"):
            read_psf(str(path))


def test_colours(tmp_path: Path) -> None:
    Image.fromarray(np.stack([KERNEL, KERNEL, KERNEL.T], -1).astype(np.uint8)).save(tmp_path / "psf.png")
    with pytest.raises(TrousError, match=r"psf must be grey: one blur for all colours, got .*in colour"):
        read_psf(f"{tmp_path}/psf.png")
    with pytest.raises(TrousError, match=r"psf must be no larger than the picture, 9 × 4, got 'disk:2 \(5 × 5\)'"):
        read_psf("disk:2").check_fits((9, 4))
