"""Interpolation as a transposed convolution, against torch's interpolation and the resampling formula."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch

import trous
from compare import assert_close
from trous.errors import TrousError
from trous.interpolation import interpolation_kernel, interpolation_spec

NAMES = ("nearest", "bilinear", "bicubic", "lanczos")
#: Positions of x that the interpolants reach to either side.
REACH = 3


def enlarge(x: torch.Tensor, name: str, scale: int | tuple[int, ...]) -> torch.Tensor:
    """`x`, every channel by itself, as the module says: with torch's transposed convolution."""
    ndim, channels = x.ndim - 2, x.shape[1]
    spec = interpolation_spec(name, scale, ndim=ndim, channels=channels)
    w = torch.from_numpy(interpolation_kernel(name, scale, ndim=ndim, channels=channels, dtype=np.float64))
    function = getattr(torch.nn.functional, f"conv_transpose{ndim}d")
    y = function(x, w, stride=spec.stride, padding=spec.padding, groups=spec.groups)
    assert (
        tuple(y.shape[2:])
        == spec.output_size(tuple(x.shape[2:]))
        == tuple(n * s for n, s in zip(x.shape[2:], spec.stride, strict=True))
    )
    return y


def edge_padded(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.pad(x, (REACH,) * 2 * (x.ndim - 2), mode="replicate")


def inner(y: torch.Tensor, scale: tuple[int, ...]) -> torch.Tensor:
    return y[(..., *(slice(REACH * s, -REACH * s) for s in scale))]


def assert_torchs(y: torch.Tensor, expected: torch.Tensor) -> None:
    """Agreement as float32: torch rounds the positions themselves, which no tolerance for sums in float64 covers."""
    assert_close(y.float(), expected, terms=8, dtype="float32")


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("name", "mode", "ndim"),
    [
        ("nearest", "nearest", 1),
        ("nearest", "nearest", 2),
        ("nearest", "nearest", 3),
        ("bilinear", "linear", 1),
        ("bilinear", "bilinear", 2),
        ("bilinear", "trilinear", 3),
        ("bicubic", "bicubic", 2),
    ],
)
def test_interpolation_is_torchs(name: str, mode: str, ndim: int, scale: int, rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.normal(size=(2, 3, *(9, 8, 7)[:ndim])))
    corners = {} if mode == "nearest" else {"align_corners": False}
    expected = torch.nn.functional.interpolate(x, scale_factor=scale, mode=mode, **corners)
    scales = (scale,) * ndim
    assert_torchs(inner(enlarge(x, name, scale), scales), inner(expected, scales))
    # and with the edge continued, at the border too
    assert_torchs(inner(enlarge(edge_padded(x), name, scale), scales), expected)


@pytest.mark.parametrize("scale", [(2, 3), (1, 4), (5, 1)])
@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_scale_of_each_axis(name: str, scale: tuple[int, int], rng: np.random.Generator) -> None:
    x = torch.from_numpy(rng.normal(size=(1, 2, 8, 9)))
    expected = torch.nn.functional.interpolate(x, scale_factor=scale, mode=name, align_corners=False)
    assert_torchs(inner(enlarge(edge_padded(x), name, scale), scale), expected)


