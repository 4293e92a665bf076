"""What is special about slices and matrix products: the dtypes they take, and the modes of torch they do not obey."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from compare import assert_identical
from problems import assert_all_identical, definition, integers, operation, real, run
from trous.backends import tensors
from trous.problem import Problem

PROBLEM = Problem.parse("conv_transpose,n2,c4-6,x5x4,k3x3,s2,g2,bias")
OP = operation(PROBLEM)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint32", "complex64", "complex128", "float16"])
def test_dtypes_of_numpy(dtype: str) -> None:
    given = integers(PROBLEM).map(lambda array: abs(array.numpy()).astype(dtype))
    if "int" in dtype:  # there is no NaN to poison integers with: what is written must not depend on what was there
        results = [np.full(shape, 99, dtype) for shape in (OP.output_shape, OP.input_shape, OP.weight_shape)]
        tensors.forward(OP, given.x, given.w, given.bias, results[0])
        tensors.forward(OP.adjoint, given.dy, given.w, None, results[1])
        tensors.weight_grad(OP, given.x, given.dy, results[2])
        wide = definition(OP, given.map(lambda array: array.astype(np.float64)))
        for ours, theirs in zip(results, wide, strict=True):
            assert_identical(ours, theirs.astype(np.int64).astype(dtype))
    else:
        assert_all_identical(run(tensors, OP, given), definition(OP, given), OP, dtype)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.bfloat16, torch.float16])
def test_dtypes_of_torch(dtype: torch.dtype) -> None:
    given = integers(PROBLEM).map(lambda array: array.to(dtype))
    assert_all_identical(run(tensors, OP, given), definition(OP, given), OP, dtype)


@pytest.mark.parametrize(
    ("x", "reason"),
    [
        (np.zeros(1, bool), "no matrix product of dtype bool"),
        (np.zeros(1, object), "no matrix product of dtype object"),
        (torch.zeros(1, dtype=torch.bool), "no matrix product of dtype bool"),
        (torch.zeros(1, dtype=torch.uint16), "torch has no matrix product of dtype uint16 on device cpu"),
        (torch.zeros(1, dtype=torch.int32, device="meta"), "torch has no matrix product of dtype int32 on device meta"),
    ],
    ids=str,
)
def test_refusals(x, reason: str) -> None:
    assert tensors.why_not(OP, x) == reason


def test_autocast_does_not_round_the_factors() -> None:
    given = real(PROBLEM)
    expected = run(tensors, OP, given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = run(tensors, OP, given)
    assert_all_identical(got, expected, OP, "under autocast")


def test_autograd_keeps_no_record() -> None:
    given = integers(PROBLEM).map(lambda array: array.requires_grad_())
    for result in run(tensors, OP, given):
        assert not result.requires_grad


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_numpy_does_not_warn_of_values(value: float) -> None:
    given = integers(PROBLEM).map(lambda array: array.numpy())
    given.x[0, 0, 2, 2] = value
    assert not np.isfinite(run(tensors, OP, given).y).all()


def test_runs_on_a_device_without_numbers() -> None:
    """Nothing asks for a value, so that tensors of shapes alone pass through."""
    given = integers(PROBLEM).map(lambda array: array.to("meta"))
    assert run(tensors, OP, given).y.shape == OP.output_shape
