"""Binding of the `maps` kernel: when it fits, and where everything lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil, prod

import numpy as np

from trous.backends.cpu import maps, rows, run_plan, strip_plan
from trous.backends.cpu.activations import slope_bits
from trous.backends.cpu.run import Bound, items_wanted, scratch_parts
from trous.backends.cpu.runs import Run
from trous.backends.cpu.tables import Strides, Taps, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import BYTES
from trous.backends.epilogue import Epilogue
from trous.backends.facts import Estimate, FamilyFacts
from trous.backends.operation import Operation
from trous.plan.table import count

#: Most bytes of staged inputs and sums together.
STAGED = 3 << 18
#: Cycles to transpose a vector or to copy it.
TRANSPOSE, COPY = 6, 3
#: Vectors of a block at most: two share what going from tap to tap costs.
VECTORS = 2


@dataclass(frozen=True)
class Frame:
    """How maps lie in the cache: positions along the axes of the inputs with their margins, and of the outputs."""

    taps: Taps
    run: Run
    vectors: int
    positions: int  #: steps of a tile
    lanes: int
    channels_last: bool
    low: tuple[int, ...]  #: the offset that lies at the frame's beginning
    size: tuple[int, ...]
    outputs: tuple[int, ...]
    tiles: tuple[int, int, int]  #: along z, y, x, for each phase

    @property
    def width(self) -> int:
        return self.vectors * self.lanes

    @property
    def staged(self) -> int:
        """Numbers of the inputs, and behind them what no tap reads."""
        return (prod(self.size) + 1) * self.width

    @property
    def sums(self) -> int:
        return (prod(self.outputs) + 1) * self.width

    @property
    def blocks(self) -> int:
        return ceil(self.taps.operation.out_channels / self.width)

    @property
    def items(self) -> int:
        return self.taps.operation.batch * self.blocks

    @property
    def cycles(self) -> float:
        """Of one core, those included in which it would have to wait for others."""
        cores = items_wanted(1)
        return sum(self.parts().values()) * ceil(self.items / cores) * cores / self.items

    def parts(self) -> dict[str, float]:
        """Cycles of one core, all of it."""
        operation = self.taps.operation
        sizes = [prod(size) for size in (operation.bound.input_size, operation.bound.output_size)]
        at_once, cycles = (1, COPY) if self.channels_last else (self.lanes, TRANSPOSE)
        moved = sum(ceil(size / at_once) * at_once for size in sizes) * self.vectors * cycles
        *outer, x = (axis.live for axis in self.taps.axes)
        rows_of = prod(len(axis.taps) for axis in outer)
        each = rows_of * run_plan.cycles(x, self.run, self.vectors, self.positions)
        each += len(self.taps.phases) * (run_plan.START + self.vectors * (self.positions + 1))
        return {"multiplying": self.items * prod(self.tiles) * each, "copying": self.items * moved}


@lru_cache(maxsize=256)
def frame(operation: Operation, strides: Strides, element: str, target: Target) -> Frame:
    """Of as many vectors as pay and fit the cache."""
    found = _frame(operation, strides, element, target, VECTORS)
    return found if _fits(found, element) else _frame(operation, strides, element, target, 1)


def _fits(found: Frame, element: str) -> bool:
    return (found.staged + found.sums) * BYTES[element] <= STAGED


def _frame(operation: Operation, strides: Strides, element: str, target: Target, most: int) -> Frame:
    taps = Taps(operation, strides, fold=False, lanes=1)
    lanes = target.lanes(BYTES[element])
    plans, vectors = tuple(axis.plan for axis in taps.axes), ceil(operation.out_channels / lanes)
    run, across, positions = run_plan.tile(plans, vectors, target.registers, most)
    steps = [ceil(axis.output_size / axis.plan.up) for axis in taps.axes]
    tiles = (steps[0], steps[1], ceil(steps[2] / positions))
    steps[2] = tiles[2] * positions
    ends = [(offsets[0], offsets[-1]) if offsets else (0, 0) for offsets in taps.offsets]
    down, up = ([getattr(axis.plan, rate) for axis in taps.axes] for rate in ("down", "up"))
    return Frame(
        *(taps, run, across, positions, lanes, strides.x[1] == strides.y[1] == 1),
        low=tuple(low for low, _ in ends),
        size=tuple((n - 1) * d + high - low + 1 for n, d, (low, high) in zip(steps, down, ends, strict=True)),
        outputs=tuple(n * u for n, u in zip(steps, up, strict=True)),
        tiles=tiles,
    )


def why_not(operation: Operation, strides: Strides, element: str, target: Target) -> str | None:
    """It takes groups of one channel each, and maps whose positions are evenly spaced and fit the cache, unless another
    family's rows cost less."""
    if operation.groups == 1:
        return "there is one group"
    if not operation.groups == operation.in_channels == operation.out_channels:
        return "groups have more than one channel"
    spaced = _spacing(operation.input_shape, strides.x), _spacing(operation.output_shape, strides.y)
    if not (spaced == (1, 1) or (strides.x[1] == strides.y[1] == 1 and None not in spaced)):
        return "maps have gaps in memory"
    found = frame(operation, strides, element, target)
    if not _fits(found, element):
        return "the maps of a block of channels do not fit the cache"
    if found.channels_last:
        in_place = rows.cycles(operation, strides, element, target)
        return "rows where they lie cost less" if in_place <= found.cycles else None
    if strip_plan.why_not(operation, strides, element, target) is None:
        chosen = strip_plan.choice(operation, strides, element, target)
        if chosen is not None and chosen.cycles <= found.cycles:
            return "strips of rows cost less"
    return None


