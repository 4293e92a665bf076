"""What was done to the picture, in whichever way it is computed, against sums written out."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from trous.inverse.blur import Blur
from trous.inverse.torus import Torus, laplacian_at
from trous.plan.circle import SURROUNDINGS, ObservedAxis

Case = tuple[np.ndarray, np.ndarray, tuple[ObservedAxis, ...]]


def drawn(seed: int, surroundings: str) -> Case:
    """Data of shape (pictures, colours, *size), a PSF, and the geometry."""
    rng = np.random.default_rng(seed)
    ndim = 1 + seed % 3
    stride = int(rng.integers(1, 4))
    kernel, size = (tuple(int(n) for n in rng.integers(low, high, ndim)) for low, high in ((1, 6), (6, 8)))
    pictures, colours = (int(n) for n in rng.integers(1, 4, 2))
    own = pictures if seed % 2 else 1, colours if seed % 4 > 1 else 1
    axes = tuple(ObservedAxis(k, stride, n, surroundings) for k, n in zip(kernel, size, strict=True))
    return rng.standard_normal((pictures, colours, *size)), rng.standard_normal((*own, *kernel)), axes


def written_out(x: np.ndarray, psf: np.ndarray, axes: tuple[ObservedAxis, ...]) -> np.ndarray:
    """The sum over the PSF for every datum, of a picture that is extended already."""
    y = np.zeros((*x.shape[:2], *(axis.size for axis in axes)))
    for i in product(*(range(axis.size) for axis in axes)):
        for t in product(*map(range, psf.shape[2:])):
            at = tuple(a.before + a.stride * p + a.centre - q for a, p, q in zip(axes, i, t, strict=True))
            y[(..., *i)] += psf[(..., *t)] * x[(..., *at)]
    return y


def extend(x: np.ndarray, axes: tuple[ObservedAxis, ...]) -> np.ndarray:
    """With what surrounds it."""
    for n, axis in enumerate(axes, start=2):
        x = np.stack([0 * x.take(0, n) if i is None else x.take(i, n) for i in axis.sources], n)
    return x


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("seed", range(12))
def test_blur_and_torus_are_the_sum_written_out(seed: int, surroundings: str) -> None:
    y, psf, axes = drawn(seed, surroundings)
    blur, torus = Blur(psf, axes, *y.shape[:2]), Torus(y, psf, None, axes)
    x = np.random.default_rng(seed).standard_normal((*y.shape[:2], *blur.latent_size))
    extended = x if surroundings == "unknown" else extend(x, axes)
    wanted = written_out(extended, psf, axes)
    assert np.allclose(blur.forward(x), wanted, rtol=0, atol=1e-12)
    back = blur.adjoint(y)
    assert abs((wanted * y).sum() - (x * back).sum()) < 1e-13 * np.linalg.norm(wanted) * np.linalg.norm(y)
    assert blur.crop(x).shape == (*y.shape[:2], *blur.result_size)
    assert np.array_equal(torus.gather(torus.data), y) and torus.observed.sum() == y[0, 0].size

    on_torus = np.zeros((*y.shape[:2], *torus.size))
    if surroundings == "periodic":
        on_torus[:] = x
    else:
        on_torus[(..., *(slice(n) for n in extended.shape[2:]))] = extended
    everywhere = torus.inverse(torus.transform(on_torus) * torus.spectrum)
    assert np.allclose(torus.gather(everywhere), wanted, rtol=0, atol=1e-12)
    assert np.array_equal(torus.crop(on_torus), blur.crop(x))


@pytest.mark.parametrize("surroundings", ["zero", "reflect"])
@pytest.mark.parametrize("seed", range(6))
def test_tie_is_the_nearest_picture_that_is_allowed(seed: int, surroundings: str) -> None:
    y, psf, axes = drawn(seed, surroundings)
    blur, torus = Blur(psf, axes, *y.shape[:2]), Torus(y, psf, None, axes)
    rng = np.random.default_rng(seed)
    allowed = rng.standard_normal((*y.shape[:2], *torus.size))
    if surroundings == "zero":
        allowed[:] = 0
    inside = (..., *(slice(axis.extended) for axis in axes))
    allowed[inside] = extend(rng.standard_normal((*y.shape[:2], *blur.latent_size)), axes)
    tied = torus.tie(allowed)
    assert tied is not None and np.allclose(tied, allowed)
    other = rng.standard_normal(allowed.shape)
    nearest = torus.tie(other)
    assert nearest is not None and np.allclose(torus.tie(nearest), nearest)
    assert abs(((other - nearest) * (allowed - nearest)).sum()) < 1e-9  # at right angles to all that is allowed


def test_masked_values_are_not_on_the_torus() -> None:
    y, psf, axes = drawn(1, "unknown")
    mask = np.random.default_rng(0).random(y.shape) > 0.3
    torus = Torus(y, psf, mask.astype(float), axes)
    assert np.array_equal(torus.gather(torus.observed), mask)
    assert np.array_equal(torus.gather(torus.data), y * mask)


def test_the_laplacian_is_that_of_differences() -> None:
    x = np.random.default_rng(0).standard_normal((6, 9))
    squares = sum(((np.roll(x, -1, axis) - x) ** 2).sum() for axis in (0, 1))
    spectrum = np.fft.rfftn(x)
    twice = np.full(5, 2.0)
    twice[0] = 1
    assert np.isclose((np.abs(spectrum) ** 2 * laplacian_at((6, 9), np.float64) * twice).sum() / 54, squares)
