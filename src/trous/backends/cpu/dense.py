"""Binding of the `gemm` kernel: from an operation and its strides to header, tables and scratch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, islice
from itertools import product as combinations
from math import ceil, prod

import numpy as np

from trous.arrays import address
from trous.backends.cpu import gemm, packing, product
from trous.backends.cpu.activations import slope_bits
from trous.backends.cpu.cut import Arrangement, Job, Work, best_cut, cuts
from trous.backends.cpu.narrow import STORED
from trous.backends.cpu.run import Bound, scratch_parts
from trous.backends.cpu.tables import (
    Entry,
    Layer,
    Strides,
    bound_axes,
    constant_sides,
    entries,
    fold_runs,
    phases,
    sized_sides,
    table,
)
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
    layout, work = _sized(operation, strides, element, target, checked, epilogue, packed)
    cut, shape = best_cut(work), layout.job.shape
    header, tables = _tables(layout, cut.arrangement)
    large = prod(operation.output_shape) * BYTES[element] >= STREAMED_BYTES
    numbers = sized_sides(bound_axes(operation), strides, layout.ins) | cut.numbers()
    numbers["batch"], numbers["large"] = operation.batch, int(large)
    if layout.fold:
        numbers["y_group"], numbers["y_c"] = strides.y[1], strides.spatial("y")[2]
    else:
        numbers["y_group"], numbers["y_c"] = layout.outs * strides.y[1], strides.y[1]
    item = BYTES[element]
    lengths = layout.lengths | {
        "weights": (cut.weights, item),
        "inputs": (cut.window, item),
        "sums": (cut.sums, item),
        "rows": (cut.rows * ROW, 8),
    }
    scratch, places = scratch_parts(lengths)
    return shape, Bound(gemm.FIELDS, gemm.FIELDS.pack(numbers | places, header), tables, cut.items, scratch)


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
    _, (job, *_) = _sized(operation, strides, element, target, checked)
    items = job.groups * job.chunks * job.channel_tiles
    digest = hashlib.sha256(repr((items, *map(bound.number, packing.NUMBERS))).encode())
    digest.update(bound.tables["entries"][:, 1:4].tobytes())  # places in the window have no part in it
    for name in ("entry_at", "chunk_list"):
        digest.update(bound.tables[name].tobytes())
    key = f"{packing.name(shape)}-{digest.hexdigest()}"
    return Panels(shape, replace(bound, items=items), items * job.panel, key)


def account(
    operation: Operation, strides: Strides, element: str, target: Target, shape: gemm.Shape, bound: Bound
) -> FamilyFacts:
    """The cut that is taken, and what the model says of it and of the next best."""
    layout, work = _sized(operation, strides, element, target, shape.checked, shape.epilogue, shape.packed)
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
        "chunks": layout.job.chunks,
    }
    return FamilyFacts(tile, found, tuple(islice(ways.values(), WAYS)), "multiply-adds of the busiest core")


@dataclass(frozen=True, eq=False)
class _Layout:
    """A layer whatever its sizes: what all of them share."""

    job: Job
    fold: bool  #: phases of the last axis in the place of channels
    ins: int  #: channels of a group
    outs: int
    by_phase: tuple[list[Entry], ...]
    chunks: list[tuple[int, int, int, int]]  #: see `_chunks`
    part_of_slot: list[int]
    header: list[int]
    tables: dict[str, np.ndarray]
    lengths: dict[str, tuple[int, int]]  #: of scratch memory: elements, bytes of each; those to come are 0


def _sized(
    operation: Operation,
    strides: Strides,
    element: str,
    target: Target,
    checked: bool,
    epilogue: Epilogue = NOTHING,
    packed: bool = False,
) -> tuple[_Layout, Work]:
    layout = _layout(Layer.of(operation), strides.near, element, target, checked, epilogue, packed)
    z, y, x = bound_axes(operation)
    inputs = z.input_size, y.input_size, x.input_size
    return layout, Work(layout.job, inputs, (operation.batch, z.step_count, y.step_count, x.step_count))


@lru_cache(maxsize=256)
def _layout(
    layer: Layer, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue, packed: bool
) -> _Layout:
    """Strides are those of `Strides.near`."""
    lanes = target.lanes(BYTES[element])
    fold = _wants_fold(layer, strides, lanes)
    channels, per_group = layer.channels
    out_channels = layer.axes[2].up if fold else per_group
    by_phase = entries(layer.axes, strides.spatial("w"), fold, out_channels)
    most = max(1, *map(len, by_phase))
    channels_last = strides.y[1] == 1 and strides.x[1] == 1 and out_channels >= lanes // 2
    across = _worth_transposing(layer, strides, out_channels, channels * most, lanes)
    along_channels = fold or channels_last or across
    wanted = max(lanes, (STEPS_BY_CHANNELS if along_channels else STEPS_BY_POSITIONS) // min(most, CHUNK_TAPS))
    if along_channels and channels > wanted:
        wanted = min(wanted, 4 * lanes)  # the narrower the window, the more steps it has room for
    chunk_channels = ceil(channels / ceil(channels / wanted))
    if along_channels:
        shape = _by_channels(layer, strides, element, target, checked, fold, out_channels, chunk_channels)
    else:
        shape = _by_positions(layer, strides, element, target, checked, out_channels)
    streams = target.vector_bytes == LINE and element not in STORED and shape.contiguous_y
    shape = replace(shape, streams=streams, epilogue=epilogue.code, packed=packed)

    slots = prod(len(axis.offsets) for axis in layer.axes)
    chunks, part_of_slot = _chunks(channels, chunk_channels, slots, most)
    panel = _panel_taps(by_phase, part_of_slot) * chunk_channels * shape.channels
    kept_channels = ceil(chunk_channels / lanes) * lanes if shape.across else chunk_channels
    job = Job(
        shape=shape,
        axes=tuple((axis.down, axis.offsets) for axis in layer.axes),
        groups=layer.groups * (per_group if fold else 1),
        channel_tiles=ceil(out_channels / shape.channels),
        phases=len(by_phase),
        taps=sum(map(len, by_phase)),
        chunks=len(chunks),
        window_channels=kept_channels if shape.positions_along_vectors else shape.channel_pitch,
        panel=panel,
    )
    numbers = constant_sides(layer, strides)
    w_out, w_run = numbers.pop("w_out"), prod(layer.kernel)
    numbers |= {
        "groups_per_input": per_group if fold else 1,
        "channel_tiles": job.channel_tiles,
        "chunks": len(chunks),
        "phases": len(by_phase) // shape.interleaved,
        "panel": panel,
        "out_channels": out_channels,
        "lane_extent": int(fold),
        "slope": slope_bits(epilogue.slope),
        "w_run": w_run,
        "w_sub": w_out if fold else 0,
        "w_lane": strides.spatial("w")[2] if fold else w_out,
        "bias_group": 1 if fold else per_group,
        "bias_lane": 0 if fold else 1,
    }
    tables = {
        "chunk_list": table([chunk[:3] for chunk in chunks], packing.CHUNK),
        "phase_list": table(phases(layer.axes, fold)[:: shape.interleaved], gemm.PHASE),
    }
    item = BYTES[element]
    lengths = {
        "weights": (0, item),
        "inputs": (0, item),
        "sums": (0, item),
        "turned": (shape.interleaved * shape.channels * shape.run if shape.across_y else 0, item),
        "rows": (0, 8),
        "pairs": ((max(1, *map(len, by_phase)) + 1) * product.PAIR, 8),
        "columns": (chunk_channels * (w_run if shape.weights == "taps" else 1), 8),
    }
    header = gemm.FIELDS.listed(numbers)
    return _Layout(job, fold, channels, per_group, by_phase, chunks, part_of_slot, header, tables, lengths)


@lru_cache(maxsize=256)
def _tables(layout: _Layout, places: Arrangement) -> tuple[list[int], dict[str, np.ndarray]]:
    """The tables of a window whose places lie like this, and a header that has their addresses; read only."""
    tables = layout.tables | {"stretches": table(places.stretches(), STRETCH)}
    tables["entries"], tables["entry_at"] = _entry_tables(layout, places)
    for shared in tables.values():
        shared.setflags(write=False)
    return gemm.FIELDS.listed({name: address(shared) for name, shared in tables.items()}, layout.header), tables


def _entry_tables(layout: _Layout, places: Arrangement) -> tuple[np.ndarray, np.ndarray]:
    """Entries by chunk and phase, and where each phase starts."""
    slots = list(combinations(*(axis.places for axis in places.axes)))  # offsets along z, y, x
    distances, chunks, part_of_slot = places.distances(), layout.chunks, layout.part_of_slot
    counts: list[list[int]] = []  # by part and phase
    tables = []  # by part
    for part in range(chunks[-1][-1] + 1):
        of_part = [[e for e in of_phase if part_of_slot[e.slot] == part] for of_phase in layout.by_phase]
        counts.append(list(map(len, of_part)))
        rows = [(distances[e.slot], e.weight, e.low, e.high, *slots[e.slot]) for e in chain(*of_part)]
        tables.append(np.array(rows, np.int64).reshape(-1, packing.ENTRY))
    starts = np.cumsum([0, *chain(*(counts[part] for *_, part in chunks))], dtype=np.int64)
    found = np.concatenate([tables[part] for *_, part in chunks])
    return found if len(found) else table([], packing.ENTRY), starts


def _wants_fold(layer: Layer, strides: Strides, lanes: int) -> bool:
    """Long strides of the last axis: vectors run over its phases, whose weights and outputs lie side by side."""
    axis = layer.axes[2]
    return axis.up >= lanes and strides.y[-1] == 1 and strides.w[-1] == 1 and fold_runs(axis) is not None


def _worth_transposing(layer: Layer, strides: Strides, out_channels: int, steps: int, lanes: int) -> bool:
    """Channels-first rows that are better multiplied with channels along the vectors, all of whose lanes are used:
    single inputs need no whole cache lines, so the first-level cache holds more of them. Inputs and outputs are then
    transposed, which pays where an output sums many products."""
    axis = layer.axes[2]
    rows_adjacent = strides.x[-1] == strides.y[-1] == 1 and axis.up <= INTERLEAVED and axis.down == 1
    least = TRANSPOSED_STEPS if axis.up == 1 else TRANSPOSED_PHASES_STEPS
    return rows_adjacent and out_channels % lanes == 0 and steps >= least


def _by_channels(
    layer: Layer,
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
    step = near(strides.x[-1] * layer.axes[2].down)
    across = not _channels_adjacent(layer, strides) and step > 0
    across_y = not fold and strides.y[1] != 1
    w_lane = strides.w[-1] if fold else strides.w[1 if layer.weight_by_input else 0]
    return gemm.Shape(
        *(element, lanes, _rows(target, vectors), vectors, False),
        interleaved=layer.axes[2].up if across_y else 1,
        across=across,
        stride=step if across else near(strides.x[1]),
        channel_pitch=max(lanes, 1 << (chunk_channels - 1).bit_length()),
        contiguous_y=across_y or (strides.y[-1] if fold else strides.y[1]) == 1,
        across_y=across_y,
        weights=_adjacent_weights(layer, strides, w_lane, vectors * lanes, lanes),
        checked=checked,
    )


def _by_positions(
    layer: Layer, strides: Strides, element: str, target: Target, checked: bool, out_channels: int
) -> gemm.Shape:
    """Steps of the last axis along the vectors."""
    lanes = target.lanes(BYTES[element])
    last = layer.axes[2]
    interleaved = last.up if 1 < last.up <= INTERLEAVED and strides.y[-1] == 1 else 1
    vectors, most = 2, _rows(target, 2)
    rows = ceil(out_channels / ceil(out_channels / most))
    if rows <= most // 2:
        vectors = 4
    step = near(strides.x[-1] * last.down)
    across = _channels_adjacent(layer, strides) and step != 1
    w_lane = strides.w[1 if layer.weight_by_input else 0]
    return gemm.Shape(
        *(element, lanes, rows, vectors, True, interleaved),
        across=across,
        stride=1 if across else step,
        contiguous_y=strides.y[-1] * (1 if interleaved > 1 else last.up) == 1,
        weights=_adjacent_weights(layer, strides, w_lane, rows, lanes),
        checked=checked,
    )


def _channels_adjacent(layer: Layer, strides: Strides) -> bool:
    return strides.x[1] == 1 and layer.in_channels > 1


def _adjacent_weights(layer: Layer, strides: Strides, w_lane: int, channels: int, lanes: int) -> str:
    """Whose weights lie side by side; "" for nobody's, or where a tile has too few channels for transposing to pay."""
    w_in = strides.w[0] if layer.weight_by_input else strides.w[1]
    if w_lane == 1:
        return "lanes"
    if channels <= lanes // 2:
        return ""
    if w_in == 1:
        return "channels"
    dense = tuple(prod(layer.kernel[axis + 1 :]) for axis in range(len(layer.kernel)))
    at_once = all(n == 1 or have == want for n, have, want in zip(layer.kernel, strides.w[2:], dense, strict=True))
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
