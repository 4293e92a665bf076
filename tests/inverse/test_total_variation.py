"""Total variation against its definition: what it returns is the minimum, on every torus."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.signal import convolve2d

import trous
from trous.inverse.request import Task
from trous.inverse.total_variation import Solver, total_variation
from trous.plan.circle import ObservedAxis

PSF = np.array([1.0, 3, 2, 0.5, 0.25]) / 6.75
SQUARE = np.outer(PSF, PSF[1:4]) / PSF[1:4].sum()


def task(y: np.ndarray, psf: np.ndarray, *, boundary: str = "unknown", stride: int = 1, **given: Any) -> Task:
    kernel = psf if psf.ndim == y.ndim else psf[None, None]
    sizes = zip(kernel.shape[2:], y.shape[2:], strict=True)
    axes = tuple(ObservedAxis(k, stride, n, boundary) for k, n in sizes)
    usual = {"mask": None, "told": None, "weight": None, "iterations": None, "nonnegative": False}
    return Task(y=y, psf=kernel.astype(y.dtype), axes=axes, **(usual | {"watch": lambda *state: False} | given))


def blocks(size: tuple[int, ...], seed: int = 0, colours: int = 1) -> np.ndarray:
    """Blocks upon a ground, as `(1, colours, *size)`."""
    rng = np.random.default_rng(seed)
    x = np.full((1, colours, *size), 0.2)
    for _ in range(8):
        corner = [int(rng.integers(0, n)) for n in size]
        part = tuple(slice(c, c + int(rng.integers(n // 6, n // 2))) for c, n in zip(corner, size, strict=True))
        x[(0, slice(None), *part)] = rng.uniform(0, 1, colours).reshape(-1, *[1] * len(size))
    return x


def observed(x: np.ndarray, psf: np.ndarray, sigma: float = 0.01, stride: int = 1, seed: int = 1) -> np.ndarray:
    """What an x with surroundings gives: the valid convolution, with noise."""
    windows = np.lib.stride_tricks.sliding_window_view(x, psf.shape, tuple(range(2, x.ndim)))
    axes = tuple(range(-psf.ndim, 0))
    blurred = (windows * np.flip(psf)).sum(axes)[(..., *[slice(None, None, stride)] * psf.ndim)]
    return blurred + np.random.default_rng(seed).normal(0, sigma, blurred.shape)


def solved(problem: Task, iterations: int = 1000) -> tuple[Solver, np.ndarray]:
    solver = Solver(problem)
    for _ in range(iterations):
        solver.step()
    return solver, solver.allowed(solver.x) / solver.sum


def blurred(problem: Task, x: np.ndarray) -> np.ndarray:
    """On the torus, where there are data."""
    torus = problem.torus
    return torus.observed * torus.inverse(torus.spectrum * torus.transform(x))


def gradients_of(problem: Task, x: np.ndarray) -> list[np.ndarray]:
    """Differences of neighbours, of the picture and what it was blurred with, and 0 behind the last ones."""
    if problem.axes[0].surroundings == "periodic":
        return [np.roll(x, -1, axis) - x for axis in range(2, x.ndim)]
    x = x[(..., *(slice(axis.extended) for axis in problem.axes))]
    return [np.diff(x, axis=axis, append=x.take([-1], axis)) for axis in range(2, x.ndim)]


def objective(problem: Task, x: np.ndarray, weight: float) -> float:
    length = np.sqrt(sum((g * g).sum(1) for g in gradients_of(problem, x)))
    return 0.5 * float(((blurred(problem, x) - problem.torus.data) ** 2).sum()) + weight * float(length.sum())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("sum_of_psf", [1, -3])
def test_one_dimensional_minima_have_their_certificate(stride: int, masked: bool, sum_of_psf: float) -> None:
    """A^T (A x - y) = weight * div p with |p| <= 1, and p is the sign of the gradient wherever there is one. In one
    dimension p is a running sum."""
    x = blocks((84,))
    psf = PSF * sum_of_psf
    y = observed(x, psf, 0.02, stride)
    mask = (np.random.default_rng(2).random(y.shape) < 0.8).astype(float) if masked else None
    weight = 0.02
    problem = task(y if mask is None else y * mask, psf, stride=stride, mask=mask, weight=weight)
    _, estimate = solved(problem, 3000)
    torus = problem.torus
    misfit = blurred(problem, estimate) - torus.data
    back = torus.inverse(np.conj(torus.spectrum) * torus.transform(misfit))[0, 0]
    assert abs(back.sum()) < 1e-6 * weight
    step = gradients_of(problem, estimate)[0][0, 0]
    p = np.cumsum(back)[: step.size] / weight
    assert np.abs(p).max() < 1 + 1e-4
    variation = np.abs(step).sum()
    assert variation - (p * step).sum() < 1e-4 * variation
    assert variation > 0.5  # it is not the constant, whose certificate is easy


@pytest.mark.parametrize("boundary", ["unknown", "reflect", "periodic", "zero"])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_no_allowed_picture_nearby_is_better(boundary: str, nonnegative: bool) -> None:
    rng = np.random.default_rng(3)
    x = blocks((24, 22), colours=2) - 0.2  # nothing at the ground, so the sign matters
    weight = 0.01
    problem = task(observed(x, SQUARE, 0.05), SQUARE, boundary=boundary, nonnegative=nonnegative, weight=weight)
    solver, estimate = solved(problem)
    if nonnegative:
        assert estimate.min() >= 0
    if (tied := problem.torus.tie(estimate)) is not None:
        np.testing.assert_allclose(tied, estimate, atol=1e-12)
    least = objective(problem, estimate, weight)
    for scale in (1e-3, 1e-2, 1e-1):
        for _ in range(5):
            there = solver.allowed(estimate + scale * rng.normal(size=estimate.shape))
            assert objective(problem, there, weight) > least
    for target in (problem.torus.data, problem.torus.filled(), np.zeros_like(estimate)):
        there = solver.allowed(estimate + 0.01 * (target - estimate))
        assert objective(problem, there, weight) > least * (1 - 1e-7)


def test_three_equal_colours_are_one() -> None:
    """Their gradients are sqrt(3) times as long, and their data count three times."""
    y = observed(blocks((30, 30)), SQUARE)
    _, one = solved(task(y, SQUARE, weight=0.01))
    _, three = solved(task(np.repeat(y, 3, 1), SQUARE, weight=0.01 * 3**0.5))
    np.testing.assert_allclose(three, np.repeat(one, 3, 1), atol=1e-4)


def test_in_units_of_the_data() -> None:
    y = observed(blocks((40, 40)), SQUARE).astype(np.float32)
    usual = total_variation(task(y, SQUARE))
    assert usual.dtype == np.float32
    np.testing.assert_allclose(total_variation(task(y * 1000, SQUARE)), usual * 1000, rtol=1e-3, atol=0.1)
    np.testing.assert_allclose(total_variation(task(y, SQUARE * 4)), usual / 4, rtol=1e-3, atol=1e-4)


def test_pictures_do_not_meet() -> None:
    y = np.concatenate([observed(blocks((30, 26), seed), SQUARE, sigma) for seed, sigma in ((0, 0.01), (1, 0.03))])
    both = total_variation(task(y, SQUARE, iterations=20))
    for i in range(2):
        np.testing.assert_allclose(total_variation(task(y[i : i + 1], SQUARE, iterations=20))[0], both[i], atol=1e-10)


@pytest.mark.parametrize("sigma", [0.002, 0.01, 0.03])
@pytest.mark.parametrize("size", [(400,), (60, 70), (24, 26, 22)])
def test_clear_by_default_whatever_the_noise_and_the_axes(sigma: float, size: tuple[int, ...]) -> None:
    x = blocks(size)
    psf = np.ones([3] * len(size)) / 3 ** len(size)
    y = observed(x, psf, sigma)
    truth = x[(..., *[slice(1, -1)] * len(size))]
    error = np.sqrt(np.mean((total_variation(task(y, psf)) - truth) ** 2))
    assert error < 0.5 * np.sqrt(np.mean((y - truth) ** 2))


def test_data_enlarged() -> None:
    x = blocks((66, 66))
    y = observed(x, np.ones((3, 3)) / 9, 0.005, stride=2)
    truth = x[..., 1:-1, 1:-1]
    estimate = total_variation(task(y, np.ones((3, 3)) / 9, stride=2))
    assert estimate.shape == truth.shape
    repeated = np.repeat(np.repeat(y, 2, 2), 2, 3)
    assert np.mean((estimate - truth) ** 2) < 0.3 * np.mean((repeated - truth) ** 2)


def test_constant_pictures_stay() -> None:
    for value in (0.0, 5.0):
        y = np.full((1, 1, 20, 20), value, np.float32)
        np.testing.assert_allclose(total_variation(task(y, SQUARE)), y, atol=1e-4)


def test_it_stops_when_told_and_when_nothing_changes() -> None:
    y = observed(blocks((40, 40)), SQUARE)
    seen: list[tuple[int, int, float]] = []

    def watch(iteration: int, iterations: int, residual: float, estimate: Any) -> bool:
        assert estimate().shape == y.shape
        seen.append((iteration, iterations, residual))
        return iteration == 5

    total_variation(task(y, SQUARE, watch=watch))
    assert [i for i, _, _ in seen] == [1, 2, 3, 4, 5]
    assert {n for _, n, _ in seen} == {100}

    seen.clear()
    total_variation(task(y, SQUARE, watch=lambda *state: bool(seen.append(state[:3]))))
    assert 5 < len(seen) < 100
    assert seen[-1][2] == pytest.approx(0.01, rel=0.3)  # the noise

    seen.clear()
    total_variation(task(y, SQUARE, iterations=7, watch=lambda *state: bool(seen.append(state[:3]))))
    assert len(seen) == 7


def test_each_picture_of_a_batch_is_the_one_that_it_is_alone() -> None:
    rng = np.random.default_rng(0)
    sharp = np.repeat(np.repeat(rng.random((3, 8, 8)), 4, 1), 4, 2)
    psf = np.full((5, 5), 1 / 25)
    y = np.stack([convolve2d(one, psf, "valid") for one in sharp])
    y += np.array([0.001, 0.01, 0.1])[:, None, None] * rng.standard_normal(y.shape)
    seen: list[int] = []
    together = trous.deconvolve(y, psf, callback=lambda state: seen.append(state.iteration))
    counts = []
    for one, wanted in zip(y, together, strict=True):
        alone: list[int] = []
        assert np.allclose(trous.deconvolve(one, psf, callback=lambda s, a=alone: a.append(s.iteration)), wanted)
        counts.append(len(alone))
    assert len(set(counts)) > 1 and max(counts) == len(seen)