def _spacing(shape: Sequence[int], strides: Sequence[int]) -> int | None:
    """How far apart neighbouring positions of a map lie; None if not evenly."""
    spacing, places = 1, 0
    for n, step in zip(shape[:1:-1], strides[:1:-1], strict=True):
        if n > 1:
            spacing, places = (spacing, places) if places else (step, 1)
            if step != spacing * places:
                return None
            places *= n
    return spacing


def bind(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue
) -> tuple[maps.Shape, Bound]:
    found = frame(operation, strides, element, target)
    shape = maps.Shape(
        *(element, found.lanes, found.positions, found.vectors, found.run, found.channels_last),
        checked=checked,
        epilogue=epilogue.code,
    )
    tables = _tables(found)
    axis = found.taps.axes[2].plan
    numbers = sides(found.taps, operation)
    numbers = {name: numbers[name] for name in ("w_group", "x_n", "x_c", "y_n")}
    numbers |= {
        "batch": operation.batch,
        "channels": operation.out_channels,
        "inputs": prod(operation.bound.input_size),
        "outputs": prod(operation.bound.output_size),
        "tile_count": prod(found.tiles) * len(found.taps.phases),
        "entry_count": sum(map(len, found.taps.entries)),
        "out_step": axis.up * found.width,
        "x_place": _spacing(operation.input_shape, strides.x) or 0,
        "y_c": strides.y[1],
        "y_place": _spacing(operation.output_shape, strides.y) or 0,
        "slope": slope_bits(epilogue.slope),
    }
    item = BYTES[element]
    scratch, places = scratch_parts(
        {
            "staged": (found.staged, item),
            "sums": (found.sums, item),
            "weights": ((numbers["entry_count"] + 1) * found.width, item),
        }
    )
    return shape, Bound.of(maps.FIELDS, numbers | places, tables, found.items, scratch)


def account(
    operation: Operation, strides: Strides, element: str, target: Target, shape: maps.Shape, bound: Bound
) -> FamilyFacts:
    """The frame of a block's maps, and what the model says of them."""
    found = frame(operation, strides, element, target)
    positions = count(shape.positions, "position", "positions")
    tile = f"{positions} x {count(shape.vectors, 'vector', 'vectors')} of {shape.lanes} channels"
    cut: dict[str, int | tuple[int, ...]] = {
        "frame": found.size,
        "tiles": found.tiles,
        "channel_blocks": found.blocks,
    }
    parts = found.parts()
    return FamilyFacts(tile, cut, (Estimate(tile, sum(parts.values()), parts),), "cycles of a core")


def _tables(found: Frame) -> dict[str, np.ndarray]:
    taps, width = found.taps, found.width
    apart = found.size[1] * found.size[2], found.size[2], 1
    out_apart = found.outputs[1] * found.outputs[2], found.outputs[2], 1
    entries: list[tuple[int, int]] = []
    ranges = []
    for of_phase in taps.entries:
        ends = [len(entries)]
        for own in run_plan.split(of_phase, taps.slots, found.run):
            for entry in own:
                offsets = zip(taps.slots[entry.slot], found.low, apart, strict=False)
                entries.append((sum((offset - low) * step for offset, low, step in offsets) * width, entry.weight))
            ends.append(len(entries))
        ranges.append(ends)
    plans = [axis.plan for axis in taps.axes]
    steps = 1, 1, found.positions
    tiles = []
    for place in product(*map(range, found.tiles)):
        m = [at * each for at, each in zip(place, steps, strict=True)]
        source = sum(at * plan.down * step for at, plan, step in zip(m, plans, apart, strict=True))
        for phase, ends in zip(taps.phases, ranges, strict=True):
            where = zip(m, plans, phase, out_apart, strict=True)
            target = sum((at * plan.up + own) * step for at, plan, own, step in where)
            tiles.append((source * width, target * width, *ends))
    return {
        "tile_list": table(tiles, maps.TILE),
        "entry_list": table(entries, maps.ENTRY),
        "x_places": _places([axis.input_size for axis in taps.axes], found.low, found.size, found),
        "y_places": _places([axis.output_size for axis in taps.axes], (0, 0, 0), found.outputs, found),
    }


def _places(sizes: Sequence[int], low: Sequence[int], into: Sequence[int], found: Frame) -> np.ndarray:
    """Where the positions of a map lie, by vectors; those outside of the frame behind its end."""
    place, inside = np.zeros((), np.int64), np.ones((), bool)
    for n, first, extent in zip(sizes, low, into, strict=True):
        along = np.arange(n) - first
        place = place[..., None] * extent + along
        inside = inside[..., None] & (along >= 0) & (along < extent)
    behind = prod(into)
    listed = np.full(ceil(prod(sizes) / found.lanes) * found.lanes, behind, np.int64)
    listed[: place.size] = np.where(inside, place, behind).reshape(-1)
    return listed * found.width
