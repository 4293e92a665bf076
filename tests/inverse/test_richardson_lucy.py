"""Richardson-Lucy against its definition, on blurs written as matrices."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from trous.inverse import deconvolve
from trous.inverse import richardson_lucy as module
from trous.inverse.blur import Blur
from trous.inverse.richardson_lucy import curvature, richardson_lucy
from trous.inverse.space import MEMORY
from trous.plan.circle import ObservedAxis

PSF = np.array([1.0, 3, 2, 0.5, 0.25]) / 6.75


class Matrix:
    """A blur of rows by a matrix (observed, latent), the result cut out of the latent values."""

    def __init__(self, matrix: np.ndarray, keep: slice = slice(None)) -> None:
        self.matrix, self.keep = matrix, keep
        self.latent_size: tuple[int, ...] = (matrix.shape[1],)

    def forward(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        return np.matmul(x, self.matrix.T.astype(x.dtype), out)

    def adjoint(self, r: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        return np.matmul(r, self.matrix.astype(r.dtype), out)

    def crop(self, x: np.ndarray) -> np.ndarray:
        return x[..., self.keep]


def blur(size: int, boundary: str = "zero", stride: int = 1) -> Matrix:
    """The convolution by PSF, its centre at index 2, of as many values as `size`; every `stride`-th is observed."""
    full = np.zeros((size, size + 4))
    for i in range(size):
        full[i, i : i + 5] = PSF[::-1]
    if boundary == "unknown":
        return Matrix(full[::stride], slice(2, -2))
    matrix = full[:, 2:-2].copy()
    if boundary == "periodic":
        matrix[:, -2:] += full[:, :2]
        matrix[:, :2] += full[:, -2:]
    return Matrix(matrix[::stride])


def task(blur: Matrix, y: np.ndarray, **given: object) -> SimpleNamespace:
    usual = {"mask": None, "noise": 0.0, "weight": None, "iterations": None, "space": MEMORY}
    return SimpleNamespace(blur=blur, y=y, **(usual | {"watch": lambda *state: False} | given))


def scene(size: int = 60, pictures: int = 1, colours: int = 1, seed: int = 0) -> np.ndarray:
    """Points on a faint ground, and a step."""
    rng = np.random.default_rng(seed)
    x = np.full((pictures, colours, size), 2.0)
    x[..., size // 2 :] += 30
    where = rng.integers(0, size, (pictures, colours, 4))
    np.put_along_axis(x, where, rng.uniform(100, 400, where.shape), axis=2)
    return x


def counts(model: Matrix, x: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(model.forward(x)).astype(np.float64)


def plain(model: Matrix, y: np.ndarray, iterations: int) -> np.ndarray:
    """The definition, from a constant."""
    x = np.full(model.adjoint(y).shape, y.mean())
    seen = model.adjoint(np.ones_like(y))
    for _ in range(iterations):
        x = x * model.adjoint(y / model.forward(x)) / np.maximum(seen, 1e-12)
    return x


def likelihood(model: Matrix, x: np.ndarray, y: np.ndarray) -> float:
    expected = model.forward(x)
    return float((np.where(y > 0, y * np.log(np.where(y > 0, expected, 1)), 0) - expected).sum())


def likelihoods(model: Matrix, y: np.ndarray, iterations: int) -> list[float]:
    """After each of them."""
    found: list[float] = []
    richardson_lucy(
        task(
            model,
            y,
            iterations=iterations,
            watch=lambda i, n, residual, estimate: bool(found.append(likelihood(model, estimate(), y))),
        )
    )
    return found


@pytest.mark.parametrize("boundary", ["zero", "periodic"])
def test_one_iteration_is_two_plain_steps_from_a_constant(boundary: str) -> None:
    model = blur(60, boundary)
    y = counts(model, scene())
    seen = model.adjoint(np.ones_like(y))
    first = model.adjoint(y) / seen
    expected = first * model.adjoint(y / model.forward(first)) / seen
    np.testing.assert_allclose(richardson_lucy(task(model, y, iterations=1)), expected, rtol=1e-12)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("boundary", ["zero", "periodic"])
def test_likelihood_rises_and_faster_than_by_plain_steps(boundary: str, stride: int) -> None:
    model = blur(60, boundary, stride)
    y = counts(model, scene())
    found = likelihoods(model, y, 60)
    slack = 1e-4 * (found[-1] - found[0])  # momentum overshoots a little before it begins anew
    assert all(after >= before - slack for before, after in pairwise(found))
    for iterations in (1, 5, 20, 60):
        assert found[iterations - 1] >= likelihood(model, plain(model, y, iterations), y)
    assert found[35] >= likelihood(model, plain(model, y, 150), y)


@pytest.mark.parametrize("boundary", ["zero", "periodic"])
@pytest.mark.parametrize("iterations", [1, 2, 7, 40])
def test_light_is_that_of_the_data(boundary: str, iterations: int) -> None:
    model = blur(60, boundary)
    y = counts(model, scene())
    x = richardson_lucy(task(model, y, iterations=iterations))
    assert model.forward(x).sum() == pytest.approx(y.sum(), rel=1e-12)
    assert x.min() >= 0


def test_light_from_outside_does_not_show() -> None:
    """With surroundings that are looked for, the border is as right as the rest; with zeros around it is not."""
    x = np.full((1, 1, 64), 50.0)
    x[..., :2] = x[..., 62:] = 500
    y = blur(60, "unknown").forward(x)

    def error(boundary: str) -> float:
        return float(np.abs(richardson_lucy(task(blur(60, boundary), y, iterations=30)) - 50).max())

    assert error("unknown") < 0.2 * error("zero")


def test_places_that_no_data_see_keep_the_mean() -> None:
    model = blur(60)
    y = counts(model, np.full((1, 1, 60), 50.0))
    mask = np.ones_like(y)
    mask[..., 20:40] = 0
    x = richardson_lucy(task(model, y * mask, mask=mask, iterations=300))
    mean = (y * mask).sum() / mask.sum()
    np.testing.assert_allclose(x[..., 24:36], mean, rtol=1e-12)
    assert x.max() < 500


def test_masked_data_do_not_matter() -> None:
    y = counts(blur(60), scene())
    mask = np.random.default_rng(1).random(y.shape) > 0.2
    given = dict(method="richardson_lucy", boundary="zero", mask=mask, iterations=20)
    other = np.where(mask, y, np.nan)
    np.testing.assert_array_equal(deconvolve(other, PSF, **given), deconvolve(y, PSF, **given))


def test_pictures_of_a_batch_are_as_alone_and_end_alone() -> None:
    model = blur(60)
    x = scene(pictures=3, colours=2)
    y = model.forward(x) + np.array([1.0, 4, 9])[:, None, None] * np.random.default_rng(2).normal(size=x.shape)
    y = np.maximum(y, 0)
    noise = np.array([1.0, 4, 9]).reshape(3, 1, 1)
    ends: list[int] = []
    batch = richardson_lucy(task(model, y, noise=noise))
    for picture in range(3):
        last: list[int] = []
        alone = richardson_lucy(
            task(
                model,
                y[picture : picture + 1],
                noise=noise[picture],
                watch=lambda iteration, *rest, last=last: bool(last.append(iteration)),
            )
        )
        np.testing.assert_allclose(batch[picture], alone[0], rtol=1e-9)
        ends.append(last[-1])
    assert len(set(ends)) > 1


def test_it_ends_some_iterations_after_the_noise_is_reached() -> None:
    model = blur(400)
    x = scene(400) + 100
    y = model.forward(x) + np.random.default_rng(3).normal(0, 1, x.shape)
    residuals: list[float] = []
    richardson_lucy(task(model, y, noise=1.0, watch=lambda i, n, residual, e: bool(residuals.append(residual))))
    steps = next(i for i, residual in enumerate(residuals) if residual <= 1)  # before that residual
    assert steps > 3
    assert len(residuals) == round(module.ENOUGH * steps)


def test_noise_that_is_never_reached_ends_too() -> None:
    model = blur(60)
    seen: list[tuple[int, int]] = []
    y = counts(model, scene())
    richardson_lucy(task(model, y, noise=1e-9, watch=lambda i, n, *rest: bool(seen.append((i, n)))))
    assert seen[-1] == (module.ITERATIONS, module.ITERATIONS)


def test_a_watcher_stops_it_and_keeps_what_it_took() -> None:
    model = blur(60)
    y = counts(model, scene())
    taken: list[np.ndarray] = []

    def watch(iteration: int, iterations: int, residual: float, estimate: object) -> bool:
        taken.append(estimate())
        return iteration == 3

    x = richardson_lucy(task(model, y, iterations=10, watch=watch))
    assert len(taken) == 3
    assert not np.array_equal(taken[0], taken[1])
    np.testing.assert_array_equal(x, taken[-1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_black_is_black_and_types_stay(dtype: type) -> None:
    model = blur(60)
    y = np.zeros((2, 1, 60), dtype)
    y[1, 0, 30] = 100
    x = richardson_lucy(task(model, y, iterations=50))
    assert x.dtype == dtype
    assert not x[0].any()
    assert np.isfinite(x).all() and x[1].sum() == pytest.approx(100, rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 7), (2, 3, 5, 6), (1, 2, 4, 3, 5)])
def test_curvature_is_the_derivative_of_total_variation(shape: tuple[int, ...]) -> None:
    """With the length smoothed as little as there: a difference quotient of its sum."""
    rng = np.random.default_rng(4)
    x, v = rng.normal(size=(2, *shape))

    def variation(x: np.ndarray) -> float:
        squares = np.zeros((shape[0], 1, *shape[2:]))
        for axis in range(2, x.ndim):
            step = np.diff(x, axis=axis, append=np.take(x, [-1], axis))
            squares += (step * step).sum(1, keepdims=True)
        return float(np.sqrt(squares).sum())

    slope = (variation(x + 1e-6 * v) - variation(x - 1e-6 * v)) / 2e-6
    assert -(curvature(x, np.full((shape[0],) + (1,) * (x.ndim - 1), 1e-12)) * v).sum() == pytest.approx(
        slope, rel=1e-5
    )


def test_total_variation_smooths_noise() -> None:
    model = blur(200)
    x = np.full((1, 1, 200), 50.0)
    x[..., 100:] = 150
    y = counts(model, x)

    def found(weight: float) -> np.ndarray:
        return richardson_lucy(task(model, y, weight=weight, iterations=100))

    def error(estimate: np.ndarray) -> float:
        return float(np.abs(estimate - x).mean())

    assert error(found(0.05)) < 0.5 * error(found(0.0))


def test_pieces_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done row by row is what is done at once."""
    rows = blur(60)  # of pictures too
    rows.latent_size = (8, 60)
    y = counts(rows, np.broadcast_to(scene(), (1, 2, 8, 60)))
    whole = richardson_lucy(task(rows, y, iterations=15))
    monkeypatch.setattr(module, "PIECE", 100)
    np.testing.assert_allclose(richardson_lucy(task(rows, y, iterations=15)), whole, rtol=1e-12)


