"""Binding of `amx_dense`: whether it pays, and its header, tables and scratch."""

from __future__ import annotations

from itertools import groupby, product
from math import ceil, prod

import numpy as np

from trous.backends.cpu import amx_dense
from trous.backends.cpu.activations import slope_bits
from trous.backends.cpu.amx import ROW_BYTES, ROWS, configuration
from trous.backends.cpu.amx_dense import STEPS
from trous.backends.cpu.amx_inputs import PLANE
from trous.backends.cpu.amx_layout import INTERLEAVED, PANEL_BYTES, Layout
from trous.backends.cpu.amx_weights import ROW, TILE
from trous.backends.cpu.amx_windows import Window
from trous.backends.cpu.rows import CHANNELS as FEW
from trous.backends.cpu.run import Bound, items_wanted, scratch_parts
from trous.backends.cpu.tables import Strides, sides, table
from trous.backends.cpu.target import Target
from trous.backends.epilogue import NOTHING, Epilogue
from trous.backends.facts import WAYS, Estimate, FamilyFacts
from trous.backends.operation import Operation
from trous.plan import Tap

#: Multiply-adds in a cycle without AMX, of many output channels and of few.
VECTORS, VECTORS_OF_FEW = 24, 6


def why_not(operation: Operation, strides: Strides, element: str, target: Target) -> str | None:
    """It takes bfloat16, a processor with AMX, and enough channels that tiles are quicker than vectors."""
    if element != "bfloat16":
        return f"{element} is not bfloat16, which tiles multiply"
    if not target.matrix_tiles:
        return f"{target.name} has no matrix tiles"
    if operation.multiplications == 0:
        return "there is nothing to multiply"
    layout = Layout(operation, strides)
    if not layout.storable:
        return f"outputs of the {layout.axes[2].plan.up} phases of a row would be written one by one"
    if layout.window is None:
        return "no window of inputs fits the cache"
    if layout.cycles >= _vector_cycles(layout):
        return f"tiles would take {layout.cycles:.3g} cycles, vectors {_vector_cycles(layout):.3g}"
    return None


def account(
    operation: Operation, strides: Strides, element: str, target: Target, shape: amx_dense.Shape, bound: Bound
) -> FamilyFacts:
    """The windows of inputs, the next best, and what vectors would cost."""
    layout = Layout(operation, strides)
    ways = [Estimate(f"tiles, {window.way}", cycles) for cycles, window in layout.windows[:WAYS]]
    tile = f"2 x {shape.tiles} tiles of {ROWS} x {ROWS} sums, {layout.k_width} input channels at a time"
    cut: dict[str, int | tuple[int, ...]] = {
        "window": (bound.number("rows_each"), bound.number("columns_each")),
        "windows": bound.number("windows"),
        "channel_blocks": bound.number("blocks") * operation.groups,
        "blocks_in_item": bound.number("blocks_each"),
    }
    ways.append(Estimate("vectors instead of tiles", _vector_cycles(layout)))
    return FamilyFacts(tile, cut, tuple(ways), "cycles of a core")


def _vector_cycles(layout: Layout) -> float:
    """Processor time of the layer without AMX, roughly."""
    # Phases of a long stride fill the vectors that few channels leave empty.
    few = layout.outs <= FEW and layout.axes[2].plan.up <= INTERLEAVED
    return layout.operation.multiplications / (VECTORS_OF_FEW if few else VECTORS)


