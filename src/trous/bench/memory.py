"""Memory beyond input, weight and output, for each thread: what kernels ask for, and what the process grows by."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from trous.arrays import empty
from trous.backends import cpu
from trous.bench.lists import Case
from trous.bench.numbers import job_of, operation_of
from trous.bench.record import Record, Track

PASSES = ("forward", "input gradient", "weight gradient")

EXPLANATION = (
    "KiB for each thread beyond input, weight and output, the larger of the two memory formats. `asked`: the scratch "
    "memory of the kernel. `grown`: how far the process grew at its peak, in a thread that had run nothing before, "
    "with arrays and code there already; it holds scratch, stack, tables and what Python needs, in whole pages."
)


@dataclass(frozen=True)
class Result:
    """Bytes by pass."""

    case: Case
    asked: dict[str, int]
    grown: dict[str, int]


def measure(cases: Sequence[Case], *, track: Track[Case] = lambda cases, _: cases) -> list[Result]:
    """One process of its own for all, and in it one thread for each pass. Needs Linux's /proc."""
    with ProcessPoolExecutor(1, get_context("spawn"), _exact_memory) as process:
        return [process.submit(_measure, case).result() for case in track(cases, lambda case: case.id)]


def record(results: Sequence[Result], name: str) -> Record:
    header = ["KiB a thread", *(f"{name}, {what}" for name in PASSES for what in ("asked", "grown"))]
    rows = [
        [r.case.id, *(f"{kind[name] / 1024:.0f}" for name in PASSES for kind in (r.asked, r.grown))] for r in results
    ]
    facts = []
    for what in ("asked", "grown"):
        size, worst, layer = max((getattr(r, what)[name], name, r.case.id) for r in results for name in PASSES)
        facts.append(f"most {what}: {size / 1024:.0f} KiB ({worst} of {layer})")
    document = {
        "results": [
            {"id": r.case.id, "problem": str(r.case.problem), "asked": r.asked, "grown": r.grown} for r in results
        ]
    }
    return Record(
        f"memory-{name}", "Memory beyond input, weight and output", EXPLANATION, [(header, rows)], facts, document
    )


def _exact_memory() -> None:
    """Let every larger allocation come from the system and go back to it, so that growth is what was asked for."""
    libc = ctypes.CDLL(None)
    for option, value in ((-3, 1 << 15), (-1, 0)):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
        libc.mallopt(option, value)


def _measure(case: Case) -> Result:
    asked, grown = dict.fromkeys(PASSES, 0), dict.fromkeys(PASSES, 0)
    for last in (False, True):
        for name, call in _calls(case, last).items():
            _in_a_thread(call)  # binds and compiles
            more, scratch = _in_a_thread(call)
            asked[name], grown[name] = max(asked[name], scratch), max(grown[name], more)
    return Result(case, asked, grown)


def _calls(case: Case, last: bool) -> dict[str, Callable[[], None]]:
    """The three passes, into arrays that are there and have been written to."""
    job, operation = job_of(case.problem, training=True, threads=1), operation_of(case.problem)

    def array(numbers: np.ndarray | None) -> Any:
        assert numbers is not None
        made = empty(numbers.shape, numbers, last)
        made[...] = numbers
        return made

    x, w, dy = array(job.x), job.w, array(job.dy)
    y, dx, dw = array(job.dy), array(job.x), np.zeros_like(w)
    return {
        "forward": partial(cpu.forward, operation, x, w, None, y),
        "input gradient": partial(cpu.forward, operation.adjoint, dy, w, None, dx),
        "weight gradient": partial(cpu.weight_grad, operation, x, dy, dw),
    }


def _in_a_thread(call: Callable[[], None]) -> tuple[int, int]:
    """By how many bytes the process grew at its peak, and what the thread keeps as scratch."""
    from trous.backends.cpu import run

    found = []

    def alone() -> None:
        with cpu.threads(1):
            Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            before = _status("VmRSS")
            call()
            found.append((_status("VmHWM") - before, run.scratch_held()))

    thread = threading.Thread(target=alone)
    thread.start()
    thread.join()
    return found[0]


def _status(field: str) -> int:
    """Bytes of a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field))
