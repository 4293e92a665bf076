"""What is to be sharpened: the blur by its definition, and where the truth lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trous.apps.deconvolution.cases import KERNELS, PICTURES, Case, blurred, cases, psnr, read_grey, read_kernels
from trous.errors import TrousError

pytest.importorskip("scipy")


@pytest.mark.parametrize("size", [(3, 5), (4, 3), (2, 6)])
def test_blurred_is_a_true_convolution_where_the_kernel_lies_within(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    picture, kernel = rng.random((9, 11)), rng.random(size)
    y, truth = blurred(picture, kernel, 0.0, (1,))
    height, width = size
    expected = [
        [
            (kernel[::-1, ::-1] * picture[row : row + height, column : column + width]).sum()
            for column in range(12 - width)
        ]
        for row in range(10 - height)
    ]
    np.testing.assert_allclose(y, expected, rtol=1e-6)
    assert y.dtype == np.float32
    assert truth.shape == y.shape


@pytest.mark.parametrize("size", [(3, 5), (4, 3), (2, 6)])
def test_a_kernel_of_a_point_at_its_centre_gives_the_truth(size: tuple[int, int]) -> None:
    kernel = np.zeros(size)
    kernel[tuple(n // 2 for n in size)] = 1
    y, truth = blurred(np.random.default_rng(0).random((9, 11)), kernel, 0.0, (1,))
    np.testing.assert_allclose(y, truth, atol=1e-7)


def test_noise_is_of_the_case_alone() -> None:
    kernel, picture = np.ones((1, 1)), np.zeros((200, 200))
    seeds = [Case(number, kernel, Path(f"{name}.png")).seed for number in (1, 2) for name in ("01", "02")]
    noises = [blurred(picture, kernel, 0.01, seed)[0] for seed in seeds]
    np.testing.assert_array_equal(noises[0], blurred(picture, kernel, 0.01, seeds[0])[0])
    for n, noise in enumerate(noises):
        assert noise.std() == pytest.approx(0.01, rel=0.02)
        assert all(abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 0.03 for other in noises[:n])


def test_psnr_is_for_a_peak_of_one_and_does_not_clip() -> None:
    truth = np.ones((4, 4))
    assert psnr(truth + 0.1, truth) == pytest.approx(20)
    assert psnr((truth - 0.01).astype(np.float32), truth) == pytest.approx(40, abs=1e-4)


def test_kernels_come_as_matlab_shows_them(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    kernels = [np.array([[1.0, 2, 3], [4, 5, 6]]), np.ones((2, 2))]
    _write(h5py, tmp_path / "k.mat", kernels)
    for kernel, expected in zip(read_kernels(tmp_path / "k.mat"), kernels, strict=True):
        np.testing.assert_allclose(kernel, expected / expected.sum())


def test_cases_are_every_kernel_with_every_picture(tmp_path: Path) -> None:
    h5py, image = pytest.importorskip("h5py"), pytest.importorskip("PIL.Image")
    pytest.importorskip("pyvips")
    for path in (tmp_path / KERNELS, tmp_path / PICTURES / "x"):
        path.parent.mkdir(parents=True)
    _write(h5py, tmp_path / KERNELS, [np.ones((3, 3)), np.ones((5, 5))])
    colours = np.random.default_rng(0).integers(0, 256, (7, 9, 3), np.uint8)
    for name in ("b", "a"):
        image.fromarray(colours).save(tmp_path / PICTURES / f"{name}.png")
    assert [case.name for case in cases(tmp_path)] == ["kernel1-a", "kernel1-b", "kernel2-a", "kernel2-b"]
    (first,) = cases(tmp_path, 1, 1)
    np.testing.assert_allclose(read_grey(first.picture), colours @ np.array([0.299, 0.587, 0.114]) / 255, rtol=1e-12)


def test_no_data_is_one_error(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    with pytest.raises(TrousError, match="kernels"):
        cases(tmp_path)


def _write(h5py: object, path: Path, kernels: list[np.ndarray]) -> None:
    """As MATLAB 7.3 does: references in a column, each array with its columns first."""
    with h5py.File(path, "w") as file:  # type: ignore[attr-defined]
        references = [file.create_dataset(f"#refs#/{n}", data=kernel.T).ref for n, kernel in enumerate(kernels)]
        table = file.create_dataset("kernels", (len(kernels), 1), h5py.ref_dtype)  # type: ignore[attr-defined]
        for n, reference in enumerate(references):
            table[n, 0] = reference
