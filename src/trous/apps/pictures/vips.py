"""libvips as it is used here: one thread, nothing kept, and what it says in one line."""

from __future__ import annotations

from functools import cache
from typing import Any

from trous.errors import TrousError


@cache
def vips() -> Any:
    """The module pyvips, ready for pictures that pass through once."""
    try:
        import pyvips
    except OSError as error:  # the bindings without the library
        rule = "must be there for pyvips: pip install 'pyvips[binary]'"
        raise TrousError("libvips", rule, str(error).partition("\n")[0]) from None
    pyvips.cache_set_max(0)  # what is kept holds files open and pictures in memory
    pyvips.concurrency_set(1)  # rows come one after the other; the cores are for what computes them
    return pyvips


def reason(error: Any) -> str:
    """What a pyvips.Error is about: the system's word where there is one, or what was said first."""
    lines = [line.strip() for line in error.detail.splitlines() if line.strip()]
    for line in lines:
        kind, _, said = line.partition(" error: ")
        if kind in ("unix", "system") and not said.startswith("Unknown"):
            return said
    return lines[0].partition(": ")[2] or lines[0] if lines else ""
