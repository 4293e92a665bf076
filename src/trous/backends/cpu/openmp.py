"""torch's threads, where they are those of an OpenMP runtime that answers to the names of GNU's.

Such threads wait for the next piece of work by looking for it all the time, for milliseconds, before they sleep. In a
model whose layers are some torch's and some ours, ours would find the processor taken; so calls of a process that uses
torch run on torch's threads.
"""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from trous.backends.cpu import engine, sharing
from trous.backends.cpu.engine import code_address
from trous.backends.cpu.target import current

_OPEN = ctypes.CFUNCTYPE(None, *[ctypes.c_int64] * sharing.TEAM_ARGUMENTS)
_JOIN = ctypes.CFUNCTYPE(None, ctypes.c_int64)

#: The runtime's functions: to run something on all threads of a team, and to tell a thread its number.
_PARALLEL, _WHO = "GOMP_parallel", "omp_get_thread_num"

#: Whether this process was forked from one that may have used a team; the runtime's threads did not come along, and it
#: waits for them for ever.
_forked = False


@dataclass(frozen=True, eq=False)
class Team:
    """So many threads, those of whoever calls: each thread of Python has a team of its own, as in torch."""

    size: int
    opens: Any  #: the functions of `sharing.py`, compiled
    joins: Any
    start: tuple[int, int, int]  #: addresses of the runtime's functions and of `joins`

    def run(
        self, code: int, header: int, scratch: int, each: int, pointers: tuple[int, ...], items: int, threads: int
    ) -> None:
        """Run all items of the kernel at `code`, cut for so many threads. At `scratch` there are `each` bytes for every
        thread of the team.

        All threads are asked, though there be no work for some: a runtime that is asked for fewer ends the others.
        """
        chunks = min(items, sharing.CHUNKS_EACH * threads)
        self.opens(*self.start, self.size, code, header, scratch, each, items, chunks, *pointers)


def team(threads: int) -> Team | None:
    """That of torch, if torch is there and works with so many threads."""
    torch = sys.modules.get("torch")
    if torch is None or _forked or torch.get_num_threads() != threads:
        return None
    return _team(threads)


@lru_cache(maxsize=64)
def _team(threads: int) -> Team | None:
    try:  # among the libraries that torch has loaded
        library = ctypes.CDLL(sys.modules["torch._C"].__file__)
        parallel, who = getattr(library, _PARALLEL), getattr(library, _WHO)
    except (AttributeError, KeyError, OSError):
        return None
    opens = engine.function("open", current(), lambda: sharing.build_open("open"), _OPEN)
    joins = engine.function("join", current(), lambda: sharing.build_join("join"), _JOIN)
    return Team(threads, opens, joins, (code_address(parallel), code_address(who), code_address(joins)))


def _forget() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
