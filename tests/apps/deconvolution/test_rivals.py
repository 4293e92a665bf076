"""scikit-image's methods are given what they expect, and are scored where they lie."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from trous.apps.deconvolution import rivals
from trous.apps.deconvolution.cases import blurred, psnr

restoration = pytest.importorskip("skimage.restoration")


def smooth(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """A picture of broad patches, from 0.2 to 0.8."""
    noise = np.random.default_rng(seed).random(size)
    for axis in (0, 1):
        noise = sum(np.roll(noise, shift, axis) for shift in range(7)) / 7
    return 0.2 + 0.6 * (noise - noise.min()) / np.ptp(noise)


def test_steps_are_those_of_scikit_image() -> None:
    y, kernel = smooth((20, 23)).astype(np.float32), np.random.default_rng(1).random((5, 3))
    kernel /= kernel.sum()
    for count, estimate in enumerate(rivals.steps(y, kernel, 12), 1):
        np.testing.assert_allclose(estimate, restoration.richardson_lucy(y, kernel, count), atol=2e-5)


@pytest.mark.parametrize("name", list(rivals.RIVALS))
def test_a_kernel_beside_its_centre_is_put_right(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The centre of all is that of ours, so that none loses by a shift."""
    monkeypatch.setattr(rivals, "ITERATIONS", 30)
    kernel = np.full((7, 9), 0.1 / 63)
    kernel[1, 6] += 0.9
    y, truth = blurred(smooth((60, 64)), kernel, 0.0, (1,))
    inside = truth[8:-8, 8:-8]
    best = rivals.RIVALS[name](y, kernel, lambda estimate: psnr(estimate[8:-8, 8:-8], inside))
    assert best.psnr > psnr(y[8:-8, 8:-8], inside) + 10


@pytest.mark.parametrize("name", list(rivals.RIVALS))
def test_the_best_is_kept_with_its_parameter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "ITERATIONS", 30)
    kernel = np.random.default_rng(1).random((5, 5))
    y, truth = blurred(smooth((60, 64)), kernel / kernel.sum(), 0.01, (1,))
    best = rivals.RIVALS[name](y, kernel / kernel.sum(), partial(psnr, truth=truth))
    if "tapered" in name:  # the others spoil the border of so small a picture
        assert best.psnr > psnr(y, truth) + 0.5
    if name.startswith("wiener"):
        assert rivals.BALANCES[0] < float(best.parameter.split()[1]) < rivals.BALANCES[-1]
