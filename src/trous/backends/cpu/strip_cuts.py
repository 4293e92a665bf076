"""Cutting the output of a layer into strips, whose inputs are staged in the cache."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from trous.backends.cpu.run import items_wanted
from trous.backends.cpu.tables import Strides
from trous.plan import BoundAxis

#: Most bytes of staged inputs; those that stay in the first-level cache.
STAGED, FIRST_LEVEL = 3 << 18, 1 << 15
#: Items of work for each core, where there is enough of it.
ITEMS = 4
#: Input channels up to which columns that are apart in memory are gathered rather than transposed with all channels.
GATHERED = 4
#: Elements between neighbours up to which whole vectors are read and picked from.
NEAR = 8

Axes = tuple[BoundAxis, BoundAxis, BoundAxis]


@dataclass(frozen=True)
class Source:
    """How inputs are copied; see `staging.Stage`."""

    kind: str
    step: int  #: elements between neighbouring steps, where they are read as whole vectors; else 1
    channels: int  #: that are staged: whole vectors of them where blocks are transposed

    @classmethod
    def of(cls, strides: Strides, channels: int, lanes: int, down: int) -> Source:
        step = down * strides.x[-1]
        if 1 <= step <= NEAR:
            return cls("columns", step, channels)
        if strides.x[1] == 1 and channels > GATHERED:
            return cls("channels", 1, ceil(channels / lanes) * lanes)
        return cls("gathered", 1, channels)


@dataclass(frozen=True)
class Cut:
    """Strips: steps along z and y and columns in each, the extents of what they stage, the cycles of staging it."""

    z: int
    y: int
    x: int
    planes: int
    rows: int
    pitch: int
    size: int  #: elements of staged memory
    cycles: float

    def numbers(self, axes: Axes, lanes: int) -> dict[str, int]:
        """Header numbers of the strips and of `staging`."""
        steps = step_counts(axes)
        stage_y = self.pitch * axes[2].plan.down
        low, high = ([end((tap.offset for tap in a.live_taps), default=0) for a in axes[:2]] for end in (min, max))
        return {
            "planes": self.planes,
            "rows": self.rows,
            "pitch": self.pitch,
            "shift": shift(axes[2], lanes),
            "low_z": low[0],
            "low_y": low[1],
            "high_z": high[0],
            "high_y": high[1],
            "stage_y": stage_y,
            "stage_z": self.rows * stage_y,
            "stage_c": self.planes * self.rows * stage_y,
            "strips_z": ceil(steps[0] / self.z),
            "strips_y": ceil(steps[1] / self.y),
            "strips_x": ceil(steps[2] / self.x),
            "each_z": self.z,
            "each_y": self.y,
            "each_x": self.x,
        }

    def place(self, axes: Axes, lanes: int, offsets: tuple[int, int, int]) -> int:
        """Where the input that a tap reads at a strip's first step lies in a staged channel."""
        z, y, x = offsets
        down = axes[2].plan.down
        low = [min((tap.offset for tap in axis.live_taps), default=0) for axis in axes[:2]]
        row = (z - low[0]) * self.rows + y - low[1]
        return (row * down + x % down) * self.pitch + x // down + shift(axes[2], lanes)


def cut(
    axes: Axes, advance: int, vectors: int, channels: int, lanes: int, item: int, maps: int, spare: int = 0
) -> Cut | None:
    """The strips whose staging costs the fewest cycles, enough of them for all cores if possible; None if none fits
    the cache.

    Strips hold whole multiples of `advance` rows and of `vectors` vectors of columns. `maps` of them stand beside each
    other; `spare` columns behind the last may be read.
    """
    z, y, x = axes
    steps, wanted = step_counts(axes), ceil(items_wanted(ITEMS) / max(maps, 1))
    reaches = [reach(axis) for axis in axes]
    blocks = [steps[0], ceil(steps[1] / advance), ceil(ceil(steps[2] / lanes) / vectors)]
    last = max((tap.offset // x.plan.down for tap in x.live_taps), default=0)
    best: Cut | None = None
    for across in _shares(blocks[2]):
        columns = across * vectors * lanes
        pitch = ceil((columns + spare + max(last, 0) + shift(x, lanes)) / lanes) * lanes
        for deep in _shares(blocks[0]):
            planes = (deep - 1) * z.plan.down + reaches[0]
            for high in _shares(blocks[1]):
                rows = (high * advance - 1) * y.plan.down + reaches[1]
                size = channels * planes * rows * pitch * x.plan.down
                if size * item > STAGED:
                    continue
                count = ceil(blocks[0] / deep) * ceil(blocks[1] / high) * ceil(blocks[2] / across)
                each = 2.0 if size * item <= FIRST_LEVEL else 4.0
                cost = count * (size / lanes * each + 200) * max(1.0, wanted / count)
                if best is None or cost < best.cycles:
                    best = Cut(deep, high * advance, columns, planes, rows, pitch, size, cost)
    return best


def step_counts(axes: Axes) -> list[int]:
    return [ceil(axis.output_size / axis.plan.up) for axis in axes]


def shift(axis: BoundAxis, lanes: int) -> int:
    """Columns by which staged rows begin before their strip, whole vectors."""
    first = min((tap.offset // axis.plan.down for tap in axis.live_taps), default=0)
    return ceil(-first / lanes) * lanes


def _shares(whole: int) -> list[int]:
    """Sizes of 1, 2, 3, 4, 6, 8, 12, ... nearly equal parts."""
    counts = [n for power in range(whole.bit_length()) for n in (1 << power, 3 << power >> 1)]
    return sorted({ceil(whole / n) for n in counts if n <= whole} | {1})


def reach(axis: BoundAxis) -> int:
    """Positions from the first to the last that a step reads."""
    offsets = [tap.offset for tap in axis.live_taps] or [0]
    return max(offsets) - min(offsets) + 1
