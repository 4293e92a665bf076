"""The steps of a streamed network at work: each takes what is new of its inputs and gives what is new of its output.

Which samples are known does not depend on the blocks: `known` says it for any number of samples of the signal, and with
it how much a node keeps between two blocks. What it keeps, tensors, it is given and gives back; it does not change.

What is new of a signal are the samples from the first on that was not known for certain up to the last that is known.
Where a layer knows some of them before others in front of them, there are values between that mean nothing: they are
given again with the next block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from trous.errors import TrousError
from trous.plan import AxisPlan
from trous.plan.border import check_border, known_border, source_indices
from trous.plan.piece import Known, common, known
from trous.plan.reach import reads
from trous.streaming.signals import Signal


class Marks(NamedTuple):
    """How far a node is: what is known of its inputs and its output, and how many inputs are done with.

    `size` is the length of the output if the signal ends here, and at least that if it goes on.
    """

    inputs: tuple[Known, ...]
    output: Known
    dropped: int
    size: int


Kept = tuple[Tensor, ...]


@dataclass(frozen=True)
class Local:
    """A step that treats every sample by itself: it is run on as many as all its inputs have."""

    name: str
    inputs: tuple[str, ...]
    signals: tuple[Signal, ...]
    output: Signal
    run: Callable[[Sequence[Tensor]], Tensor]

    def fresh(self) -> Kept:
        return tuple(signal.empty() for signal in self.signals) if len(self.signals) > 1 else ()

    def form(self, marks: Marks) -> Kept:
        """Tensors like those that are kept there, without data."""
        pairs = zip(self.signals, marks.inputs, strict=True) if len(self.signals) > 1 else ()
        return tuple(signal.like(have.first - marks.dropped) for signal, have in pairs)

    def marks(self, inputs: tuple[Known, ...], sizes: Sequence[int], ended: bool) -> Marks:
        if ended and min(sizes) < max(sizes):
            rule = f"must have a length at which all that meet in {self.name} are as long"
            raise TrousError("signal", rule, list(sizes))
        output = inputs[0] if len(inputs) == 1 else common(inputs)
        return Marks(inputs, output, output.first, max(sizes))

    def push(self, kept: Kept, new: Sequence[Tensor], was: Marks, now: Marks, ended: bool) -> tuple[Tensor, Kept]:
        start, stop = was.output.first, now.output.end
        if len(new) > 1:
            left, ready = [], []
            for signal, old, block, had, have in zip(self.signals, kept, new, was.inputs, now.inputs, strict=True):
                place = signal.place
                all_of_it = block if had.first == start else place.joined(old, block)
                ready.append(all_of_it if have.end == stop else place.cut(all_of_it, 0, stop - start))
                left.append(_copied(signal, all_of_it, now.dropped - start, have.first - start))
            new, kept = ready, tuple(left)
        return self.run(new) if stop > start else self.output.empty(), kept

    def needs(self, outputs: range) -> range:
        return outputs


@dataclass(frozen=True)
class Window:
    """A step whose outputs read a window of samples, by an axis plan.

    Args:
        cut: the inputs that `run` makes these outputs of.
        run: is given them, the outputs, and how many inputs there are in all, None where that is not known yet.
        fill: what stands before the first and behind the last sample; None for these samples themselves.
    """

    name: str
    inputs: tuple[str, ...]
    signal: Signal
    output: Signal
    axis: AxisPlan
    cut: Callable[[range], range]
    run: Callable[[Tensor, range, int | None], Tensor]
    fill: float | None = 0.0

    def fresh(self) -> Kept:
        return (self.signal.empty(),)

    def form(self, marks: Marks) -> Kept:
        return (self.signal.like(marks.inputs[0].first - marks.dropped),)

    def marks(self, inputs: tuple[Known, ...], sizes: Sequence[int], ended: bool) -> Marks:
        size = self.axis.output_size(sizes[0])
        output = Known(max(size, 0)) if ended else known(self.axis, inputs[0], size)
        # of the next output on, everything is still to be read
        first = self.cut(range(output.first, output.first + 1)).start
        return Marks(inputs, output, min(max(first, 0), inputs[0].first), size)

    def push(self, kept: Kept, new: Sequence[Tensor], was: Marks, now: Marks, ended: bool) -> tuple[Tensor, Kept]:
        (had,), (have,) = was.inputs, now.inputs
        samples = new[0] if had.first == was.dropped else self.signal.place.joined(kept[0], new[0])
        outputs = range(was.output.first, now.output.end)
        made = self.output.empty()
        if outputs:
            segment = self._segment(samples, was.dropped, self.cut(outputs))
            made = self.run(segment, outputs, have.first if ended else None)
        return made, (_copied(self.signal, samples, now.dropped - was.dropped, have.first - was.dropped),)

    def needs(self, outputs: range) -> range:
        return reads(self.axis, outputs)

    def _segment(self, samples: Tensor, dropped: int, wanted: range) -> Tensor:
        """The inputs `wanted` of those that begin behind `dropped`, those beyond the signal filled in."""
        place = self.signal.place
        start, stop, have = wanted.start - dropped, wanted.stop - dropped, place.length(samples)
        if start == 0 and stop == have:
            return samples
        first = min(max(start, 0), have)
        inside = place.cut(samples, first, max(first, min(stop, have)))
        before, after = max(0, min(-start, len(wanted))), max(0, stop - max(have, start))
        if not before and not after:
            return inside
        return torch.cat([self._filled(inside, before, 0), inside, self._filled(inside, after, -1)], place.dim)

    def _filled(self, like: Tensor, count: int, edge: int) -> Tensor:
        dim = self.signal.place.dim
        shape = [count if n == dim else size for n, size in enumerate(like.shape)]
        if self.fill is None:
            return like.select(dim, edge).unsqueeze(dim).expand(shape) if count else like.narrow(dim, 0, 0)
        return like.new_full(shape, self.fill)


@dataclass(frozen=True)
class Scan:
    """A step that goes through the samples one after the other and remembers something.

    Args:
        run: is given samples and what was remembered before them; returns outputs, one for each, and what is now.
        begin: what is remembered at the beginning.
    """

    name: str
    inputs: tuple[str, ...]
    signal: Signal
    output: Signal
    run: Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, Sequence[Tensor]]]
    begin: Kept

    def fresh(self) -> Kept:
        return self.begin

    def form(self, marks: Marks) -> Kept:
        return self.begin

    def marks(self, inputs: tuple[Known, ...], sizes: Sequence[int], ended: bool) -> Marks:
        count = inputs[0].first
        return Marks(inputs, Known(count), count, sizes[0])

    def push(self, kept: Kept, new: Sequence[Tensor], was: Marks, now: Marks, ended: bool) -> tuple[Tensor, Kept]:
        count = now.output.first - was.output.first
        if not count:
            return self.output.empty(), kept
        made, left = self.run(self.signal.place.cut(new[0], 0, count), kept)
        return made, tuple(left)

    def needs(self, outputs: range) -> range:
        return range(0, outputs.stop)


@dataclass(frozen=True)
class Border:
    """Copies of samples in front of a signal, and behind it once it has ended.

    Args:
        mode: as in `trous.plan.border`, "reflect" or "replicate".
        finish: is done to what comes out.
    """

    name: str
    inputs: tuple[str, ...]
    signal: Signal
    output: Signal
    mode: str
    before: int
    after: int
    finish: Callable[[Tensor], Tensor]

    def fresh(self) -> Kept:
        return (self.signal.empty(),)

    def form(self, marks: Marks) -> Kept:
        return (self.signal.like(marks.inputs[0].first - marks.dropped),)

    def marks(self, inputs: tuple[Known, ...], sizes: Sequence[int], ended: bool) -> Marks:
        (have,), size = inputs, self.before + sizes[0] + self.after
        if ended:
            check_border(self.mode, have.first, self.before, self.after)
        output = Known(size) if ended else known_border(self.mode, have, self.before)
        # what comes out next, and what is copied when the signal ends
        dropped = min(output.first - self.before, have.first - self.after - 1)
        return Marks(inputs, output, max(dropped, 0), size)

    def push(self, kept: Kept, new: Sequence[Tensor], was: Marks, now: Marks, ended: bool) -> tuple[Tensor, Kept]:
        (had,), (have,), dim = was.inputs, now.inputs, self.signal.place.dim
        samples = new[0] if had.first == was.dropped else self.signal.place.joined(kept[0], new[0])
        outputs, made = range(was.output.first, now.output.end), self.output.empty()
        if outputs:
            size = have.first if ended else 1 << 62
            sources = source_indices(self.mode, size, self.before, self.after, outputs)
            at = torch.tensor(sources, device=samples.device) - was.dropped
            made = self.finish(samples.index_select(dim, at.clamp(0, samples.shape[dim] - 1)))
        return made, (_copied(self.signal, samples, now.dropped - was.dropped, have.first - was.dropped),)

    def needs(self, outputs: range) -> range:
        return range(outputs.start - self.before, outputs.stop - self.before)


Node = Border | Local | Scan | Window


def _copied(signal: Signal, samples: Tensor, start: int, stop: int) -> Tensor:
    """What is kept of them, in memory of its own: not in that of a block, which is the user's and may be long."""
    return signal.place.cut(samples, start, stop).clone() if stop > start else signal.empty()
