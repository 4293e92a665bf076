"""Every spec within small ranges and what it makes of small sizes, by trying: no size rule is turned round here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product

from trous.errors import TrousError
from trous.spec import Conv, ConvTranspose, Spec

#: Where padding is the same on both sides, and where all pairs of paddings make them many.
RANGES = {
    True: {"kernel": 5, "stride": 4, "dilation": 3, "padding": 5, "output_padding": 2},
    False: {"kernel": 5, "stride": 3, "dilation": 2, "padding": 3, "output_padding": 1},
}


def ranges(symmetric: bool) -> dict[str, range]:
    return {name: range("padding" not in name, most + 1) for name, most in RANGES[symmetric].items()}


def every_spec(symmetric: bool) -> Iterator[Spec]:
    kernels, strides, dilations, paddings, extras = ranges(symmetric).values()
    sides: list[int | tuple[tuple[int, int]]] = list(paddings)
    if not symmetric:
        sides += [((front, back),) for front, back in product(paddings, paddings) if front != back]
    for kernel, stride, dilation, padding in product(kernels, strides, dilations, sides):
        yield Conv(kernel, stride, padding, dilation)
        for extra in extras:
            if extra < max(stride, dilation):
                yield ConvTranspose(kernel, stride, padding, extra, dilation)


def output(spec: Spec, size: int) -> int | None:
    """What comes out; None where the spec refuses the size."""
    try:
        return int(spec.output_size(size))
    except TrousError:
        return None


@lru_cache(maxsize=2)
def outputs(symmetric: bool) -> dict[Spec, tuple[int | None, ...]]:
    """What each spec makes of 0 to 25, and with padding that differs in front and behind of 0 to 15."""
    most = 25 if symmetric else 15
    return {spec: tuple(output(spec, size) for size in range(most + 1)) for spec in every_spec(symmetric)}


def by_sizes(symmetric: bool) -> dict[tuple[int, int], set[Spec]]:
    """The specs of each pair of input and output size."""
    found: dict[tuple[int, int], set[Spec]] = defaultdict(set)
    for spec, made in outputs(symmetric).items():
        for size, out in enumerate(made):
            if out:
                found[size, out].add(spec)
    return found


def serving(symmetric: bool, pairs: Iterable[tuple[int, int]]) -> set[Spec]:
    """The specs that give every output for its input."""
    wanted = list(pairs)
    return {spec for spec, made in outputs(symmetric).items() if all(made[n] == m for n, m in wanted)}
