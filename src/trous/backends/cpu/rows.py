"""Binding of the `channelwise` kernel: when it fits, its tables."""

from __future__ import annotations

from math import ceil, prod

import numpy as np

from trous.backends.cpu import channelwise, run_plan
from trous.backends.cpu.activations import slope_bits
from trous.backends.cpu.dense import STREAMED_BYTES
from trous.backends.cpu.live import ENTRY, LIVE, SLOT
from trous.backends.cpu.narrow import STORED
from trous.backends.cpu.run import Bound, items_wanted, scratch_parts
from trous.backends.cpu.runs import Run
from trous.backends.cpu.tables import Strides, Taps, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import BYTES, LINE
from trous.backends.epilogue import Epilogue
from trous.backends.facts import FamilyFacts
from trous.backends.operation import Operation
from trous.plan import BoundAxis
from trous.plan.table import count

#: Output channels of a group up to which all groups are computed side by side.
CHANNELS = 4
#: Bytes of an input row that are walked before the next block of channels, and of all rows that taps read meanwhile.
PIECE, NEAR_ROWS = 1 << 15, 1 << 19
#: Cycles for a tap to ask whether it finds a step inside, where some do not.
RAGGED = 1.5
#: Items of work for each core, where there is enough of it.
ITEMS = 4


