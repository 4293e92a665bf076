"""trous and PyTorch in one process, each in both memory formats, for those who bring their own numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trous.bench.peers import OURS as TROUS
from trous.bench.peers import PEERS, Job

PYTORCH = PEERS[0]
OURS, OURS_LAST, THEIRS, THEIRS_LAST = (peer.contender(last) for peer in (TROUS, PYTORCH) for last in (False, True))


def contenders(job: Job) -> dict[str, Callable[[], Any]]:
    """Calls that do `job` with torch's tensors, by name."""
    return {peer.contender(last): peer.prepare(job, last).call for peer in (TROUS, PYTORCH) for last in peer.layouts}


def best_ratio(seconds: Mapping[str, float]) -> float:
    """How many times faster trous is than PyTorch, the better memory format of each; other contenders do not count."""
    ours, theirs = (min(s for name, s in seconds.items() if name.startswith(library)) for library in (OURS, THEIRS))
    return theirs / ours
