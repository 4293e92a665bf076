"""Layers, done by trous and by every peer in each memory format: equal first, then timed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from trous.bench.lineup import Contender, Out, lineup
from trous.bench.lists import Case
from trous.bench.numbers import expected, job_of
from trous.bench.peers import OURS, Peer
from trous.bench.record import Track
from trous.bench.timing import in_turns
from trous.bench.worker import Ask
from trous.plan.cost import Cost, cost

#: Bytes of an element.
ITEMSIZE = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Result:
    """Median seconds of one call by contender, and for those that are out the reason."""

    case: Case
    training: bool
    seconds: dict[str, float]
    out: dict[str, str] = field(default_factory=dict)

    def least(self, contenders: Iterable[str]) -> float | None:
        """Seconds of the quickest of `contenders`; None where all are out."""
        return min((self.seconds[name] for name in contenders if name in self.seconds), default=None)

    def best_peer(self) -> str | None:
        """The quickest contender that is not trous."""
        theirs = [name for name in self.seconds if name not in OURS.contenders]
        return min(theirs, key=lambda name: self.seconds[name], default=None)

    @cached_property
    def cost(self) -> Cost:
        """What the plan counts, so that taps in the padding and zeros are none. A training step is three layers."""
        p = self.case.problem
        return cost(
            p.bound,
            batch=p.batch,
            in_channels=p.in_channels,
            out_channels=p.out_channels,
            groups=p.spec.groups,
            itemsize=ITEMSIZE[p.dtype],
            bias=p.bias,
        )

    @property
    def flops(self) -> int:
        return self.cost.flops * (3 if self.training else 1)

    @property
    def bytes(self) -> int:
        """Input, weight and output moved once; in a training step by each of its three passes."""
        return self.cost.bytes * (3 if self.training else 1)


def measure_all(
    cases: Sequence[Case],
    peers: Sequence[Peer],
    *,
    training: bool = False,
    threads: int,
    seconds: float,
    limit: float,
    track: Track[Case] = lambda cases, _: cases,
) -> list[Result]:
    """`measure` for each case: trous and those `peers` that are installed, each with `threads` threads.

    A contender that has not answered within `limit` seconds, to prepare and check a layer or to time a block, is out of
    that layer.
    """
    present = [OURS, *(peer for peer in peers if not peer.missing() and (peer.trains or not training))]
    with lineup(present, threads, limit) as contenders:
        return [measure(case, contenders, training, seconds) for case in track(cases, lambda case: case.id)]


def measure(case: Case, contenders: Sequence[Contender], training: bool, seconds: float) -> Result:
    """Check every contender against float64, bit for bit, then time those that were right for about `seconds`.

    One whose call takes over a quarter of that is far behind: it is timed once. Raises ArithmeticError where it is
    trous that is out.
    """
    times: dict[str, float] = {}
    out: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="trous-bench-") as folder:
        ask = Ask(case.problem, training, Path(folder, "exact.npz"))
        np.savez(ask.exact, *expected(job_of(case.problem, training, threads=1)))
        for contender in contenders:
            try:
                times[contender.name] = contender.prepare(ask)
            except Out as reason:
                if contender.peer is OURS:
                    raise ArithmeticError(f"{contender.name} on {case.id} ({case.problem}): {reason}") from None
                out[contender.name] = str(reason)
    quick = {c.name: c.block for c in contenders if c.name in times and times[c.name] <= seconds / 4}
    return Result(case, training, times | in_turns(quick, seconds), out)
