"""Binding of the `stems` kernel: its register tile, strips, and the tables of one problem."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil, prod

import numpy as np

from trous.backends.cpu import stems, values
from trous.backends.cpu.activations import slope_bits
from trous.backends.cpu.dense import STREAMED_BYTES
from trous.backends.cpu.narrow import STORED
from trous.backends.cpu.run import Bound, scratch_parts
from trous.backends.cpu.strip_cuts import FIRST_LEVEL, Axes, Cut, Source, cut
from trous.backends.cpu.tables import Strides, Taps, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import BYTES
from trous.backends.epilogue import Epilogue
from trous.backends.facts import WAYS, Estimate, FamilyFacts
from trous.backends.operation import Operation
from trous.plan import BoundAxis
from trous.plan.table import count

#: Input channels of a group, and phases interleaved on store, at most.
CHANNELS, INTERLEAVED = 8, 4
#: Rows of a register tile at most, and its vectors; bytes of packed weights.
ROWS, VECTORS, WEIGHTS = 16, (1, 2, 3, 4), 1 << 19
#: Cycles until a sum can be added to; of storing a vector, of turning to another channel's row, of a tile's start; of
#: bringing a line from the second-level cache.
LATENCY, STORE, ROW, START, BRING = 4, 1.5, 6, 12, 2.5


@dataclass(frozen=True)
class Tile:
    """A register tile, and the cycles that a step of the layer takes with it, all phases and channels of a group."""

    positions_along_vectors: bool
    rows: int
    vectors: int
    multiplying: float
    storing: float

    @property
    def cycles(self) -> float:
        return self.multiplying + self.storing


def why_not(operation: Operation, strides: Strides, element: str, target: Target) -> str | None:
    """It takes few input channels in a group, and outputs that are neighbours along a row, in few phases, or along the
    channels, with half a vector of them."""
    ins, outs = operation.in_channels // operation.groups, operation.out_channels // operation.groups
    if ins > CHANNELS:
        return f"{ins} input channels in a group are more than {CHANNELS}"
    phases, lanes = operation.bound.axes[-1].plan.up, target.lanes(BYTES[element])
    if strides.y[-1] == 1:
        if phases > INTERLEAVED:
            return f"{phases} phases side by side are more than the {INTERLEAVED} that registers interleave"
    elif strides.y[1] != 1:
        return "outputs are no neighbours in memory"
    elif outs < lanes // 2:
        return f"{outs} output channels fill less than half a vector of {lanes}"
    if choice(operation, strides, element, target) is None:
        return "no strip of inputs fits the cache"
    return None


@dataclass(frozen=True)
class Choice:
    """Tile and strips for a problem."""

    axes: Axes
    tile: Tile
    source: Source
    cut: Cut


@lru_cache(maxsize=256)
def choice(operation: Operation, strides: Strides, element: str, target: Target) -> Choice | None:
    """The tile with the fewest cycles by the count, which looks at no size; None where no strip fits the cache."""
    tile = _by_cycles(operation, strides, element, target)[0]
    taps, lanes = Taps(operation, strides, fold=False, lanes=0), target.lanes(BYTES[element])
    ins = operation.in_channels // operation.groups
    source = Source.of(strides, ins, lanes, taps.axes[2].plan.down)
    along = tile.positions_along_vectors
    vectors, spare = (tile.vectors, 0) if along else (1, tile.rows)
    blocks = (
        operation.batch
        * operation.groups
        * ceil(_tiles(operation, tile, lanes) / _block(operation, tile, element, lanes))
    )
    found = cut(taps.axes, 1, vectors, source.channels, lanes, BYTES[element], blocks, spare)
    return None if found is None else Choice(taps.axes, tile, source, found)


def _tiles(operation: Operation, tile: Tile, lanes: int) -> int:
    """Channel tiles of a group."""
    return ceil(operation.out_channels // operation.groups / _width(tile, lanes))


def _width(tile: Tile, lanes: int) -> int:
    """Output channels of a tile."""
    return tile.rows if tile.positions_along_vectors else tile.vectors * lanes


def _entry_count(operation: Operation) -> int:
    return operation.in_channels // operation.groups * prod(len(axis.live_taps) for axis in operation.bound.axes)


def _block(operation: Operation, tile: Tile, element: str, lanes: int) -> int:
    """Channel tiles whose weights are packed at a time."""
    each = max(1, _entry_count(operation)) * _width(tile, lanes) * BYTES[element]
    tiles = _tiles(operation, tile, lanes)
    return ceil(tiles / ceil(tiles / max(1, WEIGHTS // each)))


def _by_cycles(operation: Operation, strides: Strides, element: str, target: Target) -> list[Tile]:
    """The tiles that fit the registers, the one with the fewest cycles first."""
    return sorted(_candidates(operation, strides, element, target), key=lambda tile: tile.cycles)


def _candidates(operation: Operation, strides: Strides, element: str, target: Target) -> Iterator[Tile]:
    lanes, registers = target.lanes(BYTES[element]), target.registers - int(not target.broadcast_operands)
    outs, axes = operation.out_channels // operation.groups, operation.bound.axes
    along = strides.y[-1] == 1
    entries = operation.in_channels // operation.groups * prod(len(axis.plan.taps) for axis in axes)
    phases = axes[-1].plan.up if along else 1
    passes = prod(axis.plan.up for axis in axes) // phases
    staged = operation.in_channels // operation.groups * _staged_rows(axes)
    for vectors in VECTORS:
        most = min(ROWS, (registers - vectors) // (vectors * phases))
        # Rows of steps divide most rows of outputs.
        for rows in range(1, most + 1) if along else [n for n in (4, 8, 16) if n <= most]:
            loads = rows + vectors * (1.7 if along else 1) + 1
            each = max(rows * vectors / 2, loads / 2, LATENCY)
            multiplying = entries * each
            if along and staged * (vectors + 1) * values.LINE > FIRST_LEVEL:
                multiplying += staged * (vectors + 1) * BRING
            storing = passes * (START + rows * phases * (STORE * vectors + ROW * along))
            tiles = ceil(outs / rows) / (vectors * lanes) if along else ceil(outs / (vectors * lanes)) / rows
            yield Tile(along, rows, vectors, multiplying * tiles, storing * tiles)


def _staged_rows(axes: tuple[BoundAxis, ...]) -> int:
    """Rows of a staged channel that the taps of a step read."""
    return prod(len(a.plan.offsets) for a in axes[:-1]) * len({o % axes[-1].plan.down for o in axes[-1].plan.offsets})


def bind(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue
) -> tuple[stems.Shape, Bound]:
    chosen = choice(operation, strides, element, target)
    assert chosen is not None, "asked only where it fits"
    tile, axes, lanes = chosen.tile, chosen.axes, target.lanes(BYTES[element])
    taps = Taps(operation, strides, fold=False, lanes=0)
    outs = operation.out_channels // operation.groups
    shape = stems.Shape(
        *(element, lanes, tile.rows, tile.vectors, tile.positions_along_vectors),
        phases=axes[2].plan.up if tile.positions_along_vectors else 1,
        source=chosen.source.kind,
        step=chosen.source.step,
        streams=target.vector_bytes == values.LINE and element not in STORED,
        checked=checked,
        epilogue=epilogue.code,
    )
    numbers = sides(taps, operation)
    phases = list(product(*(range(axis.plan.up) for axis in axes)))
    numbers |= chosen.cut.numbers(axes, lanes)
    tables = _tables(taps, chosen, numbers, phases, lanes)
    tables["phase_list"] = table(phases[:: shape.phases], stems.PHASE)
    tiles, block_tiles = _tiles(operation, tile, lanes), _block(operation, tile, element, lanes)
    blocks = ceil(tiles / block_tiles)
    entries = len(tables["weight_list"])
    numbers |= {
        "in_channels": operation.in_channels // operation.groups,
        "batch": operation.batch,
        "blocks": operation.groups * blocks,
        "group_blocks": blocks,
        "block_tiles": block_tiles,
        "tiles": tiles,
        "out_channels": outs,
        "phases": len(phases) // shape.phases,
        "entry_count": entries,
        "large": int(prod(operation.output_shape) * BYTES[element] >= STREAMED_BYTES),
        "y_group": outs * strides.y[1],
        "y_c": strides.y[1],
        "slope": slope_bits(epilogue.slope),
    }
    item = BYTES[element]
    scratch, places = scratch_parts(
        {
            "staged": (chosen.cut.size + shape.positions, item),
            "weights": (block_tiles * entries * shape.channels, item),
            "spilled": (shape.rows * shape.vectors * shape.phases * lanes, item),
        }
    )
    items = operation.batch * numbers["blocks"] * prod(numbers[f"strips_{axis}"] for axis in "zyx")
    for unread in ("w_in", "high_z", "high_y", "steps_x"):
        del numbers[unread]
    return shape, Bound.of(stems.FIELDS, numbers | places, tables, items, scratch)


def _tables(
    taps: Taps, chosen: Choice, numbers: dict[str, int], phases: list[tuple[int, ...]], lanes: int
) -> dict[str, np.ndarray]:
    """Entries phase by phase: places of inputs and weights."""
    live = [[[tap for tap in axis.live_taps if tap.phase == p] for p in range(axis.plan.up)] for axis in taps.axes]
    steps, stage_c = taps.strides.spatial("w"), numbers["stage_c"]
    channels = range(taps.operation.in_channels // taps.operation.groups)
    inputs: list[int] = []
    weights: list[int] = []
    starts = [0]
    for phase in phases:
        found = list(product(*(axis[p] for axis, p in zip(live, phase, strict=True))))
        places = [chosen.cut.place(taps.axes, lanes, (z.offset, y.offset, x.offset)) for z, y, x in found]
        kernels = [z.kernel * steps[0] + y.kernel * steps[1] + x.kernel * steps[2] for z, y, x in found]
        for channel in channels:
            inputs += [place + channel * stage_c for place in places]
            weights += [kernel + channel * numbers["w_in"] for kernel in kernels]
        starts.append(len(inputs))
    return {
        "entry_at": np.array(starts, np.int64),
        "entry_list": np.array(inputs or [0], np.int64),
        "weight_list": np.array(weights or [0], np.int64),
    }


def account(
    operation: Operation, strides: Strides, element: str, target: Target, shape: stems.Shape, bound: Bound
) -> FamilyFacts:
    """The tile and strips that are taken, and what the other tiles would cost."""
    chosen = choice(operation, strides, element, target)
    assert chosen is not None, "asked only where it fits"
    used = chosen.cut
    tiles = _by_cycles(operation, strides, element, target)[:WAYS]
    estimates = tuple(
        Estimate(_words(tile), tile.cycles, {"multiplying": tile.multiplying, "storing": tile.storing})
        for tile in tiles
    )
    facts: dict[str, int | tuple[int, ...]] = {
        "strip": (used.z, used.y, used.x),
        "strips": tuple(bound.number(f"strips_{axis}") for axis in "zyx"),
        "maps": operation.batch * operation.groups,
        "channel_tiles": bound.number("tiles"),
    }
    along = "positions" if shape.positions_along_vectors else "channels"
    return FamilyFacts(f"{_words(chosen.tile)} of {shape.lanes} {along}", facts, estimates, "cycles for each step")


def _words(tile: Tile) -> str:
    name = "channel" if tile.positions_along_vectors else "position"
    return f"{count(tile.rows, name, f'{name}s')} x {count(tile.vectors, 'vector', 'vectors')}"