def why_not_channelwise(operation: Operation, strides: Strides, element: str, target: Target) -> str | None:
    """It takes several groups with few output channels each, channels adjacent on both sides."""
    if operation.groups == 1:
        return "there is one group"
    if (outs := operation.out_channels // operation.groups) > CHANNELS:
        return f"{outs} output channels in a group are more than {CHANNELS}"
    if not strides.x[1] == strides.y[1] == 1:
        return "channels are no neighbours in memory"
    return None


def bind_channelwise(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue
) -> tuple[channelwise.Shape, Bound]:
    per_group, outs = (n // operation.groups for n in (operation.in_channels, operation.out_channels))
    taps = Taps(operation, strides, fold=False, lanes=outs)
    lanes, channels = target.lanes(BYTES[element]), operation.out_channels
    depthwise = per_group == outs == 1
    run, vectors, positions = _tile(taps, ceil(channels / lanes), target.registers, depthwise)
    width = vectors * lanes
    blocks = ceil(channels / width)
    shape = channelwise.Shape(
        *(element, lanes),
        positions=positions,
        vectors=vectors,
        depthwise=depthwise,
        full=(channels - (blocks - 1) * width) // lanes,
        run=run,
        streams=target.vector_bytes == LINE and element not in STORED,
        checked=checked,
        epilogue=epilogue.code,
    )
    parts = _parts(taps, operation, shape.positions, BYTES[element])
    numbers = sides(taps, operation) | parts
    for i, name in enumerate("zy"):
        offsets = taps.offsets[i] or (0,)
        numbers |= {f"low_{name}": min(offsets), f"high_{name}": max(offsets)}
    inner_first, inner_last = _inner(taps.axes[2])
    tables, lengths = _tap_tables(taps, run)
    apart = [step for n, step in zip(operation.output_shape, strides.y, strict=True) if n > 1 and step > 1]
    whole_lines = all(step % lanes == 0 for step in apart)
    numbers |= {
        "panel": per_group * width,
        "large": int(whole_lines and prod(operation.output_shape) * BYTES[element] >= STREAMED_BYTES),
        "channels": channels,
        "per_group": per_group,
        "blocks": blocks,
        "phases": len(taps.phases),
        "inner_first": inner_first,
        "inner_last": inner_last,
        "entry_count": int(tables["entry_at"][-1]),
        "slope": slope_bits(epilogue.slope),
    }
    lengths["zeros"] = (width, BYTES[element])
    lengths["weights"] = (max(1, numbers["entry_count"]) * per_group * width * blocks, BYTES[element])
    scratch, places = scratch_parts(lengths)
    channel = np.arange(blocks * width)
    group, inner = channel // outs, channel % outs
    tables["x_lanes"] = group * per_group
    tables["w_lanes"] = group * numbers["w_group"] + inner * numbers["w_out"]
    items = operation.batch * parts["column_parts"] * parts["row_parts"] * parts["plane_parts"]
    return shape, Bound.of(channelwise.FIELDS, numbers | places, tables, items, scratch)


def account_channelwise(
    operation: Operation, strides: Strides, element: str, target: Target, shape: channelwise.Shape, bound: Bound
) -> FamilyFacts:
    """The pieces of rows; no model compares them with others."""
    positions = count(shape.positions, "position", "positions")
    tile = f"{positions} x {count(shape.vectors, 'vector', 'vectors')} of {shape.lanes} channels"
    cut: dict[str, int | tuple[int, ...]] = {
        "piece": tuple(bound.number(f"{name}_each") for name in ("planes", "rows", "columns")),
        "pieces": tuple(bound.number(f"{name}_parts") for name in ("plane", "row", "column")),
        "channel_blocks": bound.number("blocks"),
    }
    return FamilyFacts(tile, cut)


def cycles(operation: Operation, strides: Strides, element: str, target: Target) -> float:
    """An estimate of the cycles that a depthwise layer takes on one core."""
    taps = Taps(operation, strides, fold=False, lanes=1)
    every = ceil(operation.out_channels / target.lanes(BYTES[element]))
    run, vectors, positions = _tile(taps, every, target.registers, True)
    steps = [ceil(axis.output_size / axis.plan.up) for axis in taps.axes]
    first, last = _inner(taps.axes[2])
    whole, tiles = max(0, (last - first) // positions), ceil(steps[2] / positions)
    *outer, x = (axis.live for axis in taps.axes)
    entries, phases = sum(map(len, taps.entries)), len(taps.phases)
    each = whole * (
        prod(len(axis.taps) for axis in outer) * run_plan.cycles(x, run, vectors, positions) + run_plan.START * phases
    )
    each += (tiles - whole) * (entries * positions * (vectors / 2 + RAGGED) + run_plan.START * phases)
    return operation.batch * ceil(every / vectors) * steps[0] * steps[1] * each


def _inner(axis: BoundAxis) -> tuple[int, int]:
    """The steps that every tap finds inside, and that all phases have."""
    steps = [axis.steps(tap) for tap in axis.live_taps]
    first = max([own.start for own in steps], default=0)
    return first, min([own.stop for own in steps] + [axis.output_size // axis.plan.up])


def _tile(taps: Taps, vectors: int, registers: int, depthwise: bool) -> tuple[Run, int, int]:
    """Run, vectors and positions of a tile of few cycles, for so many vectors of channels."""
    if depthwise:
        return run_plan.tile(tuple(axis.plan for axis in taps.axes), vectors, registers, registers // 5)

    def loads(width: int) -> float:
        """Of one tap and position: of inputs and weights, and what going from tap to tap takes the time of."""
        return ceil(vectors / width) * (width + (width + 6) / _positions(width, registers))

    best = min(range(1, registers // 5), key=loads)
    return Run(1, 0, taps.axes[2].plan.down), best, _positions(best, registers)


def _positions(vectors: int, registers: int) -> int:
    return min((registers - 2 - vectors) // vectors, 8)


def _parts(taps: Taps, operation: Operation, positions: int, item: int) -> dict[str, int]:
    """Items of work: pieces of rows, rows and planes, so that what taps read again is still near."""
    _, y, x = taps.axes
    steps = [ceil(axis.output_size / axis.plan.up) for axis in taps.axes]
    column = operation.in_channels * item * x.plan.down
    columns = ceil(PIECE / column / positions) * positions
    if 2 * columns > steps[2]:
        columns = max(steps[2], 1)
    wanted = ceil(items_wanted(ITEMS) / max(1, operation.batch * ceil(steps[2] / columns)))
    rows = ceil(steps[1] / wanted)
    if steps[0] > 1:
        depth, halo = (taps.offsets[i][-1] - taps.offsets[i][0] if taps.offsets[i] else 0 for i in (0, 1))
        near = NEAR_ROWS // (column * columns * (depth + 1) * y.plan.down) - halo
        rows = min(steps[1], max(near, 8))
    row_parts = ceil(steps[1] / rows)
    planes = ceil(steps[0] / ceil(wanted / row_parts))
    return {
        "columns_each": columns,
        "column_parts": ceil(steps[2] / columns),
        "rows_each": rows,
        "row_parts": row_parts,
        "planes_each": planes,
        "plane_parts": ceil(steps[0] / planes),
    }


def _tap_tables(taps: Taps, run: Run) -> tuple[dict[str, np.ndarray], dict[str, tuple[int, int]]]:
    """Tables of slots, entries and phases, and the scratch in which live taps are listed."""
    lists = [own for entries in taps.entries for own in run_plan.split(entries, taps.slots, run)]
    entries = table([(entry.slot, entry.weight) for own in lists for entry in own], ENTRY)
    tables = {
        "slots": table(taps.slots, SLOT),
        "entries": entries,
        "entry_at": np.cumsum([0, *map(len, lists)], dtype=np.int64),
        "phase_list": table(taps.phases, 3),
    }
    return tables, {"live": (len(entries) * LIVE + 1, 8), "live_at": (len(lists) + 1, 8)}
