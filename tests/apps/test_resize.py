"""imresize against MATLAB's own results, and against its definition."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from trous import TrousError
from trous.apps.resize import imresize

DATA = Path(os.environ.get("TROUS_DATA", "absent")) / "images" / "set5_lowres"
GOLDEN = sorted(DATA.glob("x*/*_HR.png"))


@pytest.mark.skipif(not DATA.exists(), reason="needs TROUS_DATA: images/set5_lowres")
def test_matlabs_own_images_are_met_bit_for_bit() -> None:
    assert len(GOLDEN) == 15
    for path in GOLDEN:
        large, small = (np.asarray(Image.open(p)) for p in (path, Path(str(path).replace("_HR", "_LR"))))
        np.testing.assert_array_equal(imresize(large, small.shape[:2]), small)


def by_definition(row: np.ndarray, outputs: int) -> np.ndarray:
    """One row, output by output, over all inputs of the row with its edges repeated."""
    rate = len(row) / outputs
    wide = max(rate, 1.0)
    reach = int(4 * wide) + 4
    positions = np.arange(-reach, len(row) + reach)
    values = row[positions.clip(0, len(row) - 1)]
    found = []
    for o in range(outputs):
        x = np.abs(positions - ((o + 0.5) * rate - 0.5)) / wide
        near, far = 1.5 * x**3 - 2.5 * x**2 + 1, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        weight = np.where(x <= 1, near, np.where(x <= 2, far, 0))
        found.append((weight * values).sum() / weight.sum())
    return np.array(found)


@pytest.mark.parametrize(("inputs", "outputs"), [(12, 6), (12, 24), (10, 30), (17, 5), (5, 17), (9, 9), (1, 4), (7, 1)])
def test_rows_and_columns(inputs: int, outputs: int, rng: np.random.Generator) -> None:
    row = rng.random(inputs)
    expected = by_definition(row, outputs)
    np.testing.assert_allclose(imresize(row[None], (1, outputs))[0], expected, atol=1e-12)
    np.testing.assert_allclose(imresize(row[:, None], (outputs, 1))[:, 0], expected, atol=1e-12)


def test_a_constant_stays_one(rng: np.random.Generator) -> None:
    assert (imresize(np.full((9, 7, 3), 201, np.uint8), (20, 31)) == 201).all()
    np.testing.assert_allclose(imresize(np.full((9, 7), 0.3), (4, 3)), 0.3, rtol=1e-14)


def test_types_and_channels(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (8, 10, 3), np.uint8)
    assert imresize(image, (16, 20)).dtype == np.uint8
    single = imresize(image.astype(np.float32), (4, 5))
    assert single.dtype == np.float32 and single.shape == (4, 5, 3)
    for channel in range(3):
        np.testing.assert_array_equal(imresize(image, (4, 5))[..., channel], imresize(image[..., channel], (4, 5)))


@pytest.mark.parametrize(
    ("image", "size", "message"),
    [
        (np.zeros(4), (2, 2), "image must have shape"),
        (np.zeros((0, 4)), (2, 2), "image must have shape"),
        (np.zeros((4, 4), np.int32), (2, 2), "image must be of uint8 or a floating-point type, got 'int32'"),
        (np.zeros((4, 4)), 2, "size must be"),
        (np.zeros((4, 4)), (0, 2), "size must be at least 1"),
        (np.zeros((4, 4)), (2, 2, 3), "size must be"),
    ],
)
def test_bad_input_is_one_clear_error(image: Any, size: Any, message: str) -> None:
    with pytest.raises(TrousError, match=message):
        imresize(image, size)
