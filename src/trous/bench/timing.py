"""Times of things that compete for the same machine, taken in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

#: Seconds that one contender keeps the machine. Thread pools spin for milliseconds after a call, on the cores that the
#: next contender needs; the first half of a block is theirs, and is not counted.
BLOCK = 0.01

#: Blocks of each contender, whatever `seconds` says: fewer have no meaningful median.
LEAST_ROUNDS = 5


def interleaved(contenders: Mapping[str, Callable[[], Any]], seconds: float) -> dict[str, float]:
    """Median seconds of one call, by contender.

    They take turns, block by block and in an order that rotates, until about `seconds` have passed altogether; what
    the machine does meanwhile then falls on all of them alike. Call each once before, so that caches are filled.
    """
    return in_turns({name: partial(block, call) for name, call in contenders.items()}, seconds)


def in_turns(blocks: Mapping[str, Callable[[], float]], seconds: float) -> dict[str, float]:
    """`interleaved` for contenders that time their blocks themselves: each gives the seconds of one call."""
    names = list(blocks)
    times: dict[str, list[float]] = {name: [] for name in names}
    start = time.perf_counter()
    turn = 0
    while names and (turn < LEAST_ROUNDS or time.perf_counter() - start < seconds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            times[name].append(blocks[name]())
        turn += 1
    return {name: median(values) for name, values in times.items()}


def rounds(calls: Mapping[str, Callable[[], Any]], count: int = 3) -> dict[str, float]:
    """Median seconds of one call, by contender, for calls of seconds: each in its turn, `count` times."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(count):
        for name, call in calls.items():
            before = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - before)
    return {name: median(values) for name, values in times.items()}


def block(call: Callable[[], Any]) -> float:
    """Median seconds of one call, over the second half of a block of at least two."""
    times: list[float] = []
    while sum(times) < BLOCK or len(times) < 2:
        before = time.perf_counter()
        call()
        times.append(time.perf_counter() - before)
    return median(times[len(times) // 2 :])
