"""Results where they are wanted, and data larger than memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trous.errors import TrousError
from trous.inverse import deconvolve
from trous.inverse import noise as noise_module
from trous.inverse.entry import METHODS
from trous.inverse.noise import noise_level
from trous.inverse.space import slabs

PSF = np.array([[1.0, 2, 1], [2, 6, 3], [1, 3, 1]])


def mapped(path: Path, values: np.ndarray) -> np.ndarray:
    """A file as an array that can be read only."""
    np.save(path, values)
    return np.load(path, mmap_mode="r")


def opened(path: Path, shape: tuple[int, ...], dtype: Any = np.float32) -> np.ndarray:
    return np.lib.format.open_memmap(path, "w+", dtype, shape)


def counts(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.poisson(200 * (rng.random(shape) > 0.8) + 5)


CASES: list[tuple[tuple[int, ...], Any, np.ndarray, dict[str, Any]]] = [
    ((70, 90), np.float32, PSF, dict(boundary="unknown")),
    ((70, 90), np.float32, PSF, dict(boundary="zero")),
    ((70, 90), np.float64, PSF, dict(boundary="reflect")),
    ((70, 90), np.uint16, PSF, dict(boundary="periodic")),
    ((40, 30), np.uint8, PSF, dict(boundary="unknown", stride=2)),
    ((40, 30), ">f4", PSF, dict(boundary="reflect", stride=3)),
    ((2, 40, 30, 3), np.float32, PSF, dict(channel_axis=3)),
    ((30, 2, 40), np.float32, PSF, dict(axes=(0, 2), iterations=None)),
    ((70, 90), np.float16, PSF, dict(weight=0.02)),
    ((20, 3, 26), np.float32, PSF, dict(axes=(2, 0), weight=0.02, channel_axis=1)),
    ((500,), np.float32, PSF[1], {}),
    ((12, 14, 16), np.float32, PSF[None] * np.array([1, 2, 0.5]).reshape(3, 1, 1), dict(boundary="zero")),
    ((300, 280), np.float32, np.random.default_rng(1).random((41, 35)), dict(boundary="unknown")),
]


@pytest.mark.parametrize("case", range(len(CASES)))
@pytest.mark.parametrize("is_masked", [False, True])
def test_in_files_it_is_what_it_is_in_memory(case: int, is_masked: bool, tmp_path: Path) -> None:
    shape, dtype, psf, options = CASES[case]
    given = dict(method="richardson_lucy", iterations=6) | options
    y = counts(shape).astype(dtype)
    if is_masked:
        given["mask"] = np.random.default_rng(2).random(shape) > 0.1
        if y.dtype.kind == "f":
            y[~given["mask"]] = np.nan
    expected = deconvolve(y, psf, **given)
    kept = mapped(tmp_path / "y.npy", y)
    if is_masked:
        given["mask"] = mapped(tmp_path / "mask.npy", given["mask"])
    out = opened(tmp_path / "x.npy", expected.shape, expected.dtype)
    assert deconvolve(kept, psf, out=out, **given) is out
    assert np.array_equal(out, expected)
    out.flush()
    assert np.array_equal(np.load(tmp_path / "x.npy"), expected)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_writes_where_it_is_told_and_leaves_the_data(method: str, tmp_path: Path) -> None:
    y = counts((20, 26)).astype(np.float32)
    before = y.copy()
    expected = deconvolve(y, PSF, method=method, noise=1.0)
    assert np.array_equal(y, before)
    wide = np.zeros((20, 52), np.float32)
    assert np.array_equal(deconvolve(y, PSF, method=method, noise=1.0, out=wide[:, ::2]), expected)
    assert np.array_equal(wide[:, ::2], expected) and not wide[:, 1::2].any()
    file = opened(tmp_path / "x.npy", y.shape)
    assert np.array_equal(deconvolve(y, PSF, method=method, noise=1.0, out=file), expected)


class Sliced:
    """As HDF5's and Zarr's arrays: no array, but what is asked for is."""

    def __init__(self, values: np.ndarray):
        self._values, self.shape, self.dtype = values, values.shape, values.dtype

    def __getitem__(self, at: Any) -> np.ndarray:
        return self._values[at]


def test_what_can_be_sliced_is_read_part_by_part(tmp_path: Path) -> None:
    y = counts((60, 50)).astype(np.uint16)
    out = opened(tmp_path / "x.npy", y.shape)
    deconvolve(Sliced(y), PSF, method="richardson_lucy", iterations=3, out=out)
    assert np.array_equal(out, deconvolve(y, PSF, method="richardson_lucy", iterations=3))
    with pytest.raises(TrousError, match="y must be an array"):
        deconvolve(Sliced(y), PSF, method="richardson_lucy", iterations=3)


def test_files_leave_nothing_behind(tmp_path: Path) -> None:
    y = counts((60, 50)).astype(np.float32)
    out = opened(tmp_path / "x.npy", y.shape)
    seen = []

    def interrupted(state: Any) -> None:
        seen.append([path.name for path in tmp_path.iterdir()])
        if state.iteration == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deconvolve(y, PSF, method="richardson_lucy", iterations=5, out=out, callback=interrupted)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
    if sys.platform == "linux":
        assert seen == [["x.npy"]] * 2


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.zeros((20, 25), np.float32), r"out must have the estimate's shape \(20, 26\) and dtype float32, got"),
        (np.zeros((20, 26)), r"out must have the estimate's shape \(20, 26\) and dtype float32, got .*float64"),
        ([0.0], "out must be a NumPy array that can be written to, got 'list'"),
        (np.broadcast_to(np.float32(0), (20, 26)), "out must be a NumPy array that can be written to"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_an_array_that_does_not_suit_is_refused(out: Any, message: str, method: str) -> None:
    with pytest.raises(TrousError, match=message):
        deconvolve(counts((20, 26)).astype(np.float32), PSF, method=method, out=out)


def test_tensors_have_no_out() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(TrousError, match="out must be None where y or psf is a tensor"):
        deconvolve(torch.ones(20, 26), PSF, out=np.zeros((20, 26), np.float32))


@pytest.mark.parametrize("shape", [(5,), (3, 4, 5), (1, 1, 1000), (70000, 3), (2, 3, 600, 700)])
def test_slabs_are_all_of_it_once(shape: tuple[int, ...]) -> None:
    times = np.zeros(shape, int)
    for at in slabs(shape):
        times[at] += 1
        assert times[at].size <= 1 << 18
    assert (times == 1).all()


@pytest.mark.parametrize("size", [(400, 300), (9000,), (40, 50, 60), (3, 40_000)])
def test_noise_of_a_part_is_that_of_all(size: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    y = 50 + sum(np.sin(np.arange(n) / 20).reshape(-1, *[1] * (len(size) - 1 - a)) for a, n in enumerate(size))
    y = np.broadcast_to(y, (2, 1, *size)) + rng.normal(0, [[[0.3]], [[2.0]]], (2, 1, int(np.prod(size)))).reshape(
        2, 1, *size
    )
    assert noise_level(y).ravel() == pytest.approx([0.3, 2.0], rel=0.05)
    monkeypatch.setattr(noise_module, "MANY", 4000)
    assert noise_level(y).ravel() == pytest.approx([0.3, 2.0], rel=0.15)
    mask = rng.random(y.shape) > 0.01
    assert noise_level(np.where(mask, y, 1e9), mask).ravel() == pytest.approx([0.3, 2.0], rel=0.15)


MEASURED = """
import re, sys
import numpy as np
from trous.inverse import deconvolve

def anonymous():
    return int(re.search(r"RssAnon:\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10

small = np.ones((50, 50), np.float32)
psf = np.ones((31, 31), np.float32)
deconvolve(small, psf, method="richardson_lucy", iterations=1)
start, peak = anonymous(), 0

def look(state):
    global peak
    peak = max(peak, anonymous())

y = np.load(sys.argv[1], mmap_mode="r")
out = np.lib.format.open_memmap(sys.argv[2], "w+", np.float32, y.shape)
deconvolve(y, psf, method="richardson_lucy", boundary="reflect", iterations=2, callback=look, out=out)
look(None)
print(peak - start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_for_tiles_only(tmp_path: Path) -> None:
    y = mapped(tmp_path / "y.npy", np.ones((2400, 2400), np.float32))
    run = [sys.executable, "-c", MEASURED, str(tmp_path / "y.npy"), str(tmp_path / "x.npy")]
    taken = int(subprocess.run(run, capture_output=True, text=True, check=True).stdout)
    assert taken < y.nbytes, taken  # in memory: seven times as much
