"""`trous bench deconvolution` as a user meets it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from trous.apps.deconvolution import quality
from trous.apps.deconvolution.cases import KERNELS, PICTURES
from trous.bench import machine
from trous.cli import main


@pytest.fixture(autouse=True)
def _data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One kernel and two small pictures."""
    h5py, image = pytest.importorskip("h5py"), pytest.importorskip("PIL.Image")
    for name in ("pyvips", "skimage", "scipy", "matplotlib"):
        pytest.importorskip(name)
    monkeypatch.setattr(machine, "busy", lambda: 0.0)
    monkeypatch.setenv("TROUS_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / KERNELS).parent.mkdir(parents=True)
    (tmp_path / "data" / PICTURES).mkdir(parents=True)
    with h5py.File(tmp_path / "data" / KERNELS, "w") as file:
        table = file.create_dataset("kernels", (1, 1), h5py.ref_dtype)
        table[0, 0] = file.create_dataset("a", data=np.ones((3, 5))).ref
    for name in "ab":
        colours = np.kron(np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
        image.fromarray(colours).save(tmp_path / "data" / PICTURES / f"{name}.png")
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", "bench", "deconvolution", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def test_quality_is_recorded_and_goes_on_from_what_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("quality", "--pictures", "1", monkeypatch=monkeypatch) == 0
    assert sorted(os.listdir()) == ["data", "runs"]  # a part is written where --output says so
    kept = sorted(Path("runs/deconvolution/quality").rglob("*.json"))
    assert len(kept) == len(quality.CONTENDERS)
    times = [path.stat().st_mtime_ns for path in kept]
    assert run("quality", monkeypatch=monkeypatch) == 0
    assert [path.stat().st_mtime_ns for path in kept] == times
    printed = capsys.readouterr().out
    assert "2 cases: 1 kernels, 2 pictures, noise 0.01" in printed
    assert {path.suffix for path in Path("benchmarks/results").glob("*-deconvolution-quality.*")} == {
        ".json",
        ".md",
        ".png",
    }


def test_errors_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in ((["speed", "--size", "100"], "size must be one of 512"), (["bars"], "bars must be files")):
        assert run(*arguments, monkeypatch=monkeypatch) == 2
        assert said in capsys.readouterr().err
