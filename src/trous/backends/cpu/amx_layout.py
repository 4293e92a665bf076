"""How a problem is laid out on AMX tiles: which channels and phases share them, what a window holds, what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from math import ceil, prod

from trous.backends.cpu.amx import ROW_BYTES, ROWS
from trous.backends.cpu.amx_dense import STEPS
from trous.backends.cpu.amx_weights import TILE
from trous.backends.cpu.amx_windows import AxisWindow, Window, axis_windows
from trous.backends.cpu.run import items_wanted
from trous.backends.cpu.tables import Strides, Taps
from trous.backends.cpu.windows import near
from trous.backends.operation import Operation
from trous.plan import Tap

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
#: Cycles of a product of two tiles, and by how much rows on two cache lines each slow it; cycles to store a vector, and
#: to transpose it; bytes copied in a cycle.
PRODUCT, SPLIT, STORED, TURNED, COPIED = 18, 1.6, 10, 12, 5


@dataclass(frozen=True)
class Part:
    """What one product sums: some phases of a block of channels."""

    row: int  #: of the sums, where it begins
    phases: tuple[tuple[int, int, int], ...]  #: each with `block_channels` rows, behind each other


class Layout:
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
        """What lies side by side among the weights: kernel indices, input channels, output channels or nothing."""
        outputs, inputs = self.strides.w[:2]
        if self.operation.weight_by_input:
            outputs, inputs = inputs, outputs
        step = 1
        for size, stride in zip(reversed(self.operation.kernel), reversed(self.strides.w[2:]), strict=True):
            if size > 1 and stride != step:
                return "inputs" if inputs == 1 else "outputs" if outputs == 1 else "nothing"
            step *= size
        return "kernel"

    @cached_property
    def merged(self) -> bool:
        """Whether all phases share tiles, since each alone would leave them empty."""
        rows = len(self.taps.phases) * self.outs
        whole = self.along_positions or ROWS % self.outs == 0  # a phase must not be cut by the end of a tile
        shared, split = (self._reads(merged) * ceil(n / ROWS) for merged, n in ((True, rows), (False, self.outs)))
        return len(self.taps.phases) > 1 and rows <= 2 * ROWS and whole and shared < split

    def _reads(self, merged: bool) -> int:
        """Offsets to multiply by at one step: those that any phase reads, or those of every phase added up."""
        return prod(len(axis.live.offsets) if merged else axis.live.reads_per_step for axis in self.axes)

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
    def parts(self) -> list[Part]:
        if self.merged:
            # Each phase by itself too, for windows in which a zero among the weights would make a NaN.
            alone = [Part((i + 1) * self.tiles * ROWS, (p,)) for i, p in enumerate(self.taps.phases)]
            return [Part(0, tuple(self.taps.phases)), *alone]
        return [Part(i % self.together * self.tiles * ROWS, (p,)) for i, p in enumerate(self.taps.phases)]

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

    def phase_taps(self, phase: tuple[int, int, int]) -> Iterator[tuple[Tap, Tap, Tap]]:
        z, y, x = (axis.live.by_phase[r] for axis, r in zip(self.axes, phase, strict=True))
        return product(z, y, x)

    def offsets(self, phases: list[tuple[int, int, int]] | tuple[tuple[int, int, int], ...]) -> list[tuple[int, ...]]:
        """The offsets that any of the phases reads, in order."""
        return sorted({tuple(tap.offset for tap in taps) for phase in phases for taps in self.phase_taps(phase)})

    # Windows

    @property
    def window(self) -> Window | None:
        """The cheapest window that fits; None if none does."""
        return self.windows[0][1] if self.windows else None

    @cached_property
    def windows(self) -> list[tuple[float, Window]]:
        """The windows that fit, each with a count of cycles, cheapest first."""
        choices: list[tuple[float, int, Window]] = []
        for y in axis_windows(self.axes[1]):
            for x in axis_windows(self.axes[2]):
                window = self._largest(y, x)
                if window is not None:
                    choices.append((self._cycles(window), len(choices), window))
                    if self.along_positions and self.step and not self.merged:
                        window = replace(window, turned=True)
                        choices.append((self._cycles(window), len(choices), window))
        return [(cycles, window) for cycles, _, window in sorted(choices)]

    @property
    def cycles(self) -> float:
        """Processor time of the layer, roughly."""
        return self.windows[0][0]

    def _largest(self, y: AxisWindow, x: AxisWindow) -> Window | None:
        z = axis_windows(self.axes[0])[-1]
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
        return Window(rows, columns, height, pitch, listed, False, (z, y, x))

    def _cycles(self, window: Window) -> float:
        others = self.operation.batch * self.operation.groups * self.steps[0]
        windows = others * ceil(self.steps[1] / window.rows) * ceil(self.steps[2] / window.columns)
        products = ceil(((window.rows - 1) * window.pitch + window.columns) / STEPS)
        blocks = ceil(self.outs / self.block_channels)
        summed = self._reads(self.merged) * self.k_tiles * blocks
        # With one tile of channels, loading is slower than multiplying; so it is where every row of a tile lies on two
        # cache lines.
        each = (2.0 * self.tiles if self.tiles > 1 else 3.0) * PRODUCT
        if self.along_positions and not window.turned and not window.on_lines:
            each *= SPLIT
        multiply = products * summed * each
        channels = self.k_tiles * (32 * self.step if window.turned else self.k_width)
        copied = len(window.planes) * window.height * window.pitch * channels * 2
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

    def window_pitch(self, window: Window) -> int:
        """Numbers from one row of a tile of the window to the next: whole cache lines, an odd number of them where rows
        would else compete for the same place in the cache."""
        if self.along_positions and not window.turned:
            lines = ceil(self._length(window) * 4 / ROW_BYTES) | 1
            return lines * ROW_BYTES // 2
        numbers = self.k_tiles * self.k_width
        return numbers + ROW_BYTES // 2 if numbers % 128 == 0 else numbers

    def _length(self, window: Window) -> int:
        return len(window.planes) * window.height * window.pitch + 2 * STEPS

    def window_length(self, window: Window) -> int:
        if self.along_positions and not window.turned:
            return self.k_tiles * self.k_width // 2 * self.window_pitch(window)
        return self._length(window) * self.window_pitch(window) + STEPS
