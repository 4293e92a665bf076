"""`trous deblur` as a user meets it."""

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
from scipy.ndimage import gaussian_filter

from trous.apps.deblur.restore import decoded, encoded
from trous.cli import main


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a picture that a camera blurred, a PSF and a folder of three, of which one is no picture."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "album").mkdir()
    scene = np.zeros((40, 50, 3))
    scene[10:30, 8:25], scene[5:20, 30:44] = (0.7, 0.2, 0.1), (0.2, 0.6, 0.8)
    photo = np.rint(255 * encoded(gaussian_filter(decoded(scene), (1.2, 1.2, 0)))).astype(np.uint8)
    for name in ("photo.png", "album/a.png", "album/b.png"):
        Image.fromarray(photo).save(tmp_path / name)
    Image.fromarray(np.rint(255 * scene).astype(np.uint8)).save(tmp_path / "scene.png")
    (tmp_path / "album/c.png").write_bytes(b"no picture")
    (tmp_path / "album/notes.txt").write_text("text")
    return tmp_path


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", "deblur", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def error(path: str) -> float:
    difference = np.asarray(Image.open(path), float) - np.asarray(Image.open("scene.png"), float)
    return float(np.sqrt((difference**2).mean()))


def test_help(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "Examples:\n" in printed
    assert "trous deblur photo.jpg sharp.tif --psf disk:3 --noise 1%" in printed


def test_a_picture(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("photo.png", "sharp.png", "--psf", "gaussian:1.2", monkeypatch=monkeypatch) == 0
    printed = capsys.readouterr()
    said = r"photo\.png \(50 × 40\) deblurred to sharp\.png by total_variation in linear light, \d+ iterations, "
    assert re.fullmatch(said + r"noise [\d.]+ \(estimated\), in \d+\.\d s\n", printed.out)
    assert printed.err == ""
    assert error("sharp.png") < error("photo.png") / 2


@pytest.mark.parametrize("method", ["total_variation", "wiener", "richardson_lucy", "least_squares"])
def test_methods(method: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    count = [] if method == "wiener" else ["-n", "5"]
    options = ["--psf", "gaussian:1.2", "-m", method, "--noise", "1%", "--scale", "2", "--no-linear", *count]
    assert run("photo.png", "sharp.png", *options, monkeypatch=monkeypatch) == 0
    out = capsys.readouterr().out
    iterations = "" if method == "wiener" else " 5 iterations,"
    assert f"deblurred to sharp.png (100 × 80) by {method},{iterations} noise 2.55, in " in out
    with Image.open("sharp.png") as image:
        assert image.size == (100, 80)


def test_what_is_to_be_minded(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    psf = np.zeros((5, 5))
    psf[2, 4] = 1
    np.save("psf.npy", psf)
    photo = np.asarray(Image.open("photo.png")).copy()
    photo[3:5, 3:5] = 255
    Image.fromarray(photo).save("lit.png")
    assert run("lit.png", "a.png", "--psf", "psf.npy", "-m", "wiener", monkeypatch=monkeypatch) == 0
    err = capsys.readouterr().err.splitlines()
    assert [line[:13] for line in err] == ["trous: mind: "] * 2
    assert "centroid is +0.0 rows and +2.0 columns from its centre" in err[0]
    assert "lit.png has 12 values at full scale, taken for unknown highlights" in err[1]
    options = ["--psf", "psf.npy", "-m", "wiener", "--centre", "--saturated", "off"]
    assert run("lit.png", "b.png", *options, monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().err == ""


def test_what_is_there_stays_but_for_force(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sharp.png").write_bytes(b"old")
    options = ["--psf", "gaussian:1.2", "-m", "wiener"]
    assert run("photo.png", "sharp.png", *options, monkeypatch=monkeypatch) == 2
    assert capsys.readouterr().err == "trous: target must not be there yet, but for --force, got 'sharp.png'\n"
    assert (folder / "sharp.png").read_bytes() == b"old"
    assert run("photo.png", "sharp.png", "--force", *options, monkeypatch=monkeypatch) == 0
    assert error("sharp.png") < error("photo.png")
    assert run("photo.png", ".", "--force", *options, monkeypatch=monkeypatch) == 2


def test_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["album", "sharp", "--psf", "gaussian:1.2", "-m", "wiener"]
    assert run(*options, monkeypatch=monkeypatch) == 1
    printed = capsys.readouterr()
    assert re.fullmatch(r"2 pictures deblurred in \d+\.\d s, 1 failed, 1 other file left out\n", printed.out)
    assert printed.err.startswith("trous: c.png: source must be a picture")
    assert sorted(os.listdir(folder / "sharp")) == ["a.png", "b.png"]
    assert run(*options, monkeypatch=monkeypatch) == 1
    assert "2 there already (--force does them again)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--psf", "gauss:2"], "trous: psf must be gaussian:SIGMA, motion:LENGTH,ANGLE, "),
        (["--psf", "disk:1", "--noise", "much"], "trous: noise must be a number, or a percentage of full scale"),
        (["--psf", "disk:1", "--noise", "-1"], "trous: noise must be a number, or a percentage"),
        (["--psf", "disk:1", "--noise", "1%2"], "trous: noise must be a number, or a percentage"),
        (["--psf", "disk:1", "-m", "wiener", "-n", "3"], "trous: iterations must be None for wiener"),
        (["--psf", "disk:1", "--weight", "-1"], "trous: weight must be a finite number, not negative"),
    ],
)
def test_one_line_for_what_cannot_be(
    options: list[str], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("photo.png", "sharp.png", *options, monkeypatch=monkeypatch) == 2
    err = capsys.readouterr().err
    assert err.startswith(said) and err.count("\n") == 1
    assert not (folder / "sharp.png").exists()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tifffile", None)
    Image.open("photo.png").save("photo.tif")
    assert run("photo.tif", "x.tif", "--psf", "disk:1", monkeypatch=monkeypatch) == 2
    needed = "the commands need: pip install scipy tifffile h5py"
    assert capsys.readouterr().err.strip() == f"trous: tifffile is not installed; {needed}"


SCRIPT = """
import sys
sys.modules["torch"] = sys.modules["PIL"] = None
from trous.cli import main
main()
"""


def started(*arguments: str) -> subprocess.Popen[str]:
    """The command in a process of its own, in which there is neither torch nor Pillow."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "error", "-c", SCRIPT, "deblur", *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def test_torch_is_not_needed() -> None:
    process = started("photo.png", "sharp.png", "--psf", "gaussian:1.2", "-m", "wiener")
    said = process.communicate(timeout=60)[1].strip()
    assert (process.returncode, said) == (0, "")
    assert error("sharp.png") < error("photo.png")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped(number: signal.Signals, folder: Path) -> None:
    before = sorted(os.listdir(folder))
    process = started("photo.png", "sharp.png", "--psf", "gaussian:1.2", "-n", "100000")
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
