"""A contender's own process: it prepares layers, checks its results, and times blocks of calls when it is its turn."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Protocol

import numpy as np

from trous.bench.peers import Peer, Prepared, Refused
from trous.bench.timing import block


class Ask(Protocol):
    """Something to prepare; it crosses to the contender's process."""

    def prepare(self, peer: Peer, last: bool, threads: int) -> Prepared:
        """Raises whatever is the reason that the peer cannot do it."""

    def wrong(self, results: Sequence[np.ndarray]) -> str | None:
        """What is wrong with the results of the first call; None where nothing is."""


class Turn:
    """Time one block of calls of what was prepared last."""


def serve(connection: Connection, peer: Peer, last: bool, threads: int) -> None:
    """Answer until the other side hangs up. The first answer, unasked, is that the libraries have been imported.

    Answers are `(True, seconds of one call)` or `(False, reason)`.
    """
    settle(threads)
    _keep_memory()
    prepared: Prepared | None = None
    try:
        for package in peer.needs:
            import_module(package)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
        connection.send((True, 0.0))
        while True:
            asked = connection.recv()
            try:
                if not isinstance(asked, Turn):
                    prepared = None  # gives its memory back first
                    prepared = asked.prepare(peer, last, threads)
                    connection.send(_first(prepared, asked))
                elif prepared is not None:
                    connection.send((True, block(prepared.call)))
            except Exception as error:  # whatever a library raises is its reason
                connection.send((False, _reason(error)))
    except (EOFError, BrokenPipeError):
        return


def _first(prepared: Prepared, ask: Ask) -> tuple[bool, float | str]:
    """The verdict on the first call, and the time of the second."""
    if wrong := ask.wrong(prepared.read(prepared.call())):
        return False, f"wrong: {wrong}"
    before = time.perf_counter()
    prepared.call()
    return True, time.perf_counter() - before


def _reason(error: Exception) -> str:
    """One line of what was raised."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    return text if isinstance(error, Refused) else f"{type(error).__name__}: {text}"


def settle(threads: int) -> None:
    """What processes that measure have in common: the same cores for all, silence, an end with the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: also while stopped
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:threads])
    for name in ("OMP_NUM_THREADS", "TROUS_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)


def _keep_memory() -> None:
    """Memory that was freed is used again: else page faults count, by the luck of what was allocated before."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            libc.mallopt(option, 1 << 30)
