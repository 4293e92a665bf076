"""The numbers of a layer, and what every contender has to make of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trous.backends import Operation, tensors
from trous.bench.peers import Job
from trous.problem import Problem

#: Small integers: every sum is exact in every order, so that one wrong or missing tap shows.
LARGEST = 3


def job_of(problem: Problem, training: bool, threads: int, frozen: bool = False) -> Job:
    """The same integers, from -LARGEST to LARGEST, in every process that asks."""
    random = np.random.default_rng(0)
    dtype = np.float64 if problem.dtype == "float64" else np.float32

    def draw(*shape: int) -> np.ndarray:
        return random.integers(-LARGEST, LARGEST, shape, endpoint=True).astype(dtype)

    return Job(
        problem,
        draw(*problem.input_shape),
        draw(*problem.weight_shape),
        draw(problem.out_channels) if problem.bias else None,
        draw(*problem.output_shape) if training else None,
        threads,
        frozen,
    )


def operation_of(problem: Problem) -> Operation:
    """The layer as back-ends are asked for it."""
    return Operation(
        problem.bound,
        problem.spec.kernel,
        problem.batch,
        problem.in_channels,
        problem.out_channels,
        problem.spec.groups,
        weight_by_input=problem.kind == "conv_transpose",
    )


def expected(job: Job) -> list[np.ndarray]:
    """The results of `Prepared.read`: exact, by a slice and a matrix product for each tap in float64, rounded once."""
    operation = operation_of(job.problem)
    x, w = job.x.astype(np.float64), job.w.astype(np.float64)
    b = None if job.b is None else job.b.astype(np.float64)
    results = [np.empty(job.problem.output_shape)]
    tensors.forward(operation, x, w, b, results[0])
    if job.dy is not None:
        dy, dx, dw = job.dy.astype(np.float64), np.empty_like(x), np.empty_like(w)
        tensors.forward(operation.adjoint, dy, w, None, dx)
        tensors.weight_grad(operation, x, dy, dw)
        results += [dx, dw]
    return [rounded(result, job.problem.dtype).astype(job.x.dtype) for result in results]


def rounded(exact: np.ndarray, dtype: str) -> np.ndarray:
    """`exact`, float64, as `dtype` holds it; bfloat16, which NumPy has not, as float32 with its last 16 bits clear."""
    if dtype != "bfloat16":
        return exact.astype(dtype)
    bits = exact.astype(np.float32).view(np.uint32)
    half = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))  # to nearest, ties to even
    return ((bits + half) & np.uint32(0xFFFF0000)).view(np.float32)


def difference(results: Sequence[np.ndarray], exact: Sequence[np.ndarray]) -> str | None:
    """What is wrong with the results of a contender, or None where they are equal bit for bit."""
    for what, result, right in zip(("output", "input gradient", "weight gradient"), results, exact, strict=False):
        if result.shape != right.shape:
            return f"{what} has shape {result.shape}, not {right.shape}"
        if not np.array_equal(result, right):
            return f"{what} is off by up to {np.nanmax(np.abs(result.astype(np.float64) - right)):g}"
    return None if len(results) == len(exact) else f"{len(results)} results, not {len(exact)}"
