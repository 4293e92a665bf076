"""Plans as linear operators: against `trous.conv`, torch's padding modes and the matrix written out; solvers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import aslinearoperator, cg, lsmr, svds

import trous
from trous.errors import TrousError
from trous.inverse.fourier import Fourier
from trous.inverse.product import Direct

MODES = ("zeros", "reflect", "replicate", "circular")


def drawn(seed: int) -> tuple[Any, np.ndarray, dict[str, Any], dict[str, Any]]:
    """A layer, its weight, its call's arguments, and `linear_operator`'s."""
    rng = np.random.default_rng(seed)
    ndim, groups, transposed = int(rng.integers(1, 4)), int(rng.integers(1, 4)), bool(seed % 2)

    def draw(low: int, high: int) -> tuple[int, ...]:
        return tuple(int(n) for n in rng.integers(low, high, ndim))

    kernel = draw(1, 5)
    if transposed and max(kernel) == 1:
        kernel = (2, *kernel[1:])
    arguments = dict(stride=draw(1, 4), padding=draw(0, 3), dilation=draw(1, 3))
    inner, outer = (groups * int(n) for n in rng.integers(1, 3, 2))
    w = rng.standard_normal(((inner, outer // groups) if transposed else (outer, inner // groups)) + kernel)
    spec = (trous.ConvTranspose if transposed else trous.Conv)(kernel, groups=groups, **arguments)
    mode = MODES[seed // 2 % 4]
    options = dict(groups=groups, batch=int(rng.integers(1, 3)), padding_mode=mode)
    return spec.plan(ndim).bind(draw(9, 13)), w, {**arguments, "groups": groups}, options


def layer(w: np.ndarray, arguments: dict[str, Any], mode: str, transposed: bool) -> Any:
    names = {name: value for name, value in arguments.items()}
    channels = w.shape[0], w.shape[1] * arguments["groups"]
    kind = getattr(trous.nn, f"Conv{'Transpose' if transposed else ''}{w.ndim - 2}d")
    made = kind(*(channels if transposed else channels[::-1]), w.shape[2:], bias=False, padding_mode=mode, **names)
    made = made.double()
    with torch.no_grad():
        made.weight.copy_(torch.from_numpy(w))
    return made


@pytest.mark.parametrize("seed", range(48))
def test_it_is_the_layer_and_its_exact_adjoint(seed: int) -> None:
    bound, w, arguments, options = drawn(seed)
    if min(bound.output_size) < 1:
        pytest.skip("no output")
    operator = bound.linear_operator(w, **options)
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal(operator.shape[1]), rng.standard_normal(operator.shape[0])
    made = layer(w, arguments, options["padding_mode"], bool(seed % 2))
    with torch.no_grad():
        wanted = made(torch.from_numpy(x.reshape(operator.dims))).numpy()
    assert wanted.shape == operator.dimsd
    assert np.allclose(operator @ x, wanted.ravel(), rtol=0, atol=1e-11)
    forward, back = operator @ x, operator.T @ y
    assert abs(forward @ y - x @ back) < 1e-14 * np.linalg.norm(forward) * np.linalg.norm(y)
    assert np.array_equal(operator.H @ y, back) and np.array_equal(operator.T.T @ x, forward)


@pytest.mark.parametrize("seed", range(0, 48, 2))
def test_spectra_give_what_kernels_give(seed: int) -> None:
    for number in (seed, seed + 1):
        bound, w, _, options = drawn(number)
        if min(bound.output_size) < 1:
            continue
        what = bound.linear_operator(w, groups=options["groups"], batch=options["batch"])._operation
        rng = np.random.default_rng(number)
        x, y = rng.standard_normal(what.input_shape), rng.standard_normal(what.output_shape)
        spectra, kernels = Fourier(what, w), Direct(what, w)
        assert np.allclose(spectra.forward(x), kernels.forward(x), rtol=0, atol=1e-11)
        assert np.allclose(spectra.adjoint(y), kernels.adjoint(y), rtol=0, atol=1e-11)
        single = Fourier(what, w.astype(np.float32)).forward(x.astype(np.float32))
        assert single.dtype == np.float32
        assert np.allclose(single, kernels.forward(x), rtol=0, atol=2e-4)


def test_the_matrix_written_out() -> None:
    operator = trous.Conv(3, stride=2, padding=1).plan().bind(5).linear_operator(np.array([[[1.0, 2.0, 3.0]]]))
    matrix = np.array([[2.0, 3, 0, 0, 0], [0, 1, 2, 3, 0], [0, 0, 0, 1, 2]])
    assert np.array_equal(operator @ np.eye(5), matrix)
    assert np.array_equal(operator.T @ np.eye(3), matrix.T)
    assert operator.shape == (3, 5) and operator.dtype == np.float64


def test_many_columns_are_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[tuple[int, ...]] = []
    run = Direct.forward
    monkeypatch.setattr(Direct, "forward", lambda self, x: passes.append(x.shape) or run(self, x))
    operator = trous.Conv(3).plan().bind(7).linear_operator(np.ones((2, 3, 3)), batch=2)
    columns = np.random.default_rng(0).standard_normal((operator.shape[1], 5))
    together = operator @ columns
    assert passes == [(10, 3, 7)]
    for column, wanted in zip(columns.T, together.T, strict=True):
        assert np.allclose(operator @ column, wanted, rtol=0, atol=1e-13)


def test_complex_weights_and_vectors() -> None:
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)

    w, bound = drawn(2, 3, 3), trous.Conv(3, stride=2).plan().bind(9)
    operator = bound.linear_operator(w)
    x, y = drawn(27), drawn(8)
    assert abs(np.vdot(y, operator @ x) - np.vdot(operator.H @ y, x)) < 1e-12
    assert np.allclose((operator @ x).reshape(2, 4), trous.conv(x.reshape(3, 9), w, stride=2))
    real = bound.linear_operator(w.real)
    assert np.allclose(real @ x, real @ x.real + 1j * (real @ x.imag))
    assert np.iscomplexobj(real @ x)


def test_long_kernels_are_done_by_spectra_and_short_ones_are_not() -> None:
    def kind(*sizes: int, **options: Any) -> type:
        kernel, size = sizes
        w = np.ones((1, 1, kernel, kernel), np.float32)
        return type(trous.Conv((kernel, kernel), **options).plan().bind((size, size)).linear_operator(w)._of_batch(1))

    assert kind(5, 512) is Direct
    assert kind(51, 512) is not Direct
    assert kind(51, 512, stride=16) is Direct


def test_solvers_take_it() -> None:
    rng = np.random.default_rng(0)
    bound = trous.Conv((3, 3), padding=1).plan().bind((8, 9))
    w = np.zeros((1, 1, 3, 3))
    w[0, 0] = [[0, 0.1, 0], [0.1, 1, 0.2], [0, 0.1, 0]]
    operator = bound.linear_operator(w, padding_mode="replicate")
    x = rng.standard_normal(72)
    assert np.allclose(lsmr(operator, operator @ x, atol=1e-14, btol=1e-14)[0], x, atol=1e-9)
    normal = operator.T @ operator
    assert np.allclose(cg(normal, normal @ x, rtol=1e-13)[0], x, atol=1e-8)
    largest = svds(operator, k=1, return_singular_vectors=False, random_state=0)
    assert np.isclose(largest[0], np.linalg.norm(operator @ np.eye(72), 2))
    assert aslinearoperator(operator) is operator


def test_pylops_takes_it() -> None:
    import pylops

    operator = trous.ConvTranspose(4, stride=2, padding=1).plan().bind(9).linear_operator(np.ones((2, 3, 4)) / 3)
    wrapped = pylops.aslinearoperator(operator)
    assert pylops.utils.dottest(wrapped, *wrapped.shape, rtol=1e-12)
    stacked = pylops.VStack([wrapped, pylops.Identity(operator.shape[1])])
    x = np.random.default_rng(0).standard_normal(operator.shape[1])
    assert np.allclose((stacked @ x)[: operator.shape[0]], operator @ x)


@pytest.mark.parametrize(
    ("w", "options", "message"),
    [
        (
            np.ones((1, 1, 4)),
            {},
            r"w must have two axes of channels and then the plan's kernel, \(3,\), got \(1, 1, 4\)",
        ),
        (np.ones((1, 1, 3), np.float16), {}, "w must have one of the dtypes .* got 'float16'"),
        (np.ones((0, 1, 3)), {}, "w must have two axes"),
        (np.ones((3, 1, 3)), dict(groups=2), "groups must divide the first axis of w, 3, got 2"),
        (np.ones((1, 1, 3)), dict(groups=0), "groups must be an integer of at least 1, got 0"),
        (np.ones((1, 1, 3)), dict(batch=-1), "batch must be an integer of at least 1, got -1"),
        (
            np.ones((1, 1, 3)),
            dict(padding_mode="wrap"),
            "padding_mode must be one of zeros, reflect, replicate, circular",
        ),
        ([1, 2, 3], {}, "w must be an array"),
    ],
)
def test_what_cannot_be_is_refused(w: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TrousError, match=message):
        trous.Conv(3, padding=1).plan().bind(5).linear_operator(w, **options)


def test_a_border_larger_than_the_input_is_refused_at_once() -> None:
    bound = trous.Conv(9, padding=6).plan().bind(4)
    with pytest.raises(TrousError, match="padding must be smaller than the axis"):
        bound.linear_operator(np.ones((1, 1, 9)), padding_mode="reflect")
