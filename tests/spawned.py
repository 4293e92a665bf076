"""What tests start in processes of their own. Those find it by name: tests/ is on their path, a test module on none."""

from __future__ import annotations

import os
import signal
import time

import numpy as np

from trous.bench import memory
from trous.bench.peers import Job, Peer, Prepared


class Slip(Peer):
    """trous with one number wrong, as a kernel with a wrong tap gives it."""

    def prepare(self, job: Job, last: bool) -> Prepared:
        call, read = super().prepare(job, last)
        return Prepared(call, lambda y: [read(y)[0] + (np.arange(read(y)[0].size) == 7).reshape(read(y)[0].shape)])


class Sleeper(Peer):
    """A library that does not come back."""

    def prepare(self, job: Job, last: bool) -> Prepared:
        time.sleep(60)
        raise AssertionError


class Crash(Peer):
    """A library that takes its process with it."""

    def prepare(self, job: Job, last: bool) -> Prepared:
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError


def grown(megabytes: int) -> tuple[int, int]:
    """By how much a pass that takes memory of its own makes a process grow, the second time."""

    def call() -> None:
        np.ones(megabytes << 20, np.uint8)

    memory._in_a_thread(call)
    return memory._in_a_thread(call)