@pytest.mark.parametrize("boundary", ["unknown", "reflect", "periodic", "zero"])
@pytest.mark.parametrize(
    ("size", "kernel", "stride"),
    [((300,), (7,), 2), ((24, 31), (5, 4), 1), ((12, 11), (5, 5), 2), ((8, 9, 7), (3, 4, 3), 1)],
)
def test_every_border_stride_and_dimension(
    size: tuple[int, ...], kernel: tuple[int, ...], stride: int, boundary: str
) -> None:
    """By the blurs that are used: likelier than by as many plain steps, and sound in float32 after many."""
    rng = np.random.default_rng(5)
    axes = [ObservedAxis(k, stride, n, boundary) for k, n in zip(kernel, size, strict=True)]
    psf = rng.random((2, 1, *kernel)) ** 3  # one for each picture
    psf /= psf.sum(tuple(range(1, psf.ndim)), keepdims=True)
    exact, fast = Blur(psf, axes, 2, 1), Blur(psf.astype(np.float32), axes, 2, 1)
    x = 5 + 200.0 * (rng.random((2, 1, *exact.latent_size)) > 0.9)
    y = rng.poisson(exact.forward(x)).astype(np.float64)
    found = richardson_lucy(task(fast, y.astype(np.float32), iterations=300))
    assert found.dtype == np.float32 and found.shape == (2, 1, *(stride * n for n in size))
    assert np.isfinite(found).all() and found.min() >= 0
    for picture in range(2):
        model = Blur(psf[picture : picture + 1], axes, 1, 1)
        one = y[picture : picture + 1]
        model.crop = lambda latent: latent  # its surroundings too
        latent = richardson_lucy(task(model, one, iterations=15))
        assert likelihood(model, latent, one) > likelihood(model, plain(model, one, 15), one)


def test_darkness_does_not_come_to_numbers_that_take_long() -> None:
    """Denormal ones made iterations three times as slow."""
    y = np.zeros((64, 64), np.float32)
    y[24:40, 24:40] = 1
    least: list[float] = []
    options: Any = dict(method="richardson_lucy", boundary="zero", iterations=60)
    deconvolve(y, np.ones((5, 5)), callback=lambda s: least.append(float(s.estimate().min())), **options)
    assert len(least) == 60
    assert min(least[:-1]) > np.finfo(np.float32).tiny
