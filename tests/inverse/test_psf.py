"""PSFs from numbers, against their definitions: samples, lengths and areas counted on a fine grid."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, uniform_filter

from trous.errors import TrousError
from trous.inverse.psf import box, disk, gaussian, motion


def impulse(shape: tuple[int, ...]) -> np.ndarray:
    x = np.zeros(shape)
    x[tuple(n // 2 for n in shape)] = 1
    return x


@pytest.mark.parametrize("sigma", [0.3, 1, 2.37, [1, 0.6], [0.5, 1.2, 2]])
def test_a_gaussian_is_scipy_s(sigma: Any) -> None:
    psf = gaussian(sigma)
    np.testing.assert_allclose(psf, gaussian_filter(impulse(psf.shape), sigma, mode="constant"), atol=1e-16)


@pytest.mark.parametrize("width", [1, 3, 7, [3, 5], [1, 3, 5]])
def test_a_box_of_odd_width_is_a_mean(width: Any) -> None:
    psf = box(width)
    np.testing.assert_allclose(psf, uniform_filter(impulse(psf.shape), width, mode="constant"), atol=1e-16)


@pytest.mark.parametrize("width", [0.5, 1.5, 2, 3.75, 6])
def test_a_box_covers_what_lies_in_it(width: float) -> None:
    fine = (np.arange(-5 * 1000, 5 * 1000) + 0.5) / 1000
    inside = np.rint(fine[np.abs(fine) < width / 2]).astype(int)
    reach = inside.max()
    counted = np.bincount(inside + reach) / len(inside)
    np.testing.assert_allclose(box([width]), counted, atol=1e-9)


@pytest.mark.parametrize("radius", [0.2, 0.5, 1, 1.5, 3, 4.7])
def test_a_disk_covers_what_lies_in_it(radius: float) -> None:
    psf = disk(radius)
    reach, parts = psf.shape[0] // 2, 100
    fine = (np.arange((2 * reach + 1) * parts) + 0.5) / parts - reach - 0.5
    inside = np.hypot(fine[:, None], fine[None, :]) < radius
    counted = inside.reshape(2 * reach + 1, parts, -1, parts).sum((1, 3))
    np.testing.assert_allclose(psf * math.pi * radius**2, counted / parts**2, atol=2e-3)
    assert psf[reach, 0] > 0, "no empty border"


@pytest.mark.parametrize("angle", [0, 10, 30, 45, 90, 123.4, 180, -30, 360])
@pytest.mark.parametrize("length", [0.7, 1, 4, math.sqrt(8), 15])
def test_a_line_lies_where_its_points_do(length: float, angle: float) -> None:
    psf = motion(length, angle)
    t = ((np.arange(400_000) + 0.5) / 400_000 - 0.5) * length
    rows = np.rint(-t * math.sin(math.radians(angle))).astype(int) + psf.shape[0] // 2
    columns = np.rint(t * math.cos(math.radians(angle))).astype(int) + psf.shape[1] // 2
    counted = np.zeros_like(psf)
    np.add.at(counted, (rows, columns), 1 / len(t))
    np.testing.assert_allclose(psf, counted, atol=2e-5)


def test_angles_are_those_of_matlab() -> None:
    """`fspecial("motion", 9, 0)` is a row, of 90 degrees a column, of 45 degrees rises to the right."""
    assert motion(9).shape == (1, 9)
    assert motion(9, 90).shape == (9, 1)
    rising = motion(9, 45)
    assert rising[0, -1] > 0 and rising[0, 0] == 0


@pytest.mark.parametrize(
    "psf", [gaussian(1.3), gaussian([2, 1, 0.5]), motion(15, 30), motion(0.3, 77), disk(3.3), box(2.5)]
)
def test_all_are_odd_centred_and_of_sum_1(psf: np.ndarray) -> None:
    assert psf.dtype == np.float64 and (psf >= 0).all()
    assert all(size % 2 for size in psf.shape)
    assert psf.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(psf, np.flip(psf), atol=1e-15)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: gaussian(0), "sigma must be above 0 and finite, in pixels, got 0.0"),
        (lambda: gaussian([1, math.nan]), "sigma must be above 0 and finite, in pixels, got nan"),
        (lambda: gaussian([]), r"sigma must be a number, or one for each axis, got \[\]"),
        (lambda: gaussian(1e300), "sigma must be that of a PSF of at most 4097 pixels a side, got '8e"),
        (lambda: motion(-1), "length must be above 0"),
        (lambda: motion(1e9, 20), "size must be that of a PSF of at most 4097 pixels a side"),
        (lambda: motion(3, math.inf), "angle must be a finite number of degrees, got inf"),
        (lambda: disk(0), "radius must be above 0"),
        (lambda: disk(3000), "size must be that of a PSF of at most 4097 pixels a side, got '6000 pixels'"),
        (lambda: box(-2), "width must be above 0"),
    ],
)
def test_numbers_that_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(TrousError, match=message):
        make()
