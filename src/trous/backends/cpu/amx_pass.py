"""Binding of `amx_dense`: whether it pays, how channels and phases fill tiles, what a window holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, product
from math import ceil, prod

import numpy as np

from trous.backends.cpu import amx_dense
from trous.backends.cpu.activations import slope_bits
from trous.backends.cpu.amx import ROW_BYTES, ROWS, configuration
from trous.backends.cpu.amx_dense import STEPS
from trous.backends.cpu.amx_inputs import PLANE
from trous.backends.cpu.amx_weights import ROW, TILE
from trous.backends.cpu.rows import CHANNELS as FEW
from trous.backends.cpu.run import Bound, items_wanted, scratch_parts
from trous.backends.cpu.tables import Strides, Taps, sides, table
from trous.backends.cpu.target import Target
from trous.backends.cpu.tiles import near
from trous.backends.epilogue import NOTHING, Epilogue
from trous.backends.operation import Operation
from trous.plan import BoundAxis, Tap

#: Bytes of a window and of packed weights, at most: together they stay in the second-level cache.
WINDOW_BYTES, PANEL_BYTES = 1 << 19, 1 << 20
#: Phases of the last axis that are stored together, at most.
INTERLEAVED = 8
#: Items of work for each core, where there is enough of it.
ITEMS = 4
#: Bytes of outputs that a window has at most, where they are written in several goes.
OUTPUT_BYTES = 1 << 18
#: Steps that a window holds at least, where there are as many.
LEAST = 256
#: Cycles of a product of two tiles, and by how much rows on two cache lines each slow it; cycles to store a
#: vector, and to transpose it;
#: bytes copied in a cycle; multiply-adds in a cycle without AMX, of many output channels and of few.
PRODUCT, SPLIT, STORED, TURNED, COPIED, VECTORS, VECTORS_OF_FEW = 18, 1.6, 10, 12, 5, 24, 6


def fits(operation: Operation, strides: Strides, element: str, target: Target) -> bool:
    """bfloat16, a processor with AMX, and enough channels that tiles are quicker than vectors."""
    if not target.matrix_tiles or element != "bfloat16" or operation.multiplications == 0:
        return False
    layout = _Layout(operation, strides)
    if not layout.storable or layout.window is None:
        return False
    # Phases of a long stride fill the vectors that few channels leave empty.
    few = layout.outs <= FEW and layout.axes[2].plan.up <= INTERLEAVED
    return layout.cycles < operation.multiplications / (VECTORS_OF_FEW if few else VECTORS)


def bind(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue = NOTHING
) -> tuple[amx_dense.Shape, Bound]:
    layout = _Layout(operation, strides)
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
    del numbers["y_n"]
    numbers["y_n"], numbers["y_c"] = strides.y[0], strides.y[1]
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


@dataclass(frozen=True)
class _Part:
    """What one product sums: some phases of a block of channels."""

    row: int  #: of the sums, where it begins
    phases: tuple[tuple[int, int, int], ...]  #: each with `block_channels` rows, behind each other


@dataclass(frozen=True)
class _AxisWindow:
    """How an axis' offsets lie in a window: `places[offset] = (plane, steps into it)`."""

    origins: tuple[int, ...]  #: offset of each plane's first step
    reach: int  #: steps of a plane beyond those of the window
    places: dict[int, tuple[int, int]]


@dataclass(frozen=True)
class _Window:
    rows: int
    columns: int
    height: int
    pitch: int
    planes: list[tuple[int, int, int, int]]
    turned: bool  #: channels-first inputs, multiplied as channels-last ones
    axes: tuple[_AxisWindow, _AxisWindow, _AxisWindow]

    @property
    def on_lines(self) -> bool:
        """Whether every tap finds the first of 16 steps on a cache line's first place, steps being four bytes."""
        y, x = ([steps for _, steps in axis.places.values()] for axis in self.axes[1:])
        rows = not any(y) or self.pitch % ROWS == 0
        return not any(steps % ROWS for steps in x) and rows and self.height * self.pitch % ROWS == 0

    def place(self, offsets: tuple[int, ...]) -> int:
        """Where the first step finds what lies at the offsets."""
        plane, places = 0, [axis.places[offset] for axis, offset in zip(self.axes, offsets, strict=True)]
        for axis, (number, _) in zip(self.axes, places, strict=True):
            plane = plane * len(axis.origins) + number
        return plane * self.height * self.pitch + places[1][1] * self.pitch + places[2][1]


