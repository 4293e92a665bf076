"""The steps of a streamed network at work: each takes what is new of its inputs and gives what is new of its output.

A node itself does not change; what it keeps between two blocks is its `State`. How many samples of its output are
known does not depend on the blocks: `known` says it for any number of input samples, which is what delays follow from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from trous.errors import TrousError
from trous.plan import AxisPlan
from trous.plan.piece import complete
from trous.plan.reach import reads
from trous.streaming.signals import Signal


@dataclass
class State:
    """What a node keeps: of each input the samples that it is not done with; how many it has dropped, and given."""

    kept: list[Tensor]
    dropped: int = 0
    given: int = 0


class Moment(NamedTuple):
    """Samples of the network's input so far, and whether these are all."""

    received: int
    ended: bool


@dataclass(frozen=True)
class Local:
    """A step that treats every sample by itself: it is run on as many as all its inputs have."""

    name: str
    inputs: tuple[str, ...]
    signals: tuple[Signal, ...]
    output: Signal
    run: Callable[[Sequence[Tensor]], Tensor]

    def fresh(self) -> State:
        return State([signal.empty() for signal in self.signals])

    def push(self, state: State, new: Sequence[Tensor], moment: Moment) -> Tensor:
        places = [signal.place for signal in self.signals]
        if len(new) > 1:  # what one input has and another lacks waits
            new = [place.joined(*each) for place, *each in zip(places, state.kept, new, strict=True)]
        have = [place.length(block) for place, block in zip(places, new, strict=True)]
        ready = min(have)
        if moment.ended and max(have) > ready:
            lengths = [state.given + n for n in have]
            raise TrousError("signal", f"must have a length at which all that meet in {self.name} are as long", lengths)
        if len(new) > 1:
            pairs = list(zip(places, new, have, strict=True))
            state.kept = [place.cut(block, ready, n) for place, block, n in pairs]
            new = [place.cut(block, 0, ready) for place, block, _ in pairs]
        state.given += ready
        return self.run(new) if ready else self.output.empty()

    def known(self, known: Sequence[int], received: int) -> int:
        return min(known)

    def needs(self, outputs: range) -> range:
        return outputs


@dataclass(frozen=True)
class Window:
    """A step whose outputs read a window of samples, by an axis plan.

    Args:
        cut: the inputs that `run` makes these outputs of.
        run: is given them, the outputs, and how many inputs there are in all, None where that is not known yet.
        fill: what stands before the first and behind the last sample.
    """

    name: str
    inputs: tuple[str, ...]
    signal: Signal
    output: Signal
    axis: AxisPlan
    cut: Callable[[range], range]
    run: Callable[[Tensor, range, int | None], Tensor]
    fill: float = 0.0

    def fresh(self) -> State:
        return State([self.signal.empty()])

    def push(self, state: State, new: Sequence[Tensor], moment: Moment) -> Tensor:
        place = self.signal.place
        kept = place.joined(state.kept[0], new[0])
        have = state.dropped + place.length(kept)
        whole = self.output.length(moment.received)
        outputs = range(state.given, whole if moment.ended else self._ready(have, whole))
        made = self.output.empty()
        if outputs:
            segment = self._segment(kept, state.dropped, self.cut(outputs))
            made = self.run(segment, outputs, have if moment.ended else None)
            state.given = outputs.stop
        # of the next output on, everything is still to be read
        drop = min(max(self.cut(range(state.given, state.given + 1)).start, state.dropped), have) - state.dropped
        state.kept = [place.cut(kept, drop, place.length(kept)).clone()]
        state.dropped += drop
        return made

    def known(self, known: Sequence[int], received: int) -> int:
        return self._ready(known[0], self.output.length(received))

    def needs(self, outputs: range) -> range:
        return reads(self.axis, outputs)

    def _ready(self, have: int, whole: int) -> int:
        """Outputs that no further input can change: those that have all they read, and that are there in any case."""
        known = complete(self.axis, have)
        return max(0, whole if known is None else min(known, whole))

    def _segment(self, kept: Tensor, dropped: int, wanted: range) -> Tensor:
        """The inputs `wanted`, those beyond the signal filled in."""
        place = self.signal.place
        start, stop, have = wanted.start - dropped, wanted.stop - dropped, place.length(kept)
        first = min(max(start, 0), have)
        inside = place.cut(kept, first, max(first, min(stop, have)))
        before, after = max(0, min(-start, len(wanted))), max(0, stop - max(have, start))
        if not before and not after:
            return inside
        return torch.cat([self._filled(inside, before), inside, self._filled(inside, after)], place.dim)

    def _filled(self, like: Tensor, count: int) -> Tensor:
        shape = [count if dim == self.signal.place.dim else size for dim, size in enumerate(like.shape)]
        return like.new_full(shape, self.fill)


@dataclass(frozen=True)
class Scan:
    """A step that goes through the samples one after the other and remembers something.

    Args:
        run: is given samples and what was remembered before them; returns outputs, one for each, and what is now.
        first: what is remembered at the beginning.
    """

    name: str
    inputs: tuple[str, ...]
    signal: Signal
    output: Signal
    run: Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, list[Tensor]]]
    first: tuple[Tensor, ...]

    def fresh(self) -> State:
        return State(list(self.first))

    def push(self, state: State, new: Sequence[Tensor], moment: Moment) -> Tensor:
        if not self.signal.place.length(new[0]):
            return self.output.empty()
        made, state.kept = self.run(new[0], state.kept)
        return made

    def known(self, known: Sequence[int], received: int) -> int:
        return known[0]

    def needs(self, outputs: range) -> range:
        return range(0, outputs.stop)


Node = Local | Scan | Window
