"""The noise of pictures, measured where it is known."""

from __future__ import annotations

import numpy as np
import pytest

from trous.inverse.noise import noise_level


def smooth(size: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A few waves of some ten values' length, about 1 high."""
    rng = np.random.default_rng(seed)
    x = np.zeros((1, 1, *size))
    for _ in range(4):
        phase = sum(
            rng.uniform(-0.4, 0.4) * g for g in np.meshgrid(*[np.arange(n) for n in size], indexing="ij", sparse=True)
        )
        x += np.sin(phase + rng.uniform(0, 6)) / 4
    return x


@pytest.mark.parametrize("size", [(4000,), (90, 70), (20, 24, 16)])
@pytest.mark.parametrize("sigma", [0.002, 0.01, 0.03])
def test_noise_of_smooth_pictures(size: tuple[int, ...], sigma: float) -> None:
    y = smooth(size) + np.random.default_rng(1).normal(0, sigma, (1, 1, *size))
    assert noise_level(y)[0].item() == pytest.approx(sigma, rel=0.1)


def test_each_picture_has_its_own() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(0, [[[[1.0]]], [[[5.0]]]], (2, 3, 60, 60)).astype(np.float32)
    level = noise_level(y)
    assert level.shape == (2, 1, 1, 1)
    np.testing.assert_allclose(level.ravel(), [1, 5], rtol=0.05)


@pytest.mark.parametrize("sigma", [0.5, 1, 3])
@pytest.mark.parametrize("unit", [1, 1 / 255])
def test_eight_bits(sigma: float, unit: float) -> None:
    levels = np.rint(128 + 80 * smooth((120, 120)) + np.random.default_rng(2).normal(0, sigma, (1, 1, 120, 120)))
    total = np.hypot(sigma, 12**-0.5)  # rounding is noise too
    assert noise_level((levels * unit).astype(np.float32)).item() == pytest.approx(total * unit, rel=0.1)


def test_masked_values_do_not_count() -> None:
    rng = np.random.default_rng(3)
    y = smooth((80, 80)) + rng.normal(0, 0.01, (1, 1, 80, 80))
    mask = np.ones_like(y)
    mask[..., 20:30, :] = 0
    y[mask == 0] = np.nan
    assert noise_level(y, mask).item() == pytest.approx(0.01, rel=0.1)


def test_few_windows_without_masked_values() -> None:
    rng = np.random.default_rng(4)
    y = rng.normal(0, 2, (1, 1, 100, 100))
    assert noise_level(y, (rng.random(y.shape) < 0.5).astype(float)).item() == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("value", [0, 3.7])
def test_constant_pictures_have_none(value: float) -> None:
    assert noise_level(np.full((1, 2, 30, 30), value, np.float32)).item() == 0


def test_pictures_smaller_than_the_filter_tell_nothing() -> None:
    assert noise_level(np.random.default_rng(0).random((1, 1, 4, 3))).item() == 0
