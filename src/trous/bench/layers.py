"""Layers, done by trous and by every peer in each memory format: equal first, then timed."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trous.bench.lineup import Contender, Out
from trous.bench.lists import Case
from trous.bench.numbers import expected, job_of
from trous.bench.peers import OURS, PEERS, Peer
from trous.bench.timing import in_turns
from trous.bench.worker import Ask


@dataclass(frozen=True)
class Result:
    """Median seconds of one call by contender, and for those that are out the reason."""

    case: Case
    training: bool
    seconds: dict[str, float]
    out: dict[str, str] = field(default_factory=dict)

    def best(self, peer: Peer) -> float | None:
        """Seconds of the peer's quicker layout; None where it is out in both."""
        found = [self.seconds[name] for name in map(peer.contender, peer.layouts) if name in self.seconds]
        return min(found, default=None)

    def best_peer(self) -> str | None:
        """The quickest contender that is not trous."""
        theirs = {name for peer in PEERS for name in map(peer.contender, peer.layouts)} & self.seconds.keys()
        return min(theirs, key=lambda name: self.seconds[name], default=None)

    @property
    def flops(self) -> int:
        """What the plan counts, so that taps in the padding and zeros are none; a training step is three times that."""
        return 2 * self.case.problem.multiplications * (3 if self.training else 1)


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
