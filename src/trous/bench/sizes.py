"""What a new size costs: a hundred different lengths beside a hundred calls of one length."""

from __future__ import annotations

import ctypes
import gc
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import median

from trous.bench.numbers import job_of
from trous.bench.peers import OURS, PEERS, Peer
from trous.bench.record import Record, Track
from trous.bench.worker import settle
from trous.problem import Problem

#: By name: the inverse STFT and the first and last kind of HiFi-GAN's upsampling, of the length in the middle.
LAYERS = {
    "istft": "conv_transpose,n1,c1026-1,x224,k1024,s256",
    "hifigan_up8": "conv_transpose,n1,c512-256,x200,k16,s8,p4",
    "hifigan_up2": "conv_transpose,n1,c128-64,x12800,k4,s2,p1",
}
COUNT, ROUNDS = 100, 3

EXPLANATION = (
    f"{COUNT} calls of {COUNT} different lengths, none seen before, in turn with {COUNT} calls of the length in their "
    f"middle; milliseconds of all {COUNT}, medians of {ROUNDS} rounds of other lengths each. All arrays are new for "
    "their call. `ratio`: the former over the latter, 1 if a new length costs nothing. `grown`: KiB by which the "
    "process grew over the last round, results given back."
)


@dataclass(frozen=True)
class Result:
    """Seconds of all calls, by whether lengths are new or the same, and bytes grown in the last round."""

    layer: str
    library: str
    new: float
    same: float
    grown: int

    @property
    def ratio(self) -> float:
        return self.new / self.same


def measure(
    layers: dict[str, str],
    peers: Sequence[Peer] = (OURS, PEERS[0]),
    *,
    threads: int,
    track: Track[tuple[str, Peer]] = lambda jobs, _: jobs,
) -> list[Result]:
    """Each layer with each of `peers` that is installed, in a process of its own."""
    jobs = [(layer, peer) for layer in layers for peer in peers if peer.missing() is None]
    results = []
    for layer, peer in track(jobs, lambda job: f"{job[0]}, {job[1].name}"):
        with ProcessPoolExecutor(1, get_context("spawn"), partial(settle, threads)) as process:
            results.append(process.submit(_measure, layer, Problem.parse(layers[layer]), peer, threads).result())
    return results


def record(results: Sequence[Result]) -> Record:
    header = ("layer", "library", "new, ms", "same, ms", "ratio", "grown, KiB")
    rows = [
        (r.layer, r.library, f"{1e3 * r.new:.1f}", f"{1e3 * r.same:.1f}", f"{r.ratio:.3f}", f"{r.grown / 1024:.0f}")
        for r in results
    ]
    entries = [
        {"layer": r.layer, "library": r.library, "new": r.new, "same": r.same, "ratio": r.ratio, "grown": r.grown}
        for r in results
    ]
    return Record("sizes", f"{COUNT} different lengths", EXPLANATION, [(header, rows)], [], {"results": entries})


def _measure(layer: str, problem: Problem, peer: Peer, threads: int) -> Result:
    """Lengths of a round lie around one that is its own, so that no round meets a length of another."""
    new, same, before = [], [], 0
    for number in range(ROUNDS + 1):
        middle = problem.size[0] + (number - 1) * (COUNT + 1)
        repeated = _call(problem, middle, peer, threads)
        if number == 0:  # compiles what is compiled, and fills the pools of memory
            repeated()
            lengths = [middle + 1]
        else:
            lengths = [middle + offset for offset in range(-COUNT // 2, COUNT // 2 + 1) if offset]
            Random(number).shuffle(lengths)
        repeated()
        before = _resident()
        # Arrays of both are new: the caches that they find are as cold for the one as for the other.
        times = [[_time(_call(problem, n, peer, threads)) for n in (length, middle)] for length in lengths]
        if number:
            new.append(sum(first for first, _ in times))
            same.append(sum(second for _, second in times))
    del repeated
    return Result(layer, peer.name, median(new), median(same), _resident() - before)


def _call(problem: Problem, length: int, peer: Peer, threads: int) -> Callable[[], object]:
    return peer.prepare(job_of(replace(problem, size=(length,)), False, threads), False).call


def _time(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _resident() -> int:
    """Bytes of this process in memory, those left out that the allocator keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])
