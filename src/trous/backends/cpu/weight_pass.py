"""The gradient for the weight, and the binding of its kernel."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil
from typing import Any

from trous import settings
from trous.arrays import dtype_name, wide
from trous.backends.cpu import correlate, engine, run
from trous.backends.cpu.ir import BYTES
from trous.backends.cpu.run import Bound
from trous.backends.cpu.tables import Strides, Taps, sides, table
from trous.backends.cpu.target import Target, current
from trous.backends.cpu.tiles import COPY, RUN, SLOT, near
from trous.backends.operation import Operation

#: Channels and steps that a tile holds at most on either side: half a megabyte of each.
BLOCK_CHANNELS, TILE_STEPS = 128, 1024
#: Items of work for each core, where there is enough of it.
ITEMS = 4


def weight_grad(operation: Operation, x: Any, dy: Any, dw: Any) -> None:
    """Tiles of steps are added up in `dw`, so that of 16-bit floats is a copy in float32, rounded at the end."""
    total = wide(dw)
    total[...] = 0
    if operation.multiplications:
        _add(operation, x, dy, total)
    if total is not dw:
        dw[...] = total


def _add(operation: Operation, x: Any, dy: Any, dw: Any) -> None:
    strides = Strides.of(x, dw, dy)
    checked = settings.get(settings.CHECK) == "1"
    bound, kernel = _bound(operation, strides, dtype_name(x), current(), checked)
    run.call(kernel, bound, {"x": x, "y": dy, "w": dw}, operation.multiplications, checked)


@lru_cache(maxsize=4096)
def _bound(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool
) -> tuple[Bound, Callable[..., None]]:
    shape = _shape(operation, strides, element, target, checked)
    kernel = engine.function(shape.name, target, lambda: correlate.build(shape))
    return _bind(operation, strides, shape), kernel


def _shape(operation: Operation, strides: Strides, element: str, target: Target, checked: bool) -> correlate.Shape:
    outs, ins = (n // operation.groups for n in (operation.out_channels, operation.in_channels))
    rows, columns = _tile(outs, ins, target.registers)
    axis = operation.bound.axes[-1].plan
    return correlate.Shape(
        element,
        target.lanes(BYTES[element]),
        rows,
        columns,
        near(strides.x[-1] * axis.down),
        near(strides.y[-1] * axis.up),
        checked,
    )


def _tile(outs: int, ins: int, registers: int) -> tuple[int, int]:
    """Rows and columns of accumulators: as square as the channels allow, in the registers beside a row and the columns
    loaded."""
    largest = 6 if registers >= 32 else 3
    rows = min(outs, largest)
    if ins < largest:
        rows = min(outs, 2 * largest, (registers - 2 - ins) // ins)
    return rows, min(ins, 2 * largest, (registers - 2) // (rows + 1))


def _bind(operation: Operation, strides: Strides, shape: correlate.Shape) -> Bound:
    taps = Taps(operation, strides, fold=False, lanes=0)
    steps = [ceil(axis.output_size / axis.plan.up) for axis in taps.axes]
    positions = operation.batch * steps[0] * steps[1] * steps[2]
    ins, outs = (n // operation.groups for n in (operation.in_channels, operation.out_channels))
    # How steps are cut decides the order of sums, so it depends on the problem alone; how channels and slots are cut
    # into items depends on the cores too.
    vectors = min(ceil(positions / shape.lanes), TILE_STEPS // shape.lanes)
    tile_steps = (vectors | 1) * shape.lanes  # rows an even number of cache lines apart would compete for the same ones
    wanted = run.items_wanted(ITEMS)
    in_block = min(ins, BLOCK_CHANNELS)
    slots_each = max(1, min(BLOCK_CHANNELS // in_block, ceil(len(taps.slots) * operation.groups / wanted)))
    in_blocks, chunk_count = ceil(ins / in_block), ceil(len(taps.slots) / slots_each)
    shares = ceil(wanted / (operation.groups * in_blocks * chunk_count))
    most = min(BLOCK_CHANNELS // len(taps.phases), ceil(outs / shares))
    out_block = min(outs, max(shape.rows, most))
    out_blocks = ceil(outs / out_block)
    phases, entries, chunks = _tables(taps, slots_each)
    most_phases = max(c[3] for c in chunks)
    numbers = {
        "chunks": len(chunks),
        "in_blocks": in_blocks,
        "out_blocks": out_blocks,
        "in_block": in_block,
        "out_block": out_block,
        "in_channels": ins,
        "out_channels": outs,
        "positions": positions,
        "position_tiles": ceil(positions / tile_steps),
        "tile_steps": tile_steps,
        "y_group": outs * strides.y[1],
        "y_c": strides.y[1],
        **sides(taps, operation),
    }
    lengths = {
        "inputs": ((slots_each * in_block + shape.columns) * tile_steps, BYTES[shape.element]),
        "outputs": ((most_phases * out_block + shape.rows) * tile_steps, BYTES[shape.element]),
        "sums": (shape.rows * shape.columns + shape.lanes, BYTES[shape.element]),
        "runs": ((tile_steps + 1) * RUN, 8),
        "in_copies": (slots_each * 2 * (tile_steps + 1) * COPY, 8),
        "in_places": (slots_each, 8),
        "out_copies": (most_phases * 2 * (tile_steps + 1) * COPY, 8),
        "out_places": (most_phases, 8),
    }
    scratch, places = run.scratch_parts(lengths)
    tables = {
        "slots": table(taps.slots, SLOT),
        "phases": table(phases, SLOT),
        "entries": table(entries, correlate.ENTRY),
        "chunk_list": table(chunks, correlate.CHUNK),
    }
    items = operation.groups * in_blocks * out_blocks * len(chunks)
    return Bound.of(correlate.FIELDS, numbers | places, tables, items, scratch)


def _tables(taps: Taps, slots_each: int) -> tuple[list, list, list]:
    """Phases as slots of the output side, entries, and the chunks of slots that one item takes."""
    z, y, x = taps.strides.spatial("y")
    by_slot: dict[int, list[tuple[tuple[int, int, int], int]]] = {}
    for phase in taps.phases:
        for entry in taps.entries(phase):
            by_slot.setdefault(entry.slot, []).append((phase, entry.weight))
    phases: list[tuple[int, int, int, int]] = []
    entries: list[tuple[int, int, int]] = []
    chunks: list[tuple[int, int, int, int, int, int]] = []
    for first in range(0, len(taps.slots), slots_each):
        slots = range(first, min(first + slots_each, len(taps.slots)))
        used = sorted({phase for slot in slots for phase, _ in by_slot.get(slot, ())})
        place = {phase: i for i, phase in enumerate(used)}
        begin = len(entries)
        entries += [(slot - first, place[phase], w) for slot in slots for phase, w in by_slot.get(slot, ())]
        chunks.append((first, len(slots), len(phases), len(used), begin, len(entries)))
        phases += [(*phase, phase[0] * z + phase[1] * y + phase[2] * x) for phase in used]
    return phases, entries, chunks
