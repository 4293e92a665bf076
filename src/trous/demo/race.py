"""Check, then time: a job is timed only after everyone who does it has given the right result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trous.bench.compare import best_ratio, contenders
from trous.bench.peers import Job
from trous.bench.timing import interleaved
from trous.problem import Problem


@dataclass(frozen=True)
class Race:
    """Median seconds of one call by contender, or none, and in `refused` the reason, where one of them was wrong."""

    job: str
    problem: Problem
    seconds: Mapping[str, float]
    refused: str = ""

    @property
    def ratio(self) -> float:
        """How many times faster trous is than PyTorch, the better memory format of each."""
        return best_ratio(self.seconds)


@dataclass(frozen=True)
class Rival:
    """Another way to the same result, which `call` gives to within `tolerance`, and only at the index `inside`."""

    name: str
    call: Callable[[], Any]
    inside: Any
    tolerance: float


def race(
    job: str,
    problem: Problem,
    x: np.ndarray,
    w: np.ndarray,
    expected: np.ndarray,
    tolerance: float,
    seconds: float,
    rivals: Sequence[Rival] = (),
) -> Race:
    """Time `problem` in both memory formats of both libraries, and `rivals`.

    The four must give `expected` within `tolerance`; 0 asks for the same bits.
    """
    calls = contenders(Job(problem, x, w))
    entries = [Rival(name, call, ..., tolerance) for name, call in calls.items()] + list(rivals)
    wrong = []
    for entry in entries:
        difference = largest_difference(np.asarray(entry.call())[entry.inside], expected[entry.inside])
        if not difference <= entry.tolerance:
            wrong.append(f"{entry.name} is off by {difference:.1e}, rounding explains {entry.tolerance:.1e}")
    if wrong:
        return Race(job, problem, {}, "; ".join(wrong))
    return Race(job, problem, interleaved({entry.name: entry.call for entry in entries}, seconds))


def largest_difference(result: Any, expected: np.ndarray) -> float:
    """The largest absolute difference, in float64: infinite between shapes that differ, NaN where either holds one."""
    result = np.asarray(result, np.float64)
    if result.shape != expected.shape:
        return float("inf")
    return float(np.abs(result - expected).max(initial=0.0))


def rounding(weights: np.ndarray) -> float:
    """What rounding can make of two float32 sums of `weights`, all that one output sees, with numbers up to 1.

    Each is within `terms * eps * sum |w|` of the exact one, whatever the order (Higham 2002, section 3.1); rounding the
    weights and the result adds a few more.
    """
    total = float(np.abs(np.asarray(weights, np.float64)).sum())
    return 2 * (weights.size + 4) * float(np.finfo(np.float32).eps) * total
