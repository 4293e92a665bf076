"""Round trips: what is blurred by the definition comes back."""

from __future__ import annotations

import numpy as np
import pytest

from trous.apps.deconvolution import galaxies
from trous.apps.deconvolution.galaxies import around_a_torus


@pytest.mark.parametrize("size", [(12,), (7, 10), (5, 6, 8)])
def test_around_a_torus_is_a_product_of_spectra(size: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    picture, kernel = rng.random(size), rng.random((5,) * len(size))
    large = np.zeros(size)
    large[(slice(0, 5),) * len(size)] = kernel
    large = np.roll(large, [-2] * len(size), range(len(size)))
    expected = np.fft.ifftn(np.fft.fftn(picture) * np.fft.fftn(large)).real
    np.testing.assert_allclose(around_a_torus(picture, kernel), expected, rtol=1e-10)


def test_what_lost_no_frequency_comes_back() -> None:
    trips = list(galaxies.round_trips())
    assert {trip.size for trip in trips} == set(galaxies.SIZES)
    assert all(trip.error < (1e-9 if trip.dtype == "float64" else 1e-5) for trip in trips)


@pytest.mark.parametrize("method", galaxies.METHODS)
def test_pictures_with_kernels_of_their_own_are_as_each_alone(method: str) -> None:
    rng = np.random.default_rng(0)
    stamps, psfs = rng.standard_normal((3, 17, 18)), rng.random((3, 5, 5))
    batch = galaxies.batched(stamps, psfs, method)
    assert batch.finite
    assert batch.alike < 1e-6
