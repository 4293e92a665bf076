"""Random problems from a seed: the one source for tests, benchmarks and users who hunt a difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import prod
from random import Random
from typing import Any

from trous.errors import TrousError
from trous.plan.padding import PADDING_WORDS
from trous.problem.problem import Problem
from trous.problem.text import KINDS

#: Beyond any register tile of channels (16 float32 in 512 bits), so that a remainder is left.
_ODD_CHANNELS = (17, 33)
#: Beyond one vector of positions, with a remainder.
_WIDE = (40, 90)
#: Stride and dilation with a factor in common: some phases of the transposed layer have no tap.
_SHARED_FACTORS = ((2, 2), (2, 4), (4, 2), (3, 3), (4, 6), (6, 3))


def random_problems(
    seed: int,
    count: int,
    *,
    ndims: Sequence[int] = (1, 2, 3),
    kinds: Sequence[str] = ("conv", "conv_transpose"),
    dtypes: Sequence[str] = ("float32",),
    most_work: int = 100_000,
) -> Iterator[Problem]:
    """`count` valid problems, the same for the same arguments.

    They cover 1-D to 3-D, both kinds, stride (also above the kernel), dilation, both with a shared factor, groups from
    1 to depthwise with a multiplier, uneven padding, padding words, output_padding, batch 0 to 3, axes of size 1,
    channels beyond a register tile, widths beyond a vector, channels-last, with and without bias. No problem takes more
    than `most_work` multiply-adds, and most take far fewer, so that a definition in plain loops stays quick.
    """
    random = Random(seed)
    for _ in range(count):
        ndim, kind, dtype = random.choice(ndims), random.choice(kinds), random.choice(dtypes)
        batch = 0 if random.random() < 0.04 else random.choice((1, 1, 2, 3))
        budget = most_work ** random.uniform(0.7, 1) / max(batch, 1)
        problem = None
        while problem is None:
            problem = _problem(random, ndim, kind, dtype, budget)
        yield replace(problem, batch=batch)


def _problem(random: Random, ndim: int, kind: str, dtype: str, budget: float) -> Problem | None:
    """A problem of batch 1 within `budget`, or None where the draw was too much work or left no output."""
    try:
        problem = _draw(random, ndim, kind, dtype)
        cheap = problem.multiplications <= budget and prod(problem.output_shape) <= budget
    except TrousError:
        return None
    return problem if cheap else None


def _draw(random: Random, ndim: int, kind: str, dtype: str) -> Problem:
    kernel = tuple(_pick(random, (1, 2, 3, 3, 4, 5, 7, 11)[: (8, 7, 5)[ndim - 1]]) for _ in range(ndim))
    stride, dilation = zip(*(_stride_and_dilation(random) for _ in range(ndim)), strict=True)
    arguments: dict[str, Any] = {"stride": stride, "dilation": dilation}
    arguments["padding"] = padding = _padding(random, kernel, dilation)
    if kind == "conv_transpose" and not isinstance(padding, str) and random.random() < 0.5:
        limits = (max(s, d) for s, d in zip(stride, dilation, strict=True))
        arguments["output_padding"] = tuple(random.randrange(limit) for limit in limits)
    groups, in_channels, out_channels = _channels(random)
    return Problem(
        KINDS[kind](kernel, groups=groups, **arguments),
        batch=1,
        in_channels=in_channels,
        out_channels=out_channels,
        size=tuple(_size(random, wide=axis == ndim - 1) for axis in range(ndim)),
        dtype=dtype,
        channels_last=random.random() < 0.4,
        bias=random.random() < 0.5,
    )


def _pick(random: Random, values: Sequence[int]) -> int:
    return values[random.randrange(len(values))]


def _stride_and_dilation(random: Random) -> tuple[int, int]:
    if random.random() < 0.2:
        return random.choice(_SHARED_FACTORS)
    return random.choice((1, 1, 1, 2, 2, 3, 4, 7)), random.choice((1, 1, 1, 2, 3, 5))


def _padding(random: Random, kernel: Sequence[int], dilation: Sequence[int]) -> Any:
    form = random.random()
    if form < 0.2:
        return random.choice(PADDING_WORDS)
    most = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if form < 0.4:
        return tuple((random.randint(0, n), random.randint(0, n)) for n in most)
    if form < 0.7:
        return tuple(random.randint(0, n) for n in most)
    return 0


def _channels(random: Random) -> tuple[int, int, int]:
    """groups, in_channels, out_channels"""
    form = random.random()
    if form < 0.25:
        groups = random.choice((1, 2, 3, 8, *_ODD_CHANNELS))
        return groups, groups, groups * random.choice((1, 1, 2, 3))
    groups = 1 if form < 0.75 else random.choice((2, 3, 4))
    return groups, groups * _channels_of_group(random), groups * _channels_of_group(random)


def _channels_of_group(random: Random) -> int:
    return random.choice(_ODD_CHANNELS) if random.random() < 0.2 else random.randint(1, 8)


def _size(random: Random, wide: bool) -> int:
    form = random.random()
    if form < 0.12:
        return 1
    if wide and form < 0.45:
        return random.randint(*_WIDE)
    return random.randint(2, 12)
