"""Binding of the `gemm` kernel: from an operation and its strides to header, tables and scratch."""

from __future__ import annotations

from math import ceil

import numpy as np

from trous.backends.cpu import gemm
from trous.backends.cpu.ir import BYTES
from trous.backends.cpu.run import Bound, items_wanted, scratch_parts
from trous.backends.cpu.tables import Entry, Strides, Taps, folds, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.tiles import COPY, RUN, SLOT, near
from trous.backends.operation import Operation

#: Bytes of packed weights, and of sums that await the next chunk, that one thread keeps at hand.
WEIGHT_BYTES, SUM_BYTES = 1 << 21, 1 << 19
#: A chunk of a long reduction: products for each output (slots times channels), slots and channels, at most.
CHUNK_STEPS, CHUNK_SLOTS, CHUNK_CHANNELS = 6144, 256, 512
#: Phases of the last axis that are stored together, at most.
INTERLEAVED = 8
#: Bytes of inputs that are copied at a time, where the layer has so many positions: the longer a stretch of a row is
#: read in one go, the less often memory is waited for.
SPAN_BYTES, SPAN_TILES = 3 << 17, 8
#: Items of work for each core, where there is enough of it, so that threads share it evenly.
ITEMS = 8
#: Positions of an item that pay for packing the weights of a long reduction.
POSITIONS = 256


