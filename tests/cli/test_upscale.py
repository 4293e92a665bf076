"""`trous upscale` as a user meets it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import trous.apps.upscale.network as shipped
from apps.upscale.test_files import saved
from trous.apps.pictures.vips import vips
from trous.cli import main


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    for scale in (2, 3, 4):
        saved(folder / f"small-x{scale}.safetensors", scale)
    return folder


@pytest.fixture(autouse=True)
def folder(weights: Path, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a picture and a folder of three, of which one is none."""
    monkeypatch.setattr(shipped, "WEIGHTS", weights)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "album").mkdir()
    for name in ("photo.png", "album/a.png", "album/b.png"):
        Image.fromarray(rng.integers(0, 256, (8, 11, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "album/c.png").write_bytes(b"no picture")
    (tmp_path / "album/notes.txt").write_text("text")
    return tmp_path


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", "upscale", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "Examples:\n" in printed
    assert "trous upscale photo.jpg large.png" in printed


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_picture(
    scale: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("photo.png", "large.tif", "--scale", str(scale), monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    said = rf"photo\.png \(11 × 8\) enlarged to large\.tif \({11 * scale} × {8 * scale}\) in \d+\.\d s\n"
    assert re.fullmatch(said, printed.out)
    assert size(folder / "large.tif") == (11 * scale, 8 * scale)


def test_into_a_folder_under_the_same_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "out").mkdir()
    assert run("photo.png", "out", monkeypatch=monkeypatch) == 0
    assert size(folder / "out/photo.png") == (22, 16)


def test_what_is_there_stays_but_for_force(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "large.png").write_bytes(b"old")
    assert run("photo.png", "large.png", monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == "trous: target must not be there yet, but for --force, got 'large.png'\n"
    assert (folder / "large.png").read_bytes() == b"old"
    assert run("photo.png", "large.png", "--force", monkeypatch=monkeypatch) == 0
    assert size(folder / "large.png") == (22, 16)
    before = (folder / "photo.png").read_bytes()
    assert run("photo.png", ".", "--force", monkeypatch=monkeypatch) == 2
    assert "must be another file than the source" in capsys.readouterr().err
    assert (folder / "photo.png").read_bytes() == before


def test_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("album", "large", "-s", "3", monkeypatch=monkeypatch) == 1
    printed = capsys.readouterr()
    assert re.fullmatch(r"2 pictures enlarged in \d+\.\d s, 1 failed, 1 other file left out\n", printed.out)
    known = "PNG, JPEG, WebP, TIFF, GIF, AVIF"
    assert f"trous: c.png: source must be a picture ({known}), got 'album/c.png'\n" in printed.err
    assert sorted(os.listdir(folder / "large")) == ["a.png", "b.png"]
    assert size(folder / "large/b.png") == (33, 24)
    (folder / "album/c.png").unlink()
    assert run("album", "large", "-s", "3", monkeypatch=monkeypatch) == 0
    said = r"0 pictures enlarged in \d+\.\d s, 2 there already \(--force does them again\), 1 other file left out\n"
    assert re.fullmatch(said, capsys.readouterr().out)


def test_pages_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    page = Image.new("L", (9, 9))
    page.save(folder / "pages.tif", save_all=True, append_images=[page, page])
    assert run("pages.tif", "x.tif", monkeypatch=monkeypatch) == 0
    assert "trous: mind: pages.tif has 3 pages; the first was enlarged\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["photo.png", "x.png", "--scale", "5"], "scale must be one of 2, 3, 4, got 5"),
        (["photo.png", "x.png", "--model", "huge"], "model must be one of small, got 'huge'"),
        (["missing.png", "x.png"], "source must be a file that can be read (No such file or directory)"),
        (["photo.png", "x.bmp"], "target must end in one of .png, .jpg, .jpeg, .webp, .tif, .tiff, got 'x.bmp'"),
        (["photo.png", "missing/x.png"], "target must be where a picture can be written (No such file"),
        (["album/c.png", "x.png"], "source must be a picture (PNG,"),
        (["album", "album"], "target must be another folder than the source"),
        (["album", "photo.png"], "target must be a folder that can be made"),
    ],
)
def test_bad_input_is_one_message(
    arguments: list[str], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(os.listdir(folder))
    assert run(*arguments, monkeypatch=monkeypatch) == 2
    printed = capsys.readouterr()
    assert printed.err.strip().startswith(f"trous: {said}")
    assert printed.err.strip().count("\n") == 0
    assert printed.out == ""
    assert sorted(os.listdir(folder)) == before


@pytest.mark.parametrize(("name", "package"), [("pyvips", "'pyvips[binary]'"), ("safetensors", "safetensors")])
def test_what_is_missing_is_named(
    name: str, package: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    vips.cache_clear()
    monkeypatch.setitem(sys.modules, name, None)
    assert run("photo.png", "x.png", monkeypatch=monkeypatch) == 2
    needed = "the commands need: pip install 'pyvips[binary]' safetensors"
    assert capsys.readouterr().err.strip() == f"trous: {package} is not installed; {needed}"
    assert not (folder / "x.png").exists()


SCRIPT = """
import sys
from pathlib import Path
sys.modules["torch"] = sys.modules["PIL"] = None
import trous.apps.upscale.network as shipped
shipped.WEIGHTS = Path(sys.argv[1])
sys.argv = ["trous", "upscale", "photo.png", "large.png"]
from trous.cli import main
main()
"""


def started(folder: Path, weights: Path) -> subprocess.Popen[str]:
    """The command in a process of its own, in which there is neither torch nor Pillow."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(weights)]
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def test_torch_is_not_needed(folder: Path, weights: Path) -> None:
    process = started(folder, weights)
    said = process.communicate(timeout=60)[1].strip()
    assert (process.returncode, said) == (0, "")
    assert size(folder / "large.png") == (22, 16)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped(number: signal.Signals, folder: Path, weights: Path, rng: np.random.Generator) -> None:
    Image.fromarray(rng.integers(0, 256, (2000, 1500, 3), np.uint8)).save(folder / "photo.png", compress_level=0)
    before = sorted(os.listdir(folder))
    process = started(folder, weights)
    for _ in range(600):
        if len(os.listdir(folder)) > len(before):
            break
        time.sleep(0.05)
    else:
        raise AssertionError("nothing is being written")
    process.send_signal(number)
    said = process.communicate(timeout=60)[1].strip()
    assert (process.returncode, said) == (128 + number, "")
    assert sorted(os.listdir(folder)) == before
