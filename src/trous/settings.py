"""The environment variables that a call looks at: at every call anew, for the price of a look-up in a dictionary."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

#: Back-end, instruction set and whether addresses are checked: what decides which code runs.
BACKEND, CPU, CHECK = "TROUS_BACKEND", "TROUS_CPU", "TROUS_CHECK"
THREADS = "TROUS_NUM_THREADS"

try:  # the dictionary below os.environ: asking os.environ itself takes longer than all else that a small call does
    _look_up, _key = os.environ._data.get, os.environ.encodekey  # type: ignore[attr-defined]
except AttributeError:
    _look_up, _key = os.environ.get, str
_KEYS = {name: _key(name) for name in (BACKEND, CPU, CHECK, THREADS)}
_DECIDING = _KEYS[BACKEND], _KEYS[CPU], _KEYS[CHECK]

_forced: dict[str, list[str]] = {CPU: [], THREADS: []}


def get(name: str) -> str | None:
    """The value that holds now: the innermost `forced`, or the environment's."""
    if stack := _forced.get(name):
        return stack[-1]
    return None if _look_up(_KEYS[name]) is None else os.environ.get(name)


@contextmanager
def forced(name: str, value: str) -> Iterator[None]:
    """`value` in place of the environment's inside the block, for all threads."""
    _forced[name].append(value)
    try:
        yield
    finally:
        _forced[name].pop()


def state() -> tuple[object, ...]:
    """What decides which code runs, as part of a key."""
    backend, cpu, check = _DECIDING
    return _look_up(backend), _look_up(cpu), _look_up(check), *_forced[CPU]
