"""PSNR and SSIM: published bicubic scores, and their definitions."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trous import TrousError
from trous.apps.quality import eight_bit, luma, psnr, ssim
from trous.apps.resize import imresize

DATA = Path(os.environ.get("TROUS_DATA", "absent")) / "images"

#: Of bicubic interpolation, as every paper has them: PSNR in dB, and SSIM.
SET5 = {2: (33.66, 0.9299), 3: (30.39, 0.8682), 4: (28.42, 0.8104)}


@pytest.mark.skipif(not DATA.exists(), reason="needs TROUS_DATA: images/set5")
@pytest.mark.parametrize("scale", SET5)
def test_bicubic_scores_on_set5_as_published(scale: int) -> None:
    scores = []
    for path in sorted((DATA / "set5").glob("*.png")):
        y = luma(np.asarray(Image.open(path).convert("RGB")))
        height, width = (n // scale * scale for n in y.shape)
        truth = y[:height, :width]
        enlarged = imresize(imresize(truth, (height // scale, width // scale)), (height, width))
        scores.append((psnr(enlarged, truth, border=scale), ssim(enlarged, truth, border=scale)))
    decibels, similarity = np.mean(scores, axis=0)
    assert len(scores) == 5
    assert round(decibels, 2) == SET5[scale][0]
    assert similarity == pytest.approx(SET5[scale][1], abs=0.0015)


def test_luma_is_bt601() -> None:
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]]])
    np.testing.assert_allclose(luma(colours)[0], [81.481, 144.553, 40.966, 125.929], atol=1e-3)


def test_rounding_is_halves_up_and_clipped() -> None:
    assert eight_bit([0.5, 1.5, 2.49, -3, 300]).tolist() == [1, 2, 2, 0, 255]


def test_psnr_by_hand(rng: np.random.Generator) -> None:
    truth = rng.integers(0, 250, (12, 15)).astype(float)
    assert psnr(truth + 1, truth) == pytest.approx(20 * math.log10(255))
    assert psnr(truth + 0.4, truth) == math.inf
    wrong = truth.copy()
    wrong[:2] += 50
    assert psnr(wrong, truth, border=2) == math.inf


def ssim_by_definition(x: np.ndarray, y: np.ndarray) -> float:
    place = np.arange(11) - 5
    weight = np.exp(-(place[:, None] ** 2 + place[None] ** 2) / (2 * 1.5**2))
    weight /= weight.sum()
    found = []
    for row in range(x.shape[0] - 10):
        for column in range(x.shape[1] - 10):
            a, b = (image[row : row + 11, column : column + 11] for image in (x, y))
            mean_a, mean_b = (weight * a).sum(), (weight * b).sum()
            var_a, var_b = (weight * (a - mean_a) ** 2).sum(), (weight * (b - mean_b) ** 2).sum()
            both = (weight * (a - mean_a) * (b - mean_b)).sum()
            top = (2 * mean_a * mean_b + 2.55**2) * (2 * both + 7.65**2)
            found.append(top / ((mean_a**2 + mean_b**2 + 2.55**2) * (var_a + var_b + 7.65**2)))
    return float(np.mean(found))


def test_ssim_is_its_definition(rng: np.random.Generator) -> None:
    x = rng.integers(0, 256, (17, 14)).astype(float)
    y = (x + rng.integers(-30, 31, x.shape)).clip(0, 255)
    assert ssim(x, y) == pytest.approx(ssim_by_definition(x, y), abs=1e-9)
    assert ssim(x, x) == pytest.approx(1)
    assert ssim(x, 255 - x) < 0


@pytest.mark.parametrize("measure", [psnr, ssim])
@pytest.mark.parametrize(
    ("shapes", "border", "message"),
    [
        (((12, 12), (12, 13)), 0, "image must have the truth's shape"),
        (((12, 12, 3), (12, 12, 3)), 0, "image must have the truth's shape"),
        (((12, 12), (12, 12)), 6, "border must leave"),
        (((12, 12), (12, 12)), -1, "border must be at least 0"),
    ],
)
def test_bad_input_is_one_clear_error(measure: Any, shapes: Any, border: int, message: str) -> None:
    with pytest.raises(TrousError, match=message):
        measure(*(np.ones(shape) for shape in shapes), border=border)


def test_luma_needs_three_channels() -> None:
    with pytest.raises(TrousError, match="rgb must have shape"):
        luma(np.zeros((4, 4)))
