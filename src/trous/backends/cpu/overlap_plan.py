"""Binding of the `overlap` kernel: its register tile, strips, and the tables of one problem."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil, prod

import numpy as np

from trous.backends.cpu import overlap, strip_plan
from trous.backends.cpu.activations import slope_bits
from trous.backends.cpu.run import Bound, items_wanted, scratch_parts
from trous.backends.cpu.strip_cuts import ITEMS, Axes, Cut, Source, cut, reach, shift, step_counts
from trous.backends.cpu.tables import Strides, Taps, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import BYTES
from trous.backends.epilogue import Epilogue
from trous.backends.facts import WAYS, Estimate, FamilyFacts
from trous.backends.operation import Operation
from trous.plan import Tap
from trous.plan.table import count

#: Products for each number of a product row from which it pays to store that and add it.
DEPTH = 12
#: Rows and vectors of a register tile at most; columns from step to step up to which rows are read where they lie.
ROWS, VECTORS, STEP = 14, 8, 4
#: Bytes of inputs that stay in the second-level cache until the next row, and of product rows, at most.
NEAR, PRODUCTS = 1 << 20, 1 << 18
#: Columns of a strip for each column that its neighbours read too, at least.
HALO = 4
#: Cycles until a sum can be added to; of a product's way to the sums and of a tile's start, by vectors.
LATENCY, STORE, START = 4, 2.5, 12


@dataclass(frozen=True)
class Tile:
    """Rows and vectors of a register tile, and the cycles for a step of the layer."""

    rows: int
    vectors: int
    multiplying: float
    adding: float

    @property
    def cycles(self) -> float:
        return self.multiplying + self.adding


@dataclass(frozen=True)
class Choice:
    """Tile and strips for a problem."""

    axes: Axes
    tile: Tile
    groups: tuple[tuple[int, tuple[Tap, ...]], ...]  #: taps of the last axis by residue
    source: Source | None  #: None for rows that are read where they lie
    cut: Cut


def why_not(operation: Operation, strides: Strides, element: str, target: Target) -> str | None:
    """It takes what `strips` takes, with enough products for each number of a product row."""
    reason = strip_plan.unsuited(operation, strides)
    if reason is not None:
        return reason
    depth = _depth(operation)
    if depth < DEPTH:
        return f"{depth} products for each number of a product row are less than {DEPTH}"
    if choice(operation, strides, element, target) is None:
        return "taps reach too far along the last axis"
    return None


def _depth(operation: Operation) -> int:
    """Products that a number of a product row sums, in the phase that has the most."""
    phases = [max(map(len, axis.plan.by_phase)) for axis in operation.bound.axes[:-1]]
    return operation.in_channels // operation.groups * prod(phases)


@lru_cache(maxsize=256)
def choice(operation: Operation, strides: Strides, element: str, target: Target) -> Choice | None:
    """The tile with the fewest cycles by the count, which looks at no size; None where strips would be all halo."""
    axes, lanes = Taps(operation, strides, fold=False, lanes=0).axes, target.lanes(BYTES[element])
    ins, down = operation.in_channels // operation.groups, axes[2].plan.down
    direct = strides.x[-1] == 1 and down <= STEP
    shared = (reach(axes[2]) - 1) // down
    tile = _tiles(operation, target, element, down if direct else 1)[0]
    if direct:
        found = _rows(operation, axes, ins, lanes, BYTES[element])
    else:
        source = Source.of(strides, ins, lanes, down)
        maps = operation.batch * operation.groups
        found = cut(axes, 1, max(1, ceil(HALO * shared / lanes)), source.channels, lanes, BYTES[element], maps)
    if found is None or found.x < min(step_counts(axes)[2], HALO * shared):
        return None
    groups = tuple(
        (residue, tuple(tap for tap in axes[2].live_taps if tap.offset % down == residue)) for residue in range(down)
    )
    return Choice(axes, tile, groups, None if direct else source, found)


def _rows(operation: Operation, axes: Axes, ins: int, lanes: int, item: int) -> Cut | None:
    """Strips of rows that are read where they lie, no larger than what the cache keeps for the next row and plane."""
    (z, y, x), steps = axes, step_counts(axes)
    outs = operation.out_channels // operation.groups
    spread = max((tap.offset // x.plan.down for tap in x.live_taps), default=0)
    most = min(
        NEAR // (ins * reach(z) * reach(y) * x.plan.down * item), PRODUCTS // (max(1, len(x.live_taps)) * outs * item)
    )
    wide = _even(steps[2], max(lanes, most), lanes)
    high = max(1, (NEAR // (ins * reach(z) * wide * x.plan.down * item) - reach(y)) // y.plan.down)
    high = _even(steps[1], high if steps[0] > 1 else steps[1], 1)
    deep = steps[0]
    wanted = ceil(items_wanted(ITEMS) / max(1, operation.batch * operation.groups * ceil(steps[2] / wide)))
    if ceil(steps[1] / high) < wanted:
        high = _even(steps[1], max(1, steps[1] // wanted), 1)
    if ceil(steps[1] / high) < wanted:
        deep = _even(steps[0], max(1, steps[0] // ceil(wanted / ceil(steps[1] / high))), 1)
    pitch = ceil((wide + max(spread, 0) + shift(x, lanes)) / lanes) * lanes
    return Cut(deep, high, wide, 0, 0, pitch, 0, 0.0)


def _even(steps: int, most: int, unit: int) -> int:
    """How long nearly equal pieces of `steps` are, none above `most`, in whole units."""
    most = max(unit, most // unit * unit)
    return ceil(ceil(max(steps, 1) / ceil(max(steps, 1) / most)) / unit) * unit


def _tiles(operation: Operation, target: Target, element: str, step: int) -> list[Tile]:
    """The tiles that fit the registers, the one with the fewest cycles first."""
    lanes, registers = target.lanes(BYTES[element]), target.registers - int(not target.broadcast_operands)
    *outer, x = operation.bound.axes
    outs, ins = operation.out_channels // operation.groups, operation.in_channels // operation.groups
    counts = [outs * sum(tap.offset % x.plan.down == r for tap in x.plan.taps) for r in range(x.plan.down)]
    passes, depth = prod(axis.plan.up for axis in outer), ins * prod(len(axis.plan.taps) for axis in outer)
    found = []
    for vectors in range(1, VECTORS + 1):
        for rows in range(1, min(ROWS, (registers - vectors) // vectors) + 1):
            each = max(rows * vectors / 2, (rows + vectors * step + 1) / 2, LATENCY)
            tiles = sum(ceil(n / rows) for n in counts) / (vectors * lanes)
            adding = passes * (START + STORE * rows * vectors)
            found.append(Tile(rows, vectors, tiles * depth * each, tiles * adding))
    return sorted(found, key=lambda tile: tile.cycles)


def bind(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue
) -> tuple[overlap.Shape, Bound]:
    chosen = choice(operation, strides, element, target)
    assert chosen is not None, "asked only where it fits"
    tile, axes, source, lanes = chosen.tile, chosen.axes, chosen.source, target.lanes(BYTES[element])
    ins, outs = operation.in_channels // operation.groups, operation.out_channels // operation.groups
    taps = Taps(operation, strides, fold=False, lanes=outs)
    shape = overlap.Shape(
        *(element, lanes, tile.rows, tile.vectors, axes[2].plan.up, outs),
        source=source.kind if source else None,
        step=source.step if source else axes[2].plan.down,
        channels_last=strides.y[-1] != 1,
        checked=checked,
        epilogue=epilogue.code,
    )
    numbers = sides(taps, operation) | chosen.cut.numbers(axes, lanes)
    tables = _entry_tables(taps) | _product_tables(shape, chosen, taps, numbers["w_out"], lanes)
    entries, tiles = int(tables["entry_at"][-1]), len(tables["tile_list"])
    numbers |= {
        "in_channels": ins,
        "groups": operation.groups,
        "phases": len(tables["phase_list"]),
        "tiles": tiles,
        "panel": entries * ins * tile.rows,
        "y_group": outs * strides.y[1],
        "y_c": strides.y[1],
        "slope": slope_bits(epilogue.slope),
    }
    item = BYTES[element]
    lengths = {
        "staged": (chosen.cut.size, item),
        "weights": (tiles * numbers["panel"], item),
        "products": (tiles * tile.rows * chosen.cut.pitch, item),
        "pairs": ((entries + 1) * overlap.PAIR, 8),
    }
    scratch, places = scratch_parts(lengths)
    items = operation.batch * operation.groups * prod(numbers[f"strips_{axis}"] for axis in "zyx")
    for unread in ("up_x", "y_x", "w_out"):
        del numbers[unread]
    return shape, Bound.of(overlap.FIELDS, numbers | places, tables, items, scratch)


def _entry_tables(taps: Taps) -> dict[str, np.ndarray]:
    """The taps of the other axes, phase by phase."""
    z, y, _ = taps.axes
    w_z, w_y, _ = taps.strides.spatial("w")
    phases = list(product(range(z.plan.up), range(y.plan.up)))
    entries, starts = [], [0]
    for phase_z, phase_y in phases:
        pairs = product(z.live_taps, y.live_taps)
        entries += [
            (a.offset, b.offset, a.kernel * w_z + b.kernel * w_y)
            for a, b in pairs
            if (a.phase, b.phase) == (phase_z, phase_y)
        ]
        starts.append(len(entries))
    return {
        "phase_list": table(phases, overlap.PHASE),
        "entry_at": np.array(starts, np.int64),
        "entry_list": table(entries, overlap.ENTRY),
    }


def _product_tables(shape: overlap.Shape, chosen: Choice, taps: Taps, w_out: int, lanes: int) -> dict[str, np.ndarray]:
    """Product rows, tile by tile of taps that read the same columns, and which of them an output sums."""
    step, axis = taps.strides.spatial("w")[2], taps.axes[2]
    residues: list[int] = []
    weights: list[int] = []
    sums: dict[tuple[int, int], list[int]] = {}
    for residue, members in chosen.groups:
        rows = list(product(members, range(shape.outs)))
        for tap, out in rows:
            place = len(weights) * chosen.cut.pitch + tap.offset // axis.plan.down + shift(axis, lanes)
            sums.setdefault((tap.phase, out), []).append(place)
            weights.append(tap.kernel * step + out * w_out)
        missing = -len(rows) % shape.rows
        weights += [overlap.MISSING] * missing
        residues += [residue] * ((len(rows) + missing) // shape.rows)
    lists = [sums.get(side, []) for side in product(range(shape.phases), range(shape.outs))]
    return {
        "tile_list": np.array(residues, np.int64),
        "weight_list": np.array(weights, np.int64),
        "sum_at": np.cumsum([0, *map(len, lists)], dtype=np.int64),
        "sum_list": np.array([place for places in lists for place in places] or [0], np.int64),
    }


def account(
    operation: Operation, strides: Strides, element: str, target: Target, shape: overlap.Shape, bound: Bound
) -> FamilyFacts:
    """The tile and strips that are taken, and what the other tiles would cost."""
    chosen = choice(operation, strides, element, target)
    assert chosen is not None, "asked only where it fits"
    used = chosen.cut
    tiles = _tiles(operation, target, element, 1 if shape.source else shape.step)[:WAYS]
    estimates = tuple(
        Estimate(_words(tile), tile.cycles, {"multiplying": tile.multiplying, "adding": tile.adding}) for tile in tiles
    )
    facts: dict[str, int | tuple[int, ...]] = {
        "strip": (used.z, used.y, used.x),
        "strips": tuple(bound.number(f"strips_{axis}") for axis in "zyx"),
        "maps": operation.batch * operation.groups,
        "product_rows": sum(len(members) for _, members in chosen.groups) * shape.outs,
    }
    return FamilyFacts(f"{_words(chosen.tile)} of {shape.lanes} columns", facts, estimates, "cycles for each step")


def _words(tile: Tile) -> str:
    return f"{count(tile.rows, 'product row', 'product rows')} x {count(tile.vectors, 'vector', 'vectors')}"
