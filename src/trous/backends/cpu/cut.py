"""How a dense layer is cut into work: boxes of steps, blocks of channels, and what is kept for how long.

A small model, computed from the plan and the sizes, weighs the ways to cut: what is multiplied (lanes and rows that
hold no step included), what is copied into windows (halos included), how often weights are packed, and how evenly the
work falls on the cores. Everything is counted in multiply-adds of a vector. How a layer is cut has no influence on its
result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import ceil, prod
from typing import NamedTuple

from trous.backends.cpu import gemm
from trous.backends.cpu.run import items_wanted
from trous.backends.cpu.values import BYTES
from trous.plan.window import Stretches, live_share, overhang, settled, stretches

#: Bytes of packed weights, of a window and of sums that one thread keeps at hand; together they fit a second-level
#: cache.
WEIGHT_BYTES, WINDOW_BYTES, SUM_BYTES = 3 << 18, 1 << 19, 3 << 17
#: Cost of copying a vector into the window, of starting a row, of packing a vector of weights, and of fetching one that
#: was packed before the call.
COPY, ROW, PACK, READ = 40, 40, 40, 16

#: Steps of a box along n, z, y, x.
Tile = tuple[int, int, int, int]


@dataclass(frozen=True)
class Job:
    """What there is to do whatever the sizes, as far as cutting it matters. Axes are z, y, x."""

    shape: gemm.Shape
    axes: tuple[tuple[int, tuple[int, ...]], ...]  #: inputs between steps, live offsets
    groups: int
    channel_tiles: int
    phases: int
    taps: int  #: of all phases together
    chunks: int
    window_channels: int  #: channels that a window keeps for each place
    panel: int  #: packed weights of one channel tile and chunk

    @cached_property
    def item(self) -> int:
        """Bytes of a number."""
        return BYTES[self.shape.element]

    @cached_property
    def positions(self) -> tuple[int, int]:
        """Places of a register tile, and of half of one."""
        return self.shape.positions, self.shape.half

    @cached_property
    def lanes(self) -> tuple[int, int]:
        """Output channels of a register tile, and input channels that are multiplied."""
        return self.shape.channels, self.window_channels * self.chunks

    @cached_property
    def row(self) -> int:
        """Cost of starting a row of a window, once for each channel: along channels it is started once in all."""
        return ROW * self.shape.lanes if self.shape.positions_along_vectors else 0

    @cached_property
    def blocks(self) -> tuple[int, ...]:
        """Numbers of channel tiles worth keeping at a time: those whose weights fit, of all chunks or of one, and those
        of which every core has some."""
        fitting = max(1, WEIGHT_BYTES // (self.panel * self.chunks * self.item))
        one = max(1, WEIGHT_BYTES // (self.panel * self.item))
        shared = max(1, self.channel_tiles * self.groups // items_wanted(1))
        most = [min(n, self.channel_tiles) for n in (fitting, one, min(shared, one))]
        return tuple({ceil(self.channel_tiles / ceil(self.channel_tiles / n)) for n in most})

    def windows(self, steps: Sequence[int]) -> list[tuple[Stretches, ...]]:
        """Stretches worth trying for boxes of so many steps along z, y, x."""
        if steps[0] >= self._reaches[0] and steps[1] >= self._reaches[1] and steps[2] >= self._reaches[2]:
            return self._widest
        return self._windows(steps)

    @cached_property
    def _reaches(self) -> list[int]:
        """Steps from which on stretches are what they are at every larger size."""
        return [settled(offsets, down) for down, offsets in self.axes]

    @cached_property
    def _widest(self) -> list[tuple[Stretches, ...]]:
        return self._windows(self._reaches)

    def _windows(self, steps: Sequence[int]) -> list[tuple[Stretches, ...]]:
        return list(product(*(_windows(*axis, n) for axis, n in zip(self.axes, steps, strict=True))))


class Work(NamedTuple):
    """A job with its sizes."""

    job: Job
    inputs: tuple[int, int, int]  #: along z, y, x
    steps: tuple[int, int, int, int]  #: along n, z, y, x


class Arrangement(NamedTuple):
    """Where a window has its places; what makes no difference is 0, so that most sizes of a layer have the same."""

    axes: tuple[Stretches, ...]
    unit: int  #: elements between neighbouring places
    stretch_size: int
    pitch_z: int
    pitch_y: int

    def stretches(self) -> list[tuple[int, ...]]:
        """Records of `windows.STRETCH`."""
        each = self.stretch_size // self.unit
        return [
            (i * each, z.offset, y.offset, x.offset, z.extent, y.extent, x.extent)
            for i, (z, y, x) in enumerate(product(*(axis.found for axis in self.axes)))
        ]

    def distances(self) -> list[int]:
        """Of every slot, in elements of the window."""
        counts, found = [len(axis.found) for axis in self.axes], []
        for z, y, x in product(*(axis.places.values() for axis in self.axes)):
            number = (z.stretch * counts[1] + y.stretch) * counts[2] + x.stretch
            shift = z.shift * self.pitch_z + y.shift * self.pitch_y + x.shift
            found.append(number * self.stretch_size + shift * self.unit)
        return found


class Cut:
    """One way to cut it. What its cost depends on is computed at once, the rest of the one that is taken."""

    def __init__(self, work: Work, axes: tuple[Stretches, ...], tiles_per_block: int, tile: Tile, strung: int):
        self.work, self.job, self.axes = work, work.job, axes
        self.tiles_per_block = tiles_per_block  #: channel tiles that one item computes
        self.tile = tile  #: steps of a box along n, z, y, x
        self.strung = strung  #: axes that strips run through, from the last
        n, z, y, x = tile
        in_z, in_y, in_x = z + axes[0].extent, y + axes[1].extent, x + axes[2].extent
        #: Places along n, z, y, x, and between neighbours along them.
        self.length, self.pitch = (n, in_z, in_y, in_x), (in_z * in_y * in_x, in_y * in_x, in_x, 1)
        #: Stretches of a window, and their rows.
        self.pieces = len(axes[0].found) * len(axes[1].found) * len(axes[2].found)
        self.rows = self.pieces * n * in_z * in_y
        #: Places that the register tiles of one strip cover, lanes without a step included, and all among the sums.
        self.strip = self._strip()
        self.span = prod(tile[: 4 - strung]) * self.strip
        steps_n, steps_z, steps_y, steps_x = work.steps
        #: Boxes along n, z, y, x, and all of them.
        self.counts = -(-steps_n // n), -(-steps_z // z), -(-steps_y // y), -(-steps_x // x)
        self.boxes = prod(self.counts)
        job = work.job
        #: Blocks of channel tiles, of all groups.
        self.blocks = job.groups * -(-job.channel_tiles // tiles_per_block)
        self.items = self.boxes * self.blocks
        #: Packed weights of one chunk of a block, and whether those of all chunks stay for the next box.
        self.panels = tiles_per_block * job.panel
        self.panels_kept = self.panels * job.chunks * job.item <= WEIGHT_BYTES

    def _strip(self) -> int:
        pitch, length = self.pitch, 1
        for axis in range(4 - self.strung, 4):
            length += (self.tile[axis] - 1) * pitch[axis]
        whole, half = self.job.positions
        rest = length % whole
        return length - rest + (0 if not rest else half if rest <= half else whole)

    @property
    def sum_pitch(self) -> tuple[int, ...]:
        """Places between neighbours along n, z, y, x among the sums: strips follow each other."""
        found, inner = list(self.pitch), self.strip
        for axis in range(3 - self.strung, -1, -1):
            found[axis] = inner
            inner *= self.tile[axis]
        return tuple(found)

    @property
    def alive(self) -> float:
        """Share of the taps that are multiplied: a register tile skips those that miss the input with all of it."""
        share, (places, _) = 1.0, self.job.positions
        for axis in (3, 2, 1):
            down, offsets = self.job.axes[axis - 1]
            if self.work.steps[axis] == 1 and offsets == (0,):  # an axis on which nothing happens
                continue
            strung = 4 - axis < self.strung or (axis < 3 and 4 - axis <= self.strung)
            steps = self.tile[axis] if strung else min(self.tile[axis], places) if axis == 3 else 1
            if axis == 2 and self.strung == 2:
                steps = ceil(places / self.pitch[2])
            share *= live_share(offsets, down, self.work.inputs[axis - 1], self.work.steps[axis], steps)
        return share

    @property
    def way(self) -> str:
        """In words."""
        box = "x".join(map(str, self.tile))
        return f"boxes of {box}, {self.tiles_per_block} of {self.job.channel_tiles} channel tiles" + (
            f", windows in {self.pieces} pieces" if self.pieces > 1 else ""
        )

    @property
    def cost(self) -> float:
        return sum(self.costs.values())

    @property
    def costs(self) -> dict[str, float]:
        """The cost by what it is for."""
        job, cores = self.job, items_wanted(1)
        rounds = -(-self.items // cores)  # of the busiest core
        lanes, channels = job.lanes
        block = self.tiles_per_block * lanes
        # Every core packs the blocks that it works on, once if they are kept.
        times = max(1.0, self.blocks / cores) if self.panels_kept else rounds
        return {
            "multiplying": rounds * self.span * job.taps * self.alive * block * channels,
            "copying": rounds * self.rows * (self.length[3] * COPY + job.row) * channels,
            "packing": self.panels * job.chunks * (READ if job.shape.packed else PACK) * times,
        }

    @property
    def plane(self) -> int:
        """Elements of one stretch: of one channel, where positions run along vectors.

        Then an odd number of cache lines, so that neighbouring channels never meet in one set of the cache.
        """
        places, shape = prod(self.length), self.job.shape
        if not shape.positions_along_vectors:
            return (places + shape.lanes) * shape.channel_pitch
        return (ceil((places + shape.lanes) / shape.lanes) | 1) * shape.lanes

    @property
    def stretch_size(self) -> int:
        return self.plane * (self.job.window_channels if self.job.shape.positions_along_vectors else 1)

    @property
    def unit(self) -> int:
        """Elements between neighbouring places."""
        return 1 if self.job.shape.positions_along_vectors else self.job.shape.channel_pitch

    @property
    def arrangement(self) -> Arrangement:
        z, y, _ = self.axes
        size = self.stretch_size if self.pieces > 1 else 0
        return Arrangement(self.axes, self.unit, size, self.pitch[1] * (z.extent > 0), self.pitch[2] * (y.extent > 0))

    @property
    def window(self) -> int:
        """Elements; a register tile may read beyond its box."""
        shape = self.job.shape
        return self.pieces * self.stretch_size + shape.positions * self.unit + shape.lanes * shape.lanes

    @property
    def sums(self) -> int:
        """Elements; vectors and blocks may reach beyond the last."""
        shape = self.job.shape
        beyond = shape.positions + shape.lanes * shape.channels
        return self.job.phases * self.tiles_per_block * self.span * shape.channels + beyond

    @property
    def weights(self) -> int:
        if self.job.shape.packed:
            return 0
        return self.panels * (self.job.chunks if self.panels_kept else 1)

    def numbers(self) -> dict[str, int]:
        """For the header."""
        tile, counts, pitch, sums, kept = self.tile, self.counts, self.pitch, self.sum_pitch, self.panels_kept
        return {
            "tiles_per_block": self.tiles_per_block,
            "channel_blocks": self.blocks // self.job.groups,
            "items_per_block": self.boxes,
            "panels_kept": int(kept),
            "chunk_panels": self.panels if kept else 0,
            "span": self.span,
            "stretch_count": self.pieces,
            "plane": self.plane,
            **{"tile_n": tile[0], "tile_z": tile[1], "tile_y": tile[2], "tile_x": tile[3]},
            **{"tiles_z": counts[1], "tiles_y": counts[2], "tiles_x": counts[3]},
            **{"pitch_n": pitch[0], "pitch_z": pitch[1], "pitch_y": pitch[2]},
            **{"flat_n": int(self.strung > 3), "flat_z": int(self.strung > 2), "flat_y": int(self.strung > 1)},
            **{"sum_n": sums[0], "sum_z": sums[1], "sum_y": sums[2]},
        }


def best_cut(work: Work) -> Cut:
    """The cheapest of up to a few dozen ways."""
    first, *others = cuts(work)
    return min((first, *others), key=lambda cut: cut.cost) if others else first


def cuts(work: Work) -> Iterator[Cut]:
    extents = list(product({1, min(4, work.steps[1])}, _columns(work)))
    for tiles, axes in product(work.job.blocks, work.job.windows(work.steps[1:])):
        for tile in {_tile(work, axes, tiles, planes, columns) for planes, columns in extents}:
            for strung in range(1, 5):
                if strung == 1 or tile[4 - strung] > 1:  # strips through one step are the same without it
                    yield Cut(work, axes, tiles, tile, strung)


def _windows(down: int, offsets: tuple[int, ...], steps: int) -> list[Stretches]:
    """Stretches worth trying: one for each offset, or wherever a row of so many steps overlaps the next; the latter
    alone where it copies nothing that no tap reads."""
    joined = stretches(offsets, down, steps)
    if sum(stretch.extent + 1 for stretch in joined.found) == len(offsets):
        return [joined]
    return [stretches(offsets, down, 0), joined]


def _columns(work: Work) -> set[int]:
    """Widths of a box worth trying: whole rows, or so few columns that far taps miss the input with all of them."""
    down, offsets = work.job.axes[2]
    steps = work.steps[3]
    beyond = overhang(offsets, down, work.inputs[2], steps)
    return {steps, steps if beyond * 4 < steps else ceil(steps / ceil(steps / beyond))}


def _tile(work: Work, axes: tuple[Stretches, ...], tiles_per_block: int, planes: int, columns: int) -> Tile:
    """The largest box that fits: whole rows first, then planes; of several planes, where that many are wanted."""
    job, all_steps, (z, y, x) = work.job, work.steps, axes
    count = (len(z.found) or 1) * (len(y.found) or 1) * (len(x.found) or 1)
    extents = 0, z.extent, y.extent, x.extent
    window = WINDOW_BYTES // (job.window_channels * job.item * count)
    sums = SUM_BYTES // (job.phases * tiles_per_block * job.lanes[0] * job.item)
    blocks = job.groups * -(-job.channel_tiles // tiles_per_block)
    tile = [1] * 4
    inner_window = inner_sums = 1
    wanted = (1, planes, 1, 1)
    for axis in (3, 2, 1, 0):
        steps = all_steps[axis]
        if steps > 1:
            others = outer_window = outer_sums = 1
            for outer in range(axis):
                others *= all_steps[outer]
                outer_window *= wanted[outer] + extents[outer]
                outer_sums *= wanted[outer]
            room = min(window // (inner_window * outer_window) - extents[axis], sums // (inner_sums * outer_sums))
            most = tile[axis] = max(1, min(columns if axis == 3 else steps, room))
            if most < steps or others == 1:
                unit = job.positions[0] if axis == 3 and most < columns else 1
                tile[axis] = _evenly(steps, max(1, most // unit) * unit, unit, blocks * others)
        inner_window *= tile[axis] + extents[axis]
        inner_sums *= tile[axis]
    return tile[0], tile[1], tile[2], tile[3]


def _evenly(steps: int, most: int, unit: int, others: int) -> int:
    """Steps of a box, at most `most` and if cut a multiple of `unit`, of which the cores have equal shares if possible;
    `others` is the number of boxes along other axes."""
    cores = items_wanted(1)
    least = -(-steps // most)
    best, fewest = steps, None
    for count in range(least, least + (cores if others % cores else 1)):
        each = -(-steps // (count * unit)) * unit if count > 1 else steps
        rounds = -(-(-(-steps // each) * others) // cores) * each
        if fewest is None or rounds < fewest:
            best, fewest = each, rounds
    return best
