"""Threads that share a call: every item once, whoever is late, interrupted or in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from trous.arrays import address
from trous.backends.cpu import pool
from trous.backends.cpu.engine import KERNEL, code_address
from trous.backends.cpu.header import NO_MARK, POINTER_COUNT


@pytest.fixture(scope="module")
def five() -> pool.Pool:
    """A pool of its own."""
    return pool.Pool(5)


_kept: list[Any] = []
_memory = np.zeros(64)  # for scratch, shared by all threads: nothing here looks into it


def run(on: pool.Pool, items: int, threads: int, part: Callable[[int, int], Any]) -> None:
    """All items of a kernel that is a Python function of the first and the last."""
    kernel = KERNEL(lambda *arguments: part(*arguments[-2:]))
    _kept.append(kernel)
    on.run(code_address(kernel), 0, address(_memory), 0, (0,) * POINTER_COUNT, items, threads)


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_every_item_once(five: pool.Pool, threads: int) -> None:
    for items in (*range(1, 40), 1000):
        done = np.zeros(items, np.int64)

        def part(begin: int, end: int, done: Any = done) -> None:
            done[begin:end] += 1

        run(five, items, threads, part)
        assert (done == 1).all(), items


def test_all_threads_take_part(five: pool.Pool) -> None:
    together = threading.Barrier(5, timeout=60)
    seen = set()

    def part(begin: int, end: int) -> None:
        if threading.get_ident() not in seen:
            seen.add(threading.get_ident())
            together.wait()

    run(five, 100, 5, part)
    assert len(seen) == 5


def test_who_is_held_up_holds_up_only_its_chunk() -> None:
    """A worker that takes a chunk and does not come back until all others are done."""
    caller, held, done = threading.get_ident(), [], set()
    others_done = threading.Event()

    def part(begin: int, end: int) -> None:
        if threading.get_ident() == caller:
            time.sleep(0.001)  # so that the worker finds something left
        elif not held:
            held.append((begin, end))
            assert others_done.wait(60)
        done.update(range(begin, end))
        if held and len(done) == 1000 - (held[0][1] - held[0][0]):
            others_done.set()

    run(pool.Pool(2), 1000, 2, part)
    assert held and done == set(range(1000))


def test_marks_last_for_one_call(five: pool.Pool) -> None:
    """The first word of a thread's memory says nothing when it begins, then what the thread wrote there."""
    memory = np.zeros((5, 8), np.int64)
    found: dict[int, list[int]] = {}

    def part(scratch: int, begin: int) -> None:
        words = memory[(scratch - address(memory)) // 64]
        found.setdefault(scratch, []).append(int(words[0]))
        words[0] = begin

    kernel = KERNEL(lambda *arguments: part(arguments[1], arguments[-2]))
    for _ in range(20):
        found.clear()
        five.run(code_address(kernel), 0, address(memory), 64, (0,) * POINTER_COUNT, 100, 5)
        assert found
        assert all(marks[0] == NO_MARK and min([0, *marks[1:]]) >= 0 for marks in found.values())


def test_workers_wake_up_again(five: pool.Pool) -> None:
    """At once, after a moment, and after they have long been asleep."""
    for pause in (*[0.0] * 200, *[0.0001] * 50, *[0.01] * 10):
        time.sleep(pause)
        done: list[int] = []
        run(five, 9, 2, lambda begin, end, done=done: done.extend(range(begin, end)))
        assert sorted(done) == list(range(9))


def test_a_second_caller_does_its_work_alone(five: pool.Pool) -> None:
    """Here from within a job; the workers are at that one."""
    inner = []

    def part(begin: int, end: int) -> None:
        own = threading.get_ident()
        run(five, 100, 2, lambda begin, end: inner.append((begin, end, threading.get_ident() == own)))

    run(five, 1, 2, part)
    assert inner == [(0, 100, True)]


def test_callers_of_all_threads(five: pool.Pool) -> None:
    def caller(_: int) -> bool:
        done = np.zeros(50, np.int64)

        def part(begin: int, end: int) -> None:
            done[begin:end] += 1

        run(five, 50, 3, part)
        return bool((done == 1).all())

    with ThreadPoolExecutor(6) as callers:
        assert all(callers.map(caller, range(300)))


def test_more_threads_are_started_as_they_are_asked_for() -> None:
    assert pool.pool(2).size >= 2
    larger = pool.pool(pool.pool(1).size + 1)
    assert larger is pool.pool(1) and larger.size == larger.asked


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers that interrupt")
def test_interrupted_calls_lose_nobody() -> None:
    """Exceptions out of signal handlers come before a job or after it, never while others still work on its arrays."""
    script = """
import signal, numpy as np, trous
from trous.backends.cpu import run
run.SMALL = 0
class Stop(Exception): pass
def stop(*_): raise Stop
signal.signal(signal.SIGALRM, stop)
x, w = np.ones((1, 16, 64, 64), np.float32), np.ones((16, 16, 3, 3), np.float32)
expected, stopped = trous.conv(x, w), 0
for n in range(300):
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-5 * (1 + n % 40))
        while True:
            y = trous.conv(x, w)
    except Stop:
        stopped += 1
assert stopped == 300 and (trous.conv(x, w) == expected).all()
assert run.pool(2).size == 2
"""
    environment = {**os.environ, "TROUS_NUM_THREADS": "2"}
    assert subprocess.run([sys.executable, "-c", script], timeout=120, env=environment).returncode == 0
