"""Binding of the kernels that walk the output row by row, `direct` and `channelwise`: when they fit, their tables."""

from __future__ import annotations

from math import ceil, prod

import numpy as np

from trous.backends.cpu import channelwise, direct
from trous.backends.cpu.ir import BYTES
from trous.backends.cpu.live import ENTRY, LIVE
from trous.backends.cpu.run import Bound, scratch_parts
from trous.backends.cpu.tables import Strides, Taps, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.tiles import SLOT
from trous.backends.operation import Operation
from trous.plan import BoundAxis

#: Output channels of a group up to which reading inputs in place beats copying them; phases stored side by side, or
#: inputs stepped over, at most; output rows in one work item.
CHANNELS, STEPS, ROWS = 4, 4, 16
#: Reach of the taps along a row times their number, up to which masks are made for the ends of a row.
MASKS = 1 << 20


def fits_direct(operation: Operation, strides: Strides) -> bool:
    """Few output channels in a group, a kernel that is not huge, and rows whose neighbours are adjacent."""
    axis = operation.bound.axes[-1].plan
    return (
        operation.out_channels // operation.groups <= CHANNELS
        and axis.up <= STEPS
        and axis.down <= STEPS
        and strides.x[-1] == strides.y[-1] == 1
        and (axis.offsets[-1] - axis.offsets[0]) * prod(len(a.offsets) for a in operation.bound.plan.axes) <= MASKS
    )


def bind_direct(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool
) -> tuple[direct.Shape, Bound]:
    rows = operation.out_channels // operation.groups
    taps = Taps(operation, strides, fold=False, lanes=rows)
    lanes = target.lanes(BYTES[element])
    interleaved = taps.axes[2].plan.up
    steps = [ceil(axis.output_size / axis.plan.up) for axis in taps.axes]
    # Sums fit the registers beside one weight of each channel and a vector loaded.
    most = max(1, (target.registers - 2 - rows) // (rows * interleaved))
    vectors = min(most, 4)
    shape = direct.Shape(element, lanes, rows, vectors, interleaved, taps.axes[2].plan.down, checked)
    row_vectors = ceil(steps[2] / lanes)
    head, tail = _inner_vectors(taps.axes[2], row_vectors, vectors, lanes)
    numbers = _row_numbers(taps, operation) | {
        "groups": operation.groups,
        "in_channels": operation.in_channels // operation.groups,
        "row_vectors": row_vectors,
        "slot_count": len(taps.slots),
        "head": head,
        "tail": tail,
        "phases": len(taps.phases) // interleaved,
        "y_group": rows * strides.y[1],
        "y_c": strides.y[1],
    }
    tables, parts = _tap_tables(taps, interleaved)
    parts["masks"] = ((row_vectors + 1 - tail + head) * len(taps.slots), 8)
    scratch, places = scratch_parts(parts)
    items = operation.batch * operation.groups * steps[0] * numbers["row_parts"]
    return shape, Bound.of(direct.FIELDS, numbers | places, tables, items, scratch)


def _inner_vectors(axis: BoundAxis, row_vectors: int, block: int, lanes: int) -> tuple[int, int]:
    """First and one after the last vector of a row, in whole blocks, that every live tap finds inside the row."""
    first = max([axis.steps(tap).start for tap in axis.live_taps], default=0)
    last = min([axis.steps(tap).stop for tap in axis.live_taps], default=0)
    head = ceil(first / (lanes * block)) * block
    # Whole vectors of strided steps read up to the step after their last.
    tail = (last - (axis.plan.down > 1)) // (lanes * block) * block
    return (head, tail) if head < tail <= row_vectors else (0, 0)


def fits_channelwise(operation: Operation, strides: Strides) -> bool:
    """Several groups with few output channels each, channels adjacent on both sides."""
    few = operation.out_channels // operation.groups <= CHANNELS
    return few and operation.groups > 1 and strides.x[1] == strides.y[1] == 1


def bind_channelwise(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool
) -> tuple[channelwise.Shape, Bound]:
    per_group, outs = (n // operation.groups for n in (operation.in_channels, operation.out_channels))
    taps = Taps(operation, strides, fold=False, lanes=outs)
    lanes = target.lanes(BYTES[element])
    steps = [ceil(axis.output_size / axis.plan.up) for axis in taps.axes]
    vectors = min(4 if target.registers >= 32 else 2, ceil(operation.out_channels / lanes))
    positions = (target.registers - 2 - vectors) // vectors
    shape = channelwise.Shape(element, lanes, min(positions, 8), vectors, per_group == outs == 1, checked)
    width = vectors * lanes
    blocks, row_parts = ceil(operation.out_channels / width), ceil(steps[1] / ROWS)
    numbers = _row_numbers(taps, operation) | {
        "channels": operation.out_channels,
        "per_group": per_group,
        "batch": operation.batch,
        "phases": len(taps.phases),
    }
    # Steps of a row that every tap of it finds inside.
    axis = taps.axes[2]
    numbers["inner_first"] = max([axis.steps(tap).start for tap in axis.live_taps], default=0)
    numbers["inner_last"] = min([axis.steps(tap).stop for tap in axis.live_taps], default=0)
    tables, parts = _tap_tables(taps, 1)
    numbers["entry_count"] = int(tables["entry_at"][-1])
    parts["weights"] = (max(1, numbers["entry_count"]) * per_group * width, BYTES[element])
    scratch, places = scratch_parts(parts)
    channel = np.arange(blocks * width)
    group, inner = channel // outs, channel % outs
    tables["x_lanes"] = group * per_group
    tables["w_lanes"] = group * numbers["w_group"] + inner * numbers["w_out"]
    items = blocks * operation.batch * steps[0] * row_parts
    return shape, Bound.of(channelwise.FIELDS, numbers | places, tables, items, scratch)


def _row_numbers(taps: Taps, operation: Operation) -> dict[str, int]:
    """Header numbers of kernels that walk rows: the shared ones, and how far the live taps reach across rows."""
    numbers = sides(taps, operation)
    for i, name in enumerate("zy"):
        offsets = taps.offsets[i] or (0,)
        numbers |= {f"low_{name}": min(offsets), f"high_{name}": max(offsets)}
    return numbers | {"row_parts": ceil(numbers["steps_y"] / ROWS), "rows_each": ROWS}


def _tap_tables(taps: Taps, interleaved: int) -> tuple[dict[str, np.ndarray], dict[str, tuple[int, int]]]:
    """Tables of slots, entries and phases, and the scratch in which live taps are listed."""
    entries: list[tuple[int, int]] = []
    starts: list[int] = []
    for phase in taps.phases:
        starts.append(len(entries))
        entries += [(entry.slot, entry.weight) for entry in taps.entries(phase)]
    starts.append(len(entries))
    tables = {
        "slots": table(taps.slots, SLOT),
        "entries": table(entries, ENTRY),
        "entry_at": np.array(starts, np.int64),
        "phase_list": table(taps.phases[::interleaved], 3),
    }
    return tables, {"live": (len(entries) * LIVE + 1, 8), "live_at": (len(taps.phases) + 1, 8)}
