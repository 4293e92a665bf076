"""trous itself, called with torch's tensors where torch is there, with NumPy's arrays otherwise."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

import trous
from trous.bench.peers import pytorch
from trous.bench.peers.job import Job, Prepared, Refused


def prepare(job: Job, last: bool) -> Prepared:
    if find_spec("torch"):
        return pytorch.prepared(job, last, False, _function(job), trous.freeze if job.frozen else None)
    if job.dy is not None or job.problem.dtype == "bfloat16":
        raise Refused("needs torch, which is not installed")
    return numpy_call(job, last)


def numpy_call(job: Job, last: bool) -> Prepared:
    """The output alone, with NumPy's arrays."""
    dtype = job.problem.dtype
    x, w = (_array(numbers, dtype, last) for numbers in (job.x, job.w))
    b = None if job.b is None else job.b.astype(dtype)
    held = trous.freeze(w) if job.frozen else w
    return Prepared(partial(_function(job), x, held, b), lambda y: [y.astype(job.x.dtype)])


def _function(job: Job) -> Callable[..., Any]:
    spec = job.problem.spec
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    options = {name: getattr(spec, name) for name in names if hasattr(spec, name)}
    return partial(getattr(trous, job.problem.kind), **options)


def _array(numbers: np.ndarray, dtype: str, last: bool) -> np.ndarray:
    numbers = numbers.astype(dtype)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(numbers, 1, -1)), -1, 1) if last else numbers
