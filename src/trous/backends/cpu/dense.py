"""Binding of the `gemm` kernel: from an operation and its strides to header, tables and scratch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice
from math import ceil, prod

import numpy as np

from trous.backends.cpu import gemm, packing, product
from trous.backends.cpu.activations import slope_bits
from trous.backends.cpu.cut import Cut, Work, best_cut, cuts
from trous.backends.cpu.narrow import STORED
from trous.backends.cpu.run import Bound, scratch_parts
from trous.backends.cpu.tables import Entry, Strides, Taps, fold_runs, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import BYTES, LINE
from trous.backends.cpu.windows import ROW, STRETCH, near
from trous.backends.epilogue import NOTHING, Epilogue
from trous.backends.facts import WAYS, Estimate, FamilyFacts
from trous.backends.operation import Operation
from trous.plan.table import count

#: Products for each output (taps times channels) in a chunk of a long reduction, so that what a register tile reads
#: stays in the first-level cache: with positions along the vectors, and with channels, where inputs are single numbers.
#: Taps of a phase in a chunk at most.
STEPS_BY_POSITIONS, STEPS_BY_CHANNELS, CHUNK_TAPS = 512, 1152, 256
#: Products for each output from which transposing inputs and outputs pays, and where phases are interleaved besides.
TRANSPOSED_STEPS, TRANSPOSED_PHASES_STEPS = 128, 384
#: Bytes of an output that is written past the caches: it would not stay there, and lines would be read before they are
#: written.
STREAMED_BYTES = 1 << 22
#: Phases of the last axis that are stored together, at most.
INTERLEAVED = 8


def why_not(operation: Operation, strides: Strides, element: str, target: Target) -> str | None:
    """Never a reason: every problem can be cut into boxes of steps and blocks of channels."""
    return None


def bind(
    operation: Operation,
    strides: Strides,
    element: str,
    target: Target,
    checked: bool,
    epilogue: Epilogue = NOTHING,
    packed: bool = False,
) -> tuple[gemm.Shape, Bound]:
    """With `packed`, for weights that lie in panels before the call (`panels`)."""
    layout = _layout(operation, strides, element, target, checked, epilogue, packed)
    fold, taps, by_phase, chunks = layout.fold, layout.taps, layout.by_phase, layout.chunks
    shape, per_group = layout.work.shape, operation.out_channels // operation.groups
    cut = best_cut(layout.work)
    numbers = sides(taps, operation) | {
        "groups_per_input": per_group if fold else 1,
        "chunks": len(chunks),
        "phases": len(by_phase) // shape.interleaved,
        "panel": layout.work.panel,
        "out_channels": layout.out_channels,
        "lane_extent": int(fold),
        "batch": operation.batch,
        "slope": slope_bits(epilogue.slope),
        "large": int(prod(operation.output_shape) * BYTES[element] >= STREAMED_BYTES),
    }
    numbers |= cut.numbers() | _strides_of_roles(numbers, strides, fold, per_group)
    numbers["w_run"] = prod(operation.kernel)
    del numbers["w_out"]
    tables = {
        "stretches": table(cut.stretches, STRETCH),
        "chunk_list": table([chunk[:3] for chunk in chunks], packing.CHUNK),
        "phase_list": table(taps.phases[:: shape.interleaved], gemm.PHASE),
    }
    tables["entries"], tables["entry_at"] = _entry_tables(taps, by_phase, chunks, layout.part_of_slot, cut)
    item = BYTES[element]
    lengths = {
        "weights": (cut.weights, item),
        "inputs": (cut.window, item),
        "sums": (cut.sums, item),
        "turned": (shape.interleaved * shape.channels * shape.run if shape.across_y else 0, item),
        "rows": (cut.rows * ROW, 8),
        "pairs": ((max(1, *map(len, by_phase)) + 1) * product.PAIR, 8),
        "columns": (layout.chunk_channels * (numbers["w_run"] if shape.weights == "taps" else 1), 8),
    }
    scratch, places = scratch_parts(lengths)
    return shape, Bound.of(gemm.FIELDS, numbers | places, tables, cut.items, scratch)


@dataclass(frozen=True)
class Panels:
    """A weight as a whole in panels, which `bind` with `packed` is for."""

    shape: gemm.Shape
    bound: Bound  #: of the kernel that packs them
    length: int  #: numbers
    key: str  #: the same for all sizes and shapes that read the same panels


def panels(operation: Operation, strides: Strides, element: str, target: Target, checked: bool) -> Panels:
    """How the weight is packed; whatever the sizes, as long as the same taps are alive."""
    shape, bound = bind(operation, strides, element, target, checked)
    work = _layout(operation, strides, element, target, checked, NOTHING, False).work
    items = work.groups * work.chunks * work.channel_tiles
    digest = hashlib.sha256(repr((items, *map(bound.number, packing.NUMBERS))).encode())
    digest.update(bound.tables["entries"][:, 1:4].tobytes())  # places in the window have no part in it
    for name in ("entry_at", "chunk_list"):
        digest.update(bound.tables[name].tobytes())
    key = f"{packing.name(shape)}-{digest.hexdigest()}"
    return Panels(shape, replace(bound, items=items), items * work.panel, key)


def account(
    operation: Operation, strides: Strides, element: str, target: Target, shape: gemm.Shape, bound: Bound
) -> FamilyFacts:
    """The cut that is taken, and what the model says of it and of the next best."""
    work = _layout(operation, strides, element, target, shape.checked, shape.epilogue, shape.packed).work
    cut = best_cut(work)
    ways: dict[str, Estimate] = {}
    for other in sorted(cuts(work), key=lambda one: one.cost):
        ways.setdefault(other.way, Estimate(other.way, other.cost, other.costs))
    if shape.positions_along_vectors:
        rows, lanes = count(shape.rows, "channel", "channels"), "positions"
    else:
        rows = count(shape.rows, "position", "positions")
        lanes = "phases" if bound.number("lane_extent") else "channels"
    tile = f"{rows} x {count(shape.vectors, 'vector', 'vectors')} of {shape.lanes} {lanes}"
    found: dict[str, int | tuple[int, ...]] = {
        "box": cut.tile,
        "boxes": cut.boxes,
        "channel_blocks": cut.blocks,
        "block_channels": cut.tiles_per_block * shape.channels,
        "chunks": work.chunks,
    }
    return FamilyFacts(tile, found, tuple(islice(ways.values(), WAYS)), "multiply-adds of the busiest core")


@dataclass(frozen=True)
class _Layout:
    """A problem before it is cut."""

    fold: bool  #: phases of the last axis in the place of channels
    out_channels: int  #: of a group, or phases in their place
    taps: Taps
    by_phase: tuple[list[Entry], ...]
    chunks: list[tuple[int, int, int, int]]  #: see `_chunks`
    part_of_slot: list[int]
    chunk_channels: int
    work: Work


def _layout(
    operation: Operation,
    strides: Strides,
    element: str,
    target: Target,
    checked: bool,
    epilogue: Epilogue,
    packed: bool,
) -> _Layout:
    lanes = target.lanes(BYTES[element])
    fold = _wants_fold(operation, strides, lanes)
    groups = operation.groups
    per_group = operation.out_channels // groups
    last = operation.bound.axes[-1].plan.up
    out_channels = last if fold else per_group
    taps = Taps(operation, strides, fold, out_channels)
    channels = operation.in_channels // groups
    by_phase = taps.entries
    most = max(1, *map(len, by_phase))
    channels_last = strides.y[1] == 1 and strides.x[1] == 1 and out_channels >= lanes // 2
    across = _worth_transposing(operation, strides, out_channels, channels * most, lanes)
    along_channels = fold or channels_last or across
    wanted = max(lanes, (STEPS_BY_CHANNELS if along_channels else STEPS_BY_POSITIONS) // min(most, CHUNK_TAPS))
    if along_channels and channels > wanted:
        wanted = min(wanted, 4 * lanes)  # the narrower the window, the more steps it has room for
    chunk_channels = ceil(channels / ceil(channels / wanted))
    if along_channels:
        shape = _by_channels(operation, strides, element, target, checked, fold, out_channels, chunk_channels)
    else:
        shape = _by_positions(operation, strides, element, target, checked, out_channels)
    streams = target.vector_bytes == LINE and element not in STORED and shape.contiguous_y
    shape = replace(shape, streams=streams, epilogue=epilogue.code, packed=packed)
    virtual_groups = groups * (per_group if fold else 1)

    chunks, part_of_slot = _chunks(channels, chunk_channels, len(taps.slots), most)
    panel = _panel_taps(by_phase, part_of_slot) * chunk_channels * shape.channels
    kept_channels = ceil(chunk_channels / lanes) * lanes if shape.across else chunk_channels
    work = Work(
        shape=shape,
        axes=tuple(
            (axis.plan.down, offsets, axis.input_size) for axis, offsets in zip(taps.axes, taps.offsets, strict=True)
        ),
        steps=(operation.batch, *(ceil(axis.output_size / axis.plan.up) for axis in taps.axes)),
        groups=virtual_groups,
        channel_tiles=ceil(out_channels / shape.channels),
        phases=len(by_phase),
        taps=sum(map(len, by_phase)),
        chunks=len(chunks),
        window_channels=kept_channels if shape.positions_along_vectors else shape.channel_pitch,
        panel=panel,
    )
    return _Layout(fold, out_channels, taps, by_phase, chunks, part_of_slot, chunk_channels, work)


def _strides_of_roles(numbers: dict[str, int], strides: Strides, fold: bool, per_group: int) -> dict[str, int]:
    """Strides of the weight, the output and the bias along groups and channels; folded, along the last axis."""
    y, w = strides.spatial("y"), strides.spatial("w")
    if fold:
        return {
            "w_sub": numbers["w_out"],
            "w_lane": w[2],
            "y_group": strides.y[1],
            "y_c": y[2],
            "bias_group": 1,
            "bias_lane": 0,
        }
    return {
        "w_sub": 0,
        "w_lane": numbers["w_out"],
        "y_group": per_group * strides.y[1],
        "y_c": strides.y[1],
        "bias_group": per_group,
        "bias_lane": 1,
    }


def _entry_tables(
    taps: Taps,
    by_phase: tuple[list[Entry], ...],
    chunks: list[tuple[int, int, int, int]],
    part_of_slot: list[int],
    cut: Cut,
) -> tuple[np.ndarray, np.ndarray]:
    """Entries by chunk and phase, and where each phase starts."""
    slots, distances = taps.slots, cut.distances
    counts: list[list[int]] = []  # by part and phase
    tables = []  # by part
    for part in range(chunks[-1][-1] + 1):
        of_part = [[e for e in entries if part_of_slot[e.slot] == part] for entries in by_phase]
        counts.append(list(map(len, of_part)))
        rows = [(distances[e.slot], e.weight, e.low, e.high, *slots[e.slot][:3]) for e in chain(*of_part)]
        tables.append(np.array(rows, np.int64).reshape(-1, packing.ENTRY))
    starts = np.cumsum([0, *chain(*(counts[part] for *_, part in chunks))], dtype=np.int64)
    found = np.concatenate([tables[part] for *_, part in chunks])
    return found if len(found) else table([], packing.ENTRY), starts


def _wants_fold(operation: Operation, strides: Strides, lanes: int) -> bool:
    """Long strides of the last axis: vectors run over its phases, whose weights and outputs lie side by side."""
    axis = operation.bound.axes[-1]
    return axis.plan.up >= lanes and strides.y[-1] == 1 and strides.w[-1] == 1 and fold_runs(axis.live) is not None


def _worth_transposing(operation: Operation, strides: Strides, out_channels: int, steps: int, lanes: int) -> bool:
    """Channels-first rows that are better multiplied with channels along the vectors, all of whose lanes are used:
    single inputs need no whole cache lines, so the first-level cache holds more of them. Inputs and outputs are then
    transposed, which pays where an output sums many products."""
    axis = operation.bound.axes[-1].plan
    rows_adjacent = strides.x[-1] == strides.y[-1] == 1 and axis.up <= INTERLEAVED and axis.down == 1
    least = TRANSPOSED_STEPS if axis.up == 1 else TRANSPOSED_PHASES_STEPS
    return rows_adjacent and out_channels % lanes == 0 and steps >= least


def _by_channels(
    operation: Operation,
    strides: Strides,
    element: str,
    target: Target,
    checked: bool,
    fold: bool,
    out_channels: int,
    chunk_channels: int,
) -> gemm.Shape:
    """Output channels, or phases in their place, along the vectors."""
    lanes = target.lanes(BYTES[element])
    widths = {1: 1.15, 2: 1.0, 3: 1.05}  # padded channels, weighed by what a tile of so many vectors costs
    vectors = min(widths, key=lambda v: ceil(out_channels / (v * lanes)) * v * widths[v])
    step = near(strides.x[-1] * operation.bound.axes[-1].plan.down)
    across = not _channels_adjacent(operation, strides) and step > 0
    across_y = not fold and strides.y[1] != 1
    w_lane = strides.w[-1] if fold else strides.w[1 if operation.weight_by_input else 0]
    return gemm.Shape(
        *(element, lanes, _rows(target, vectors), vectors, False),
        interleaved=operation.bound.axes[-1].plan.up if across_y else 1,
        across=across,
        stride=step if across else near(strides.x[1]),
        channel_pitch=max(lanes, 1 << (chunk_channels - 1).bit_length()),
        contiguous_y=across_y or (strides.y[-1] if fold else strides.y[1]) == 1,
        across_y=across_y,
        weights=_adjacent_weights(operation, strides, w_lane, vectors * lanes, lanes),
        checked=checked,
    )


def _by_positions(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, out_channels: int
) -> gemm.Shape:
    """Steps of the last axis along the vectors."""
    lanes = target.lanes(BYTES[element])
    last = operation.bound.axes[-1].plan
    interleaved = last.up if 1 < last.up <= INTERLEAVED and strides.y[-1] == 1 else 1
    vectors, most = 2, _rows(target, 2)
    rows = ceil(out_channels / ceil(out_channels / most))
    if rows <= most // 2:
        vectors = 4
    step = near(strides.x[-1] * last.down)
    across = _channels_adjacent(operation, strides) and step != 1
    w_lane = strides.w[1 if operation.weight_by_input else 0]
    return gemm.Shape(
        *(element, lanes, rows, vectors, True, interleaved),
        across=across,
        stride=1 if across else step,
        contiguous_y=strides.y[-1] * (1 if interleaved > 1 else last.up) == 1,
        weights=_adjacent_weights(operation, strides, w_lane, rows, lanes),
        checked=checked,
    )


def _channels_adjacent(operation: Operation, strides: Strides) -> bool:
    return strides.x[1] == 1 and operation.in_channels > 1


def _adjacent_weights(operation: Operation, strides: Strides, w_lane: int, channels: int, lanes: int) -> str:
    """Whose weights lie side by side; "" for nobody's, or where a tile has too few channels for transposing to pay."""
    w_in = strides.w[0] if operation.weight_by_input else strides.w[1]
    if w_lane == 1:
        return "lanes"
    if channels <= lanes // 2:
        return ""
    if w_in == 1:
        return "channels"
    dense = tuple(prod(operation.kernel[axis + 1 :]) for axis in range(len(operation.kernel)))
    at_once = all(n == 1 or have == want for n, have, want in zip(operation.kernel, strides.w[2:], dense, strict=True))
    return "taps" if at_once else ""


def _rows(target: Target, vectors: int) -> int:
    """Rows of accumulators that fit the registers beside the vectors loaded and, where needed, a broadcast."""
    free = target.registers - vectors - (2 if target.broadcast_operands else 3)
    return min(24, free // vectors) if vectors == 1 else free // vectors


@lru_cache(maxsize=256)
def _chunks(channels: int, each: int, slots: int, most: int) -> tuple[list[tuple[int, int, int, int]], list[int]]:
    """Parts in which long reductions are summed, in order: (first channel, channels, whether the window is the one
    before, part of the taps); and for each slot its part of the taps."""
    parts = ceil(most / CHUNK_TAPS)
    part_of_slot = [slot * parts // slots for slot in range(slots)]
    chunks = [
        (c, min(each, channels - c), int(part > 0), part)
        for c in range(0, max(channels, 1), each)
        for part in range(parts)
    ]
    return chunks, part_of_slot


def _panel_taps(by_phase: tuple[list[Entry], ...], part_of_slot: list[int]) -> int:
    """The most entries, of all phases, that one chunk has."""
    counts = np.bincount([part_of_slot[e.slot] for entries in by_phase for e in entries], minlength=1)
    return max(1, int(counts.max()))
