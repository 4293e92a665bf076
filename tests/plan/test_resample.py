"""Pooling, interpolation and pixel shuffle against what torch's derivatives say they read."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from trous.plan import AxisPlan
from trous.plan.bind import BoundAxis
from trous.plan.resample import adaptive_axis, interpolated_axis, linear_shares, moved_axis, nearest_axis, shuffled_axis

SIZES = [(7, 14), (7, 21), (8, 12), (12, 8), (10, 5), (5, 8), (9, 7), (16, 16), (3, 31)]


def reads(axis: AxisPlan, size: int, outputs: int) -> np.ndarray:
    """`[o, i]`: whether output `o` reads input `i`."""
    bound = BoundAxis(axis, size, outputs)
    matrix = np.zeros((outputs, size), bool)
    for tap in bound.live_taps:
        for m in bound.steps(tap):
            matrix[axis.up * m + tap.phase, axis.down * m + tap.offset] = True
    return matrix


def derivative(function: object, size: int) -> np.ndarray:
    """`[o, i]`: the derivatives of a function of one row, in float64."""
    x = torch.zeros(1, 1, size, dtype=torch.float64)
    return torch.autograd.functional.jacobian(function, x).reshape(-1, size).numpy()  # type: ignore[arg-type]


def rows(x: torch.Tensor, **arguments: object) -> torch.Tensor:
    """Interpolation along the last axis only, of a row repeated, for modes that torch has in two dimensions."""
    y = F.interpolate(x[:, :, None].expand(-1, -1, 4, -1), **arguments)  # type: ignore[arg-type]
    return y[:, :, 0]


@pytest.mark.parametrize(("size", "outputs"), SIZES)
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_nearest(mode: str, size: int, outputs: int) -> None:
    axis = nearest_axis(Fraction(size, outputs), centred=mode == "nearest-exact")
    expected = derivative(lambda x: F.interpolate(x, outputs, mode=mode), size) != 0
    assert np.array_equal(reads(axis, size, outputs), expected)


@pytest.mark.parametrize(("size", "outputs"), SIZES)
@pytest.mark.parametrize("corners", [False, True])
def test_linear(corners: bool, size: int, outputs: int) -> None:
    rate = Fraction(size - 1, outputs - 1) if corners else Fraction(size, outputs)
    axis = interpolated_axis("linear", rate, corners=corners)
    got = derivative(lambda x: F.interpolate(x, outputs, mode="linear", align_corners=corners), size)
    assert np.array_equal(reads(axis, size, outputs), np.abs(got) > 1e-9)


@pytest.mark.parametrize(("size", "outputs"), SIZES)
@pytest.mark.parametrize("corners", [False, True])
def test_cubic(corners: bool, size: int, outputs: int) -> None:
    """Beyond the border torch repeats the edge, which outputs there read anyway."""
    rate = Fraction(size - 1, outputs - 1) if corners else Fraction(size, outputs)
    axis = interpolated_axis("cubic", rate, corners=corners)
    got = derivative(lambda x: rows(x, size=(4, outputs), mode="bicubic", align_corners=corners), size)
    assert np.array_equal(reads(axis, size, outputs), np.abs(got) > 1e-9)


@pytest.mark.parametrize(("size", "outputs"), SIZES)
@pytest.mark.parametrize(("mode", "kind"), [("bilinear", "linear"), ("bicubic", "cubic")])
def test_antialias(mode: str, kind: str, size: int, outputs: int) -> None:
    """Where a cubic function crosses zero an input is read with weight 0: none is read that the plan leaves out, and
    the first and last of an output lie within one of the plan's."""
    axis = interpolated_axis(kind, Fraction(size, outputs), antialias=True)
    got = np.abs(derivative(lambda x: rows(x, size=(4, outputs), mode=mode, antialias=True), size)) > 1e-9
    planned = reads(axis, size, outputs)
    assert not (got & ~planned).any()
    if kind == "linear":
        assert np.array_equal(planned, got)
    assert (planned.sum(axis=1) - got.sum(axis=1)).max() <= 2


@pytest.mark.parametrize(("size", "outputs"), [*SIZES, (7, 1), (1, 5)])
def test_adaptive_pooling(size: int, outputs: int) -> None:
    expected = derivative(lambda x: F.adaptive_avg_pool1d(x, outputs), size) != 0
    assert np.array_equal(reads(adaptive_axis(size, outputs), size, outputs), expected)


def test_moved_and_shuffled() -> None:
    assert reads(moved_axis(2, 1), 3, 6).nonzero()[0].tolist() == [2, 3, 4]
    assert (moved_axis(2, 1).output_size(3), moved_axis(-1, -1).output_size(5)) == (6, 3)
    assert moved_axis(0, 0, 2).output_size(5) == len(range(0, 5, 2))
    assert reads(shuffled_axis(3), 2, 6).argmax(axis=1).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(("size", "outputs"), [(6, 12), (6, 18), (12, 4), (8, 12)])
def test_shares_of_linear_interpolation(size: int, outputs: int) -> None:
    """Against torch's weight of the last input that an output reads, away from the border."""
    rate = Fraction(size, outputs)
    axis, shares = interpolated_axis("linear", rate), linear_shares(rate)
    weights = F.interpolate(torch.eye(size, dtype=torch.float64)[:, None], size=outputs, mode="linear")[:, 0].T
    for o in range(outputs):
        read = sorted(axis.reads(o).values())
        if read[0] >= 0 and read[-1] < size:
            share = float(shares[o % axis.up])
            expected = [1.0] if len(read) == 1 else [1 - share, share]
            torch.testing.assert_close(weights[o, read], torch.tensor(expected, dtype=torch.float64))
