"""Binding of the `direct` kernel: when it fits, and its header and tables."""

from __future__ import annotations

from math import ceil

import numpy as np

from trous.backends.cpu import direct
from trous.backends.cpu.ir import BYTES
from trous.backends.cpu.run import Bound, scratch_parts
from trous.backends.cpu.tables import Strides, Taps, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.tiles import SLOT
from trous.backends.operation import Operation

#: Output channels of a group up to which reading inputs in place beats copying them, phases stored side by side, and
#: output rows in one work item.
CHANNELS, INTERLEAVE, ROWS = 4, 4, 16


def fits(operation: Operation, strides: Strides) -> bool:
    """Few output channels in a group, and rows whose neighbours are adjacent on both sides."""
    axis = operation.bound.axes[-1].plan
    return (
        operation.out_channels // operation.groups <= CHANNELS
        and axis.up <= INTERLEAVE
        and axis.down == 1
        and strides.x[-1] == strides.y[-1] == 1
    )


def bind(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool
) -> tuple[direct.Shape, Bound]:
    rows = operation.out_channels // operation.groups
    taps = Taps(operation, strides, fold=False, lanes=rows)
    lanes = target.lanes(BYTES[element])
    interleaved = taps.axes[2].plan.up
    steps = [ceil(axis.output_size / axis.plan.up) for axis in taps.axes]
    # Sums fit the registers beside one weight of each channel and a vector loaded.
    most = max(1, (target.registers - 2 - rows) // (rows * interleaved))
    vectors = max(v for v in (1, 2, 3, 4) if v <= min(most, max(1, ceil(steps[2] / lanes))))
    shape = direct.Shape(element, lanes, rows, vectors, interleaved, checked)
    entries: list[tuple[int, int]] = []
    starts: list[int] = []
    for phase in taps.phases:
        starts.append(len(entries))
        entries += [(entry.slot, entry.weight) for entry in taps.entries(phase)]
    starts.append(len(entries))
    blocks, row_parts = ceil(steps[2] / (vectors * lanes)), ceil(steps[1] / ROWS)
    numbers = sides(taps, operation) | {
        "groups": operation.groups,
        "in_channels": operation.in_channels // operation.groups,
        "blocks": blocks,
        "row_parts": row_parts,
        "rows_each": ROWS,
        "slot_count": len(taps.slots),
        "phases": len(taps.phases) // interleaved,
        "y_group": rows * strides.y[1],
        "y_c": strides.y[1],
    }
    for i, name in enumerate("zyx"):
        offsets = taps.offsets[i] or (0,)
        numbers |= {f"low_{name}": min(offsets), f"high_{name}": max(offsets)}
    scratch, places = scratch_parts(
        {
            "masks": (blocks * len(taps.slots) * vectors + 1, 8),
            "live": (len(entries) * direct.LIVE + 1, 8),
            "live_at": (len(taps.phases) + 1, 8),
        }
    )
    tables = {
        "slots": table(taps.slots, SLOT),
        "entries": table(entries, direct.ENTRY),
        "entry_at": np.array(starts, np.int64),
        "phase_list": table(taps.phases[::interleaved], 3),
    }
    items = operation.batch * operation.groups * steps[0] * row_parts
    return shape, Bound(direct.FIELDS.pack(numbers | places), tables, items, scratch)
