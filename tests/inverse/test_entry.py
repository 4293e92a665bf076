"""`deconvolve`: shapes, kinds of arrays, and input that nobody should give."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch

import trous
from trous.errors import TrousError
from trous.inverse.entry import METHODS

PSF = np.array([[0.0, 0.1, 0.05], [0.1, 0.4, 0.1], [0.05, 0.2, 0.0]])
LINEAR = ("wiener", "least_squares")


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape) + 0.5


def options_of(method: str, **options: Any) -> dict[str, Any]:
    """Few iterations where there are any."""
    return dict(method=method, **({} if method == "wiener" else {"iterations": 3}), **options)


@pytest.mark.parametrize("method", METHODS)
def test_axes_stand_where_the_user_has_them(method: str) -> None:
    """Pictures alone, in a batch, with colours last or first: the same estimates."""
    y = picture(2, 12, 10)
    alone = np.stack([trous.deconvolve(one, PSF, **options_of(method)) for one in y])
    # What the Wiener filter reads off the data is found to some digits.
    tolerance: dict[str, Any] = dict(rtol=0, atol=1e-4 if method == "wiener" else 1e-10)
    assert alone.shape == y.shape
    assert np.allclose(trous.deconvolve(y, PSF, **options_of(method)), alone, **tolerance)
    assert np.allclose(trous.deconvolve(y, PSF, axes=(1, 2), **options_of(method)), alone, **tolerance)
    last = trous.deconvolve(np.moveaxis(y, 0, -1), PSF, axes=(0, 1), **options_of(method))
    assert np.allclose(np.moveaxis(last, -1, 0), alone, **tolerance)
    turned = trous.deconvolve(y.transpose(2, 0, 1), PSF.T, axes=(0, 2), **options_of(method))
    assert np.allclose(turned.transpose(1, 2, 0), alone, **tolerance)
    swapped = trous.deconvolve(y.transpose(2, 0, 1), PSF, axes=(2, 0), **options_of(method))
    assert np.allclose(swapped.transpose(1, 2, 0), alone, **tolerance)
    own = np.stack([PSF, PSF.T])
    each = np.stack([trous.deconvolve(one, k, **options_of(method)) for one, k in zip(y, own, strict=True)])
    assert np.allclose(trous.deconvolve(y, own, axes=(1, 2), **options_of(method)), each, **tolerance)
    if method in LINEAR:
        coloured = trous.deconvolve(np.moveaxis(y, 0, -1), PSF, channel_axis=-1, weight=0.1, **options_of(method))
        weighed = trous.deconvolve(y, PSF, weight=0.1, **options_of(method))
        if method == "wiener":
            assert np.allclose(np.moveaxis(coloured, -1, 0), weighed, **tolerance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_estimate_is_as_large_as_the_stride_says(method: str, rank: int) -> None:
    y = picture(*(9, 8, 7)[:rank])
    for kernel in (1, 2, 3):
        for stride in (1, 2, 3):
            for boundary in ("unknown", "reflect", "periodic", "zero"):
                found = trous.deconvolve(
                    y, np.ones((kernel,) * rank), stride=stride, boundary=boundary, noise=0.1, **options_of(method)
                )
                assert found.shape == tuple(stride * n for n in y.shape)
                assert np.isfinite(found).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("uint8", "float32"),
        ("uint16", "float32"),
        ("int32", "float64"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
        (">f4", "float32"),
    ],
)
def test_kinds_of_numbers(method: str, given: str, wanted: str) -> None:
    y = (picture(10, 11) * 100).astype(given)
    found = trous.deconvolve(y, PSF, **options_of(method))
    assert found.dtype == wanted
    whole = trous.deconvolve(y.astype(np.float64), PSF, **options_of(method))
    assert np.allclose(found, whole, rtol=1e-3, atol=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_tensors_come_back_as_tensors(method: str) -> None:
    y = torch.from_numpy(picture(10, 9)).float()
    found = trous.deconvolve(y, torch.from_numpy(PSF), **options_of(method))
    assert isinstance(found, torch.Tensor) and found.dtype == torch.float32 and not found.requires_grad
    assert np.array_equal(found.numpy(), trous.deconvolve(y.numpy(), PSF, **options_of(method)))


@pytest.mark.parametrize("method", METHODS)
def test_the_scale_of_data_and_psf_does_not_matter(method: str) -> None:
    y = picture(16, 15) * 100
    found = trous.deconvolve(y, PSF, method=method)
    for scale in (1e-30, 1e-3, 1e4, 1e30):
        again = trous.deconvolve((y * scale).astype(np.float64), 255 * PSF, method=method)
        assert np.allclose(again / scale, found, rtol=1e-6, atol=1e-6 * 100)
    tiny = trous.deconvolve((y * 1e-30).astype(np.float32), PSF, method=method)
    assert tiny.dtype == np.float32 and np.allclose(tiny * 1e30, found, rtol=1e-2, atol=1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", ["unknown", "reflect", "periodic"])
def test_a_constant_picture_stays(method: str, boundary: str) -> None:
    for value in (0, 7):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = trous.deconvolve(np.full((12, 11), value, np.uint8), PSF, method=method, boundary=boundary)
        assert np.abs(found - value).max() < 1e-2


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", ["unknown", "reflect", "periodic", "zero"])
def test_a_psf_that_does_nothing_leaves_all_as_it_is(method: str, boundary: str) -> None:
    y = picture(12, 11)
    for psf in (np.ones((1, 1)), np.pad(np.ones((1, 1)), 1)):
        found = trous.deconvolve(y, psf, method=method, boundary=boundary, noise=0)
        assert np.sqrt(np.mean((found - y) ** 2)) < (0.02 if method == "total_variation" else 1e-3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("boundary", ["unknown", "reflect", "periodic", "zero"])
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (5, 1)])
def test_pictures_of_a_pixel_and_of_a_line(method: str, boundary: str, size: tuple[int, int]) -> None:
    y = picture(*size)
    try:
        found = trous.deconvolve(y, PSF, method=method, boundary=boundary)
    except TrousError as error:
        assert boundary in ("reflect", "periodic") and "psf must reach less far" in str(error)
        return
    assert found.shape == size and np.isfinite(found).all()
    if boundary == "unknown" and size == (1, 1):
        assert np.allclose(found, y, rtol=0.2)


@pytest.mark.parametrize("method", METHODS)
def test_what_the_mask_leaves_out_has_no_say(method: str) -> None:
    y = picture(20, 20)
    mask = np.random.default_rng(1).random(y.shape) > 0.1
    spoilt = [np.where(mask, y, value) for value in (np.nan, np.inf, -1e30, 0.0)]
    found = [trous.deconvolve(s, PSF, mask=mask, **options_of(method)) for s in spoilt]
    assert all(np.array_equal(found[0], other) for other in found[1:])
    assert np.isfinite(found[0]).all()
    tensor = trous.deconvolve(torch.from_numpy(spoilt[0]), PSF, mask=torch.from_numpy(mask), **options_of(method))
    assert np.array_equal(tensor.numpy(), found[0])
    line = trous.deconvolve(y, PSF, mask=mask[:1], **options_of(method))
    assert np.array_equal(line, trous.deconvolve(y, PSF, mask=np.repeat(mask[:1], 20, 0), **options_of(method)))


def spoilt(value: float) -> np.ndarray:
    y = picture(8, 8)
    y[3, 4] = value
    return y


BAD: list[tuple[Any, Any, dict[str, Any], str]] = [
    (
        spoilt(np.nan),
        PSF,
        {},
        r"y must be finite: leave out what is not by mask=np.isfinite\(y\), got '1 NaN or infinite'",
    ),
    (spoilt(np.inf), PSF, {}, "y must be finite"),
    (spoilt(np.nan), PSF, dict(mask=np.ones((8, 8), bool)), "y must be finite"),
    (picture(8, 8), PSF * np.nan, {}, "psf must be finite"),
    (picture(8, 8), np.zeros((3, 3)), {}, "psf must have a positive sum"),
    (picture(8, 8), -PSF, {}, "psf must have a positive sum"),
    (picture(8, 8), np.array([[1.0, -1.0]]), {}, "psf must have a positive sum"),
    (-picture(8, 8), PSF, dict(method="richardson_lucy"), "y must not be negative for richardson_lucy"),
    (picture(8, 8), PSF - 0.02, dict(method="richardson_lucy"), "psf must not be negative for richardson_lucy"),
    (picture(8, 8), PSF, dict(method="magic"), "method must be one of wiener, richardson_lucy, least_squares, total_"),
    (picture(8, 8), PSF, dict(boundary="wrap"), "boundary must be one of unknown, reflect, periodic, zero, got 'wrap'"),
    (picture(8, 8), PSF, dict(stride=0), "stride must be an integer of at least 1, got 0"),
    (picture(8, 8), PSF, dict(stride=1.5), "stride must be an integer"),
    (picture(8, 8), PSF, dict(noise=-1), "noise must be a finite number, not negative, got -1"),
    (picture(8, 8), PSF, dict(noise="high"), "noise must be a finite number"),
    (picture(8, 8), PSF, dict(weight=np.nan), "weight must be a finite number"),
    (picture(8, 8), PSF, dict(iterations=0), "iterations must be an integer of at least 1, got 0"),
    (picture(8, 8), PSF, dict(method="wiener", iterations=3), "iterations must be None for wiener"),
    (picture(8, 8), PSF, dict(method="wiener", callback=print), "callback must be None for wiener"),
    (picture(8, 8), PSF, dict(method="wiener", nonnegative=True), "nonnegative must be False for wiener"),
    (picture(8, 8), PSF, dict(mask=np.ones((8, 8))), "mask must be of booleans"),
    (picture(8, 8), PSF, dict(mask=np.ones((8, 7), bool)), r"mask must have the shape of y, \(8, 8\), or be broadcast"),
    (picture(8, 8), PSF, dict(mask=np.zeros((8, 8), bool)), "mask must leave something of y"),
    (picture(8, 8), PSF, dict(axes=(0, 0)), "axes must be one to three axes of y, each once"),
    (picture(8, 8), PSF, dict(axes=(0, 2)), "axes must be an axis of y, -2 to 1, got 2"),
    (picture(8, 8), PSF, dict(axes=(0, 1), channel_axis=1), "axes must be one to three axes of y, each once, and not"),
    (picture(8, 8), PSF, dict(channel_axis=5), "channel_axis must be an axis of y"),
    (picture(8), PSF, {}, "psf must have the 1 axes that are blurred or all 1 of y, got 2"),
    (picture(2, 2, 2, 2), np.ones((2, 2, 2, 2)), {}, "axes must be one to three axes of y"),
    (picture(3, 8, 8), np.ones((2, 3, 3)), dict(axes=(1, 2)), "psf must have 1 or as many entries as y"),
    (picture(8, 0), PSF, {}, "y must have at least one axis, and something on every axis"),
    (np.float64(3), PSF, {}, "y must be an array|y must have at least one axis"),
    (picture(8, 8) + 1j, PSF, {}, "y must have real numbers of at most 64 bits, got 'complex128'"),
    (picture(8, 8) > 1, PSF, {}, "y must have real numbers"),
    ("abc", PSF, {}, "y must be an array"),
    (
        picture(3, 3),
        np.ones((11, 11)),
        dict(boundary="reflect"),
        "psf must reach less far than the estimate's 3 positions",
    ),
    (torch.rand(8, 8, requires_grad=True), PSF, {}, "y must not require gradients but for wiener"),
]


@pytest.mark.parametrize(("y", "psf", "options", "message"), BAD, ids=[str(n) for n in range(len(BAD))])
def test_what_cannot_be_is_refused(y: Any, psf: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TrousError, match=message):
        trous.deconvolve(y, psf, **options)


@pytest.mark.parametrize("method", [m for m in METHODS if m != "wiener"])
def test_who_waits_is_told(method: str) -> None:
    y = picture(14, 14)
    states: list[Any] = []
    found = trous.deconvolve(y, PSF, method=method, iterations=4, callback=states.append)
    assert [(s.iteration, s.iterations) for s in states] == [(n, 4) for n in (1, 2, 3, 4)]
    assert all(np.isfinite(s.residual) and s.residual >= 0 for s in states)
    assert states[-1].estimate().shape == y.shape
    assert np.array_equal(states[-1].estimate(), found)
    seen: list[int] = []
    trous.deconvolve(y, PSF, method=method, iterations=9, callback=lambda s: seen.append(s.iteration) or len(seen) == 2)
    assert seen == [1, 2]


def test_a_psf_larger_than_the_picture() -> None:
    y = picture(5, 5)
    for method in METHODS:
        for boundary in ("unknown", "zero"):
            assert np.isfinite(trous.deconvolve(y, np.ones((15, 15)), boundary=boundary, **options_of(method))).all()
