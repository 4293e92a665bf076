"""How a dense layer is cut into work: boxes of steps, blocks of channels, and what is kept for how long.

A small model, computed from the plan and the sizes, weighs the ways to cut: what is multiplied (lanes and rows that
hold no step included), what is copied into windows (halos included), how often weights are packed, and how evenly the
work falls on the cores. Everything is counted in multiply-adds of a vector. How a layer is cut has no influence on its
result.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import ceil, prod

from trous.backends.cpu import gemm
from trous.backends.cpu.run import items_wanted
from trous.backends.cpu.values import BYTES
from trous.plan.window import Stretches, live_share, overhang, stretches

#: Bytes of packed weights, of a window and of sums that one thread keeps at hand; together they fit a second-level
#: cache.
WEIGHT_BYTES, WINDOW_BYTES, SUM_BYTES = 3 << 18, 1 << 19, 3 << 17
#: Cost of copying a vector into the window, of starting a row, of packing a vector of weights, and of fetching one that
#: was packed before the call.
COPY, ROW, PACK, READ = 40, 40, 40, 16


@dataclass(frozen=True)
class Work:
    """What there is to do, as far as cutting it matters. Steps are those of batch, z, y, x."""

    shape: gemm.Shape
    axes: tuple[tuple[int, tuple[int, ...], int], ...]  #: for z, y, x: inputs between steps, live offsets, input size
    steps: tuple[int, ...]
    groups: int
    channel_tiles: int
    phases: int
    taps: int  #: of all phases together
    chunks: int
    window_channels: int  #: channels that a window keeps for each place
    panel: int  #: packed weights of one channel tile and chunk


@dataclass(frozen=True)
class Cut:
    """One way to cut it. What is quick to compute is not kept: most ways are weighed once and dropped."""

    work: Work
    axes: tuple[Stretches, ...]
    tiles_per_block: int  #: channel tiles that one item computes
    tile: tuple[int, ...]  #: steps of a box along n, z, y, x
    strung: int  #: axes that strips run through, from the last

    @cached_property
    def length(self) -> tuple[int, ...]:
        """Places along n, z, y, x."""
        n, *inner = self.tile
        return (n, *(each + axis.extent for each, axis in zip(inner, self.axes, strict=True)))

    @cached_property
    def pitch(self) -> tuple[int, ...]:
        """Places between neighbours along n, z, y, x."""
        _, z, y, x = self.length
        return z * y * x, y * x, x, 1

    @property
    def pieces(self) -> int:
        """Stretches of a window."""
        return prod(len(axis.found) for axis in self.axes)

    @property
    def boxes(self) -> int:
        return prod(ceil(n / each) for n, each in zip(self.work.steps, self.tile, strict=True))

    @property
    def blocks(self) -> int:
        """Blocks of channel tiles, of all groups."""
        return self.work.groups * ceil(self.work.channel_tiles / self.tiles_per_block)

    @property
    def items(self) -> int:
        return self.boxes * self.blocks

    @property
    def panels(self) -> int:
        """Packed weights of one chunk of a block."""
        return self.tiles_per_block * self.work.panel

    @property
    def panels_kept(self) -> bool:
        """Whether all chunks' weights stay, so that the next box finds them packed."""
        return self.panels * self.work.chunks * BYTES[self.work.shape.element] <= WEIGHT_BYTES

    @property
    def strip(self) -> int:
        """Places that the register tiles of one strip cover, lanes without a step included."""
        shape, pitch, length = self.work.shape, self.pitch, 1
        for axis in range(4 - self.strung, 4):
            length += (self.tile[axis] - 1) * pitch[axis]
        whole, rest = divmod(length, shape.positions)
        return whole * shape.positions + (0 if not rest else shape.half if rest <= shape.half else shape.positions)

    @property
    def sum_pitch(self) -> tuple[int, ...]:
        """Places between neighbours along n, z, y, x among the sums: strips follow each other."""
        found, inner = list(self.pitch), self.strip
        for axis in range(3 - self.strung, -1, -1):
            found[axis] = inner
            inner *= self.tile[axis]
        return tuple(found)

    @cached_property
    def span(self) -> int:
        """Places among the sums."""
        return prod(self.tile[: 4 - self.strung]) * self.strip

    @property
    def alive(self) -> float:
        """Share of the taps that are multiplied: a register tile skips those that miss the input with all of it."""
        share, places = 1.0, self.work.shape.positions
        for axis in (3, 2, 1):
            strung = 4 - axis < self.strung or (axis < 3 and 4 - axis <= self.strung)
            steps = self.tile[axis] if strung else min(self.tile[axis], places) if axis == 3 else 1
            if axis == 2 and self.strung == 2:
                steps = ceil(places / self.pitch[2])
            down, offsets, size = self.work.axes[axis - 1]
            share *= live_share(offsets, down, size, self.work.steps[axis], steps)
        return share

    @property
    def way(self) -> str:
        """In words."""
        box = "x".join(map(str, self.tile))
        return f"boxes of {box}, {self.tiles_per_block} of {self.work.channel_tiles} channel tiles" + (
            f", windows in {self.pieces} pieces" if self.pieces > 1 else ""
        )

    @property
    def cost(self) -> float:
        return sum(self.costs.values())

    @property
    def costs(self) -> dict[str, float]:
        """The cost by what it is for."""
        work, shape, cores = self.work, self.work.shape, items_wanted(1)
        rounds = ceil(self.items / cores)  # of the busiest core
        channels = work.window_channels * work.chunks
        block = self.tiles_per_block * shape.channels
        # Along channels a row is started once, not once a channel.
        start = ROW * shape.lanes if shape.positions_along_vectors else 0
        # Every core packs the blocks that it works on, once if they are kept.
        times = max(1.0, self.blocks / cores) if self.panels_kept else rounds
        return {
            "multiplying": rounds * self.span * work.taps * self.alive * block * channels,
            "copying": rounds * self.rows * (self.length[3] * COPY + start) * channels,
            "packing": self.panels * work.chunks * (READ if shape.packed else PACK) * times,
        }

    @cached_property
    def plane(self) -> int:
        """Elements of one stretch: of one channel, where positions run along vectors.

        Then an odd number of cache lines, so that neighbouring channels never meet in one set of the cache.
        """
        places, shape = prod(self.length), self.work.shape
        if not shape.positions_along_vectors:
            return (places + shape.lanes) * shape.channel_pitch
        return (ceil((places + shape.lanes) / shape.lanes) | 1) * shape.lanes

    @cached_property
    def stretch_size(self) -> int:
        return self.plane * (self.work.window_channels if self.work.shape.positions_along_vectors else 1)

    @property
    def unit(self) -> int:
        """Elements between neighbouring places."""
        return 1 if self.work.shape.positions_along_vectors else self.work.shape.channel_pitch

    @cached_property
    def stretches(self) -> list[tuple[int, ...]]:
        """Records of `windows.STRETCH`."""
        return [
            (i * self.stretch_size // self.unit, z.offset, y.offset, x.offset, z.extent, y.extent, x.extent)
            for i, (z, y, x) in enumerate(product(*(axis.found for axis in self.axes)))
        ]

    @cached_property
    def distances(self) -> list[int]:
        """Of every slot, in elements of the window."""
        counts, pitch, found = [len(axis.found) for axis in self.axes], self.pitch, []
        for z, y, x in product(*(axis.places.values() for axis in self.axes)):
            number = (z.stretch * counts[1] + y.stretch) * counts[2] + x.stretch
            shift = z.shift * pitch[1] + y.shift * pitch[2] + x.shift
            found.append(number * self.stretch_size + shift * self.unit)
        return found

    @property
    def window(self) -> int:
        """Elements; a register tile may read beyond its box."""
        shape = self.work.shape
        return self.pieces * self.stretch_size + shape.positions * self.unit + shape.lanes * shape.lanes

    @property
    def rows(self) -> int:
        """Rows of the window, of all stretches."""
        return self.pieces * prod(self.length[:3])

    @property
    def sums(self) -> int:
        """Elements; vectors and blocks may reach beyond the last."""
        shape = self.work.shape
        beyond = shape.positions + shape.lanes * shape.channels
        return self.work.phases * self.tiles_per_block * self.span * shape.channels + beyond

    @property
    def weights(self) -> int:
        if self.work.shape.packed:
            return 0
        return self.panels * (self.work.chunks if self.panels_kept else 1)

    def numbers(self) -> dict[str, int]:
        """For the header."""
        pitch, sums = self.pitch, self.sum_pitch
        found = {
            "channel_tiles": self.work.channel_tiles,
            "tiles_per_block": self.tiles_per_block,
            "channel_blocks": self.blocks // self.work.groups,
            "items_per_block": self.boxes,
            "panels_kept": int(self.panels_kept),
            "chunk_panels": self.panels if self.panels_kept else 0,
            "span": self.span,
            "stretch_count": self.pieces,
            "plane": self.plane,
        }
        for i, axis in enumerate("nzyx"):
            found[f"tile_{axis}"] = self.tile[i]
            if axis != "n":
                found[f"tiles_{axis}"] = ceil(self.work.steps[i] / self.tile[i])
            if axis != "x":
                found |= {f"pitch_{axis}": pitch[i], f"flat_{axis}": int(4 - i <= self.strung), f"sum_{axis}": sums[i]}
        return found


def best_cut(work: Work) -> Cut:
    """The cheapest of up to a few dozen ways."""
    return min(cuts(work), key=lambda cut: cut.cost)


def cuts(work: Work) -> Iterator[Cut]:
    item = BYTES[work.shape.element]
    fitting = max(1, WEIGHT_BYTES // (work.panel * work.chunks * item))
    one = max(1, WEIGHT_BYTES // (work.panel * item))
    shared = max(1, work.channel_tiles * work.groups // items_wanted(1))
    most = [min(n, work.channel_tiles) for n in (fitting, one, min(shared, one))]
    blocks = {ceil(work.channel_tiles / ceil(work.channel_tiles / n)) for n in most}
    windows = [_windows(*axis[:2], steps) for axis, steps in zip(work.axes, work.steps[1:], strict=True)]
    extents = list(product({1, min(4, work.steps[1])}, _columns(work)))
    for tiles, axes in product(blocks, product(*windows)):
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
    down, offsets, size = work.axes[2]
    steps = work.steps[3]
    beyond = overhang(offsets, down, size, steps)
    return {steps, steps if beyond * 4 < steps else ceil(steps / ceil(steps / beyond))}


def _tile(work: Work, axes: tuple[Stretches, ...], tiles_per_block: int, planes: int, columns: int) -> tuple[int, ...]:
    """The largest box that fits: whole rows first, then planes; of several planes, where that many are wanted."""
    shape, item = work.shape, BYTES[work.shape.element]
    count = prod(max(1, len(axis.found)) for axis in axes)
    extents = [0, *(axis.extent for axis in axes)]
    window = WINDOW_BYTES // (work.window_channels * item * count)
    sums = SUM_BYTES // (work.phases * tiles_per_block * shape.channels * item)
    blocks = work.groups * ceil(work.channel_tiles / tiles_per_block)
    tile = [1] * 4
    inner_window = inner_sums = 1
    wanted = (1, planes, 1, 1)
    for axis in (3, 2, 1, 0):
        steps, others = work.steps[axis], prod(work.steps[:axis])
        if steps > 1:
            outer = prod(wanted[a] + extents[a] for a in range(axis))
            room = min(window // (inner_window * outer) - extents[axis], sums // (inner_sums * prod(wanted[:axis])))
            most = tile[axis] = max(1, min(columns if axis == 3 else steps, room))
            if most < steps or others == 1:
                unit = shape.positions if axis == 3 and most < columns else 1
                tile[axis] = _evenly(steps, max(1, most // unit) * unit, unit, blocks * others)
        inner_window *= tile[axis] + extents[axis]
        inner_sums *= tile[axis]
    return tuple(tile)


def _evenly(steps: int, most: int, unit: int, others: int) -> int:
    """Steps of a box, at most `most` and if cut a multiple of `unit`, of which the cores have equal shares if possible;
    `others` is the number of boxes along other axes."""
    cores = items_wanted(1)
    least = ceil(steps / most)

    def rounds(count: int) -> tuple[int, int]:
        each = ceil(ceil(steps / count) / unit) * unit if count > 1 else steps
        return ceil(ceil(steps / each) * others / cores) * each, count

    count = min(range(least, least + (cores if others % cores else 1)), key=rounds)
    return ceil(ceil(steps / count) / unit) * unit if count > 1 else steps
