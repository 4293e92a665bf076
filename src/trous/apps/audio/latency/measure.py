"""Blocks of several sizes, timed one by one through the engines that take the network."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from trous.apps.audio.latency.subject import Facts, Subject, facts
from trous.bench.blocks import native_times, push_times
from trous.errors import TrousError
from trous.streaming import stream

#: Samples of a block, if not said.
BLOCKS = (1, 16, 32, 64, 128, 256, 512, 1024)
#: Wall time for all measurements, if nobody says how much sound.
WALL = 2.0
#: How often engines and sizes take turns, so that what the machine does meanwhile falls on all of them alike.
TURNS = 5
#: Blocks of a size, at least: fewer have no meaningful worst. Samples, at most, where nobody says how many: memory.
LEAST, MOST = 20, 1 << 22

NATIVE, PUSH, PLAIN = "fused, native", "fused, push", "not fused, push"


@dataclass(frozen=True)
class Timing:
    """Blocks of one size through one engine; times in seconds.

    Attributes:
        engine: "fused, native" is called as C calls it, the other two by Python's `push`.
        block: samples.
        blocks: how many were timed.
        median, high, worst: of a block; `high` is the 99.9th percentile.
        real_time: how often the median goes into the time that a block lasts.
        used: the worst block's share of that time.
    """

    engine: str
    block: int
    blocks: int
    median: float
    high: float
    worst: float
    real_time: float
    used: float


@dataclass(frozen=True)
class Latency:
    """What `trous audio latency` says. `refused` is why there is no fused engine for the network, or None."""

    name: str
    rate: int
    facts: Facts
    refused: str | None
    timings: tuple[Timing, ...]

    def milliseconds(self, samples: int) -> float:
        return 1000 * samples / self.rate

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings, ready for JSON."""
        own = asdict(self.facts)
        for name in ("receptive_field", "delay", "context"):
            samples = own[name]
            own[f"{name}_ms"] = None if samples is None else round(self.milliseconds(samples), 4)
        timings = [asdict(timing) for timing in self.timings]
        return {"model": self.name, "sample_rate": self.rate, **own, "refused": self.refused, "timings": timings}


def measure(
    subject: Subject,
    blocks: Sequence[int] = BLOCKS,
    seconds: float | None = None,
    track: Callable[[Iterable[Any], Callable[[Any], str]], Iterable[Any]] = lambda items, name: items,
) -> Latency:
    """Time a network's blocks on this machine.

    Args:
        subject: the network.
        blocks: samples of a block; each is measured.
        seconds: how much sound passes through each engine in blocks of each size; if not said, what takes about 2 s
            altogether. At least 20 blocks of each.
        track: passes the measurements on and may show how far they are; the function names them.

    Raises:
        TrousError: sizes and seconds that are none, and a network that cannot be streamed.
    """
    for block in blocks:
        if not 1 <= block <= 1 << 16:
            raise TrousError("block", "must be from 1 to 65,536 samples", block)
    if seconds is not None and not 0 < seconds <= 300:
        raise TrousError("seconds", "must be above 0, and 300 at most", seconds)
    plain, known = facts(subject)
    refused: str | None = None
    engines: dict[str, Callable[..., np.ndarray]]
    try:
        fused = stream(subject.network, fused=True)
        fused.push(subject.empty)
        engines = {NATIVE: partial(native_times, fused), PUSH: partial(push_times, fused.again())}
    except TrousError as error:
        refused = error.rule.removeprefix("cannot be streamed: ").partition(", and the fused engine")[0]
        engines = {PLAIN: partial(push_times, plain)}
    wanted = [(engine, block) for engine in engines for block in dict.fromkeys(blocks)]
    counts = dict[tuple[str, int], int]()
    found = defaultdict[tuple[str, int], list[np.ndarray]](list)
    turns = [(turn, each) for turn in range(TURNS) for each in wanted]
    for turn, each in track(turns, lambda item: f"{item[1][0]}, blocks of {item[1][1]}"):
        times, block = engines[each[0]], each[1]
        if each not in counts:
            counts[each] = -(-_count(times, block, subject.rate, seconds, len(wanted)) // TURNS)
        found[each].append(times(block, counts[each], turn))
    timings = [_timing(*each, subject.rate, np.concatenate(found[each])) for each in wanted]
    return Latency(subject.name, subject.rate, known, refused, tuple(timings))


def _count(times: Callable[..., np.ndarray], block: int, rate: int, seconds: float | None, parts: int) -> int:
    """How many blocks to time."""
    if seconds is not None:
        wanted = seconds * rate / block
    else:
        wanted = min(WALL / parts / float(np.median(times(block, 3))), MOST / block)
    return int(max(wanted, LEAST))


def _timing(engine: str, block: int, rate: int, times: np.ndarray) -> Timing:
    median, high, worst = float(np.median(times)), float(np.percentile(times, 99.9)), float(times.max())
    lasts = block / rate
    return Timing(engine, block, len(times), median, high, worst, lasts / median, worst / lasts)
