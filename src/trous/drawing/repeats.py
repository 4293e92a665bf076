"""Blocks that repeat, drawn once with how often they do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from trous.drawing.blocks import Block

_LONGEST = 48  #: blocks of what repeats, at most


class Repeat(NamedTuple):
    """Places `start` to `start + period` of the blocks shown, which stand for `times` as many."""

    start: int
    period: int
    times: int


@dataclass(frozen=True)
class Folded:
    """Blocks with repetitions taken together; `sources` are places in `blocks`."""

    blocks: tuple[Block, ...]
    repeats: tuple[Repeat, ...]


def folded(blocks: Sequence[Block]) -> Folded:
    """Blocks that repeat at least twice more, or once more where they are four or more, shown as one.

    Repetitions are alike but for dilation and size, and read each other as the first ones do. They have the dilations
    of all, and size and field of the last.
    """
    shown: list[Block] = []
    repeats: list[Repeat] = []
    new: dict[int, int] = {}  # where a block is shown
    last_reader = {source: place for place, block in enumerate(blocks) for source in block.sources}
    at = 0
    while at < len(blocks):
        period, count = max(_repetitions(blocks, at, last_reader), key=lambda pair: (pair[0] * (pair[1] - 1), -pair[0]))
        if count > 1:
            repeats.append(Repeat(len(shown), period, count))
        new |= {at + j: len(shown) + j % period for j in range(period * count)}
        for j in range(period):
            alike = [blocks[at + j + period * n] for n in range(count)]
            own = range(len(shown) - j, len(shown) - j + period)
            sources = [new[s] for n, block in enumerate(alike) for s in block.sources if n == 0 or new[s] not in own]
            shown.append(_together(alike, tuple(dict.fromkeys(sources))))
        at += period * count
    return Folded(tuple(shown), tuple(repeats))


def _repetitions(blocks: Sequence[Block], start: int, last_reader: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """(period, count) of what begins at `start`; (1, 1) if nothing does.

    Of what is folded away, all is read from behind the repetitions, as the skips of WaveNet, or nothing.
    """
    yield 1, 1
    for period in range(1, min(_LONGEST, (len(blocks) - start) // 2) + 1):
        count = 1
        while all(_alike(blocks, start, period, start + j + period * count) for j in range(period)):
            count += 1
        end = start + period * count
        read = (
            [last_reader.get(place, 0) >= end for place in range(start + j, end - period, period)]
            for j in range(period)
        )
        if any(len(set(each)) > 1 for each in read):
            continue
        if count > 2 or (count == 2 and period > 3):
            yield period, count


def _alike(blocks: Sequence[Block], start: int, period: int, at: int) -> bool:
    """Whether the block `at` repeats the one a period before it, in a repetition that begins at `start`."""
    if at >= len(blocks):
        return False
    before, block = blocks[at - period], blocks[at]
    if _signature(before) != _signature(block) or len(before.sources) != len(block.sources):
        return False
    first = at - period < start + period
    for a, b in zip(sorted(before.sources), sorted(block.sources), strict=True):
        if not (a + period == b or (a < start and (b < start or (first and b < start + period)))):
            return False
    return True


def _signature(block: Block) -> tuple[object, ...]:
    follows = () if block.category == "join" else tuple(block.follows)  # often what the next repetition begins with
    return block.category, block.kind, block.arguments, follows, block.shape[:1], block.jump


def _together(alike: Sequence[Block], sources: tuple[int, ...]) -> Block:
    dilations = tuple(dict.fromkeys(dilation for block in alike for dilation in block.dilations))
    follows = list(dict.fromkeys(name for block in alike for name in block.follows))
    warnings = list(dict.fromkeys(text for block in alike for text in block.warnings))
    return replace(alike[-1], sources=sources, dilations=dilations, follows=follows, warnings=warnings)
