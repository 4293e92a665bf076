"""Principal components and AUROC against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from trous import TrousError
from trous.apps.autoencoder.scores import auroc, principal_components, squared_errors


def test_components_against_the_singular_values(rng: np.random.Generator) -> None:
    images = rng.normal(size=(40, 12)) @ rng.normal(size=(12, 12)) + 3
    singular = np.linalg.svd(images - images.mean(axis=0), compute_uv=False)
    for count in (1, 5, 12):
        components = principal_components(images, count)
        error = squared_errors(components.reconstruct(images), images).mean()
        np.testing.assert_allclose(error, np.square(singular[count:]).sum() / images.size, atol=1e-12)
        np.testing.assert_allclose(components.directions @ components.directions.T, np.eye(count), atol=1e-12)


def test_no_plane_is_better(rng: np.random.Generator) -> None:
    images = rng.normal(size=(30, 6)) * [5, 3, 1, 1, 1, 1]
    best = squared_errors(principal_components(images, 2).reconstruct(images), images).mean()
    for _ in range(50):
        plane, _ = np.linalg.qr(rng.normal(size=(6, 2)))
        centred = images - images.mean(axis=0)
        assert squared_errors(centred @ plane @ plane.T, centred).mean() > best


def test_auroc_is_the_share_of_pairs(rng: np.random.Generator) -> None:
    for _ in range(20):
        scores, strange = rng.integers(0, 6, 50), rng.random(50) < 0.3
        strange[:2] = True, False
        pairs = [(a > b) + (a == b) / 2 for a in scores[strange] for b in scores[~strange]]
        assert auroc(scores, strange) == pytest.approx(np.mean(pairs), abs=1e-15)
    assert auroc([1, 2, 3], [False, False, True]) == 1
    assert auroc([1, 2, 3], [True, False, False]) == 0


def test_errors() -> None:
    np.testing.assert_array_equal(squared_errors(np.zeros((2, 1, 2, 2)), np.arange(8).reshape(2, 1, 2, 2)), [3.5, 31.5])
    with pytest.raises(TrousError, match="strange must be true for some and false for others, got 0"):
        auroc([1, 2], [False, False])
    with pytest.raises(TrousError, match="strange must have the scores' shape"):
        auroc([1, 2], [True])
    with pytest.raises(TrousError, match="count must be at most 3, got 4"):
        principal_components(np.ones((5, 3)), 4)
    with pytest.raises(TrousError, match="images must have shape"):
        principal_components(np.ones(3), 1)
