"""Files and folders: the picture that the whole gives, and nothing half-done."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from apps.upscale.test_network import KERNELS, network
from trous.apps.pictures import FolderReport, Layout, each_picture, open_picture, pictures_and_others, save_picture
from trous.apps.upscale import rows
from trous.apps.upscale.files import Enlarged, enlarge_file
from trous.apps.upscale.model import Upscaler, tensors
from trous.apps.upscale.rows import enlarge, enlarge_rows
from trous.errors import TrousError

NET = network(2, channels=4, layers=1)


def saved(path: Path, scale: int = 2) -> Path:
    """A network that has not been trained, in a file like those that are shipped."""
    module = Upscaler(scale, kernel=KERNELS[scale], channels=4, layers=1)
    safetensors.numpy.save_file(tensors(module), path, {"trous.upscale": json.dumps({"scale": scale})})
    return path


def pixels(path: Path) -> np.ndarray:
    opened = open_picture(path)
    return opened.rows(0, opened.layout.height)


def write(path: Path, array: np.ndarray) -> np.ndarray:
    save_picture(path, [array], Layout(*array.shape, array.dtype))
    return array


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_file_is_what_the_whole_gives(
    dtype: Any, bands: int, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A height of several strips."""
    monkeypatch.setattr(rows, "ROWS", 60)
    small = rng.integers(0, np.iinfo(dtype).max + 1, (200, 1100, bands), dtype)
    write(tmp_path / "a.png", small)
    told: list[tuple[int, int]] = []
    done = enlarge_file(tmp_path / "a.png", tmp_path / "b.tif", NET, progress=lambda *done: told.append(done))
    (whole,) = enlarge_rows(lambda start, stop: small[start:stop], (200, 1100), NET, strip=200)
    assert (pixels(tmp_path / "b.tif") == whole).all()
    assert (str(done.before), str(done.after), done.pages) == ("1100 × 200", "2200 × 400", 1)
    assert len(told) == 4
    assert told == sorted(told)
    assert told[-1] == (400, 400)


def test_a_photograph_on_its_side(tmp_path: Path, rng: np.random.Generator) -> None:
    small, exif = rng.integers(0, 256, (20, 30, 3), np.uint8), Image.Exif()
    exif[274] = 8
    Image.fromarray(small).save(tmp_path / "a.png", exif=exif)
    enlarge_file(tmp_path / "a.png", tmp_path / "b.png", NET)
    assert (pixels(tmp_path / "b.png") == enlarge(np.rot90(small), NET)).all()


def test_never_into_the_source(tmp_path: Path, rng: np.random.Generator) -> None:
    small = write(tmp_path / "a.png", rng.integers(0, 256, (5, 5, 3), np.uint8))
    (tmp_path / "link.png").symlink_to("a.png")
    for target in ("a.png", "link.png"):
        with pytest.raises(TrousError, match="target must be another file than the source"):
            enlarge_file(tmp_path / "a.png", tmp_path / target, NET)
    assert (pixels(tmp_path / "a.png") == small).all()


def test_a_cut_source_leaves_what_was_there(tmp_path: Path, rng: np.random.Generator) -> None:
    write(tmp_path / "a.png", rng.integers(0, 256, (300, 300, 3), np.uint8))
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) * 2 // 3])
    (tmp_path / "b.png").write_bytes(b"old")
    with pytest.raises(TrousError, match="source must be undamaged"):
        enlarge_file(tmp_path / "a.png", tmp_path / "b.png", NET)
    assert (tmp_path / "b.png").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.png", "b.png"]


def test_stopped_by_the_user(tmp_path: Path, rng: np.random.Generator) -> None:
    write(tmp_path / "a.png", rng.integers(0, 256, (2000, 1000, 3), np.uint8))
    (tmp_path / "b.png").write_bytes(b"old")
    script = """
import sys, time
from pathlib import Path
from trous.apps.upscale import read
from trous.apps.upscale.files import enlarge_file

def slowly(done, whole):
    print(done, flush=True)
    time.sleep(0.2)

enlarge_file(Path("a.png"), Path("b.png"), read(Path(sys.argv[1])), progress=slowly)
"""
    weights = saved(tmp_path.parent / "weights.safetensors")
    process = subprocess.Popen(
        [sys.executable, "-c", script, weights],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert int(process.stdout.readline()) < 1000
    assert len(os.listdir(tmp_path)) == 3
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert (tmp_path / "b.png").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.png", "b.png"]


@pytest.fixture
def album(tmp_path: Path, rng: np.random.Generator) -> Path:
    folder = tmp_path / "album"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.png", "b.JPG", "c.tif"):
        write(folder / name, rng.integers(0, 256, (7, 9, 3), np.uint8))
    (folder / "bad.png").write_bytes(b"no picture")
    for name in ("notes.txt", "._a.png"):
        (folder / name).write_text("text")
    return folder


def enlarge_folder(source: Path, target: Path, *, replace: bool = False) -> FolderReport[Enlarged]:
    return each_picture(source, target, partial(enlarge_file, network=NET), replace=replace)


def test_a_folder(album: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "large"
    report = enlarge_folder(album, target)
    assert [done.target.name for done in report.done] == ["a.png", "b.JPG", "c.tif"]
    assert [(path.name, error.rule[:17]) for path, error in report.failed] == [("bad.png", "must be a picture")]
    assert [path.name for path in report.left_out] == ["._a.png", "notes.txt"]
    assert report.there == []
    assert sorted(os.listdir(target)) == ["a.png", "b.JPG", "c.tif"]
    assert (pixels(target / "c.tif") == enlarge(pixels(album / "c.tif"), NET)).all()


def test_a_folder_is_gone_on_with(album: Path, tmp_path: Path) -> None:
    target = tmp_path / "large"
    target.mkdir()
    (target / "a.png").write_bytes(b"old")
    report = enlarge_folder(album, target)
    assert [path.name for path in report.there] == ["a.png"]
    assert (target / "a.png").read_bytes() == b"old"
    report = enlarge_folder(album, target, replace=True)
    assert report.there == []
    assert len(report.done) == 3
    assert pixels(target / "a.png").shape == (14, 18, 3)


def test_folders_that_cannot_be(album: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "none").mkdir()
    for source, target, said in (
        (album, album, "target must be another folder than the source"),
        (album, tmp_path / "file", "target must be a folder that can be made"),
        (tmp_path / "none", tmp_path / "x", "source must have pictures"),
        (tmp_path / "missing", tmp_path / "x", "source must be a folder that can be read"),
    ):
        with pytest.raises(TrousError, match=said):
            enlarge_folder(source, target)
    assert not (tmp_path / "x").exists()
    assert len(pictures_and_others(album)[0]) == 4
