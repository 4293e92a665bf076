"""The measures see a checkerboard that is there, and none where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from trous.apps.upsampling.checkerboard import in_the_spectrum, on_flat_pictures


def repeated(scale: int, pattern: np.ndarray):
    """Pixels repeated, with a pattern of the scale's period on them."""

    def enlarge(luma: np.ndarray) -> np.ndarray:
        return np.kron(luma, np.ones((scale, scale))) * (1 + np.tile(pattern, luma.shape))

    return enlarge


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_flat_pictures(scale: int, rng: np.random.Generator) -> None:
    pattern = rng.standard_normal((scale, scale)) / 100
    pattern -= pattern.mean()
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9]) * 255
    expected = np.sqrt(np.square(pattern).mean() * np.square(levels).mean())
    assert on_flat_pictures(repeated(scale, pattern), scale) == pytest.approx(expected, rel=1e-6)
    assert on_flat_pictures(repeated(scale, 0 * pattern), scale) == 0


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_spectrum(scale: int, rng: np.random.Generator) -> None:
    noise = rng.standard_normal((120, 132))
    pattern = np.tile(np.eye(scale) - 1 / scale, (120 // scale, 132 // scale))
    assert abs(in_the_spectrum([rng.standard_normal((121, 133)) for _ in range(8)], scale)) < 1.5
    assert in_the_spectrum([noise + pattern], scale) > 10
    assert in_the_spectrum([noise + pattern], scale) > in_the_spectrum([noise + 0.5 * pattern], scale) + 2
