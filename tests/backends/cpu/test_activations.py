"""The activations' vector code against functions of higher precision, and the pass that applies them in place."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from compare import assert_identical
from problems import INSTRUCTION_SETS
from trous import settings
from trous.arrays import address, dtype_name, strides
from trous.backends.cpu import finishing, run, target
from trous.backends.epilogue import Epilogue

ULPS = 4


def apply(epilogue: Epilogue, y: np.ndarray, residual: np.ndarray | None = None) -> None:
    """The pass over `y`, as behind a kernel that has stored its sums there."""
    arrays = {"y": y} if residual is None else {"y": y, "residual": residual}
    places = tuple((name, strides(array)) for name, array in arrays.items())
    checked = settings.get(settings.CHECK) == "1"
    finish = finishing.prepare(epilogue, y.shape, places, dtype_name(y), target.current(), checked)
    finish(0, 0, 0, 0 if residual is None else address(residual), address(y))


def sigmoid(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def inputs(dtype: Any, rng: np.random.Generator) -> np.ndarray:
    """Numbers from everywhere, dense where formulas change hands, and the ends of the format."""
    largest = 110 if dtype == np.float32 else 760  # exp(-x) is below the smallest number
    smallest = np.log(np.finfo(dtype).smallest_subnormal)
    near = np.log(2) * (np.arange(-40, 41)[:, None] / 2 + rng.uniform(-1e-3, 1e-3, (81, 500)))
    x = [rng.uniform(-limit, limit, 100_000) for limit in (0.4, 1, 10, largest)]
    x += [np.exp(rng.uniform(smallest, 5, 100_000)) * rng.choice([-1, 1], 100_000), near.ravel()]
    info = np.finfo(dtype)
    ends = [0.0, -0.0, np.inf, -np.inf, info.tiny, -info.tiny, info.smallest_subnormal, info.max, info.min]
    return np.concatenate([*x, ends]).astype(dtype)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "function"), [("tanh", np.tanh), ("sigmoid", sigmoid)])
def test_within_units_in_the_last_place(
    name: str, function: Callable[[Any], Any], dtype: Any, instruction_set: str, rng: np.random.Generator
) -> None:
    x = inputs(dtype, rng)
    wide = np.float64 if dtype == np.float32 else np.longdouble
    assert np.finfo(wide).eps < np.finfo(dtype).eps / 1000, "nothing more precise to compare with"
    exact = function(x.astype(wide))
    y = x.copy()
    with target.use(instruction_set):
        apply(Epilogue(name), y)
    unit = np.spacing(np.abs(exact.astype(dtype))).astype(wide)
    assert (np.abs(y.astype(wide) - exact) <= ULPS * unit).all()
    if name == "tanh":
        assert (np.signbit(y) == np.signbit(x)).all()
    assert (np.abs(y) <= 1).all()


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "tanh", "sigmoid"])
def test_nan_stays_nan(name: str, dtype: Any, instruction_set: str) -> None:
    y = np.full(37, np.nan, dtype)
    with target.use(instruction_set):
        apply(Epilogue(name), y)
    assert np.isnan(y).all()


def layouts(shape: tuple[int, ...], rng: np.random.Generator) -> list[np.ndarray]:
    """Arrays of one shape and the same integers that lie in memory in every way: permuted, with gaps, backwards."""
    values = rng.integers(-9, 10, shape).astype(np.float32)
    found = []
    for order in itertools.permutations(range(len(shape))):
        found.append(np.ascontiguousarray(values.transpose(order)).transpose(np.argsort(order)))
    gaps = np.zeros([2 * n + 1 for n in shape], np.float32)[tuple(slice(1, None, 2) for _ in shape)]
    gaps[...] = values
    backwards = np.ascontiguousarray(values[..., ::-1])[..., ::-1]
    return [*found, gaps, backwards]


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("shape", [(2, 3, 70), (1, 1, 40), (5, 1, 1), (1, 1, 1), (3, 2, 9000)], ids=str)
def test_any_strides(
    shape: tuple[int, ...], instruction_set: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TROUS_CHECK", "1")
    monkeypatch.setattr(run, "SMALL", 0)
    epilogue = Epilogue("leaky_relu", slope=0.5, residual=True)
    with target.use(instruction_set), run.threads(2):
        for y, residual in itertools.product(layouts(shape, rng), layouts(shape, rng)):
            total = y + residual
            expected = np.where(total > 0, total, total / 2)
            apply(epilogue, y := y.copy(order="K") if y.flags.owndata else y, residual)
            assert_identical(y, expected, zeros=True)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("shape", [(2, 3, 70), (1, 5, 4, 9), (3, 1, 40), (1, 33, 2, 2, 3), (2, 4, 9000)], ids=str)
def test_a_slope_for_each_channel(
    shape: tuple[int, ...], instruction_set: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TROUS_CHECK", "1")
    values = rng.integers(-9, 10, shape).astype(np.float32)
    slopes = rng.integers(-4, 5, 2 * shape[1]).astype(np.float32)[::2]
    expected = np.where(values > 0, values, values * slopes.reshape(-1, *[1] * (len(shape) - 2)))
    with target.use(instruction_set):
        for y in (
            values.copy(),
            np.moveaxis(np.moveaxis(values, 1, -1).copy(), -1, 1),
            values[:, ::-1].copy()[:, ::-1],
        ):
            finishing.prelu(y, slopes)
            assert_identical(y, expected, zeros=True)


def test_a_residual_may_be_spread(rng: np.random.Generator) -> None:
    """A residual of stride zero: one number for a whole axis."""
    y = rng.integers(-9, 10, (2, 3, 50)).astype(np.float64)
    residual = np.broadcast_to(np.array([1.0, 2.0, 3.0]).reshape(3, 1), y.shape)
    expected = y + residual
    apply(Epilogue(residual=True), y, residual)
    assert_identical(y, expected)


def test_what_lies_around_stays(rng: np.random.Generator) -> None:
    around = np.full((3, 4, 101), 7.0, np.float32)
    inside = around[1:2, 1:3, 5:90]
    apply(Epilogue("tanh"), inside)
    assert (inside != 7).all()
    inside[...] = 7
    assert (around == 7).all()


def test_axes_that_lie_behind_each_other_are_one() -> None:
    y = np.empty((2, 8, 3, 5, 7))
    strides = tuple(s // 8 for s in y.strides)
    assert finishing._rows(y.shape, (strides,)) == ((1, 1, 1, 1, y.size), ((0, 0, 0, 0, 1),))
    last = np.moveaxis(np.empty((2, 3, 5, 7, 8)), -1, 1)
    strides = tuple(s // 8 for s in last.strides)
    assert finishing._rows(last.shape, (strides,)) == ((1, 1, 1, 1, y.size), ((0, 0, 0, 0, 1),))