def lanczos_at(x: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """The resampling formula, output by output: sinc windowed by a wider sinc, divided by the sum of the weights."""
    result = []
    for position in positions:
        distance = position - np.arange(len(x))
        weights = np.where(np.abs(distance) < 3, np.sinc(distance) * np.sinc(distance / 3), 0)
        result.append(weights @ x / weights.sum())
    return np.array(result)


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
def test_lanczos_is_the_resampling_formula(scale: int, rng: np.random.Generator) -> None:
    x = rng.normal(size=16)
    y = enlarge(torch.from_numpy(x)[None, None], "lanczos", scale)[0, 0].numpy()
    expected = lanczos_at(x, (np.arange(16 * scale) + 0.5) / scale - 0.5)
    interior = slice(REACH * scale, -REACH * scale)
    assert_close(y[interior], expected[interior], terms=6)
    assert np.abs(y - expected).max() > 1e-3  # at the border the layer sees zeros


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 5, 8, (2, 3), (1, 4)])
@pytest.mark.parametrize("name", NAMES)
def test_weights_of_every_phase_sum_to_one(name: str, scale: int | tuple[int, int]) -> None:
    rows, columns = interpolation_spec(name, scale).stride
    w = interpolation_kernel(name, scale, dtype=np.float64)[0, 0]
    sums = [w[row::rows, column::columns].sum() for row in range(rows) for column in range(columns)]
    assert_close(np.array(sums), np.ones(len(sums)), terms=w.size // len(sums))


@pytest.mark.parametrize("scale", [2, 3, 4, 5])
@pytest.mark.parametrize("name", NAMES)
def test_kernels_are_symmetric(name: str, scale: int) -> None:
    w = interpolation_kernel(name, scale, ndim=1, dtype=np.float64).ravel()
    assert_close(w, w[::-1].copy(), terms=1)
    assert w[0] != 0


def test_kernels_that_are_known() -> None:
    assert interpolation_kernel("nearest", 3, ndim=1).ravel().tolist() == [1, 1, 1]
    assert interpolation_kernel("bilinear", 2, ndim=1).ravel().tolist() == [0.25, 0.75, 0.75, 0.25]
    assert interpolation_spec("bilinear", 2).kernel == (4, 4)
    assert interpolation_spec("bilinear", 2).padding == (1, 1)
    thirds = interpolation_kernel("bilinear", 3, ndim=1, dtype=np.float64).ravel()
    assert_close(thirds, np.array([1, 2, 3, 2, 1]) / 3, terms=1)


def test_the_layer_runs_as_the_docstring_says(rng: np.random.Generator) -> None:
    x = rng.normal(size=(1, 3, 8, 9)).astype(np.float32)
    spec = interpolation_spec("bicubic", 3, channels=3)
    w = interpolation_kernel("bicubic", 3, channels=3)
    y = trous.conv_transpose(x, w, stride=spec.stride, padding=spec.padding, groups=spec.groups)
    assert_close(y, enlarge(torch.from_numpy(x).double(), "bicubic", 3).numpy(), terms=16, dtype="float32")


@pytest.mark.parametrize("name", NAMES)
def test_shape_and_dtype(name: str) -> None:
    w = interpolation_kernel(name, (2, 3, 1), channels=4)
    spec = interpolation_spec(name, (2, 3, 1), channels=4)
    assert w.shape == (4, 1, *spec.kernel) and w.dtype == np.float32
    assert (spec.groups, spec.stride, spec.kernel[2]) == (4, (2, 3, 1), 1)
    assert np.array_equal(w[0], w[3]) and prod(w.shape) > 4
    assert interpolation_kernel(name, 2, dtype="float64").dtype == np.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cubic", 2), "name must be one of nearest, bilinear, bicubic, lanczos, got 'cubic'"),
        (("bicubic", 0), "scale must be at least 1, got 0"),
        (("bicubic", 1.5), "scale must be an integer or one integer per axis, got 1.5"),
        (("bicubic", (2, 0)), "scale must be at least 1, got (2, 0)"),
        (("bicubic", (2,) * 4), "scale must give a kernel that must have 1, 2 or 3 axes, got (2, 2, 2, 2)"),
        (("nearest", 2, {"channels": 0}), "channels must be at least 1, got 0"),
        (("nearest", 2, {"channels": 1.5}), "channels must be one integer, got 1.5"),
        (("nearest", 2, {"ndim": 4}), "ndim must be at most 3, got 4"),
        (("nearest", 2, {"ndim": "2"}), "ndim must be one integer, got '2'"),
        (([], 2), "name must be one of nearest, bilinear, bicubic, lanczos, got []"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple, message: str) -> None:
    *positional, named = arguments if isinstance(arguments[-1], dict) else (*arguments, {})
    for function in (interpolation_kernel, interpolation_spec):
        with pytest.raises(TrousError) as error:
            function(*positional, **named)
        assert str(error.value) == message


@pytest.mark.parametrize("dtype", [int, "nonsense", torch.float32])
def test_weights_are_floating_point_numbers_of_numpy(dtype: object) -> None:
    with pytest.raises(TrousError, match="dtype must be a floating-point type of NumPy"):
        interpolation_kernel("bilinear", 2, dtype=dtype)
