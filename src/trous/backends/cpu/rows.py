"""Binding of the `channelwise` kernel: when it fits, its tables."""

from __future__ import annotations

from math import ceil

import numpy as np

from trous.backends.cpu import channelwise
from trous.backends.cpu.ir import BYTES
from trous.backends.cpu.live import ENTRY, LIVE
from trous.backends.cpu.run import Bound, scratch_parts
from trous.backends.cpu.tables import Strides, Taps, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.tiles import SLOT
from trous.backends.operation import Operation

#: Output channels of a group up to which reading inputs in place beats copying them; phases stored side by side, or
#: inputs stepped over, at most; output rows in one work item.
CHANNELS, STEPS, ROWS = 4, 4, 16
#: Reach of the taps along a row times their number, up to which masks are made for the ends of a row.
MASKS = 1 << 20


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
