"""A stack of layers to be run in one call a block: tracks of samples, and the step that computes each.

A track holds the samples of one signal inside the network, `channels` numbers each, at positions `0 .. length-1`; at
all others it holds zeros, as a convolution's padding wants them. What a step computes for a position is an expression:
weighted sums over channels and taps, samples of other tracks, constants, and functions of these. All tracks have the
rate of the input.

The network has a clock, which counts the samples it was given. A track's sample of position `p` is computed at clock
`p + latency`: as soon as everything that it reads is there, and it exists for certain, whenever the signal ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True, eq=False)
class Read:
    """The sample `offset` positions on, of the channels from `start` on."""

    track: int
    start: int = 0
    offset: int = 0


@dataclass(frozen=True, eq=False)
class Term:
    """One tap: `weight`, (in channels, channels), times the sample that is read."""

    read: Read
    weight: np.ndarray


@dataclass(frozen=True, eq=False)
class Sum:
    """A weighted sum of samples, and a bias."""

    bias: np.ndarray | None
    terms: tuple[Term, ...]

    def __add__(self, other: Sum) -> Sum:
        biases = [bias for bias in (self.bias, other.bias) if bias is not None]
        return Sum(sum(biases[1:], biases[0]) if biases else None, self.terms + other.terms)


@dataclass(frozen=True, eq=False)
class Constant:
    """A number for each channel."""

    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Number:
    """One number for all channels."""

    value: float


@dataclass(frozen=True, eq=False)
class Call:
    """A function of expressions, channel by channel, by its name in `kernel.FUNCTIONS`."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Read | Sum | Constant | Number | Call


def rebuilt(expression: Expression, leaf: Callable[[Expression], Expression]) -> Expression:
    """The expression with its leaves changed. What it has in several places stays one."""
    done: dict[int, Expression] = {}

    def visit(node: Expression) -> Expression:
        if id(node) not in done:
            if isinstance(node, Call):
                done[id(node)] = Call(node.function, tuple(map(visit, node.arguments)))
            else:
                done[id(node)] = leaf(node)
        return done[id(node)]

    return visit(expression)


def cut(expression: Expression, start: int, stop: int) -> Expression:
    """Channels `start .. stop-1` of an expression."""

    def leaf(node: Expression) -> Expression:
        match node:
            case Read():
                return replace(node, start=node.start + start)
            case Constant(values):
                return Constant(values[start:stop])
            case Sum(bias, terms):
                kept = tuple(Term(term.read, term.weight[:, start:stop]) for term in terms)
                return Sum(None if bias is None else bias[start:stop], kept)
        return node

    return rebuilt(expression, leaf)


def shifted(expression: Expression, by: int) -> Expression:
    """The expression of position `p + by` at position `p`."""

    def moved(read: Read) -> Read:
        return replace(read, offset=read.offset + by)

    def leaf(node: Expression) -> Expression:
        match node:
            case Read():
                return moved(node)
            case Sum(bias, terms):
                return Sum(bias, tuple(Term(moved(term.read), term.weight) for term in terms))
        return node

    return rebuilt(expression, leaf)


def flat(expression: Expression) -> list[Expression]:
    """An expression's nodes, each once, arguments before what they go into."""
    order: dict[int, Expression] = {}

    def visit(node: Expression) -> None:
        if id(node) in order:
            return
        if isinstance(node, Call):
            for argument in node.arguments:
                visit(argument)
        order[id(node)] = node

    visit(expression)
    return list(order.values())


def reads(expression: Expression) -> Iterator[Read]:
    """Every sample that an expression reads."""
    for node in flat(expression):
        if isinstance(node, Read):
            yield node
        elif isinstance(node, Sum):
            yield from (term.read for term in node.terms)


class Track(NamedTuple):
    """Samples of `channels` numbers, as many as the input has and `growth` more, each `latency` clocks late."""

    channels: int
    latency: int = 0
    growth: int = 0


class Step(NamedTuple):
    """The computation of a track."""

    track: int
    value: Expression


class Part(NamedTuple):
    """Channels `start .. start+channels-1` of a track."""

    track: int
    start: int
    channels: int


@dataclass
class Program:
    """Tracks, the first of which is the input, the steps in order, and the parts that make the output's channels."""

    tracks: list[Track]
    steps: list[Step] = field(default_factory=list)
    output: tuple[Part, ...] = ()

    @classmethod
    def of(cls, channels: int) -> Program:
        """With an input of so many channels and nothing else."""
        return cls([Track(channels)])

    def add(self, value: Expression, channels: int, growth: int) -> int:
        """Another track, with what the expression gives for each of its positions; its number."""
        late = [self.tracks[read.track].latency + read.offset for read in reads(value)]
        self.tracks.append(Track(channels, max([-growth, *late]), growth))
        self.steps.append(Step(len(self.tracks) - 1, value))
        return len(self.tracks) - 1

    def back(self, read: Read, latency: int) -> int:
        """How many clocks before that of its reader, which is so late, a sample was computed."""
        return latency - read.offset - self.tracks[read.track].latency

    @property
    def growth(self) -> int:
        """How many samples the output has more than the input."""
        return self.tracks[self.output[0].track].growth

    @property
    def delay(self) -> int:
        """How many clocks after its position an output is given."""
        return max(0, *(self.tracks[part.track].latency for part in self.output))

    @property
    def begin(self) -> int:
        """The clock at which the first sample of a track is computed: before 0 where samples depend on padding alone,
        and others on them before they depend on the input."""
        return min(0, *(track.latency for track in self.tracks))

    def history(self) -> list[int]:
        """Of each track, how many clocks back it is read."""
        found = [0] * len(self.tracks)
        for step in self.steps:
            for read in reads(step.value):
                found[read.track] = max(found[read.track], self.back(read, self.tracks[step.track].latency))
        for part in self.output:
            found[part.track] = max(found[part.track], self.delay - self.tracks[part.track].latency)
        return found


def channels(parts: Sequence[Part]) -> int:
    """How many the parts have together."""
    return sum(part.channels for part in parts)
