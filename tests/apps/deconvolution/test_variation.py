"""The weights that others are given, and that they solve the same task."""

from __future__ import annotations

import numpy as np
import pytest

from trous.apps.deconvolution import variation
from trous.apps.deconvolution.cases import blurred, psnr


@pytest.mark.parametrize("place", range(len(variation.WEIGHTS)))
def test_the_best_weight_is_found_wherever_it_lies(place: int) -> None:
    scores = {weight: -abs(n - place) for n, weight in enumerate(variation.WEIGHTS)}
    assert variation.best(scores.__getitem__) == (variation.WEIGHTS[place], 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(variation.RIVALS))
def test_a_rival_sharpens_up_to_the_border(name: str) -> None:
    """A few flat patches are what total variation is for; a wrong centre or boundary would show at once."""
    picture = np.kron(np.random.default_rng(0).random((5, 5)), np.ones((16, 16)))
    kernel = np.zeros((7, 9))
    kernel[0, 8] = kernel[3, 4] = kernel[1, 5] = 1 / 3
    y, truth = blurred(picture, kernel, 0.01, (1,))
    assert psnr(variation.RIVALS[name](y, kernel, 3e-3), truth) > psnr(y, truth) + 10
