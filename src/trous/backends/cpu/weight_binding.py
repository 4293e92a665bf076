"""Binding of the weight gradient's kernel: the numbers and tables that it reads."""

from __future__ import annotations

from itertools import product
from math import ceil, prod
from typing import NamedTuple

import numpy as np

from trous.backends.cpu import correlate, panels, run
from trous.backends.cpu.run import Bound
from trous.backends.cpu.tables import table
from trous.backends.cpu.values import BYTES
from trous.backends.cpu.weight_forms import Form, Side
from trous.backends.cpu.weight_tiles import Layout, Tiling


class WeightStrides(NamedTuple):
    """Elements between neighbouring parts, groups, outputs, inputs and kernel indices of the gradient."""

    part: int
    group: int
    y: int
    x: int
    kernel: tuple[int, int, int]


def bind(tiling: Tiling, weight: WeightStrides, checked: bool) -> tuple[correlate.Shape, Bound]:
    form, lanes = tiling.form, tiling.lanes
    left_block, right_block = tiling.blocks
    left_blocks, right_blocks = tiling.counts(tiling.blocks)
    layouts = tiling.layouts(tiling.box)
    tiles = prod(tiling.tiles)
    numbers = {
        "groups": tiling.groups,
        "left_blocks": left_blocks,
        "right_blocks": right_blocks,
        "tiles": tiles,
        "tiles_each": ceil(tiles / tiling.parts),
        **_weight_numbers(tiling, weight),
    }
    for i, axis in enumerate("nzyx"):
        numbers |= {f"steps_{axis}": tiling.steps[i], f"tile_{axis}": tiling.box[i], f"tiles_{axis}": tiling.tiles[i]}
    tables = _tap_tables(tiling, layouts)
    for i, axis in enumerate("zyx"):
        numbers |= {f"taps_{axis}": len(tables[f"taps_list_{axis}"]), f"kernel_{axis}": len(tiling.kernel[i])}
        tables[f"w_{axis}"] = table([(k * weight.kernel[i],) for k in tiling.kernel[i]], 1)
    lengths = {}
    for name, layout, block in zip(("left", "right"), layouts, tiling.blocks, strict=True):
        side: Side = getattr(form, name)
        more = _window_numbers(side, layout, form.columns and name == "right")
        more |= _block_numbers(side, block, form)
        numbers |= {f"{name}_{key}": value for key, value in more.items()}
        tables |= {f"{name}_{key}": value for key, value in _window_tables(layout).items()}
        lengths[f"{name}_panels"] = (ceil(block / layout.take) * layout.panel, BYTES[tiling.element])
    places = _places(tiling, weight)
    mode = form.right.mode
    if form.columns:
        mode = _bind_columns(tiling, numbers, tables)
    padded = np.zeros(right_blocks * right_block, np.int64)
    padded[: len(places)] = places
    tables["w_right"] = padded
    rows = 1 if form.lanewise else ceil(left_block / form.rows) * form.rows
    lengths["sums"] = (rows * right_block * prod(map(len, tiling.kernel)), BYTES[tiling.element])
    numbers["right_channels"] = len(places)
    numbers["left_cross"] = right_block * form.left.strides[1] if form.lanewise else 0
    scratch, scratch_places = run.scratch_parts(lengths)
    shape = correlate.Shape(
        tiling.element,
        lanes,
        form.rows,
        form.vectors,
        form.left.mode,
        mode,
        form.lanewise,
        _stored(places, [tables[f"w_{axis}"][:, 0] for axis in "zyx"]),
        checked,
    )
    items = tiling.parts * tiling.groups * left_blocks * right_blocks
    return shape, Bound.of(correlate.FIELDS, numbers | scratch_places, tables, items, scratch)


def _weight_numbers(tiling: Tiling, weight: WeightStrides) -> dict[str, int]:
    form = tiling.form
    left, right = (getattr(weight, side.name) for side in (form.left, form.right))
    if form.lanewise:
        return {"w_part": weight.part, "w_group": right, "w_block": left, "w_left": 0}
    return {"w_part": weight.part, "w_group": weight.group, "w_block": tiling.blocks[0] * left, "w_left": left}


def _places(tiling: Tiling, weight: WeightStrides) -> np.ndarray:
    """Where in the gradient the right channels lie, or the groups or columns in their place."""
    form = tiling.form
    if form.lanewise:
        return np.arange(form.right.channels) * weight.group
    channels = np.arange(form.right.channels) * getattr(weight, form.right.name)
    if not form.columns:
        return channels
    z, y, x = (
        np.array([tap.kernel for tap in axis.plan.taps]) * stride
        for axis, stride in zip(form.axes, weight.kernel, strict=True)
    )
    taps = (z[:, None, None] + y[:, None] + x).reshape(-1)
    if form.right.mode == panels.CHANNELS:
        return (taps[:, None] + channels).reshape(-1)
    return (channels[:, None] + taps).reshape(-1)


def _stored(places: np.ndarray, taps: list[np.ndarray]) -> str:
    """What of the gradient is adjacent in memory."""
    if (np.diff(places) == 1).all():
        return correlate.CHANNELS
    z, y, x = taps
    together = (z[:, None, None] + y[:, None] + x).reshape(-1)
    if len(together) > 1 and (together == np.arange(len(together))).all():
        return correlate.TAPS
    return correlate.SPREAD