class _Layout:
    """How a problem is laid out in tiles; everything that does not depend on how it is cut into items."""

    def __init__(self, operation: Operation, strides: Strides):
        self.operation, self.strides = operation, strides
        self.ins, self.outs = (n // operation.groups for n in (operation.in_channels, operation.out_channels))
        self.taps = Taps(operation, strides, fold=False, lanes=0)
        self.axes = self.taps.axes
        self.steps = [ceil(axis.output_size / axis.plan.up) for axis in self.axes]
        self.k_width = 32 if self.ins > 16 else 16
        self.k_tiles = ceil(self.ins / self.k_width)
        # Channels-last, unless it is steps that are neighbours.
        self.along_positions = not (strides.x[1] == strides.y[1] == 1) or (
            strides.x[-1] == strides.y[-1] == 1 and self.steps[2] > 1
        )
        last = self.axes[2].plan
        neighbours = strides.y[-1] == 1 and 1 < last.up <= INTERLEAVED
        self.interleaved = last.up if self.along_positions and neighbours else 1
        #: Phases of the last axis whose sums are finished together, so that their outputs are written side by side.
        self.together = self.interleaved if self.along_positions or last.up > INTERLEAVED else last.up
        self.step = near(strides.x[-1] * last.down) if self.along_positions else int(strides.x[1] == 1)

    @property
    def storable(self) -> bool:
        """Not where neighbouring outputs would be written one by one: phases of a long stride."""
        return not self.along_positions or self.interleaved == self.axes[2].plan.up

    @cached_property
    def beside(self) -> str:
        """What lies side by side among the weights: kernel indices, input channels or nothing."""
        inputs = self.strides.w[0 if self.operation.weight_by_input else 1]
        step = 1
        for size, stride in zip(reversed(self.operation.kernel), reversed(self.strides.w[2:]), strict=True):
            if size > 1 and stride != step:
                return "inputs" if inputs == 1 else "nothing"
            step *= size
        return "kernel"

    @cached_property
    def _split(self) -> int:
        """Products of two tiles for one product's steps, if every phase has tiles of its own."""
        return sum(len(self._offsets([p])) for p in self.taps.phases) * ceil(self.outs / ROWS)

    @cached_property
    def merged(self) -> bool:
        """Whether all phases share tiles, since each alone would leave them empty."""
        rows = len(self.taps.phases) * self.outs
        whole = self.along_positions or ROWS % self.outs == 0  # a phase must not be cut by the end of a tile
        shared = len(self._offsets(self.taps.phases)) * ceil(rows / ROWS)
        return len(self.taps.phases) > 1 and rows <= 2 * ROWS and whole and shared < self._split

    @property
    def rows_used(self) -> int:
        return self.outs * (len(self.taps.phases) if self.merged else 1)

    @property
    def tiles(self) -> int:
        return min(2, ceil(self.rows_used / ROWS))

    @property
    def block_channels(self) -> int:
        return self.outs if self.merged else self.tiles * ROWS

    @cached_property
    def parts(self) -> list[_Part]:
        if self.merged:
            # Each phase by itself too, for windows in which a zero among the weights would make a NaN.
            alone = [_Part((i + 1) * self.tiles * ROWS, (p,)) for i, p in enumerate(self.taps.phases)]
            return [_Part(0, tuple(self.taps.phases)), *alone]
        return [_Part(i % self.together * self.tiles * ROWS, (p,)) for i, p in enumerate(self.taps.phases)]

    @cached_property
    def stores(self) -> list[tuple[int, int, int, int, int]]:
        rows, first = self.tiles * ROWS, list(enumerate(self.taps.phases))[:: self.interleaved]
        if not self.merged:
            return [(*p, i % self.together * rows, rows) for i, p in first]
        shared = [(*p, i * self.outs, self.outs) for i, p in first]
        return shared + [(*p, (i + 1) * rows + i * self.outs, rows + self.outs) for i, p in first]

    @cached_property
    def phase_groups(self) -> list[tuple[int, int, int, int]]:
        if self.merged:
            half = len(self.stores) // 2
            return [(0, 1, 0, half), (1, len(self.parts), half, 2 * half)]
        each, stored = self.together, self.together // self.interleaved
        return [(i * each, (i + 1) * each, i * stored, (i + 1) * stored) for i in range(len(self.taps.phases) // each)]

    @property
    def sums_rows(self) -> int:
        return self.tiles * ROWS * (len(self.parts) if self.merged else self.together)

    def _phase_taps(self, phase: tuple[int, int, int]) -> Iterator[tuple[Tap, Tap, Tap]]:
        lists = [
            [tap for tap in axis.plan.by_phase[r] if axis.steps(tap)] for axis, r in zip(self.axes, phase, strict=True)
        ]
        return ((z, y, x) for z in lists[0] for y in lists[1] for x in lists[2])

    def _offsets(self, phases: list[tuple[int, int, int]] | tuple[tuple[int, int, int], ...]) -> list[tuple[int, ...]]:
        """The offsets that any of the phases reads, in order."""
        return sorted({tuple(tap.offset for tap in taps) for phase in phases for taps in self._phase_taps(phase)})

    # Windows

    @cached_property
    def window(self) -> _Window | None:
        """The cheapest window that fits, by a count of cycles; None if none does."""
        choices: list[tuple[float, int, _Window]] = []
        for y in _axis_windows(self.axes[1]):
            for x in _axis_windows(self.axes[2]):
                window = self._largest(y, x)
                if window is not None:
                    choices.append((self._cycles(window), len(choices), window))
                    if self.along_positions and self.step and not self.merged:
                        window = replace(window, turned=True)
                        choices.append((self._cycles(window), len(choices), window))
        return min(choices)[2] if choices else None

    @property
    def cycles(self) -> float:
        """Processor time of the layer, roughly."""
        assert self.window is not None
        return self._cycles(self.window)

    def _largest(self, y: _AxisWindow, x: _AxisWindow) -> _Window | None:
        z = _axis_windows(self.axes[0])[-1]
        planes = len(z.origins) * len(y.origins) * len(x.origins)
        room = WINDOW_BYTES // (2 * self.k_tiles * self.k_width) - 2 * STEPS
        steps_y, steps_x = self.steps[1:]
        height = room // max(1, planes * (steps_x + x.reach))
        rows = height - y.reach
        columns = steps_x
        if rows < 1:
            rows = 1
            columns = room // (planes * (1 + y.reach)) - x.reach
            columns = columns // STEPS * STEPS
            if columns < STEPS:
                return None
        # Even shares, and enough of them for every core.
        others = self.operation.batch * self.operation.groups * self.steps[0]
        if columns == steps_x:
            wanted = max(ceil(items_wanted(ITEMS) / others), self._output_bytes // OUTPUT_BYTES)
            wanted = min(wanted, ceil(steps_y * steps_x / LEAST))
            rows = ceil(steps_y / max(ceil(steps_y / rows), min(steps_y, wanted)))
            shares_x = ceil(wanted / steps_y) if rows == 1 else 1
        else:
            shares_x = ceil(steps_x / columns)
        columns = min(steps_x, ceil(ceil(steps_x / shares_x) / STEPS) * STEPS) if shares_x > 1 else columns
        height, pitch = rows + y.reach, columns + x.reach
        origins = [(a, b, c) for a in z.origins for b in y.origins for c in x.origins]
        listed = [(*origin, i * height * pitch) for i, origin in enumerate(origins)]
        return _Window(rows, columns, height, pitch, listed, False, (z, y, x))

    def _cycles(self, window: _Window) -> float:
        others = self.operation.batch * self.operation.groups * self.steps[0]
        windows = others * ceil(self.steps[1] / window.rows) * ceil(self.steps[2] / window.columns)
        products = ceil(((window.rows - 1) * window.pitch + window.columns) / STEPS)
        blocks = ceil(self.outs / self.block_channels)
        parts = self.parts[:1] if self.merged else self.parts
        summed = sum(len(self._offsets(part.phases)) for part in parts) * self.k_tiles * blocks
        # With one tile of channels, loading is slower than multiplying; so it is where every row of a tile lies on two
        # cache lines.
        each = (2.0 * self.tiles if self.tiles > 1 else 3.0) * PRODUCT
        if self.along_positions and not window.turned and not window.on_lines:
            each *= SPLIT
        multiply = products * summed * each
        copied = len(window.planes) * window.height * window.pitch * self.k_tiles * self.k_width * 2
        vectors = self.outs if self.along_positions else STEPS * blocks
        finished = products * vectors * len(self.taps.phases) * (STORED + TURNED * window.turned)
        panels = ceil(2 * TILE * summed * self.tiles / PANEL_BYTES)
        return windows * (multiply + finished + copied / COPIED * panels)

    @property
    def _output_bytes(self) -> int:
        """Of a row of windows, if several blocks of channels are written into the same cache lines; else 0."""
        if self.along_positions or self.operation.out_channels <= self.block_channels:
            return 0
        return 2 * self.operation.out_channels * self.axes[1].output_size * self.axes[2].output_size

    def window_pitch(self, window: _Window) -> int:
        """Numbers from one row of a tile of the window to the next: whole cache lines, an odd number of them where rows
        would else compete for the same place in the cache."""
        if self.along_positions and not window.turned:
            lines = ceil(self._length(window) * 4 / ROW_BYTES) | 1
            return lines * ROW_BYTES // 2
        numbers = self.k_tiles * self.k_width
        return numbers + ROW_BYTES // 2 if numbers % 128 == 0 else numbers

    def _length(self, window: _Window) -> int:
        return len(window.planes) * window.height * window.pitch + 2 * STEPS

    def window_length(self, window: _Window) -> int:
        if self.along_positions and not window.turned:
            return self.k_tiles * self.k_width // 2 * self.window_pitch(window)
        return self._length(window) * self.window_pitch(window) + STEPS


def _axis_windows(axis: BoundAxis) -> list[_AxisWindow]:
    """The two ways: a plane for each residue of the offsets, reaching over all of them; a plane for each offset."""
    offsets = sorted({tap.offset for tap in axis.live_taps}) or [0]
    down = axis.plan.down
    residues: dict[int, list[int]] = {}
    for offset in offsets:
        residues.setdefault(offset % down, []).append(offset)
    near_by = _AxisWindow(
        tuple(found[0] for found in residues.values()),
        max((found[-1] - found[0]) // down for found in residues.values()),
        {o: (i, (o - found[0]) // down) for i, found in enumerate(residues.values()) for o in found},
    )
    apart = _AxisWindow(tuple(offsets), 0, {offset: (i, 0) for i, offset in enumerate(offsets)})
    return [near_by, apart]


def _tap_tables(layout: _Layout, window: _Window) -> tuple[list, list[int], np.ndarray, int]:
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
        offsets = layout._offsets(part.phases)
        if not layout.merged or part.row == 0:
            number = {found: listed + i for i, found in enumerate(offsets)}
            listed += len(offsets)
        for i, phase in enumerate(part.phases if not layout.merged or part.row == 0 else ()):
            row = i * layout.block_channels * (ROW if by_row else 2)
            if not by_row:
                row = row // ROW * TILE + row % ROW
            for z, y, x in layout._phase_taps(phase):
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
