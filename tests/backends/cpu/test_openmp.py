"""Calls on torch's own threads: every item once, on all threads, and never where they could not be waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from trous.arrays import address
from trous.backends.cpu import openmp, run
from trous.backends.cpu.engine import KERNEL, code_address
from trous.backends.cpu.header import POINTER_COUNT

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="torch's packages bring an OpenMP with GNU's names for Linux only"
)


@pytest.fixture
def three() -> Iterator[openmp.Team]:
    """torch's threads while there are three."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    team = openmp.team(3)
    assert team is not None
    yield team
    torch.set_num_threads(before)


_kept: list[Any] = []
_memory = np.zeros(64)  # for scratch


def share(team: openmp.Team, items: int, threads: int, part: Callable[..., Any], each: int = 0) -> None:
    """All items of a kernel that is a Python function of its scratch memory, the first item and the last."""
    kernel = KERNEL(lambda *arguments: part(arguments[1], *arguments[-2:]))
    _kept.append(kernel)
    team.run(code_address(kernel), 0, address(_memory), each, (0,) * POINTER_COUNT, items, threads)


@pytest.mark.parametrize("threads", [2, 3])
def test_every_item_once(three: openmp.Team, threads: int) -> None:
    for items in (*range(1, 40), 1000):
        done = np.zeros(items, np.int64)

        def part(_: int, begin: int, end: int, done: Any = done) -> None:
            done[begin:end] += 1

        share(three, items, threads, part)
        assert (done == 1).all(), items


def test_all_threads_take_part_each_with_memory_of_its_own(three: openmp.Team) -> None:
    together = threading.Barrier(3, timeout=60)
    memory: dict[int, set[int]] = {}

    def part(scratch: int, begin: int, end: int) -> None:
        if threading.get_ident() not in memory:
            memory[threading.get_ident()] = set()
            together.wait()
        memory[threading.get_ident()].add(scratch)

    share(three, 100, 3, part, each=128)
    assert sorted(map(sorted, memory.values())) == [[address(_memory) + 128 * thread] for thread in range(3)]


def test_arguments_arrive(three: openmp.Team) -> None:
    seen = []
    kernel = KERNEL(lambda *arguments: seen.append(arguments))
    pointers = tuple(range(100, 100 + POINTER_COUNT))
    three.run(code_address(kernel), 7, address(_memory), 0, pointers, 1, 3)
    assert seen == [(7, address(_memory), *pointers, 0, 1)]


def test_callers_of_all_threads(three: openmp.Team) -> None:
    def caller(_: int) -> bool:
        done = np.zeros(50, np.int64)

        def part(_: int, begin: int, end: int) -> None:
            done[begin:end] += 1

        share(three, 50, 3, part)
        return bool((done == 1).all())

    with ThreadPoolExecutor(4) as callers:
        assert all(callers.map(caller, range(100)))


def test_calls_take_them_where_torch_has_as_many(three: openmp.Team, monkeypatch: pytest.MonkeyPatch) -> None:
    import trous

    monkeypatch.setattr(run, "SMALL", 0)
    used = []
    share = openmp.Team.run
    monkeypatch.setattr(openmp.Team, "run", lambda team, *rest: (used.append(team.size), share(team, *rest))[1])
    x, w = torch.randint(-4, 5, (2, 8, 30, 31)).float(), torch.randint(-4, 5, (8, 8, 3, 3)).float()
    expected = torch.nn.functional.conv2d(x, w)
    for count, on_torch in ((3, [3]), (2, [])):
        used.clear()
        with run.threads(count):
            assert torch.equal(trous.conv(x, w), expected)
        assert used == on_torch


def test_none_where_torch_has_another_number_or_is_not_there(
    three: openmp.Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert openmp.team(2) is None
    monkeypatch.delitem(sys.modules, "torch")
    assert openmp.team(3) is None


def test_none_where_the_runtime_has_other_names(three: openmp.Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmp, "_PARALLEL", "no_such_function")
    openmp._team.cache_clear()
    assert openmp.team(3) is None
    openmp._team.cache_clear()


def test_a_forked_child_has_threads_of_its_own() -> None:
    """The runtime waits in the child for threads that stayed with the parent."""
    script = """
import os, warnings
import torch, trous
from trous.arrays import address
from trous.backends.cpu import openmp, run
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of fork beside threads
torch.set_num_threads(2)
run.SMALL = 0
x, w = torch.ones(4, 16, 64, 64), torch.ones(16, 16, 3, 3)
with torch.inference_mode():
    expected = trous.conv(x, w)
    assert openmp.team(2) is not None
    child = os.fork()
    if child == 0:
        assert openmp.team(2) is None
        y = trous.conv(x, w)
        torch.set_num_threads(1)  # torch itself would wait for ever
        os._exit(0 if torch.equal(y, expected) else 3)
assert os.waitpid(child, 0)[1] == 0
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=120, env={**os.environ}).returncode == 0
