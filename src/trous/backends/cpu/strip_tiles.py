"""Choosing the tile of the `strips` kernel: which output rows are summed together, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from trous.backends.cpu.target import Target
from trous.plan import AxisPlan

#: Most rows of one phase, and vectors of steps, in a tile; multiply-adds in the code of one tile.
ROWS, VECTORS, CODE = 6, 4, 250

#: Channels whose inputs of a tile stay in the first-level cache until the next tile; cycles for a line that did not.
NEAR_CHANNELS, LINE = 8, 2.5

#: Offset and kernel index of a phase's taps.
Taps = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Row:
    """An output row of a tile: phases along z and y, and how many row spacings it lies behind the first."""

    z: int
    y: int
    number: int


@dataclass(frozen=True)
class Pass:
    """The rows that are summed together, and for each set of them, as a bit mask, the input rows that feed all of it.

    An input row is `(offset along z, offset along y, kernel indices (z, y) by row)`.
    """

    rows: tuple[Row, ...]
    inputs: tuple[tuple[int, tuple[tuple[int, int, tuple[tuple[int, int], ...]], ...]], ...]


@dataclass(frozen=True)
class Tile:
    """How a plan is walked: `height` rows of every phase, `spacing` steps apart, in one or several passes."""

    height: int
    spacing: int
    vectors: int
    outs: int
    passes: tuple[Pass, ...]

    @property
    def row_masks(self) -> tuple[int, ...]:
        return tuple(sorted({mask for p in self.passes for mask, _ in p.inputs}))


@dataclass(frozen=True)
class Columns:
    """For each set of phases of the last axis, as a bit mask, the offsets that feed it with kernel indices by phase."""

    inputs: tuple[tuple[int, tuple[tuple[int, tuple[int, ...]], ...]], ...]
    phases: int


def phase_taps(axis: AxisPlan) -> tuple[Taps, ...]:
    """Offsets and kernel indices by phase."""
    return tuple(tuple((tap.offset, tap.kernel) for tap in taps) for taps in axis.by_phase)


@lru_cache(maxsize=256)
def columns(axis: AxisPlan) -> Columns:
    found: dict[int, dict[int, int]] = {}
    for phase, taps in enumerate(phase_taps(axis)):
        for offset, kernel in taps:
            found.setdefault(offset, {})[phase] = kernel
    classes: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
    for offset, kernels in sorted(found.items()):
        classes.setdefault(sum(1 << p for p in kernels), []).append(
            (offset, tuple(kernels[p] for p in sorted(kernels)))
        )
    return Columns(tuple((mask, tuple(members)) for mask, members in sorted(classes.items())), axis.up)


@lru_cache(maxsize=256)
def choose(axes: tuple[AxisPlan, ...], channels: int, outs: int, target: Target, whole: bool) -> Tile | None:
    """The tile that costs least for each output; None if no tile fits the registers. It depends on no size, so that a
    new one compiles nothing.

    `whole` keeps the output channels of a group in one tile.
    """
    return next(iter(by_cost(axes, channels, outs, target, whole)), None)


def by_cost(axes: tuple[AxisPlan, ...], channels: int, outs: int, target: Target, whole: bool) -> list[Tile]:
    """The tiles that `choose` compares, the one that costs least for each output first."""
    z, y, x = axes
    across = columns(x)
    found: list[tuple[float, Tile]] = []
    for height, spacing, passes in _walks(phase_taps(z), phase_taps(y), y.down):
        for share in (outs,) if whole else (n for n in range(outs, 0, -1) if outs % n == 0):
            for vectors in range(1, VECTORS + 1):
                sums = len(passes[0].rows) * across.phases * share * vectors
                if sums + vectors > target.registers - 2:
                    break
                tile = Tile(height, spacing, vectors, share, passes)
                if not found or _code(tile, across) <= CODE:
                    found.append((cycles(tile, across, channels) / (height * vectors * share), tile))
    return [tile for _, tile in sorted(found, key=lambda one: one[0])]


@lru_cache(maxsize=256)
def _walks(z: tuple[Taps, ...], y: tuple[Taps, ...], down: int) -> tuple[tuple[int, int, tuple[Pass, ...]], ...]:
    """Heights and spacings that may pay, with all phases in one pass, those of one z in a pass, or one by one."""
    spacing = _spacing(y, down)
    found = []
    for height in range(1, ROWS + 1 if spacing else 2):
        for together in _groupings(len(z), len(y)):
            passes = tuple(_pass(z, y, rows, height, (spacing or 1) * down) for rows in together)
            found.append((height, spacing or 1, passes))
    return tuple(found)


def _spacing(y: tuple[Taps, ...], down: int) -> int:
    """The fewest steps between rows that have an input row in common, or 0."""
    offsets = sorted({offset for taps in y for offset, _ in taps})
    apart = {b - a for taps in y for a, _ in taps for b in offsets if b > a}
    return min((n // down for n in apart if n % down == 0), default=0)


def _groupings(z: int, y: int) -> Iterator[list[list[tuple[int, int]]]]:
    phases = list(product(range(z), range(y)))
    yield [phases]
    if z > 1 and y > 1:
        yield [phases[n : n + y] for n in range(0, len(phases), y)]
    if len(phases) > 1:
        yield [[phase] for phase in phases]


def _pass(z: tuple[Taps, ...], y: tuple[Taps, ...], phases: list[tuple[int, int]], height: int, apart: int) -> Pass:
    rows = tuple(Row(a, b, number) for a, b in phases for number in range(height))
    found: dict[tuple[int, int], dict[int, tuple[int, int]]] = {}
    for index, row in enumerate(rows):
        for (oz, kz), (oy, ky) in product(z[row.z], y[row.y]):
            found.setdefault((oz, oy + row.number * apart), {})[index] = (kz, ky)
    classes: dict[int, list] = {}
    for (oz, oy), kernels in sorted(found.items()):
        mask = sum(1 << index for index in kernels)
        classes.setdefault(mask, []).append((oz, oy, tuple(kernels[index] for index in sorted(kernels))))
    return Pass(rows, tuple((mask, tuple(members)) for mask, members in sorted(classes.items())))


def cycles(tile: Tile, across: Columns, channels: int) -> float:
    """An estimate for one block of a tile, all passes."""
    total = 0.0
    sums = len(tile.passes[0].rows) * across.phases * tile.outs * tile.vectors
    for phases, offsets in across.inputs:
        for one in tile.passes:
            for mask, rows in one.inputs:
                uses = mask.bit_count() * phases.bit_count() * tile.outs
                # Two loads and two multiply-adds a cycle; a vector load mostly crosses a cache line and counts double.
                each = max(uses * tile.vectors, 1.7 * tile.vectors + uses + 1) / 2
                total += len(offsets) * (len(rows) * each + 1.0)
    if channels > NEAR_CHANNELS:
        lines = sum(len(rows) for one in tile.passes for _, rows in one.inputs) * (tile.vectors + 1)
        total += LINE * lines
    return channels * total + len(tile.passes) * (12 + 1.5 * sums)


def _code(tile: Tile, across: Columns) -> int:
    """Multiply-adds in the code of a tile."""
    rows = sum(mask.bit_count() for mask in tile.row_masks)
    return rows * sum(mask.bit_count() for mask, _ in across.inputs) * tile.outs * tile.vectors
