"""What a call costs that has next to nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trous.bench.numbers import difference, expected, job_of
from trous.bench.peers import OURS, PEERS
from trous.bench.peers.ours import numpy_call
from trous.bench.record import Record, Track
from trous.bench.timing import interleaved
from trous.problem import Problem

CALLS = (
    "conv_transpose,n1,c1-1,x2x2,k2x2,s2",
    "conv_transpose,n1,c1-1,x2x2,k4x4,s2,p1",
    "conv_transpose,n1,c8-8,x2x2,k2x2,s2,bias",
    "conv,n1,c1-1,x4x4,k3x3,p1",
    "conv,n1,c4-4,x16,k3,p2,d2,g4",
)

EXPLANATION = (
    "Microseconds of one call, medians, callers taking turns in one process, on one thread, each checked before. torch "
    "is called under `inference_mode` for the output alone; a step is output and both gradients by autograd."
)

NUMPY, TORCH, TORCHS, STEP, TORCHS_STEP = "trous, NumPy", "trous, torch", "torch", "trous, step", "torch, step"


@dataclass(frozen=True)
class Result:
    """Median seconds of one call by caller."""

    problem: Problem
    seconds: dict[str, float]


def measure(problems: Sequence[Problem], seconds: float, *, track: Track[Problem] = lambda p, _: p) -> list[Result]:
    """Check and time each for about `seconds`. Raises ArithmeticError where somebody is wrong."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_measure(problem, seconds) for problem in track(problems, str)]
    finally:
        torch.set_num_threads(before)


def record(results: Sequence[Result]) -> Record:
    names = (NUMPY, TORCH, TORCHS, STEP, TORCHS_STEP)
    header = ("us", *names, "torch ratio", "step ratio")
    rows, entries = [], []
    for result in results:
        s = result.seconds
        rows.append(
            (
                str(result.problem),
                *(f"{1e6 * s[name]:.1f}" for name in names),
                f"{s[TORCH] / s[TORCHS]:.2f}",
                f"{s[STEP] / s[TORCHS_STEP]:.2f}",
            )
        )
        entries.append({"problem": str(result.problem), "seconds": s})
    facts = ["ratio: time of trous over that of torch's own function"]
    return Record("calls", "Small calls", EXPLANATION, [(header, rows)], facts, {"results": entries})


def _measure(problem: Problem, seconds: float) -> Result:
    job, step = (job_of(problem, training, threads=1) for training in (False, True))
    torch = PEERS[0]
    callers = {
        NUMPY: numpy_call(job, last=False),
        TORCH: OURS.prepare(job, False),
        TORCHS: torch.prepare(job, False),
        STEP: OURS.prepare(step, False),
        TORCHS_STEP: torch.prepare(step, False),
    }
    for name, (call, read) in callers.items():
        if wrong := difference(read(call()), expected(step if "step" in name else job)):
            raise ArithmeticError(f"{name} on {problem}: wrong: {wrong}")
    return Result(problem, interleaved({name: caller.call for name, caller in callers.items()}, seconds))
