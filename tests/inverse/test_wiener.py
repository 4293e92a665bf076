"""The Wiener filter: the equations solved, whatever surrounds the picture; its gradients; its prior."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import trous
from trous.inverse import prior, wiener
from trous.inverse.request import Task
from trous.inverse.wiener import Tied, equations
from trous.plan.circle import SURROUNDINGS, ObservedAxis


def scene(size: tuple[int, ...], seed: int = 0, exponent: float = 1.0) -> np.ndarray:
    """Noise whose power falls as the Laplacian's `-exponent`, standard deviation 1."""
    rng = np.random.default_rng(seed)
    frequencies = np.meshgrid(*(4 * np.sin(np.pi * np.fft.fftfreq(n)) ** 2 for n in size), indexing="ij")
    laplacian = np.sum(frequencies, axis=0)
    laplacian.flat[0] = np.inf
    x = np.fft.ifftn(np.fft.fftn(rng.standard_normal(size)) * laplacian ** (-exponent / 2)).real
    return x / x.std()


def task_of(y: np.ndarray, psf: np.ndarray, surroundings: str, stride: int = 1, **options: Any) -> Task:
    """A task of a single picture."""
    axes = tuple(ObservedAxis(k, stride, n, surroundings) for k, n in zip(psf.shape, y.shape, strict=True))
    fields: dict[str, Any] = dict(
        mask=None, told=None, weight=None, iterations=None, nonnegative=False, watch=lambda *_: False
    )
    return Task(y[None, None], psf[None, None], axes=axes, **{**fields, **options})


