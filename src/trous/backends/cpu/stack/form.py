"""What code is compiled for, apart from the numbers that it reads: steps of the same form share it.

A form has channel counts and functions in it; delays, how many taps there are, and where everything lies are words of
the step's record, which code reads as it goes along. So a model is compiled once, whatever its dilations and weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from trous.backends.cpu.stack.program import Call, Constant, Expression, Number, Program, Read, Step, Sum, Term, flat
from trous.backends.cpu.target import Target

#: Samples that are computed together at most. Rings are multiples of it, and blocks are cut where the clock is one.
CHUNK = 64
#: Accumulators that are to work at the same time: a multiply-add takes four cycles, and two begin in one.
CHAINS = 4


class Group(NamedTuple):
    """Taps that are alike: how many channels each reads, of a track with rows of `stride` numbers."""

    channels: int
    stride: int


@dataclass(frozen=True)
class Form:
    """The form of a step.

    Args:
        width: channels that it computes; `lanes` in a vector.
        bundles: for sums that read the same samples: how many, and groups of taps.
        nodes: the expression, arguments first: ("sum", n), ("read", stride of the track), ("constant",), ("number",
            value), (function, numbers of its arguments).
    """

    width: int
    lanes: int
    bundles: tuple[tuple[int, tuple[Group, ...]], ...]
    nodes: tuple[tuple[object, ...], ...]

    @property
    def columns(self) -> int:
        """Vectors of channels."""
        return -(-self.width // self.lanes)

    @property
    def stride(self) -> int:
        """Numbers from one sample of the track to the next."""
        return self.columns * self.lanes

    @property
    def sums(self) -> int:
        return sum(count for count, _ in self.bundles)

    @property
    def constants(self) -> int:
        return sum(node[0] == "constant" for node in self.nodes)

    @property
    def vectors(self) -> int:
        """Biases and constants, of each column."""
        return self.sums + self.constants


class Tile(NamedTuple):
    """What is computed at once: `rows` samples, of each `columns` vectors; every sum in `partial` accumulators, to be
    added at the end. The latter keep single samples from waiting for one another's additions; as they are the same for
    any number of rows, so is the result to the last bit."""

    rows: int
    columns: int
    partial: int

    @classmethod
    def of(cls, form: Form, target: Target) -> Tile:
        if not form.sums:
            return cls(CHAINS, 1, 1)
        sums = form.sums
        columns = max(n for n in range(1, form.columns + 1) if form.columns % n == 0 and (n == 1 or n * sums <= CHAINS))
        chains = columns * sums
        partial = max(1, CHAINS // chains)
        free = target.registers - (CHAINS if target.broadcast_operands else CHAINS + 1)
        return cls(max(1, free // (chains * partial)), columns, partial)


def lanes_for(width: int, target: Target, element_bytes: int) -> int:
    """Numbers in a vector: as many as there are in a register, or fewer where these hold all channels."""
    full = target.lanes(element_bytes)
    return min(full, max(4, 1 << (width - 1).bit_length()))


def strides(program: Program, target: Target, element_bytes: int) -> list[int]:
    """Of each track, the numbers from one sample to the next: whole vectors, but for the input."""
    own = [lanes_for(track.channels, target, element_bytes) for track in program.tracks]
    whole = [-(-track.channels // lanes) * lanes for track, lanes in zip(program.tracks, own, strict=True)]
    return [program.tracks[0].channels, *whole[1:]]


def bundles(nodes: list[Expression]) -> list[list[Sum]]:
    """The sums of an expression, those together that read the same samples."""
    found: dict[tuple[tuple[int, ...], ...], list[Sum]] = {}
    for node in nodes:
        if isinstance(node, Sum):
            key = tuple((*_place(term.read), term.weight.shape[0]) for term in node.terms)
            found.setdefault(key, []).append(node)
    return list(found.values())


def _place(read: Read) -> tuple[int, int, int]:
    return read.track, read.start, read.offset


def grouped(each: Sum, strides: list[int]) -> list[tuple[Group, list[Term]]]:
    """The taps of a sum in runs of such that are alike."""
    runs: list[tuple[Group, list[Term]]] = []
    for term in each.terms:
        group = Group(term.weight.shape[0], strides[term.read.track])
        if not runs or runs[-1][0] != group:
            runs.append((group, []))
        runs[-1][1].append(term)
    return runs


def form(step: Step, program: Program, strides: list[int], target: Target, element_bytes: int) -> Form:
    """The form of a step of a program."""
    nodes = flat(step.value)
    together = bundles(nodes)
    number = {id(each): n for n, each in enumerate(each for bundle in together for each in bundle)}
    at = {id(node): n for n, node in enumerate(nodes)}
    described: list[tuple[object, ...]] = []
    for node in nodes:
        match node:
            case Sum():
                described.append(("sum", number[id(node)]))
            case Read(track):
                described.append(("read", strides[track]))
            case Constant():
                described.append(("constant",))
            case Number(value):
                described.append(("number", value))
            case Call(function, arguments):
                described.append((function, *(at[id(argument)] for argument in arguments)))
    width = program.tracks[step.track].channels
    groups = tuple((len(bundle), tuple(group for group, _ in grouped(bundle[0], strides))) for bundle in together)
    return Form(width, lanes_for(width, target, element_bytes), groups, tuple(described))
