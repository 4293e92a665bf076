"""The definition itself, against sums done by hand and against the dense matrix."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
import torch

from compare import assert_identical
from problems import HAND_PICKED, operation
from trous.backends import Operation, loops
from trous.plan import AxisPlan, Plan, Tap
from trous.problem import Problem, random_problems

SMALL = [p for p in (*HAND_PICKED, *random_problems(5, 60, most_work=3000)) if p.multiplications <= 3000]


def forward(op: Operation, x, w, bias=None):
    y = np.full(op.output_shape, 99, x.dtype)
    loops.forward(op, x, w, bias, y)
    return y


def weight_grad(op: Operation, x, dy):
    dw = np.full(op.weight_shape, 99, x.dtype)
    loops.weight_grad(op, x, dy, dw)
    return dw


def one_axis(text: str) -> Operation:
    return operation(Problem.parse(text))


def row(*values):
    return np.array(values, np.float64).reshape(1, 1, -1)


def test_convolution_by_hand() -> None:
    op = one_axis("conv,c1-1,x5,k3,s2,p1")
    assert_identical(forward(op, row(1, 2, 3, 4, 5), row(1, 10, 100)), row(210, 432, 54))
    assert_identical(weight_grad(op, row(1, 2, 3, 4, 5), row(1, 10, 100)), row(20 + 400, 1 + 30 + 500, 2 + 40))


def test_dilated_convolution_by_hand() -> None:
    op = one_axis("conv,c1-1,x6,k2,d3")
    assert_identical(forward(op, row(1, 2, 3, 4, 5, 6), row(1, 10), np.array([7.0])), row(48, 59, 70))


def test_transposed_convolution_by_hand() -> None:
    op = one_axis("conv_transpose,c1-1,x3,k2,s3,op1")
    assert_identical(forward(op, row(1, 2, 3), row(1, 10), np.array([5.0])), row(6, 15, 5, 7, 25, 5, 8, 35, 5))


def test_empty_phases_are_written() -> None:
    """Stride and dilation of 2: every other output has no tap."""
    op = one_axis("conv_transpose,c1-1,x3,k2,s2,d2")
    assert_identical(forward(op, row(1, 2, 3), row(1, 10)), row(1, 0, 12, 0, 23, 0, 30))


def test_resampling_by_a_fraction_by_hand() -> None:
    """Both `up` and `down` above 1: zeros between the inputs, the kernel over them, every third of the results."""
    axis = AxisPlan(2, 3, tuple(Tap(phase, k, o) for phase, k, o in ((0, 0, 0), (1, 1, 1), (0, 2, -1), (1, 3, 2))), 0)
    op = Operation(Plan((axis,)).bind(6, 4), (4,), 1, 1, 1, 1, False)
    x, w = row(1, 2, 3, 4, 5, 6), row(1, 10, 100, 1000)
    assert_identical(forward(op, x, w), row(1, 20 + 3000, 4 + 300, 50 + 6000))


@pytest.mark.parametrize("problem", [p for p in SMALL if p.batch and min(p.size) and p.multiplications], ids=str)
def test_three_operations_are_one_trilinear_form(problem: Problem, rng) -> None:
    """With `A` the sum of all `dy*w*x`, each result is `A` with one factor taken out."""
    op = operation(problem)
    x, w, dy = (rng.integers(1, 5, shape) for shape in (op.input_shape, op.weight_shape, op.output_shape))
    total = (dy * forward(op, x, w)).sum()
    assert total > 0
    assert (x * forward(op.adjoint, dy, w)).sum() == total
    assert (w * weight_grad(op, x, dy)).sum() == total


def test_channels_and_groups_by_hand() -> None:
    """Two groups of two channels in and one out: neither sees the other's input."""
    op = one_axis("conv,c4-2,x1,k1,g2")
    x, w = np.array([[[1], [2], [3], [4]]]), np.array([[[1], [10]], [[100], [1000]]])
    assert_identical(forward(op, x, w), np.array([[[21], [4300]]]))
    transposed = one_axis("conv_transpose,c2-4,x1,k1,g2")
    x = np.array([[[1], [2]]])
    assert_identical(forward(transposed, x, w), np.array([[[1], [10], [200], [2000]]]))


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float16", "float64", "complex64"])
def test_any_dtype_of_numpy(dtype: str, rng) -> None:
    op = one_axis("conv_transpose,c2-2,x5,k3,s2")
    x, w, dy = (rng.integers(1, 4, shape) for shape in (op.input_shape, op.weight_shape, op.output_shape))
    kind = np.dtype(dtype)
    assert_identical(forward(op, x.astype(kind), w.astype(kind)), forward(op, x, w).astype(kind))
    assert_identical(weight_grad(op, x.astype(kind), dy.astype(kind)), weight_grad(op, x, dy).astype(kind))


def test_numbers_that_are_objects_stay_exact() -> None:
    op = one_axis("conv,c1-1,x3,k2")
    thirds = np.array([[[Fraction(1, 3), Fraction(2, 3), Fraction(1, 7)]]], object)
    y = forward(op, thirds, np.array([[[Fraction(1), Fraction(3)]]], object))
    assert y.tolist() == [[[Fraction(7, 3), Fraction(23, 21)]]]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int32, torch.complex64])
def test_any_dtype_of_torch(dtype: torch.dtype, rng) -> None:
    op = one_axis("conv,c2-2,x5,k3")
    x, w = (torch.from_numpy(rng.integers(1, 4, shape)) for shape in (op.input_shape, op.weight_shape))
    y = torch.full(op.output_shape, 99, dtype=dtype)
    loops.forward(op, x.to(dtype), w.to(dtype), None, y)
    assert_identical(y, torch.from_numpy(forward(op, x.numpy(), w.numpy())).to(dtype))


def test_sums_of_sixteen_bits_are_made_in_float32() -> None:
    """4,000 ones: in float16 the sum would stop growing at 2,048, in bfloat16 at 256."""
    op = one_axis("conv,c1-1,x4000,k4000")
    for dtype in (torch.float16, torch.bfloat16):
        ones, y = torch.ones(1, 1, 4000, dtype=dtype), torch.empty(1, 1, 1, dtype=dtype)
        loops.forward(op, ones, ones, None, y)
        assert_identical(y, torch.tensor([[[4000.0]]]).to(dtype))


def test_every_index_is_inside() -> None:
    """No triple names a position that is not there, and no two are the same."""
    for problem in SMALL:
        op = operation(problem)
        for axis, length in zip(op.bound.axes, op.kernel, strict=True):
            triples = list(loops._triples(axis))
            assert len(set(triples)) == len(triples) == axis.multiplications
            for output, kernel, position in triples:
                assert 0 <= output < axis.output_size and 0 <= kernel < length and 0 <= position < axis.input_size


def test_the_triples_are_all_that_fit() -> None:
    """`o = up*m + phase` and `i = down*m + offset`, by trying every output with every input."""
    for problem in SMALL:
        for axis in operation(problem).bound.axes:
            plan = axis.plan
            tried = itertools.product(range(axis.output_size), plan.taps, range(axis.input_size))
            fitting = {
                (o, tap.kernel, i)
                for o, tap, i in tried
                if (o - tap.phase) % plan.up == 0 and i == plan.down * ((o - tap.phase) // plan.up) + tap.offset
            }
            assert set(loops._triples(axis)) == fitting
