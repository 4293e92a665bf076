"""Binding of the `gemm` kernel: from an operation and its strides to header, tables and scratch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil, prod

import numpy as np

from trous.backends.cpu import gemm
from trous.backends.cpu.ir import BYTES
from trous.backends.cpu.run import Bound, items_wanted, scratch_parts
from trous.backends.cpu.tables import Strides, Taps, folds, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.tiles import near
from trous.backends.cpu.windows import ROW, STRETCH
from trous.backends.operation import Operation
from trous.plan.window import Place, Stretch, stretches

#: Bytes of packed weights, of a window and of sums that one thread keeps at hand; together they fit a second-level
#: cache.
WEIGHT_BYTES, WINDOW_BYTES, SUM_BYTES = 3 << 18, 1 << 19, 1 << 19
#: Products for each output (taps times channels) in a chunk of a long reduction, so that what a register tile reads
#: stays in the first-level cache; taps of a phase in a chunk at most.
CHUNK_STEPS, CHUNK_TAPS = 512, 256
#: Phases of the last axis that are stored together, at most.
INTERLEAVED = 8
#: Items of work for each core, where there is enough of it, so that threads share it evenly.
ITEMS = 4
#: What copying a vector into the window costs, in multiply-adds of a vector.
COPY = 10


def bind(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool
) -> tuple[gemm.Shape, Bound]:
    lanes = target.lanes(BYTES[element])
    fold = _wants_fold(operation, strides, lanes)
    groups = operation.groups
    per_group = operation.out_channels // groups
    last = operation.bound.axes[-1].plan.up
    out_channels = last if fold else per_group
    taps = Taps(operation, strides, fold, out_channels)
    channels = operation.in_channels // groups
    by_phase = [taps.entries(phase) for phase in taps.phases]
    most = max(1, *map(len, by_phase))
    chunk_channels = _chunk_channels(channels, min(most, CHUNK_TAPS), lanes)
    shape = _shape(operation, strides, element, target, checked, fold, out_channels, chunk_channels)
    phases = len(taps.phases) // shape.interleaved
    channel_tiles = ceil(out_channels / shape.channels)
    virtual_groups = groups * (per_group if fold else 1)

    # Chunks and panels of weights.
    chunks, chunk_of_tap = _chunks(channels, chunk_channels, len(taps.slots), most)
    panel_taps = _panel_taps(by_phase, chunk_of_tap)
    panel = panel_taps * chunk_channels * shape.channels
    steps = (operation.batch, *(ceil(axis.output_size / axis.plan.up) for axis in taps.axes))
    share = prod(steps) * virtual_groups / (items_wanted(1) * 2 * shape.positions)  # register tiles of half a core's part
    channel_blocks = max(
        ceil(channel_tiles * panel * BYTES[element] / WEIGHT_BYTES),
        min(channel_tiles, ceil(1 / max(share, 1e-9))),
    )
    tiles_per_block = ceil(channel_tiles / min(channel_blocks, channel_tiles))
    channel_blocks = ceil(channel_tiles / tiles_per_block)
    blocks = virtual_groups * channel_blocks
    block_panels = tiles_per_block * panel
    kept = len(chunks) * block_panels * BYTES[element] <= WEIGHT_BYTES

    box = _box(shape, taps, steps, by_phase, chunk_channels, tiles_per_block, blocks)
    tiles = [ceil(n / each) for n, each in zip(steps, box.tile, strict=True)]

    y, w = strides.spatial("y"), strides.spatial("w")
    numbers = sides(taps, operation) | {
        "groups_per_input": per_group if fold else 1,
        "channel_tiles": channel_tiles,
        "tiles_per_block": tiles_per_block,
        "channel_blocks": channel_blocks,
        "items_per_block": prod(tiles),
        "chunks": len(chunks),
        "phases": phases,
        "panels_kept": int(kept),
        "chunk_panels": block_panels if kept else 0,
        "panel": panel,
        "span": box.span,
        "out_channels": out_channels,
        "lane_extent": int(fold),
        "batch": operation.batch,
        "stretch_count": len(box.stretches),
        "plane": box.plane,
        "y_group": strides.y[1] if fold else per_group * strides.y[1],
        "y_c": y[2] if fold else strides.y[1],
        "bias_group": 1 if fold else per_group,
        "bias_lane": 0 if fold else 1,
    }
    for i, axis in enumerate("nzyx"):
        numbers[f"tile_{axis}"] = box.tile[i]
        if axis != "n":
            numbers[f"tiles_{axis}"] = tiles[i]
        if axis != "x":
            numbers |= {f"pitch_{axis}": box.pitch[i], f"flat_{axis}": box.flat[i], f"sum_{axis}": box.sums[i]}
    numbers["w_sub"], numbers["w_lane"] = (numbers["w_out"], w[2]) if fold else (0, numbers["w_out"])
    del numbers["w_out"]

    unit = 1 if shape.positions_along_vectors else shape.channel_pitch
    rows: list[tuple[int, ...]] = []
    starts = []
    for number in range(len(chunks)):
        for entries in by_phase:
            starts.append(len(rows))
            rows += [
                (box.distances[e.slot] * unit, e.weight, e.low, e.high, *taps.slots[e.slot][:3])
                for e in entries
                if chunk_of_tap[e.slot] == chunks[number][3]
            ]
    starts.append(len(rows))
    tables = {
        "stretches": table(box.stretches, STRETCH),
        "entries": table(rows, gemm.ENTRY),
        "entry_at": np.array(starts, np.int64),
        "chunk_list": table([chunk[:3] for chunk in chunks], gemm.CHUNK),
        "phase_list": table(taps.phases[:: shape.interleaved], gemm.PHASE),
    }
    item = BYTES[element]
    lengths = {
        "weights": (block_panels * (len(chunks) if kept else 1), item),
        "inputs": (box.window + shape.positions * unit + lanes * lanes, item),
        "sums": (len(taps.phases) * tiles_per_block * box.span * shape.channels + shape.positions, item),
        "rows": (box.rows * ROW, 8),
        "pairs": ((most + 1) * gemm.PAIR, 8),
    }
    scratch, places = scratch_parts(lengths)
    return shape, Bound.of(gemm.FIELDS, numbers | places, tables, blocks * prod(tiles), scratch)


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
    chunk_channels: int,
) -> gemm.Shape:
    lanes = target.lanes(BYTES[element])
    last = operation.bound.axes[-1].plan
    w_out = strides.w[1] if operation.weight_by_input else strides.w[0]
    step = strides.x[-1] * last.down
    channels_adjacent = strides.x[1] == 1 and operation.in_channels > 1
    along_channels = fold or (strides.y[1] == 1 and strides.x[1] == 1 and out_channels >= lanes // 2)
    if along_channels:
        widths = {1: 1.15, 2: 1.0, 3: 1.05}  # padded channels, weighed by what a tile of so many vectors costs
        vectors = min(widths, key=lambda v: ceil(out_channels / (v * lanes)) * v * widths[v])
        y_lane = strides.y[-1] if fold else strides.y[1]
        w_lane = strides.w[-1] if fold else w_out
        across = not channels_adjacent and near(step) > 0
        return gemm.Shape(
            *(element, lanes, _rows(target, vectors), vectors, False),
            across=across,
            stride=near(step) if across else near(strides.x[1]),
            channel_pitch=max(lanes, 1 << (chunk_channels - 1).bit_length()),
            contiguous_y=y_lane == 1,
            contiguous_w=w_lane == 1,
            checked=checked,
        )
    interleaved = last.up if 1 < last.up <= INTERLEAVED and strides.y[-1] == 1 else 1
    vectors, most = 2, _rows(target, 2)
    tiles = ceil(out_channels / most)
    rows = ceil(out_channels / tiles)
    if rows <= most // 2:
        vectors = 4
    across = channels_adjacent and near(step) != 1
    y_step = strides.y[-1] * (1 if interleaved > 1 else last.up)
    return gemm.Shape(
        *(element, lanes, rows, vectors, True, interleaved),
        across=across,
        stride=1 if across else near(step),
        contiguous_y=y_step == 1,
        contiguous_w=w_out == 1,
        checked=checked,
    )


def _rows(target: Target, vectors: int) -> int:
    """Rows of accumulators that fit the registers beside the vectors loaded and, where needed, a broadcast."""
    free = target.registers - vectors - (2 if target.broadcast_operands else 3)
    return min(24, free // vectors) if vectors == 1 else free // vectors


def _chunk_channels(channels: int, taps: int, lanes: int) -> int:
    """Channels in a chunk, all chunks about alike."""
    wanted = max(lanes, CHUNK_STEPS // taps)
    return ceil(channels / ceil(channels / wanted))


def _chunks(
    channels: int, each: int, slots: int, most: int
) -> tuple[list[tuple[int, int, int, int]], list[int]]:
    """Parts in which long reductions are summed, in order: (first channel, channels, whether the window is the one
    before, part of the taps); and for each slot its part of the taps."""
    parts = ceil(most / CHUNK_TAPS)
    chunk_of_tap = [slot * parts // slots for slot in range(slots)]
    chunks = [
        (c, min(each, channels - c), int(part > 0), part) for c in range(0, max(channels, 1), each) for part in range(parts)
    ]
    return chunks, chunk_of_tap


def _panel_taps(by_phase: list, chunk_of_tap: list[int]) -> int:
    """The most entries, of all phases, that one chunk has."""
    counts = np.bincount([chunk_of_tap[e.slot] for entries in by_phase for e in entries], minlength=1)
    return max(1, int(counts.max()))


@dataclass(frozen=True)
class Box:
    """The tile of steps (n, z, y, x) that one window serves."""

    tile: tuple[int, int, int, int]
    pitch: tuple[int, int, int, int]  #: places between neighbours along n, z, y, x
    flat: tuple[int, int, int]  #: whether register tiles run on through the pitch of n, z, y
    sums: tuple[int, int, int]  #: places between neighbours along n, z, y among the sums
    span: int  #: places of the sums
    plane: int  #: elements of one channel and stretch
    stretches: list[tuple[int, ...]]
    distances: list[int]  #: by slot, in places
    window: int  #: elements
    rows: int


@dataclass(frozen=True)
class _Cut:
    """A way to cut the steps into boxes and to string places together, with what it costs."""

    axes: tuple[tuple[list[Stretch], dict[int, Place]], ...]
    tile: tuple[int, int, int, int]
    length: tuple[int, int, int, int]  #: places along n, z, y, x
    strung: int  #: axes strung together, from the last


def _box(
    shape: gemm.Shape, taps: Taps, steps: tuple[int, ...], by_phase: list, chunk_channels: int, parts: int, blocks: int
) -> Box:
    """The cheapest box: whole rows and planes where they fit, halos shared where that pays."""
    along = shape.positions_along_vectors
    item = BYTES[shape.element]
    kept = ceil(chunk_channels / shape.lanes) * shape.lanes if along and shape.across else chunk_channels
    kept = kept if along else shape.channel_pitch
    places_window = max(1, WINDOW_BYTES // (kept * item))
    places_sums = max(shape.positions, SUM_BYTES // (len(by_phase) * parts * shape.channels * item))
    shared = ceil(prod(steps) * blocks / items_wanted(ITEMS))
    places_sums = max(min(places_sums, shared), 2 * shape.positions)
    work = sum(map(len, by_phase)) * parts * shape.channels

    cuts = [
        _cut(shape, taps, steps, gaps, strung, places_window, places_sums)
        for gaps in product(*({0, n} if len(o) > 1 else {0} for o, n in zip(taps.offsets, steps[1:], strict=True)))
        for strung in range(1, 5)
    ]
    best = min(cuts, key=lambda cut: _cost(cut, shape, steps, work))
    return _laid_out(best, shape, taps, kept)


def _cut(
    shape: gemm.Shape,
    taps: Taps,
    steps: tuple[int, ...],
    gaps: tuple[int, ...],
    strung: int,
    places_window: int,
    places_sums: int,
) -> _Cut:
    axes = tuple(
        stretches(offsets, axis.plan.down, gap) for offsets, axis, gap in zip(taps.offsets, taps.axes, gaps, strict=True)
    )
    count = prod(max(1, len(found)) for found, _ in axes)
    extents = [0, *(max((s.extent for s in found), default=0) for found, _ in axes)]
    tile, length = [1] * 4, [1 + extent for extent in extents]
    inner_window, inner_sums = 1, 1  # places of one step of the axis at hand
    for axis in (3, 2, 1, 0):
        outer = prod(length[:axis])
        room = places_window // (count * inner_window * outer) - extents[axis]
        most = max(1, min(steps[axis], room, places_sums // inner_sums))
        unit = shape.positions if axis == 3 and most < steps[3] else 1
        each = max(unit, most // unit * unit)
        each = ceil(ceil(steps[axis] / ceil(steps[axis] / each)) / unit) * unit
        tile[axis], length[axis] = each, each + extents[axis]
        inner_sums *= length[axis] if 4 - axis < strung else each
        inner_window *= length[axis]
    return _Cut(axes, tuple(tile), tuple(length), strung)  # type: ignore[arg-type]


def _strip(cut: _Cut, shape: gemm.Shape) -> int:
    """Places that register tiles of one strip cover."""
    length = 1
    for axis in range(4 - cut.strung, 4):
        length += (cut.tile[axis] - 1) * prod(cut.length[axis + 1 :])
    whole, rest = divmod(length, shape.positions)
    return whole * shape.positions + (0 if not rest else shape.half if rest <= shape.half else shape.positions)


def _cost(cut: _Cut, shape: gemm.Shape, steps: tuple[int, ...], work: int) -> float:
    """Vectors multiplied and copied for one channel of the whole layer, in multiply-adds of a vector."""
    boxes = prod(ceil(n / each) for n, each in zip(steps, cut.tile, strict=True))
    multiplied = prod(cut.tile[: 4 - cut.strung]) * _strip(cut, shape) * work
    copied = prod(len(found) for found, _ in cut.axes) * prod(cut.length) * COPY
    return boxes * (multiplied + copied)


def _laid_out(cut: _Cut, shape: gemm.Shape, taps: Taps, kept: int) -> Box:
    length = cut.length
    pitch = tuple(prod(length[axis + 1 :]) for axis in range(4))
    places = prod(length)
    if shape.positions_along_vectors:
        # An odd number of cache lines between channels: neighbours never meet in one set of the cache.
        plane = (ceil((places + shape.lanes) / shape.lanes) | 1) * shape.lanes
        size = plane * kept
    else:
        plane = places + shape.lanes
        size = plane
    strip = _strip(cut, shape)
    sums, inner = [0, 0, 0], strip
    for axis in (2, 1, 0):
        if 4 - axis <= cut.strung:
            sums[axis] = pitch[axis]
        else:
            sums[axis] = inner
            inner *= cut.tile[axis]
    rows: list[tuple[int, ...]] = []
    first: list[int] = []
    for number, (z, y, x) in enumerate(product(*(found for found, _ in cut.axes))):
        rows.append((number * size, z.offset, y.offset, x.offset, z.extent, y.extent, x.extent))
        first.append(number * size)
    counts = [len(found) for found, _ in cut.axes]
    distances = []
    for z, y, x in product(*taps.offsets):
        at = [places_of[o] for o, (_, places_of) in zip((z, y, x), cut.axes, strict=True)]
        number = (at[0].stretch * counts[1] + at[1].stretch) * counts[2] + at[2].stretch
        distances.append(first[number] + at[0].shift * pitch[1] + at[1].shift * pitch[2] + at[2].shift)
    flat = tuple(int(4 - axis <= cut.strung) for axis in range(3))
    total = prod(counts) * size * (1 if shape.positions_along_vectors else shape.channel_pitch)
    list_rows = prod(counts) * prod(length[:3])
    return Box(cut.tile, pitch, flat, tuple(sums), inner, plane, rows, distances, total, list_rows)  # type: ignore[arg-type]
