"""Products of spectra cut into tiles, against the kernels and the sums written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trous.backends import Operation
from trous.backends.cpu.run import threads
from trous.inverse import fourier, tiling
from trous.inverse.fourier import Fourier
from trous.inverse.product import Direct
from trous.inverse.tiling import Cut, best_cut
from trous.plan import BoundAxis, BoundPlan, conv_axis, transposed_axis
from trous.plan.circle import tile_circle


def drawn(seed: int) -> Operation | None:
    """Any convolution, or adjoint of one, that spectra can be used for."""
    rng = np.random.default_rng(seed)
    is_transposed = bool(rng.integers(2))
    axes, kernel = [], []
    for _ in range(1 + seed % 3):
        k, stride, dilation = (int(n) for n in rng.integers(1, (6, 4, 3)))
        before, after = (int(n) for n in rng.integers(-2, 4, 2))
        if is_transposed:
            plan = transposed_axis(k, stride, before, after, 0, dilation)
        else:
            plan = conv_axis(k, stride, before, after, dilation)
        inputs = int(rng.integers(8, 40 if seed % 3 == 0 else 16))
        outputs = plan.output_size(inputs) - int(rng.integers(2))
        if outputs < 1:
            return None
        axes.append(BoundAxis(plan, inputs, outputs))
        kernel.append(k)
    groups, first, second = ((1, 1, 1), (2, 1, 1), (2, 2, 3))[rng.integers(3)]
    batch = int(rng.integers(1, 3))
    bound = BoundPlan.of(axes)
    return Operation(bound, tuple(kernel), batch, groups * first, groups * second, groups, is_transposed)


def cut_as(operation: Operation, w: np.ndarray, cut: Cut, monkeypatch: pytest.MonkeyPatch) -> Fourier:
    monkeypatch.setattr(fourier, "best_cut", lambda *_: cut)
    return Fourier(operation, w)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("seed", range(60))
def test_tiles_of_any_size_are_the_kernels(seed: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    what = drawn(seed)
    if what is None or Fourier.why_not(what, "float64"):
        return
    rng = np.random.default_rng(seed)
    w = rng.integers(-9, 10, what.weight_shape).astype(float)
    x, y = (rng.integers(-9, 10, shape).astype(float) for shape in (what.input_shape, what.output_shape))
    least = [tile_circle(axis, axis.output_size) for axis in what.bound.axes]
    size = tuple(n + int(more) for n, more in zip(least, rng.integers(0, 20, len(least)), strict=True))
    tiled, kernels = cut_as(what, w, Cut(size, int(rng.integers(1, 5)), 0), monkeypatch), Direct(what, w)
    with threads(count):
        forward, adjoint = tiled.forward(x), tiled.adjoint(y)
    np.testing.assert_allclose(forward, kernels.forward(x), rtol=0, atol=1e-9)
    np.testing.assert_allclose(adjoint, kernels.adjoint(y), rtol=0, atol=1e-9)
    assert np.vdot(forward, y) == pytest.approx(np.vdot(x, adjoint), rel=1e-9, abs=1e-6)


def test_most_of_the_draws_can_be_done() -> None:
    drawings = [drawn(seed) for seed in range(60)]
    assert sum(what is not None and Fourier.why_not(what, "float64") is None for what in drawings) > 45


def test_the_number_of_threads_does_not_show_and_results_go_where_they_are_wanted() -> None:
    rng = np.random.default_rng(0)
    what = large((900, 700), 41)
    product = Fourier(what, rng.random((1, 1, 41, 41), np.float32))
    assert best_cut(what).size < (900, 700)
    x = rng.random(what.input_shape, np.float32)
    results = []
    for count in (1, 2, 5):
        with threads(count):
            results.append(product.forward(x))
    assert all(np.array_equal(result, results[0]) for result in results)
    wide = np.zeros((1, 1, *(2 * n for n in what.output_shape[2:])), np.float32)
    out = wide[:, :, ::2, ::2]
    assert product.forward(x, out) is out and np.array_equal(out, results[0]) and not wide[:, :, 1::2].any()


def large(size: tuple[int, ...], kernel: int) -> Operation:
    axes = [BoundAxis(conv_axis(kernel, 1, kernel // 2, kernel // 2, 1), n, n) for n in size]
    return Operation(BoundPlan.of(axes), (kernel,) * len(size), 1, 1, 1, 1, weight_by_input=False)


@pytest.mark.parametrize(("size", "kernel"), [((10_000_000,), 2001), ((4096, 4096), 51), ((128, 512, 512), 15)])
def test_large_arrays_are_cut_and_cost_less_so(size: tuple[int, ...], kernel: int) -> None:
    what = large(size, kernel)
    cut = best_cut(what)
    whole = tiling._cut(what, tuple((tiling.fast(n + kernel), 1) for n in size))
    assert np.prod(cut.size) < np.prod(size) / 8 and cut.cost < whole.cost
    assert cut.cost < what.multiplications


def test_small_arrays_are_not_cut() -> None:
    assert best_cut(large((64, 64), 31)).size == (80, 80)


def test_a_limit_holds_where_it_can() -> None:
    what = large((4000, 4000), 301)
    assert np.prod(best_cut(what).size) > 1 << 19
    assert np.prod(best_cut(what, 1 << 19).size) <= 1 << 19
    least = best_cut(what, 1000).size
    assert all(301 <= n < 400 for n in least)


def test_entries_of_a_batch_share_transforms() -> None:
    what = large((20, 20), 9)
    many = replace(what, batch=50)
    assert best_cut(many).together == 50 and best_cut(many).cost < 50 * best_cut(what).cost
