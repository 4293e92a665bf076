"""trous itself, called with torch's tensors where torch is there, with NumPy's arrays otherwise."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

import trous
from trous.bench.peers import pytorch
from trous.bench.peers.job import Job, Prepared, Refused


def prepare(job: Job, last: bool) -> Prepared:
    problem = job.problem
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    options: dict[str, Any] = {name: getattr(problem.spec, name) for name in names if hasattr(problem.spec, name)}
    function = partial(getattr(trous, problem.kind), **options)
    if find_spec("torch"):
        return pytorch.prepared(job, last, False, function)
    if job.dy is not None or problem.dtype == "bfloat16":
        raise Refused("needs torch, which is not installed")
    x, w = (_array(numbers, problem.dtype, last) for numbers in (job.x, job.w))
    b = None if job.b is None else job.b.astype(problem.dtype)
    return Prepared(partial(function, x, w, b), lambda y: [y.astype(job.x.dtype)])


def _array(numbers: np.ndarray, dtype: str, last: bool) -> np.ndarray:
    numbers = numbers.astype(dtype)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(numbers, 1, -1)), -1, 1) if last else numbers