def bind(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue = NOTHING
) -> tuple[amx_dense.Shape, Bound]:
    layout = Layout(operation, strides)
    window = layout.window
    assert window is not None
    axes, taps = layout.axes, layout.taps
    kernel_indices = prod(operation.kernel)
    steps = layout.steps
    windows_y, windows_x = ceil(steps[1] / window.rows), ceil(steps[2] / window.columns)
    windows = operation.batch * steps[0] * windows_y * windows_x

    tap_rows, tap_at, weight_at, panel_block = _tap_tables(layout, window)
    blocks = ceil(layout.outs / layout.block_channels)
    every = blocks * operation.groups
    # As many as fit; where there are too few windows for every core, they share out the channels.
    blocks_each = max(1, min(every, PANEL_BYTES // (2 * panel_block), ceil(every * windows / items_wanted(1))))

    shape = amx_dense.Shape(
        along_positions=layout.along_positions,
        turned=window.turned,
        tiles=layout.tiles,
        interleaved=layout.interleaved,
        shared=layout.merged,
        step=layout.step,
        beside=layout.beside,
        contiguous_y=not layout.along_positions or layout.interleaved > 1 or strides.y[-1] * axes[2].plan.up == 1,
        epilogue=epilogue.code,
        checked=checked,
    )
    by_row = layout.along_positions and not window.turned  # products whose rows are output channels
    tile_rows = ROWS if layout.tiles > 1 else min(ROWS, layout.rows_used)
    numbers = sides(taps, operation) | {
        "groups": operation.groups,
        "batch": operation.batch,
        "in_channels": layout.ins,
        "out_channels": layout.outs,
        "rows_each": window.rows,
        "columns_each": window.columns,
        "windows_y": windows_y,
        "windows_x": windows_x,
        "windows": windows,
        "planes_count": len(window.planes),
        "plane_rows": window.height,
        "pitch": window.pitch,
        "window_pitch": layout.window_pitch(window),
        "k_tiles": layout.k_tiles,
        "k_width": layout.k_width,
        "block_channels": layout.block_channels,
        "blocks": blocks,
        "blocks_each": blocks_each,
        "panel_block": panel_block,
        "holes": int(layout.merged or layout.beside == "nothing"),
        "kernel": kernel_indices,
        "pairs": layout.k_tiles * layout.k_width // 2,
        "group_count": len(layout.phase_groups),
        "part_count": len(layout.parts),
        "sums_pitch": STEPS if by_row else layout.sums_rows,
        "tile_rows": tile_rows,
        "slope": slope_bits(epilogue.slope),
    }
    numbers["y_c"] = strides.y[1]
    inputs = (layout.k_width // 2, ROW_BYTES) if by_row else (ROWS, 2 * layout.k_width)
    weights = (tile_rows, 2 * layout.k_width) if by_row else (layout.k_width // 2, ROW_BYTES)
    sums = (tile_rows if by_row else ROWS, ROW_BYTES)
    tables = {
        "configuration": configuration([sums] * 2 * layout.tiles + [weights] * layout.tiles + [inputs] * 2),
        "planes": table(window.planes, PLANE),
        "taps": table(tap_rows, amx_dense.TAP),
        "tap_at": np.array(tap_at, np.int64),
        "part_rows": np.array([part.row for part in layout.parts], np.int64),
        "phase_groups": table(layout.phase_groups, amx_dense.GROUP),
        "stores": table(layout.stores, amx_dense.STORE),
        "weight_at": weight_at,
        "weight_from": _weight_places(operation, strides),
    }
    lengths = {
        "window": (layout.window_length(window), 2),
        "masks": ((window.pitch // ROWS + 1) * max(1, layout.step), 8),
        "panels": (blocks_each * panel_block, 2),
        "square": (TILE, 2),
        "sums": (layout.sums_rows * STEPS + STEPS, 4),  # vectors begin at any row
        "turned": (layout.sums_rows * STEPS if window.turned else 1, 4),
        "live": (len(tap_rows) * amx_dense.LIVE + 1, 8),
        "live_at": (len(layout.parts) + 1, 8),
    }
    scratch, places = scratch_parts(lengths)
    items = ceil(every / blocks_each) * windows
    return shape, Bound.of(amx_dense.FIELDS, numbers | places, tables, items, scratch)


def _tap_tables(layout: Layout, window: Window) -> tuple[list, list[int], np.ndarray, int]:
    """Taps of every part, where each part's begin, where every kernel index has its weights, numbers in a panel."""
    kernel = layout.operation.kernel
    step = layout.k_tiles * layout.tiles * TILE
    by_row = layout.along_positions and not window.turned
    per_step = 2 if by_row else layout.window_pitch(window)
    per_tile = layout.k_width // 2 * layout.window_pitch(window) if by_row else layout.k_width
    taps: list[tuple[int, ...]] = []
    starts, listed = [0], 0
    indices = prod(kernel)
    weight_at = np.full(ceil(indices / ROWS) * ROWS, -1, np.int64)
    for part in layout.parts:
        offsets = layout.offsets(part.phases)
        if not layout.merged or part.row == 0:
            number = {found: listed + i for i, found in enumerate(offsets)}
            listed += len(offsets)
        for i, phase in enumerate(part.phases if not layout.merged or part.row == 0 else ()):
            row = i * layout.block_channels * (ROW if by_row else 2)
            if not by_row:
                row = row // ROW * TILE + row % ROW
            for z, y, x in layout.phase_taps(phase):
                place = _index((z, y, x), kernel)
                weight_at[place] = number[(z.offset, y.offset, x.offset)] * step + row
        # Neighbours along the last axis read nearly the same inputs, so they follow each other.
        taps += [
            (number[o] * step + tile * layout.tiles * TILE, window.place(o) * per_step + tile * per_tile, *o)
            for _, row in groupby(offsets, key=lambda o: o[:2])
            for tile, o in product(range(layout.k_tiles), list(row))
        ]
        starts.append(len(taps))
    unused = weight_at < 0
    weight_at[unused] = listed * step
    return taps, starts, weight_at, (listed + int(unused.any())) * step


def _index(taps: tuple[Tap, Tap, Tap], kernel: tuple[int, ...]) -> int:
    """Number of a kernel index, the last axis fastest."""
    place = 0
    for size, tap in zip(kernel, taps[3 - len(kernel) :], strict=True):
        place = place * size + tap.kernel
    return place


def _weight_places(operation: Operation, strides: Strides) -> np.ndarray:
    """Where every kernel index lies among the weights of a pair of channels."""
    places = np.zeros(operation.kernel, np.int64)
    for axis, (size, stride) in enumerate(zip(operation.kernel, strides.w[2:], strict=True)):
        shape = [1] * len(operation.kernel)
        shape[axis] = size
        places += (np.arange(size) * stride).reshape(shape)
    return places.reshape(-1)
