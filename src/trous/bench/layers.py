"""Layers, done by trous and by every peer in each memory format: equal first, then timed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from trous.bench.lineup import Contender, lineup, race
from trous.bench.lists import Case
from trous.bench.numbers import difference, expected, job_of
from trous.bench.peers import OURS, Peer, Prepared
from trous.bench.record import Track
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


@dataclass(frozen=True)
class LayerAsk:
    """A layer for a contender's process; the results that it must have lie in the .npz file `exact`."""

    case: Case
    training: bool
    exact: Path
    frozen: bool = False

    def prepare(self, peer: Peer, last: bool, threads: int) -> Prepared:
        return peer.prepare(job_of(self.case.problem, self.training, threads, self.frozen), last)

    def wrong(self, results: Sequence[np.ndarray]) -> str | None:
        with np.load(self.exact) as kept:
            return difference(results, list(kept.values()))

    def __str__(self) -> str:
        return f"{self.case.id} ({self.case.problem})"


def measure_all(
    cases: Sequence[Case],
    peers: Sequence[Peer],
    *,
    training: bool = False,
    frozen: bool = False,
    threads: int,
    seconds: float,
    limit: float,
    track: Track[Case] = lambda cases, _: cases,
) -> list[Result]:
    """`measure` for each case: trous and those `peers` that are installed, each with `threads` threads. With `frozen`
    weights may be prepared before the calls.

    A contender that has not answered within `limit` seconds, to prepare and check a layer or to time a block, is out of
    that layer.
    """
    present = [OURS, *(peer for peer in peers if not peer.missing() and (peer.trains or not training))]
    with lineup(present, threads, limit) as contenders:
        return [measure(case, contenders, training, seconds, frozen) for case in track(cases, lambda case: case.id)]


def measure(
    case: Case, contenders: Sequence[Contender], training: bool, seconds: float, frozen: bool = False
) -> Result:
    """`race` of one layer, whose results must equal those in float64 bit for bit."""
    with tempfile.TemporaryDirectory(prefix="trous-bench-") as folder:
        ask = LayerAsk(case, training, Path(folder, "exact.npz"), frozen)
        np.savez(ask.exact, *expected(job_of(case.problem, training, threads=1)))
        return Result(case, training, *race(contenders, ask, seconds))