def _tap_tables(tiling: Tiling, layouts: tuple[Layout, Layout]) -> dict[str, np.ndarray]:
    """For each axis the taps as `correlate.TAP` has them."""
    form = tiling.form
    tables = {}
    for i, (axis, kernel) in enumerate(zip(form.axes, tiling.kernel, strict=True)):
        if form.columns:
            rows = [(0, 0, 0, tiling.steps[1 + i], 0)]
        else:
            numbers = {k: number for number, k in enumerate(kernel)}
            sides = [
                (side, layout.windows[i].places, layout.pitches[1 + i])
                for side, layout in zip((form.left, form.right), layouts, strict=True)
            ]
            rows = []
            for tap in axis.live_taps:
                left, right = (places[side.place(tap)] * pitch for side, places, pitch in sides)
                steps = axis.steps(tap)
                rows.append((left, right, steps.start, steps.stop, numbers[tap.kernel]))
        tables[f"taps_list_{'zyx'[i]}"] = table(rows, correlate.TAP)
    return tables


def _window_numbers(side: Side, layout: Layout, columns: bool) -> dict[str, int]:
    """Header numbers of a side: the array's strides, steps and sizes, and distances in the panels."""
    z, y, x = layout.windows
    numbers = {"rows_z": z.length, "rows_y": y.length, "segments": len(x.stretches), "panel": layout.panel}
    numbers |= dict(zip(("at_n", "at_z", "at_y"), layout.pitches, strict=False))
    numbers |= dict(zip(("n", "c", "z", "y", "x"), side.strides, strict=True))
    for i, axis in enumerate("zyx"):
        numbers |= {f"step_{axis}": side.steps[i], f"size_{axis}": side.sizes[i]}
    moves = list(layout.pitches)
    moves[3] *= 1 if columns else side.steps[2]
    return numbers | {f"move_{axis}": moves[i] for i, axis in enumerate("nzyx")} | {"spread": 0}


def _block_numbers(side: Side, block: int, form: Form) -> dict[str, int]:
    """How a side moves from work item to work item."""
    numbers = {"block": block, "channels": side.channels}
    stride = side.strides[1]
    if not form.lanewise:
        step = 0 if form.columns and side is form.right else block * stride
        return numbers | {"group": side.channels * stride, "step": step}
    inner = stride // side.inner
    if side is form.left:
        return numbers | {"group": 0, "step": inner}
    return numbers | {"group": inner, "step": block * stride}


def _window_tables(layout: Layout) -> dict[str, np.ndarray]:
    z, y, x = layout.windows
    return {
        "list_z": table([(p,) for p in z.positions], 1),
        "list_y": table([(p,) for p in y.positions], 1),
        "list_x": table(x.stretches, panels.SEGMENT),
        "chunks": table([], panels.CHUNK),
        "chunk_at": table([], 1),
    }


def _bind_columns(tiling: Tiling, numbers: dict[str, int], tables: dict[str, np.ndarray]) -> str:
    """The columns in chunks that a vector holds; returns how they are copied."""
    form, lanes = tiling.form, tiling.lanes
    side = form.right
    _, channel, *apart = side.strides
    offsets = [[tap.offset for tap in axis.plan.taps] for axis in form.axes]
    inside = {tap.offset: form.axes[2].steps(tap) for tap in form.axes[2].plan.taps}
    if side.mode == panels.CHANNELS:
        step, spread = 0, channel
        runs = [(z, y, x, 0, side.channels) for z, y, x in product(*offsets)]
    else:
        step = offsets[2][1] - offsets[2][0] if len(offsets[2]) > 1 else 1
        spread = step * apart[2]
        runs = [
            (z, y, x, c * channel, count)
            for c, z, y in product(range(side.channels), *offsets[:2])
            for x, count in _runs(offsets[2], step)
        ]
    chunks: list[tuple[int, ...]] = []
    starts: list[int] = []
    column = 0
    for z, y, x, memory, count in runs:
        memory += z * apart[0] + y * apart[1] + x * apart[2]
        while count > 0:
            lane = column % lanes
            if lane == 0:
                starts.append(len(chunks))
            part = min(count, lanes - lane)
            first, last = inside[x], inside[x + (part - 1) * step]
            whole = max(first.start, last.start), min(first.stop, last.stop)
            chunks.append((z, y, x - lane * step, step, memory - lane * spread, ((1 << part) - 1) << lane, *whole))
            x, memory, count, column = x + part * step, memory + part * spread, count - part, column + part
    vectors = tiling.counts(tiling.blocks)[1] * tiling.blocks[1] // lanes
    starts += [len(chunks)] * (vectors + 1 - len(starts))
    tables["right_chunks"] = table(chunks, panels.CHUNK)
    tables["right_chunk_at"] = np.array(starts, np.int64)
    numbers["right_spread"] = spread
    return panels.COLUMNS if spread == 1 else panels.SPREAD


def _runs(offsets: list[int], step: int) -> list[tuple[int, int]]:
    """Stretches of offsets `step` apart: the first, and how many."""
    runs: list[tuple[int, int]] = []
    for offset in offsets:
        if runs and offset == runs[-1][0] + step * runs[-1][1]:
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        else:
            runs.append((offset, 1))
    return runs