def bind(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool
) -> tuple[gemm.Shape, Bound]:
    fold = _wants_fold(operation, strides, target.lanes(BYTES[element]))
    groups = operation.groups
    per_group = operation.out_channels // groups
    last = operation.bound.axes[-1].plan.up
    out_channels = last if fold else per_group
    taps = Taps(operation, strides, fold, out_channels)
    steps = [ceil(axis.output_size / axis.plan.up) for axis in taps.axes]
    positions = operation.batch * steps[0] * steps[1] * steps[2]
    channels = operation.in_channels // groups
    shape = _shape(operation, strides, element, target, checked, fold, out_channels)

    chunks = _chunks(len(taps.slots), channels)
    entries, entry_at, most = _entry_tables(taps, chunks, shape.interleaved)
    phases = len(taps.phases) // shape.interleaved
    channel_tiles = ceil(out_channels / shape.channels)
    panel = most * max(c[3] for c in chunks) * shape.channels
    virtual_groups = groups * (per_group if fold else 1)
    position_tiles = ceil(positions / shape.positions)
    # Enough blocks of channels to fit their weights, and for every core where there are few positions to share.
    shares = ceil(positions / POSITIONS) if len(chunks) > 1 else position_tiles
    channel_blocks = max(
        ceil(channel_tiles * panel * BYTES[element] / WEIGHT_BYTES),
        min(channel_tiles, ceil(items_wanted(1) / (virtual_groups * shares))),
    )
    tiles_per_block = ceil(channel_tiles / min(channel_blocks, channel_tiles))
    channel_blocks = ceil(channel_tiles / tiles_per_block)
    blocks = virtual_groups * channel_blocks
    tiles = _tiles_per_span(shape, chunks, position_tiles, position_tiles * blocks)
    span, spans = tiles * shape.positions, ceil(position_tiles / tiles)
    span_sums = shape.interleaved * span * shape.channels
    kept = tiles_per_block * phases * span_sums * BYTES[element]
    spans_per_item = max(1, min(spans, spans * blocks // items_wanted(ITEMS)))
    if len(chunks) > 1:
        # Weights are packed again for every item, so an item should have many positions to use them on.
        spans_per_item = max(spans_per_item, ceil(POSITIONS / span))
        spans_per_item = max(1, min(spans_per_item, spans, SUM_BYTES // kept))
    items_per_block = ceil(spans / spans_per_item)

    y, w = strides.spatial("y"), strides.spatial("w")
    numbers = sides(taps, operation) | {
        "groups_per_input": per_group if fold else 1,
        "channel_tiles": channel_tiles,
        "tiles_per_block": tiles_per_block,
        "channel_blocks": channel_blocks,
        "positions": positions,
        "span": span,
        "spans": spans,
        "spans_per_item": spans_per_item,
        "items_per_block": items_per_block,
        "chunks": len(chunks),
        "phases": phases,
        "out_channels": out_channels,
        "lane_extent": int(fold),
        "y_group": strides.y[1] if fold else per_group * strides.y[1],
        "y_c": y[2] if fold else strides.y[1],
        "bias_group": 1 if fold else per_group,
        "bias_lane": 0 if fold else 1,
        "panel": panel,
        "span_sums": span_sums,
    }
    numbers["w_sub"], numbers["w_lane"] = (numbers["w_out"], w[2]) if fold else (0, numbers["w_out"])
    del numbers["w_out"]
    tables = {
        "slots": table(taps.slots, SLOT),
        "entries": entries,
        "entry_at": entry_at,
        "chunk_list": table(chunks, gemm.CHUNK),
        "phase_list": table(taps.phases[:: shape.interleaved], gemm.PHASE),
    }
    unfinished = spans_per_item * tiles_per_block * phases if len(chunks) > 1 else 1
    sums = unfinished * span_sums
    scratch, numbers_at = _scratch(shape, chunks, span, most, tiles_per_block * panel, sums, phases)
    return shape, Bound.of(gemm.FIELDS, numbers | numbers_at, tables, blocks * items_per_block, scratch)


def _wants_fold(operation: Operation, strides: Strides, lanes: int) -> bool:
    """Long strides of the last axis: vectors run over its phases, whose weights and outputs lie side by side."""
    axis = operation.bound.axes[-1]
    return axis.plan.up >= lanes and strides.y[-1] == 1 and strides.w[-1] == 1 and folds(axis)


def _shape(
    operation: Operation,
    strides: Strides,
    element: str,
    target: Target,
    checked: bool,
    fold: bool,
    out_channels: int,
) -> gemm.Shape:
    lanes = target.lanes(BYTES[element])
    last = operation.bound.axes[-1].plan
    w_out = strides.w[1] if operation.weight_by_input else strides.w[0]
    along_channels = fold or (strides.y[1] == 1 and strides.x[1] == 1 and out_channels >= lanes // 2)
    if along_channels:
        widths = {1: 1.15, 2: 1.0, 3: 1.05}  # padded channels, weighed by what a tile of so many vectors costs
        vectors = min(widths, key=lambda v: ceil(out_channels / (v * lanes)) * v * widths[v])
        rows = _rows(target, vectors)
        per_group = operation.in_channels // operation.groups
        kept = next((n for n in (80, 272) if n >= min(per_group, CHUNK_CHANNELS) + lanes), CHUNK_CHANNELS + 16)
        y_lane = strides.y[-1] if fold else strides.y[1]
        w_lane = strides.w[-1] if fold else w_out
        return gemm.Shape(
            *(element, lanes, rows, vectors, False),
            stride_x=near(strides.x[1]),
            contiguous_y=y_lane == 1,
            contiguous_w=w_lane == 1,
            row_stride=kept,
            checked=checked,
        )
    interleaved = last.up if 1 < last.up <= INTERLEAVED and strides.y[-1] == 1 else 1
    vectors, most = 2, _rows(target, 2)
    tiles = ceil(out_channels / most)
    rows = ceil(out_channels / tiles)
    if rows <= most // 2:
        vectors = 4
    step = strides.x[-1] * last.down
    y_step = strides.y[-1] * (1 if interleaved > 1 else last.up)
    return gemm.Shape(
        *(element, lanes, rows, vectors, True, interleaved),
        stride_x=near(step),
        contiguous_y=y_step == 1,
        contiguous_w=w_out == 1,
        checked=checked,
    )


def _rows(target: Target, vectors: int) -> int:
    """Rows of accumulators that fit the registers beside the vectors loaded and, where needed, a broadcast."""
    free = target.registers - vectors - (2 if target.broadcast_operands else 3)
    return min(24, free // vectors) if vectors == 1 else free // vectors


def _chunks(slots: int, channels: int) -> list[tuple[int, int, int, int]]:
    """(first slot, slots, first channel, channels) of the parts in which long reductions are summed, in order."""
    channels_each = max(1, min(channels, CHUNK_CHANNELS))
    slots_each = max(1, min(CHUNK_SLOTS, CHUNK_STEPS // channels_each))
    return [
        (s, min(slots_each, slots - s), c, min(channels_each, channels - c))
        for s in range(0, max(slots, 1), slots_each)
        for c in range(0, max(channels, 1), channels_each)
    ]


def _entry_tables(
    taps: Taps, chunks: list[tuple[int, int, int, int]], interleaved: int
) -> tuple[np.ndarray, np.ndarray, int]:
    """Entries by chunk and phase, where each phase starts, and the most that one chunk has."""
    by_phase: list[list[Entry]] = [taps.entries(phase) for phase in taps.phases]
    rows: list[tuple[int, int, int, int, int]] = []
    starts: list[int] = []
    most = 0
    for first, count, _, _ in chunks:
        begin = len(rows)
        for entries in by_phase:
            starts.append(len(rows))
            rows += [(0, e.slot - first, e.weight, e.low, e.high) for e in entries if first <= e.slot < first + count]
        rows[begin:] = [(number, *row[1:]) for number, row in enumerate(rows[begin:])]
        most = max(most, len(rows) - begin)
    starts.append(len(rows))
    return table(rows, gemm.ENTRY), np.array(starts, np.int64), max(most, 1)


def _tiles_per_span(shape: gemm.Shape, chunks: list[tuple[int, int, int, int]], tiles: int, work: int) -> int:
    """Tiles whose inputs are copied together; fewer where `work`, the number of all tiles, is soon shared out."""
    kept = max(c[1] * (c[3] if shape.positions_along_vectors else shape.row_stride) for c in chunks)
    fitting = SPAN_BYTES // max(1, kept * shape.positions * BYTES[shape.element])
    return max(1, min(fitting, tiles, work // items_wanted(ITEMS), SPAN_TILES))


def _scratch(
    shape: gemm.Shape,
    chunks: list[tuple[int, int, int, int]],
    span: int,
    entries: int,
    weights: int,
    sums: int,
    phases: int,
) -> tuple[int, dict[str, int]]:
    """Bytes of scratch for one thread, and where its parts lie."""
    slots, channels = max(c[1] for c in chunks), max(c[3] for c in chunks)
    kept = span * (channels if shape.positions_along_vectors else shape.row_stride)
    item = BYTES[shape.element]
    lengths = {
        "weights": (weights, item),
        "inputs": (slots * kept, item),
        "sums": (sums, item),
        "runs": ((span + 1) * RUN, 8),
        "copies": (slots * (span + span // shape.lanes) * COPY + COPY, 8),
        "places": (slots + 1, 8),
        "pairs": ((entries + 1) * gemm.PAIR, 8),
        "pair_at": (phases * shape.interleaved + 1, 8),
    }
    return scratch_parts(lengths)
