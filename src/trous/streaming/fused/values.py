"""What a network's values are while it is made a program: expressions for runs of channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

from trous.backends.cpu.stack.program import Call, Expression, Part, Program, Read, Sum, cut, shifted


class Run(NamedTuple):
    """Neighbouring channels that one expression gives."""

    value: Expression
    channels: int


@dataclass(frozen=True)
class Value:
    """A signal of the network: runs that make all its channels, dimensions other than the signal's taken together.

    Args:
        growth: how many samples it has more than the network's input.
        bare: samples of tracks, which are zeros at positions that the value does not have.
    """

    runs: tuple[Run, ...]
    growth: int
    bare: bool = False

    @property
    def channels(self) -> int:
        return sum(run.channels for run in self.runs)

    def moved(self, by: int, growth: int, bare: bool) -> Value:
        """The value with its sample `by` as the first."""
        return Value(tuple(Run(shifted(run.value, by), run.channels) for run in self.runs), growth, bare)

    def between(self, start: int, stop: int) -> Iterator[Run]:
        """Runs that make channels `start .. stop-1`."""
        begin = 0
        for value, channels in self.runs:
            low, high = max(start, begin) - begin, min(stop, begin + channels) - begin
            if low < high:
                yield Run(value if (low, high) == (0, channels) else cut(value, low, high), high - low)
            begin += channels

    def ends(self) -> set[int]:
        """Channels that a run begins or ends at."""
        found, at = {0}, 0
        for run in self.runs:
            at += run.channels
            found.add(at)
        return found


def joined(values: Sequence[Value], function: Callable[..., Expression], growth: int) -> Value:
    """A function of values with as many channels, run by run."""
    ends = sorted(set[int]().union(*(value.ends() for value in values)))
    runs = []
    for start, stop in pairwise(ends):
        given = [next(value.between(start, stop)).value for value in values]
        runs.append(Run(function(*given), stop - start))
    return Value(tuple(runs), growth)


def picked(values: Sequence[Value], channels: Sequence[int], growth: int) -> Value:
    """Channels of values that are counted one behind the other, in any order."""
    starts = [sum(value.channels for value in values[:n]) for n in range(len(values))]
    runs: list[Run] = []
    for start, count in _stretches(channels):
        for begin, value in zip(starts, values, strict=True):
            runs += value.between(start - begin, start - begin + count)
    return Value(tuple(runs), growth, all(value.bare and value.growth == growth for value in values))


def _stretches(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers: the first and how many."""
    start = count = 0
    for number in numbers:
        if count and number == start + count:
            count += 1
            continue
        if count:
            yield start, count
        start, count = number, 1
    if count:
        yield start, count


def added(a: Expression, b: Expression) -> Expression:
    """Sums become one, whose weights are worked through together."""
    return a + b if isinstance(a, Sum) and isinstance(b, Sum) else Call("add", (a, b))


def kept(program: Program, value: Value) -> Value:
    """The value as tracks, with zeros at positions that it does not have."""
    if value.bare:
        return value
    runs = []
    for expression, channels in value.runs:
        track = program.add(expression, channels, value.growth)
        runs.append(Run(Read(track), channels))
    return replace(value, runs=tuple(runs), bare=True)


def parts(program: Program, value: Value) -> tuple[Part, ...]:
    """The value as parts of tracks that have its positions and no others."""
    runs = []
    for expression, channels in value.runs:
        own = isinstance(expression, Read) and not expression.offset
        if not (own and value.bare and program.tracks[expression.track].growth == value.growth):  # type: ignore[union-attr]
            expression = Read(program.add(expression, channels, value.growth))
        assert isinstance(expression, Read)
        runs.append(Part(expression.track, expression.start, channels))
    return tuple(runs)