@pytest.mark.parametrize("surroundings", SURROUNDINGS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
def test_it_is_the_minimum(surroundings: str, stride: int, masked: bool) -> None:
    """Against the same equations as a matrix, column by column."""
    rng = np.random.default_rng(stride)
    y, psf = rng.standard_normal((6, 7)), rng.random((3, 4))
    mask = (rng.random((1, 1, 6, 7)) > 0.2).astype(float) if masked else None
    task = task_of(y if mask is None else y * mask[0, 0], psf / psf.sum(), surroundings, stride, weight=0.05, mask=mask)
    system, torus = equations(task), task.torus
    spectrum = torus.spectrum

    def left_side(x: np.ndarray) -> np.ndarray:
        if isinstance(system, Tied):
            return system.left_side(x)
        seen = torus.observed * torus.inverse(spectrum * torus.transform(x))
        return torus.inverse(spectrum.conj() * torus.transform(seen) + system.rough * torus.transform(x))

    count = int(np.prod(system.size))
    matrix = np.stack([left_side(column).ravel() for column in np.eye(count).reshape(count, 1, 1, *system.size)], 1)
    assert np.allclose(matrix, matrix.T, atol=1e-12)
    assert np.linalg.eigvalsh(matrix).min() > 0
    right = rng.standard_normal((1, 1, *system.size))
    wanted = np.linalg.solve(matrix, right.ravel()).reshape(right.shape)
    assert np.abs(system.solve(right) - wanted).max() < 1e-4 * np.abs(wanted).max()


def test_pictures_are_solved_a_few_at_a_time_and_are_what_they_are_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    y, psf = rng.random((5, 12, 10)), rng.random((5, 3, 4))
    mask = rng.random(y.shape) > 0.2
    alone = [trous.deconvolve(one, k, mask=m, method="wiener") for one, k, m in zip(y, psf, mask, strict=True)]
    monkeypatch.setattr(wiener, "TOGETHER", 2 * y[0].size)
    sizes: list[int] = []
    monkeypatch.setattr(wiener, "equations", lambda part: sizes.append(len(part.y)) or equations(part))
    assert np.allclose(trous.deconvolve(y, psf, mask=mask, axes=(1, 2), method="wiener"), alone, rtol=0, atol=1e-10)
    assert np.allclose(
        trous.deconvolve(y, psf[:1], axes=(1, 2), method="wiener")[4],
        trous.deconvolve(y[4], psf[0], method="wiener"),
        rtol=0,
        atol=1e-10,
    )
    assert sizes == [2, 2, 1] * 2 + [1]


@pytest.mark.parametrize("noise", [0.003, 0.03])
def test_it_ends_soon_and_near_the_minimum(noise: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a better solution would change is less than the noise, at the border too."""
    psf = np.ones((9, 9)) / 81
    y = trous.conv(0.2 * scene((88, 72))[None, None], psf[None, None])[0, 0]
    y += noise * np.random.default_rng(0).standard_normal(y.shape)
    counts: list[int] = []
    gradients = wiener.conjugate_gradients

    def counted(product: Any, *rest: Any) -> np.ndarray:
        def counting(x: np.ndarray) -> np.ndarray:
            counts.append(1)
            return product(x)

        return gradients(counting, *rest)

    monkeypatch.setattr(wiener, "conjugate_gradients", counted)
    found = trous.deconvolve(y, psf, method="wiener", noise=noise)
    assert len(counts) < 60
    monkeypatch.setattr(wiener, "OF_NOISE", 1e-10)
    monkeypatch.setattr(wiener, "ITERATIONS", 2000)
    best = trous.deconvolve(y, psf, method="wiener", noise=noise)
    assert np.sqrt(np.mean((found - best) ** 2)) < 0.5 * noise
    assert np.sqrt(np.mean((found - best)[:5] ** 2)) < noise


def test_a_periodic_world_takes_one_division() -> None:
    rng = np.random.default_rng(0)
    x, psf = scene((24, 20)), rng.random((5, 4))
    spectrum = np.fft.fft2(np.roll(np.pad(psf / psf.sum(), ((0, 19), (0, 16))), (-2, -2), (0, 1)))
    y = np.fft.ifft2(np.fft.fft2(x) * spectrum).real
    laplacian = np.add.outer(*(4 * np.sin(np.pi * np.fft.fftfreq(n)) ** 2 for n in x.shape))
    wanted = np.fft.ifft2(np.fft.fft2(y) * spectrum.conj() / (np.abs(spectrum) ** 2 + 0.01 * laplacian)).real
    found = trous.deconvolve(y, psf, method="wiener", boundary="periodic", weight=0.01)
    assert np.allclose(found, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("exponent", [0.6, 1.0, 1.6])
def test_the_prior_is_read_off_the_data(exponent: float) -> None:
    x = 3 * scene((128, 128), 1, exponent)
    psf = np.outer(*2 * [np.exp(-(np.linspace(-2, 2, 7) ** 2))])
    task = task_of(x[3:-3, 3:-3], np.ones((1, 1)), "unknown", told=0.05)
    amplitude, found = prior._fitted(task, 0, 0)
    assert abs(found - exponent) < 0.1
    blurred = np.fft.ifft2(np.fft.fft2(x) * np.fft.fft2(psf / psf.sum(), x.shape)).real
    noisy = blurred + 0.05 * np.random.default_rng(2).standard_normal(x.shape)
    _, again = prior._fitted(task_of(noisy, psf / psf.sum(), "periodic", told=0.05), 0, 0)
    assert abs(again - exponent) < 0.2
    assert amplitude > 0


@pytest.mark.parametrize("stride", [1, 2])
def test_borders_do_not_ring_where_the_surroundings_are_unknown(stride: int) -> None:
    scenery = scene((96, 96), 3) + 5
    psf = np.ones((7, 7)) / 49
    whole = trous.conv(scenery[None, None], psf[None, None])[0, 0]
    y = whole[::stride, ::stride] + 0.01 * np.random.default_rng(0).standard_normal(whole[::stride, ::stride].shape)
    size = tuple(stride * n for n in y.shape)
    x = scenery[3 : 3 + size[0], 3 : 3 + size[1]]

    def errors(boundary: str) -> tuple[float, float]:
        off = (trous.deconvolve(y, psf, method="wiener", boundary=boundary, stride=stride) - x) ** 2
        inner = off[12:-12, 12:-12].mean()
        return float(inner), float((off.sum() - off[12:-12, 12:-12].sum()) / (off.size - off[12:-12, 12:-12].size))

    inner, border = errors("unknown")
    assert border < 2 * inner
    assert errors("zero")[1] > 5 * border


def test_without_noise_nothing_is_lost() -> None:
    psf = np.array([0.1, 0.8, 0.1])
    for rank in (1, 2, 3):
        x = np.random.default_rng(rank).standard_normal((12, 11, 10)[:rank])
        kernel = psf
        for _ in range(rank - 1):
            kernel = np.multiply.outer(kernel, psf)
        y = x
        for axis in range(rank):
            y = 0.8 * y + 0.1 * (np.roll(y, 1, axis) + np.roll(y, -1, axis))
        for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 1e-4)):
            found = trous.deconvolve(y.astype(dtype), kernel, method="wiener", boundary="periodic", noise=0)
            assert np.abs(found - x).max() < tolerance * np.abs(x).max()


@pytest.mark.parametrize("boundary", SURROUNDINGS)
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients(boundary: str, stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from trous.inverse import wiener

    monkeypatch.setattr(wiener, "LEFT", 1e-22)
    monkeypatch.setattr(wiener, "ITERATIONS", 2000)
    torch.manual_seed(0)
    y = torch.rand(4, 2, 5, dtype=torch.float64, requires_grad=True)
    psf = torch.rand(3, 1, 2, dtype=torch.float64, requires_grad=True)
    own = torch.rand(3, 2, 3, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(4, 2, 5) > 0.2

    def run(y: torch.Tensor, psf: torch.Tensor, **options: Any) -> torch.Tensor:
        options = dict(method="wiener", boundary=boundary, stride=stride, weight=0.1, axes=(0, 2), **options)
        result: torch.Tensor = trous.deconvolve(y, psf, **options)
        return result

    for kernel in (psf, own):
        plain = trous.deconvolve(
            y.detach().numpy(),
            kernel.detach().numpy(),
            method="wiener",
            boundary=boundary,
            stride=stride,
            weight=0.1,
            axes=(0, 2),
        )
        assert np.allclose(run(y, kernel).detach().numpy(), plain, rtol=0, atol=1e-12)
        assert torch.autograd.gradcheck(run, (y, kernel), atol=1e-6, fast_mode=True)
    assert torch.autograd.gradcheck(lambda y, psf: run(y, psf, mask=mask), (y, psf), atol=1e-6, fast_mode=True)


def test_a_psf_is_learned_through_it() -> None:
    """Descent finds a PSF under which the sharp picture comes back."""
    x = torch.from_numpy(scene((32, 32), 5).copy())
    true = torch.tensor([[0.0, 0.1, 0.0], [0.1, 0.5, 0.2], [0.0, 0.1, 0.0]], dtype=torch.float64)
    y = torch.nn.functional.conv2d(x[None, None], true.flip(0, 1)[None, None])[0, 0]
    inner = x[1:-1, 1:-1]
    psf = torch.full((3, 3), 1 / 9, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([psf], lr=0.02)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = ((trous.deconvolve(y, psf, method="wiener", weight=1e-3) - inner) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.25 * losses[0]
