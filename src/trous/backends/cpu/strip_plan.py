"""Binding of the `strips` kernel: how the output is cut into strips, and the tables of one problem."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np

from trous.backends.cpu import strips
from trous.backends.cpu.activations import slope_bits
from trous.backends.cpu.run import Bound, items_wanted, scratch_parts
from trous.backends.cpu.strip_tiles import Columns, Pass, Tile, by_cost, choose, columns, cycles
from trous.backends.cpu.tables import Strides, Taps, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import BYTES
from trous.backends.cpu.windows import NEAR
from trous.backends.epilogue import Epilogue
from trous.backends.facts import WAYS, Estimate, FamilyFacts
from trous.backends.operation import Operation
from trous.plan import BoundAxis
from trous.plan.table import count

#: Most bytes of staged inputs; those that stay in the first-level cache.
STAGED, FIRST_LEVEL = 3 << 18, 1 << 15
#: Output channels of a group, and vectors interleaved on store, at most.
CHANNELS, INTERLEAVED = 4, 8
#: Items of work for each core, where there is enough of it.
ITEMS = 4
#: Input channels up to which columns that are apart in memory are gathered rather than transposed with all channels.
GATHERED = 4


@dataclass(frozen=True)
class Cut:
    """Strips: steps along z and y and vectors of columns in each, the extents of what they stage, its cycles."""

    z: int
    y: int
    x: int
    planes: int
    rows: int
    pitch: int
    cycles: float


@dataclass(frozen=True)
class Choice:
    """Tile and strips for a problem, and an estimate of the cycles that all of it takes on one core."""

    taps: Taps
    tile: Tile
    across: Columns
    source: str  #: see `staging.Stage`
    channels: int  #: staged, those of a whole block where blocks are transposed
    cut: Cut
    cycles: float

    @property
    def staged(self) -> int:
        """Elements of staged memory."""
        cut, residues = self.cut, self.taps.axes[2].plan.down
        return self.channels * cut.planes * cut.rows * cut.pitch * residues


def why_not(operation: Operation, strides: Strides, element: str, target: Target) -> str | None:
    """It takes few output channels in a group, phases that registers interleave, outputs that are neighbours along a
    row, and a strip that fits the cache."""
    outs, up = operation.out_channels // operation.groups, operation.bound.axes[-1].plan.up
    if outs > CHANNELS:
        return f"{outs} output channels in a group are more than {CHANNELS}"
    if any(axis.plan.coincident for axis in operation.bound.axes):
        return "taps of one phase read the same input"
    if strides.y[-1] != 1:
        if operation.groups > 1 or strides.y[1] != 1 or strides.y[-1] != outs:
            return "outputs of a row are no neighbours in memory"
        up *= outs
    if up > INTERLEAVED:
        return f"{up} phases and channels side by side are more than the {INTERLEAVED} that registers interleave"
    if choice(operation, strides, element, target) is None:
        return "no strip of inputs fits the cache, or no tile the registers"
    return None


@lru_cache(maxsize=256)
def choice(operation: Operation, strides: Strides, element: str, target: Target) -> Choice | None:
    """The cheapest tile and strips; None where no strip fits the cache or no tile the registers."""
    tile = choose(*_asked(operation, strides, target))
    return None if tile is None else _with(tile, operation, strides, element, target)


def _asked(operation: Operation, strides: Strides, target: Target) -> tuple:
    """The arguments of `choose`."""
    ins, outs = operation.in_channels // operation.groups, operation.out_channels // operation.groups
    axes = tuple(axis.plan for axis in Taps(operation, strides, fold=False, lanes=outs).axes)
    return axes, ins, outs, target, strides.y[-1] != 1


def _with(tile: Tile, operation: Operation, strides: Strides, element: str, target: Target) -> Choice | None:
    """The cheapest strips for a tile; None where none fits the cache."""
    ins, outs = operation.in_channels // operation.groups, operation.out_channels // operation.groups
    taps = Taps(operation, strides, fold=False, lanes=outs)
    lanes, step = target.lanes(BYTES[element]), taps.axes[2].plan.down
    kind = "gathered"
    if strides.x[-1] == 1 and step <= NEAR:
        kind = "columns"
    elif strides.x[1] == 1 and ins > GATHERED:
        kind = "channels"
    across = columns(taps.axes[2].plan)
    channels = ceil(ins / lanes) * lanes if kind == "channels" else ins
    maps = operation.batch * operation.groups
    cut = _cut(taps.axes, tile, channels, lanes, BYTES[element], ceil(items_wanted(ITEMS) / max(maps, 1)))
    if cut is None:
        return None
    steps = _steps(taps.axes)
    blocks = steps[0] * ceil(steps[1] / tile.height) * ceil(steps[2] / (tile.vectors * lanes)) * (outs // tile.outs)
    total = maps * (blocks * cycles(tile, across, ins) + cut.cycles)
    return Choice(taps, tile, across, kind, channels, cut, total)


def _cut(axes: tuple[BoundAxis, ...], tile: Tile, channels: int, lanes: int, item: int, wanted: int) -> Cut | None:
    """The strips that cost the fewest copies, `wanted` of them or more if possible; None if none fits the cache."""
    z, y, x = axes
    steps = _steps(axes)
    reach = [_reach(axis) for axis in axes]
    advance = tile.height * tile.spacing
    blocks = [steps[0], ceil(steps[1] / advance), ceil(ceil(steps[2] / lanes) / tile.vectors)]
    last = max((tap.offset // x.plan.down for tap in x.live_taps), default=0)
    best: Cut | None = None
    for across in _shares(blocks[2]):
        pitch = ceil((across * tile.vectors * lanes + max(last, 0) + _shift(x, lanes)) / lanes) * lanes
        for deep in _shares(blocks[0]):
            planes = (deep - 1) * z.plan.down + reach[0]
            for high in _shares(blocks[1]):
                rows = (high * advance - 1) * y.plan.down + reach[1]
                size = channels * planes * rows * pitch * x.plan.down
                if size * item > STAGED:
                    continue
                count = ceil(blocks[0] / deep) * ceil(blocks[1] / high) * ceil(blocks[2] / across)
                each = 2.0 if size * item <= FIRST_LEVEL else 4.0
                cost = count * (size / lanes * each + 200) * max(1.0, wanted / count)
                if best is None or cost < best.cycles:
                    best = Cut(deep, high * advance, across * tile.vectors, planes, rows, pitch, cost)
    return best


def _steps(axes: tuple[BoundAxis, ...]) -> list[int]:
    return [ceil(axis.output_size / axis.plan.up) for axis in axes]


def _shares(whole: int) -> list[int]:
    """Sizes of 1, 2, 3, 4, 6, 8, 12, ... nearly equal parts."""
    counts = [n for power in range(whole.bit_length()) for n in (1 << power, 3 << power >> 1)]
    return sorted({ceil(whole / n) for n in counts if n <= whole} | {1})


def _reach(axis: BoundAxis) -> int:
    offsets = [tap.offset for tap in axis.live_taps] or [0]
    return max(offsets) - min(offsets) + 1


def _shift(axis: BoundAxis, lanes: int) -> int:
    first = min((tap.offset // axis.plan.down for tap in axis.live_taps), default=0)
    return ceil(-first / lanes) * lanes


def bind(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue
) -> tuple[strips.Shape, Bound]:
    chosen = choice(operation, strides, element, target)
    assert chosen is not None, "asked only where it fits"
    tile, across, cut, taps = chosen.tile, chosen.across, chosen.cut, chosen.taps
    ins, outs = operation.in_channels // operation.groups, operation.out_channels // operation.groups
    lanes, down = target.lanes(BYTES[element]), taps.axes[2].plan.down
    shape = strips.Shape(
        *(element, lanes, tile.vectors, len(tile.passes[0].rows), across.phases, tile.outs),
        row_masks=tile.row_masks,
        column_masks=tuple(mask for mask, _ in across.inputs),
        source=chosen.source,
        step=down if chosen.source == "columns" else 1,
        channels_last=strides.y[-1] != 1,
        checked=checked,
        epilogue=epilogue.code,
    )
    steps = _steps(taps.axes)
    stage_y = cut.pitch * down
    low, high = ([end(taps.offsets[axis], default=0) for axis in range(2)] for end in (min, max))
    numbers = sides(taps, operation)
    w_out = numbers["w_out"]
    numbers |= {
        "planes": cut.planes,
        "rows": cut.rows,
        "pitch": cut.pitch,
        "shift": _shift(taps.axes[2], lanes),
        "low_z": low[0],
        "low_y": low[1],
        "high_z": high[0],
        "high_y": high[1],
        "height": tile.height,
        "stage_y": stage_y,
        "stage_z": cut.rows * stage_y,
        "stage_c": cut.planes * cut.rows * stage_y,
        "in_channels": ins,
        "groups": operation.groups,
        "strips_z": ceil(steps[0] / cut.z),
        "strips_y": ceil(steps[1] / cut.y),
        "strips_x": ceil(steps[2] / (cut.x * lanes)),
        "each_z": cut.z,
        "each_y": cut.y,
        "each_x": cut.x,
        "advance": tile.height * tile.spacing,
        "spacing": tile.spacing,
        "passes": len(tile.passes),
        "out_tiles": outs // tile.outs,
        "y_group": outs * strides.y[1],
        "y_c": strides.y[1],
        "w_tile": tile.outs * w_out,
        "slope": slope_bits(epilogue.slope),
    }
    tables, weights = _tables(shape, chosen, numbers, w_out, ins)
    scratch, places = scratch_parts(
        {"staged": (chosen.staged, BYTES[element]), "weights": (weights * numbers["out_tiles"] + 1, BYTES[element])}
    )
    numbers |= places | {"tile_weights": weights}
    items = operation.batch * operation.groups * numbers["strips_z"] * numbers["strips_y"] * numbers["strips_x"]
    for unread in ("up_x", "y_x", "w_out"):
        del numbers[unread]
    return shape, Bound.of(strips.FIELDS, numbers, tables, items, scratch)


def account(
    operation: Operation, strides: Strides, element: str, target: Target, shape: strips.Shape, bound: Bound
) -> FamilyFacts:
    """The tile and strips that are taken, and what the next best tiles would cost at these sizes."""
    tiles = by_cost(*_asked(operation, strides, target))[:WAYS]
    choices = [found for tile in tiles if (found := _with(tile, operation, strides, element, target)) is not None]
    maps, cut = operation.batch * operation.groups, choices[0].cut
    estimates = []
    for one in choices:
        copying = maps * one.cut.cycles
        parts = {"multiplying": one.cycles - copying, "copying": copying}
        strip = f"{one.cut.z}x{one.cut.y}x{one.cut.x * shape.lanes}"
        passes = count(len(one.tile.passes), "pass", "passes")
        way = f"{_words(one.tile, shape.phases)}, {passes}, strips of {strip}"
        estimates.append(Estimate(way, one.cycles, parts))
    facts: dict[str, int | tuple[int, ...]] = {
        "strip": (cut.z, cut.y, cut.x * shape.lanes),
        "strips": tuple(bound.number(f"strips_{axis}") for axis in "zyx"),
        "maps": maps,
        "channel_tiles": bound.number("out_tiles"),
        "passes": bound.number("passes"),
    }
    tile = f"{_words(choices[0].tile, shape.phases)} of {shape.lanes} positions"
    return FamilyFacts(tile, facts, tuple(estimates), "cycles of a core, the tile being one for all sizes")


def _words(tile: Tile, phases: int) -> str:
    numbers = {"channel": tile.outs, "row": len(tile.passes[0].rows), "phase": phases, "vector": tile.vectors}
    return " x ".join(count(number, name, f"{name}s") for name, number in numbers.items())


def _tables(
    shape: strips.Shape, chosen: Choice, numbers: dict[str, int], w_out: int, ins: int
) -> tuple[dict[str, np.ndarray], int]:
    """Tables of the kernel, and how many weights one tile of channels packs."""
    taps, tile = chosen.taps, chosen.tile
    w_z, w_y, w_x = taps.strides.spatial("w")
    down = taps.axes[2].plan.down
    live = [{(tap.phase, tap.offset) for tap in axis.live_taps} for axis in taps.axes]
    columns = [
        [
            (offset, kernels)
            for offset, kernels in members
            if any((phase, offset) in live[2] for phase in range(chosen.across.phases))
        ]
        for _, members in chosen.across.inputs
    ]
    column_at, column_list = _joined(
        [[o % down * numbers["pitch"] + o // down + numbers["shift"] for o, _ in members] for members in columns]
    )
    row_lists: list[list[int]] = []
    pass_list: list[tuple[int, int, int]] = []
    tile_rows: list[tuple[int, int]] = []
    weight_list: list[int] = []
    packed = 0
    for one in tile.passes:
        classes = [_live_rows(one, mask, live, tile.spacing * numbers["down_y"]) for mask in shape.row_masks]
        for members in classes:
            row_lists.append(
                [
                    (oz - numbers["low_z"]) * numbers["stage_z"] + (oy - numbers["low_y"]) * numbers["stage_y"]
                    for oz, oy, _ in members
                ]
            )
        uses = [
            kz * w_z + ky * w_y + kx * w_x + out * w_out
            for offsets in columns
            for _, kernels_x in offsets
            for members in classes
            for _, _, kernels in members
            for kz, ky in kernels
            for kx in kernels_x
            for out in range(shape.outs)
        ]
        pass_list.append((len(weight_list), len(uses), packed))
        weight_list += uses
        packed += len(uses) * ins
        apart = tile.spacing * numbers["up_y"]
        tile_rows += [(row.z, row.y + row.number * apart) for row in one.rows]
    row_at, row_list = _joined(row_lists)
    tables = {
        "pass_list": table(pass_list, strips.PASS),
        "tile_rows": table(tile_rows, strips.ROW),
        "row_at": row_at,
        "row_list": row_list,
        "column_at": column_at,
        "column_list": column_list,
        "weight_list": np.array(weight_list or [0], np.int64),
    }
    return tables, packed


def _live_rows(one: Pass, mask: int, live: list[set[tuple[int, int]]], apart: int) -> list:
    """The input rows of a class that some output row of it finds inside the image."""
    rows = [row for index, row in enumerate(one.rows) if mask >> index & 1]
    return [
        (oz, oy, kernels)
        for oz, oy, kernels in dict(one.inputs).get(mask, ())
        if any((row.z, oz) in live[0] and (row.y, oy - row.number * apart) in live[1] for row in rows)
    ]


def _joined(lists: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Where each list begins, and all of them; an empty table keeps one number, so that it has an address."""
    starts = np.cumsum([0, *map(len, lists)], dtype=np.int64)
    return starts, np.array([n for members in lists for n in members] or [0], np.int64)
