"""What every method does to photographs, with nothing told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trous.apps.deconvolution import quality
from trous.apps.deconvolution.cases import KERNELS, PICTURES, Case, blurred, cases, psnr
from trous.apps.deconvolution.report import gains
from trous.apps.deconvolution.rivals import Best

DATA = Path(os.environ.get("TROUS_DATA", "absent"))


def untold(items: Iterable[Any], _: Any) -> Iterator[Any]:
    yield from items


@pytest.mark.parametrize("method", quality.METHODS)
def test_a_method_sharpens_with_nothing_told(method: str) -> None:
    picture = np.kron(np.random.default_rng(0).random((6, 7)), np.ones((12, 12)))
    kernel = np.zeros((5, 7))
    kernel[2, 1:6] = 0.2
    y, truth = blurred(picture, kernel, 0.01, (1,))
    score = partial(psnr, truth=truth)
    assert quality.ours(method, y, kernel, score).psnr > score(y) + 2


def test_a_run_is_kept_by_contender_and_case(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("pyvips")
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in paths:
        image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)).save(path)
    chosen = [Case(1, np.ones((3, 3)) / 9, path) for path in paths]
    asked: list[int] = []

    def contender(y: np.ndarray, kernel: np.ndarray, score: Any) -> Best:
        asked.append(1)
        return Best("none", score(y))

    for _ in range(2):
        found = quality.run(chosen, tmp_path / "runs", untold, {"trous none, twice": contender})
    assert len(asked) == 2
    assert {path.name for path in (tmp_path / "runs/trous-none-twice").iterdir()} == {
        "kernel1-a.json",
        "kernel1-b.json",
    }
    assert {run["parameter"] for run in found["trous none, twice"]} == {"none"}


@pytest.mark.slow
@pytest.mark.skipif(
    not (DATA / KERNELS).exists() or not (DATA / PICTURES).exists(), reason="needs TROUS_DATA: Levin09, kodak"
)
def test_total_variation_is_1_5_db_above_scikit_image_at_its_best(tmp_path: Path) -> None:
    pytest.importorskip("skimage")
    pytest.importorskip("h5py")
    found = quality.run(cases(DATA, 2, 2), tmp_path, untold, quality.CONTENDERS)
    assert gains(found)["trous total_variation"]["as_they_are"] >= 1.5
