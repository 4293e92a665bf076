"""Least squares: against SciPy's solvers step by step, its end at the noise, and nowhere below 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import nnls
from scipy.sparse.linalg import LinearOperator, lsqr

import trous
from trous.inverse.blur import Blur
from trous.plan.circle import SURROUNDINGS, ObservedAxis

PSF = np.array([[0.0, 0.1, 0.05], [0.1, 0.4, 0.1], [0.05, 0.2, 0.0]])


def matrix_of(size: tuple[int, ...], psf: np.ndarray, boundary: str, stride: int = 1) -> tuple[np.ndarray, Blur]:
    axes = tuple(ObservedAxis(k, stride, n, boundary) for k, n in zip(psf.shape, size, strict=True))
    blur = Blur(psf[None, None] / psf.sum(), axes, 1, 1)
    columns = np.eye(int(np.prod(blur.latent_size))).reshape(-1, 1, 1, *blur.latent_size)
    return np.stack([blur.forward(column).ravel() for column in columns], 1), blur


@pytest.mark.parametrize("boundary", SURROUNDINGS)
@pytest.mark.parametrize("stride", [1, 2])
def test_its_steps_are_those_of_lsqr(boundary: str, stride: int) -> None:
    y = np.random.default_rng(0).standard_normal((7, 6)) + 2
    matrix, blur = matrix_of(y.shape, PSF, boundary, stride)
    start = np.full(matrix.shape[1], y.mean())
    for iterations in (1, 3, 6):
        step = lsqr(LinearOperator(matrix.shape, matvec=matrix.dot, rmatvec=matrix.T.dot, dtype=float),
                    y.ravel() - matrix @ start, atol=0, btol=0, conlim=0, iter_lim=iterations)[0]  # fmt: skip
        wanted = blur.crop((start + step).reshape(1, 1, *blur.latent_size))[0, 0]
        found = trous.deconvolve(
            y, PSF, method="least_squares", boundary=boundary, stride=stride, iterations=iterations
        )
        assert np.allclose(found, wanted, rtol=0, atol=1e-9)


def test_it_ends_when_the_noise_is_reached() -> None:
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.standard_normal((40, 40)), 0)
    psf = np.ones((5, 5))
    y = trous.conv(np.pad(x, 2)[None, None], psf[None, None] / 25)[0, 0] + 0.1 * rng.standard_normal(x.shape)
    states: list[Any] = []
    trous.deconvolve(y, psf, method="least_squares", boundary="zero", noise=0.1, callback=states.append)
    residuals = [state.residual for state in states]
    assert residuals[-1] <= 0.1 < residuals[-2]
    assert [state.iteration for state in states] == list(range(1, len(states) + 1))
    assert residuals == sorted(residuals, reverse=True)


def test_each_picture_ends_at_its_own_noise() -> None:
    rng = np.random.default_rng(0)
    x = np.cumsum(rng.standard_normal((3, 30, 30)), 1)
    y = trous.conv(np.pad(x, ((0, 0), (2, 2), (2, 2)))[:, None], np.full((1, 1, 5, 5), 1 / 25))[:, 0]
    y += np.array([0.02, 0.1, 0.5])[:, None, None] * rng.standard_normal(y.shape)
    options: dict[str, Any] = dict(method="least_squares", boundary="zero")
    together = trous.deconvolve(y, np.ones((5, 5)), **options)
    for picture, wanted in zip(y, together, strict=True):
        assert np.allclose(trous.deconvolve(picture, np.ones((5, 5)), **options), wanted, rtol=0, atol=1e-9)


def test_a_weight_is_that_of_the_squares_of_the_picture() -> None:
    y = np.random.default_rng(0).standard_normal((7, 6)) + 1
    matrix, _ = matrix_of(y.shape, PSF, "zero")
    wanted = np.linalg.solve(matrix.T @ matrix + 0.3 * np.eye(42), matrix.T @ y.ravel()).reshape(y.shape)
    options: dict[str, Any] = dict(method="least_squares", boundary="zero", weight=0.3, noise=0)
    assert np.allclose(trous.deconvolve(y, PSF, **options), wanted, rtol=0, atol=1e-9)
    shown = trous.deconvolve(np.abs(y), PSF, nonnegative=True, **options)
    assert shown.min() >= 0


@pytest.mark.parametrize("boundary", SURROUNDINGS)
def test_nowhere_below_zero(boundary: str) -> None:
    y = np.random.default_rng(1).standard_normal((6, 5)) + 0.5
    matrix, _ = matrix_of(y.shape, PSF, boundary)
    least = nnls(matrix, y.ravel())[1]
    found = trous.deconvolve(y, PSF, method="least_squares", boundary=boundary, nonnegative=True, iterations=3000)
    assert found.min() >= 0
    if boundary != "unknown":
        rest = np.linalg.norm(matrix @ found.ravel() - y.ravel())
        assert rest < least * (1 + 1e-6) + 1e-9


def test_masked_data_say_nothing() -> None:
    rng = np.random.default_rng(0)
    x, psf = rng.standard_normal((9, 9)), np.array([[0.05, 0.1, 0.05], [0.1, 0.4, 0.1], [0.05, 0.1, 0.05]])
    matrix, _ = matrix_of((9, 9), psf, "periodic")
    y = (matrix @ x.ravel()).reshape(9, 9)
    mask = np.ones((9, 9), bool)
    mask[4, 4] = mask[0, 3] = False
    spoilt = np.where(mask, y, np.nan)
    options: dict[str, Any] = dict(method="least_squares", boundary="periodic", noise=0, mask=mask)
    found = trous.deconvolve(spoilt, psf, **options)
    assert np.array_equal(found, trous.deconvolve(np.where(mask, y, 77.0), psf, **options))
    assert np.abs((matrix @ found.ravel()).reshape(9, 9) - y)[mask].max() < 1e-9


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_without_noise_what_is_invertible_comes_back(rank: int) -> None:
    x = np.random.default_rng(rank).standard_normal((12, 11, 10)[:rank])
    psf, y = np.array([0.1, 0.8, 0.1]), x
    kernel = psf
    for _ in range(rank - 1):
        kernel = np.multiply.outer(kernel, psf)
    for axis in range(rank):
        y = 0.8 * y + 0.1 * (np.roll(y, 1, axis) + np.roll(y, -1, axis))
    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 1e-5)):
        found = trous.deconvolve(y.astype(dtype), kernel, method="least_squares", boundary="periodic", noise=0)
        assert found.dtype == dtype
        assert np.abs(found - x).max() < tolerance * np.abs(x).max()
