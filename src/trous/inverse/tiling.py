"""How an operation is cut into circles on which it is a product of spectra: what costs least.

A transform takes `size * log2(size)` steps, so small circles are for less; but what the kernel reaches over is
transformed twice where tiles meet. A circle that fits in a core's cache takes less for each step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import log2, prod

import scipy.fft

from trous.backends import Operation
from trous.plan.bind import BoundAxis
from trous.plan.circle import circle_size, tile_circle, tile_outputs

#: Multiply-adds of a direct kernel in the time that a transform takes for one of its `size * log2(size)` steps: 50
#: against 3.6 thousand million a second (two cores with AVX-512, float32).
STEP = 14
#: The same of transforms that do not fit in the cache, and of a single one of one axis, which makes no use of vectors.
FAR_STEP, LONE_STEP = 28, 42
#: Numbers of a circle that fits, and of the circles that are best transformed together.
NEAR, GATHERED = 1 << 19, 1 << 18
#: Transforms of one axis from which on they make use of vectors.
SEVERAL = 8
#: What is lost, in multiply-adds, with every circle that is filled, and every transform that is begun.
FILL, BEGIN = 2e5, 2e6


@dataclass(frozen=True)
class Cut:
    """Circles of a size for each axis.

    Attributes:
        size: of a circle.
        together: how many are transformed in one call.
        cost: of all, in multiply-adds of a direct kernel.
    """

    size: tuple[int, ...]
    together: int
    cost: float


def fast(size: int) -> int:
    """The next size that transforms are quick at: products of 2, 3 and 5."""
    return int(scipy.fft.next_fast_len(size, real=True))


@lru_cache(maxsize=256)
def best_cut(operation: Operation, most: int | None = None) -> Cut:
    """The cheapest. With `most` its circles have no more numbers than that, of all channels; or as few as can be."""
    cuts = [_cut(operation, choice) for choice in product(*(list(_circles(axis)) for axis in operation.bound.axes))]
    width = max(operation.in_channels, operation.out_channels)
    small = [cut for cut in cuts if most is None or width * prod(cut.size) <= most]
    return min(small, key=lambda cut: cut.cost) if small else min(cuts, key=lambda cut: prod(cut.size))


def _circles(axis: BoundAxis) -> Iterator[tuple[int, int]]:
    """Sizes of circles and how many of each the outputs need."""
    whole = fast(circle_size(axis) or 1)
    yield whole, 1
    count = 2
    while count < 2 * axis.output_size:
        size = fast(tile_circle(axis, count))
        if size < whole:
            yield size, -(-axis.output_size // tile_outputs(axis, size))
        count = max(count + 1, count * 4 // 3)
        if size < 1.25 * tile_circle(axis, axis.output_size):
            break  # little more than what the kernel reaches over


def _cut(operation: Operation, circles: tuple[tuple[int, int], ...]) -> Cut:
    size = tuple(n for n, _ in circles)
    items = operation.batch * prod(count for _, count in circles)
    numbers = prod(size)
    width = max(operation.in_channels, operation.out_channels)
    together = max(1, min(items, GATHERED // (width * numbers)))
    step = STEP if numbers * width <= NEAR else FAR_STEP
    if len(size) == 1 and together * width < SEVERAL:
        step = LONE_STEP
    channels = operation.in_channels + operation.out_channels
    products = operation.in_channels * operation.out_channels // operation.groups
    work = numbers * (channels * step * log2(numbers + 1) + 2 * products)
    return Cut(size, together, items * (work + FILL) + -(-items // together) * BEGIN)
