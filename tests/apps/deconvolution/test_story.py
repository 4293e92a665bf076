"""What the page of deconvolution shows: the blur by its definition, the transposed convolution as its adjoint."""

from __future__ import annotations

import numpy as np
import pytest

from trous.apps.deconvolution.story import METHODS, blur, by_boundary, estimates, grey, transposed
from trous.inverse.psf import disk, motion


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_the_blur_is_a_true_convolution_of_what_lies_around(stride: int, rng: np.random.Generator) -> None:
    picture, psf = rng.random((23, 29)), rng.random((3, 5))
    blurred = blur(picture, psf, stride, noise=0.0)
    rows, columns = blurred.data.shape
    assert (rows, columns) == (21 // stride, 25 // stride)
    assert np.array_equal(blurred.truth, picture[1 : 1 + stride * rows, 2 : 2 + stride * columns])
    for row, column in ((0, 0), (rows - 1, columns - 1), (1, 2)):
        top, left = stride * row, stride * column
        seen = (psf[::-1, ::-1] * picture[top : top + 3, left : left + 5]).sum()
        assert blurred.data[row, column] == pytest.approx(seen, rel=1e-6)


def test_noise_is_as_strong_as_said_and_the_same_again(rng: np.random.Generator) -> None:
    picture = rng.random((60, 60))
    quiet, noisy, again = (blur(picture, disk(1.5), noise=noise).data for noise in (0, 0.1, 0.1))
    assert np.array_equal(noisy, again)
    assert (noisy - quiet).std() == pytest.approx(0.1, rel=0.05)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_transposed_convolution_has_the_shape_and_is_the_adjoint(stride: int, rng: np.random.Generator) -> None:
    """<blur of x, y> = <x, transposed y> for a picture that is dark outside of the truth."""
    psf = rng.random((3, 5))
    inside = rng.random((12, 18))
    blurred = blur(np.pad(inside, ((1, 1), (2, 2))), psf, stride, noise=0.0)
    estimate = transposed(blurred)
    assert estimate.picture.shape == blurred.truth.shape == inside.shape
    forward = (blurred.data.astype(float) ** 2).sum()
    assert (inside * estimate.picture).sum() == pytest.approx(forward * stride**2, rel=1e-5)


def test_psnr(rng: np.random.Generator) -> None:
    blurred = blur(rng.random((20, 20)), np.ones((1, 1)), noise=0.0)
    estimate = blurred.truth.copy()
    estimate[:2] += 0.1
    assert blurred.psnr(estimate) == pytest.approx(30)
    assert blurred.psnr(estimate, frame=2) == pytest.approx(-10 * np.log10(0.01 * 40 / 144))


@pytest.mark.parametrize("stride", [1, 2])
def test_every_method_is_better_than_the_data_and_the_transposed_convolution_worse(
    stride: int, cat: np.ndarray
) -> None:
    data, back, *methods = estimates(blur(cat, motion(9, 30), stride))
    assert back.psnr < data.psnr - 0.5
    assert len(methods) == len(METHODS)
    assert all(each.psnr > data.psnr for each in methods), {each.name: each.psnr for each in methods}
    assert methods == sorted(methods, key=lambda each: each.psnr)


def test_unknown_surroundings_are_the_right_ones(cat: np.ndarray) -> None:
    blurred = blur(cat, motion(9, 30))
    border = {each.name: blurred.psnr(each.picture, 4) for each in by_boundary(blurred)}
    assert max(border, key=lambda name: border[name]) == '"unknown"'
    assert min(border, key=lambda name: border[name]) == '"zero"'


def test_grey() -> None:
    assert grey(np.ones((3, 2, 2))) == pytest.approx(np.ones((2, 2)))
