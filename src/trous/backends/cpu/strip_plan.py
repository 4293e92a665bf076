"""Binding of the `strips` kernel: how the output is cut into strips, and the tables of one problem."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, prod

import numpy as np

from trous.backends.cpu import strips
from trous.backends.cpu.activations import slope_bits
from trous.backends.cpu.dense import STREAMED_BYTES
from trous.backends.cpu.narrow import STORED
from trous.backends.cpu.run import Bound, scratch_parts
from trous.backends.cpu.strip_cuts import Cut, Source, cut, step_counts
from trous.backends.cpu.strip_tiles import Columns, Pass, Tile, by_cost, choose, columns, cycles
from trous.backends.cpu.tables import Strides, Taps, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import BYTES, LINE
from trous.backends.epilogue import Epilogue
from trous.backends.facts import WAYS, Estimate, FamilyFacts
from trous.backends.operation import Operation
from trous.plan.table import count

#: Output channels of a group, and vectors interleaved on store, at most.
CHANNELS, INTERLEAVED = 4, 8


@dataclass(frozen=True)
class Choice:
    """Tile and strips for a problem, and an estimate of the cycles that all of it takes on one core."""

    taps: Taps
    tile: Tile
    across: Columns
    source: Source
    cut: Cut
    cycles: float


def why_not(operation: Operation, strides: Strides, element: str, target: Target) -> str | None:
    """It takes what is not unsuited, with a strip that fits the cache and a tile that fits the registers."""
    reason = unsuited(operation, strides)
    if reason is None and choice(operation, strides, element, target) is None:
        return "no strip of inputs fits the cache, or no tile the registers"
    return reason


def unsuited(operation: Operation, strides: Strides) -> str | None:
    """Why an output does not lie as rows of few channels, in phases that registers interleave, or None."""
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
    lanes, maps = target.lanes(BYTES[element]), operation.batch * operation.groups
    source = Source.of(strides, ins, lanes, taps.axes[2].plan.down)
    across = columns(taps.axes[2].plan)
    strips_of = cut(taps.axes, tile.height * tile.spacing, tile.vectors, source.channels, lanes, BYTES[element], maps)
    if strips_of is None:
        return None
    steps = step_counts(taps.axes)
    blocks = steps[0] * ceil(steps[1] / tile.height) * ceil(steps[2] / (tile.vectors * lanes)) * (outs // tile.outs)
    total = maps * (blocks * cycles(tile, across, ins) + strips_of.cycles)
    return Choice(taps, tile, across, source, strips_of, total)


def bind(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue
) -> tuple[strips.Shape, Bound]:
    chosen = choice(operation, strides, element, target)
    assert chosen is not None, "asked only where it fits"
    tile, across, taps = chosen.tile, chosen.across, chosen.taps
    ins, outs = operation.in_channels // operation.groups, operation.out_channels // operation.groups
    lanes = target.lanes(BYTES[element])
    shape = strips.Shape(
        *(element, lanes, tile.vectors, len(tile.passes[0].rows), across.phases, tile.outs),
        row_masks=tile.row_masks,
        column_masks=tuple(mask for mask, _ in across.inputs),
        source=chosen.source.kind,
        step=chosen.source.step,
        channels_last=strides.y[-1] != 1,
        streams=target.vector_bytes == LINE and element not in STORED,
        checked=checked,
        epilogue=epilogue.code,
    )
    numbers = sides(taps, operation)
    w_out = numbers["w_out"]
    numbers |= chosen.cut.numbers(taps.axes, lanes) | {
        "height": tile.height,
        "in_channels": ins,
        "groups": operation.groups,
        "advance": tile.height * tile.spacing,
        "spacing": tile.spacing,
        "passes": len(tile.passes),
        "out_tiles": outs // tile.outs,
        "y_group": outs * strides.y[1],
        "y_c": strides.y[1],
        "w_tile": tile.outs * w_out,
        "slope": slope_bits(epilogue.slope),
        "large": int(prod(operation.output_shape) * BYTES[element] >= STREAMED_BYTES),
    }
    tables, weights = _tables(shape, chosen, numbers, w_out, ins)
    scratch, places = scratch_parts(
        {"staged": (chosen.cut.size, BYTES[element]), "weights": (weights * numbers["out_tiles"] + 1, BYTES[element])}
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
    maps, used = operation.batch * operation.groups, choices[0].cut
    estimates = []
    for one in choices:
        copying = maps * one.cut.cycles
        parts = {"multiplying": one.cycles - copying, "copying": copying}
        strip = f"{one.cut.z}x{one.cut.y}x{one.cut.x}"
        passes = count(len(one.tile.passes), "pass", "passes")
        way = f"{_words(one.tile, shape.phases)}, {passes}, strips of {strip}"
        estimates.append(Estimate(way, one.cycles, parts))
    facts: dict[str, int | tuple[int, ...]] = {
        "strip": (used.z, used.y, used.x),
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
