"""Contenders in processes of their own. Only the one whose turn it is runs; the others are stopped.

So thread pools that spin after a call take no time from the next contender, a library that crashes or never returns
ends its own process, and none sees what the others have loaded.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from trous.bench.peers import OURS, Peer
from trous.bench.timing import in_turns
from trous.bench.worker import Ask, Turn, serve

#: Seconds to import the libraries of all contenders, at the same time.
START = 120.0


class Out(Exception):
    """A contender is out of a layer; the message is the reason."""


class Contender:
    """A peer in one layout. `prepare` a layer, then time `block` after block of it."""

    def __init__(self, peer: Peer, last: bool, threads: int, limit: float):
        self.peer, self.name = peer, peer.contender(last)
        self.last, self._threads, self._limit = last, threads, limit
        self._process: Any = None
        self._connection: Connection
        self.start()

    def start(self) -> None:
        """Begin to import the libraries; `wait` until that is done."""
        self._connection, theirs = get_context("spawn").Pipe()
        arguments = (theirs, self.peer, self.last, self._threads)
        self._process = get_context("spawn").Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def wait(self) -> None:
        """Until the libraries are there. Raises Out if they cannot be imported."""
        self._answer(START)

    def prepare(self, ask: Ask) -> float:
        """Seconds of one call, after a first one that was right. Raises Out with the reason why there is none."""
        if self._process is None:
            self.start()
            self.wait()
        return self._turn(ask)

    def block(self) -> float:
        """Median seconds of a call. Raises Out when the library fails."""
        return self._turn(Turn())

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._connection.close()
            self._process = None

    def _turn(self, message: Ask | Turn) -> float:
        self._signal(signal.SIGCONT)
        self._connection.send(message)
        return self._answer(self._limit)

    def _answer(self, limit: float) -> float:
        if not self._connection.poll(limit):
            self.end()
            raise Out(f"over {limit:g} s")
        try:
            right, answer = self._connection.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self.end()
            raise Out(f"its process ended with exit code {code}") from None
        self._signal(signal.SIGSTOP)
        if not right:
            raise Out(answer)
        return answer

    def _signal(self, number: int) -> None:
        os.kill(self._process.pid, number)


@contextmanager
def lineup(peers: Sequence[Peer], threads: int, limit: float) -> Iterator[list[Contender]]:
    """Every layout of every peer, started together, ended together however the block ends."""
    contenders: list[Contender] = []
    try:
        for peer in peers:
            for last in peer.layouts:
                contenders.append(Contender(peer, last, threads, limit))
        for contender in contenders:
            contender.wait()
        yield contenders
    finally:
        for contender in contenders:
            contender.end()


def race(contenders: Sequence[Contender], ask: Ask, seconds: float) -> tuple[dict[str, float], dict[str, str]]:
    """Median seconds of one call by contender, over about `seconds` altogether; and who is out, with the reason.

    Every contender's first call is checked. One whose second takes over a quarter of `seconds` is far behind, and that
    call is its time. Raises ArithmeticError where it is trous that is out.
    """
    times: dict[str, float] = {}
    out: dict[str, str] = {}
    for contender in contenders:
        try:
            times[contender.name] = contender.prepare(ask)
        except Out as reason:
            if contender.peer.key == OURS.key:
                raise ArithmeticError(f"{contender.name} on {ask}: {reason}") from None
            out[contender.name] = str(reason)
    quick = {c.name: c.block for c in contenders if c.name in times and times[c.name] <= seconds / 4}
    return times | in_turns(quick, seconds), out
