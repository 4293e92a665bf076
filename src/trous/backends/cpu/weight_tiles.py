"""Cutting a weight gradient into tiles of steps, blocks of channels and parts, and the windows that a tile reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, prod

from trous.backends.cpu import run
from trous.backends.cpu.panels import STEPS
from trous.backends.cpu.values import BYTES
from trous.backends.cpu.weight_forms import BLOCK_CHANNELS, Form, step_count
from trous.backends.operation import Operation

#: Steps of a tile, bytes of a block's sums and of both sides' panels, at most.
TILE_STEPS, SUMS, PANELS = 1024, 3 << 18, 1 << 20
#: Rows of steps in a tile, where the layer has them: neighbouring rows share what their taps read.
ROWS = 4
#: Parts that steps are cut into where channels alone give fewer work items, and the bytes of their gradients at most.
PARTS, COPIES = 4, 2 << 20
#: Items of work for each core, where there is enough of it.
ITEMS = 2


@dataclass(frozen=True)
class Window:
    """What a tile reads along one axis."""

    places: dict[int, int]  #: where in the window a tap that reads at `place` begins
    length: int
    stretches: list[tuple[int, int, int]]  #: (place in the window, first position, positions)
    unit: int  #: positions between neighbours of the window

    @property
    def positions(self) -> list[int]:
        """The position of every place."""
        return [first + i * self.unit for _, first, count in self.stretches for i in range(count)]


def window(places: Sequence[int], step: int, steps: int, adjacent: bool) -> Window:
    """The positions `place + step*m` for `m` in `0 .. steps-1`, in stretches of every `step`th position, or `adjacent`
    with those between."""
    unit, reach = (1, (steps - 1) * step + 1) if adjacent else (step, steps)
    found: dict[int, int] = {}
    stretches: list[tuple[int, int, int]] = []
    length, residue, end = 0, -1, 0
    for place in sorted(set(places), key=lambda p: (p % unit, p)):
        at = place // unit
        if place % unit != residue or at > end:
            stretches.append((length, place, 0))
            residue, end = place % unit, at
        start, first, count = stretches[-1]
        more = at + reach - end
        stretches[-1] = start, first, count + more
        length, end = length + more, at + reach
        found[place] = length - reach
    return Window(found, length, stretches, unit)


@dataclass(frozen=True)
class Layout:
    """The panels of one side: its windows along z, y and x, and channels in each panel."""

    windows: tuple[Window, Window, Window]
    images: int
    take: int
    lanes: int

    @property
    def width(self) -> int:
        """Elements of a position."""
        return ceil(self.take / self.lanes) * self.lanes

    @property
    def pitches(self) -> tuple[int, int, int, int]:
        """Elements between neighbours of the window along n, z, y, x."""
        z, y, x = (w.length for w in self.windows)
        return z * y * x * self.width, y * x * self.width, x * self.width, self.width

    @property
    def panel(self) -> int:
        """Elements of a panel. What is written last of a row may reach beyond it: a square, or the steps of columns."""
        return self.images * self.pitches[0] + max(self.lanes, STEPS) * self.width


@dataclass(frozen=True)
class Tiling:
    """A form in pieces. What decides the order of sums, tiles and parts, depends on the problem alone; the blocks of a
    work item depend on the cores too."""

    operation: Operation
    form: Form
    lanes: int
    element: str

    @cached_property
    def columns(self) -> int:
        """Right channels of a group, or all its taps in their place."""
        form = self.form
        return form.right.channels * (prod(len(a.plan.taps) for a in form.axes) if form.columns else 1)

    @cached_property
    def kernel(self) -> tuple[list[int], ...]:
        """Along each axis the kernel indices, which have sums of their own; in columns there is one sum for all."""
        return tuple(
            [0] if self.form.columns else sorted({tap.kernel for tap in axis.plan.taps}) for axis in self.form.axes
        )

    @cached_property
    def steps(self) -> tuple[int, ...]:
        """Images, and steps along z, y and x."""
        return (self.operation.batch, *(step_count(axis) for axis in self.form.axes))

    @property
    def left_take(self) -> int:
        return self.right_take if self.form.lanewise else self.form.rows

    @property
    def right_take(self) -> int:
        return self.form.vectors * self.lanes

    @cached_property
    def nominal(self) -> tuple[int, int]:
        """Left and right channels of a block: as many as the cache takes sums of."""
        if self.form.lanewise:
            return self.right_take, self.right_take
        rows, width = self.left_take, self.right_take
        left = evenly(self.form.left.channels, BLOCK_CHANNELS, rows)
        right = evenly(self.columns, BLOCK_CHANNELS, width)
        most = SUMS // (prod(map(len, self.kernel)) * BYTES[self.element])
        while left * right > most and (left > rows or right > width):
            if left > rows and (left > right or right == width):
                left = evenly(left, left // 2, rows)
            else:
                right = evenly(right, right // 2, width)
        return left, right

    @cached_property
    def box(self) -> tuple[int, ...]:
        """Images and steps along z, y and x of a tile."""
        most, box = TILE_STEPS, self._box(TILE_STEPS)
        while most > self._row and self._panel_bytes(box) > PANELS:
            most //= 2
            box = self._box(most)
        return box

    @property
    def _row(self) -> int:
        """Steps along x that a tile has whole numbers of: vectors run along them, unless they do along groups."""
        return 1 if self.form.lanewise else self.lanes

    def _box(self, most: int) -> tuple[int, ...]:
        images, z, y, x = self.steps
        across = evenly(x, max(self._row, most // min(ROWS, z * y)), self._row)
        down = evenly(y, most // across)
        deep = evenly(z, most // (across * down))
        return evenly(images, most // (across * down * deep)), deep, down, min(across, x)

    def _panel_bytes(self, box: tuple[int, ...]) -> int:
        left, right = self.nominal
        lefts, rights = ceil(left / self.left_take), ceil(right / self.right_take)
        return BYTES[self.element] * sum(
            count * layout.panel for count, layout in zip((lefts, rights), self.layouts(box), strict=True)
        )

    def layouts(self, box: tuple[int, ...]) -> tuple[Layout, Layout]:
        """The left and the right side's panels."""
        found = []
        for side, take in ((self.form.left, self.left_take), (self.form.right, self.right_take)):
            if self.form.columns:  # a place for every step, on the left at phase 0
                windows = [window([0], 1, steps, True) for steps in box[1:]]
            else:
                windows = [
                    window([side.place(tap) for tap in axis.live_taps], side.steps[i], box[1 + i], adjacent=i == 2)
                    for i, axis in enumerate(self.form.axes)
                ]
            found.append(Layout((windows[0], windows[1], windows[2]), box[0], take, self.lanes))
        return found[0], found[1]

    @cached_property
    def tiles(self) -> tuple[int, ...]:
        return tuple(ceil(steps / length) for steps, length in zip(self.steps, self.box, strict=True))

    @property
    def groups(self) -> int:
        """Groups that are work items of their own; where groups are the lanes, right channels of a group."""
        return self.form.right.inner if self.form.lanewise else self.operation.groups

    def counts(self, blocks: tuple[int, int]) -> tuple[int, int]:
        """Blocks of left and of right channels; where groups are the lanes, left channels of a group."""
        form = self.form
        lefts = form.left.inner if form.lanewise else ceil(form.left.channels / blocks[0])
        return lefts, ceil(self.columns / blocks[1])

    @cached_property
    def parts(self) -> int:
        """Parts of the tiles. Each has a gradient of its own, and all are added in the end."""
        items = self.groups * prod(self.counts(self.nominal))
        copies = COPIES // (prod(self.operation.weight_shape) * BYTES[self.element])
        return max(1, min(ceil(PARTS / items), copies, prod(self.tiles)))

    @cached_property
    def blocks(self) -> tuple[int, int]:
        """Left and right channels of a work item: smaller than the cache allows where there are many cores."""
        left, right = self.nominal
        wanted = run.items_wanted(ITEMS)
        while not self.form.lanewise and left > self.form.rows:
            if self.groups * self.parts * prod(self.counts((left, right))) >= wanted:
                break
            left = evenly(left, left // 2, self.form.rows)
        return left, right


def evenly(count: int, most: int, unit: int = 1) -> int:
    """How long pieces of `count` things are, none above `most` and none much shorter, in whole units."""
    most = max(unit, most // unit * unit)
    return ceil(ceil(count / ceil(count / most)) / unit) * unit
