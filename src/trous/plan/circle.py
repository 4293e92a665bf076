"""Axes on circles, where convolution is a product of spectra.

The discrete Fourier transform knows circles only. An axis lies on one by its grid (`trous.plan.grid`): input `i` at
place `up*i`, output `o` at `down*o`, and every kernel index at one distance from the output. `circle_size` says how
large the circle must be for no tap to come round to something from the other side. On a smaller circle lie outputs that
stand together and the inputs that they read, a tile (overlap-save, Stockham 1966); `tiles` are all of them.

`ObservedAxis` is the axis of a picture that was blurred: what its data were made of. The blur is a convolution in the
sense of physics, `y[i] = sum over t of psf[t] * x[stride*i + centre - t]`; the cross-correlation with the mirrored PSF.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import gcd
from typing import NamedTuple

from trous.errors import TrousError
from trous.plan.axis import conv_axis
from trous.plan.bind import BoundAxis
from trous.plan.border import check_border, source_indices
from trous.plan.grid import Grid
from trous.plan.reach import reads

#: What may surround a picture, and the padding mode that says the same; None where only the picture's own data count.
SURROUNDINGS: dict[str, str | None] = {"unknown": None, "reflect": "reflect", "periodic": "circular", "zero": "zeros"}


def circle_size(axis: BoundAxis) -> int | None:
    """The smallest circle on which the axis computes what it computes on a line; None where there is none.

    >>> from trous.spec import Conv
    >>> circle_size(Conv(3, padding=1).plan().bind(8).axes[0])
    9
    """
    plan, distances = axis.plan, Grid(axis).kernel.values()
    if gcd(plan.up, plan.down) > 1 or len(distances) < len(plan.taps):
        return None  # places of other phases would be hit too, or an index has several distances
    last_input, last_output = plan.up * (axis.input_size - 1), plan.down * (axis.output_size - 1)
    reach = last_output + max(distances, default=0), last_input - min(distances, default=0)
    return max(last_input, last_output, *reach) + 1


class Tile(NamedTuple):
    """Outputs of an axis, where they lie on the tile's circle, the inputs that they read and where those lie."""

    outputs: slice
    written: slice
    inputs: slice
    read: slice


def tile_circle(axis: BoundAxis, count: int) -> int:
    """The smallest circle on which the axis's outputs lie in at most `count` tiles."""
    return axis.plan.down * (-(-axis.output_size // count) - 1) + len(_window(axis))


def tile_outputs(axis: BoundAxis, circle: int) -> int:
    """How many outputs a tile on a circle of a size has; the last one may have fewer."""
    return (circle - len(_window(axis))) // axis.plan.down + 1


def tiles(axis: BoundAxis, circle: int) -> tuple[Tile, ...]:
    """The tiles on a circle of a size: one, where it holds the whole axis.

    >>> from trous.spec import Conv
    >>> for tile in tiles(Conv(3, padding=1).plan().bind(8).axes[0], 6):
    ...     print(tile.inputs, "at", tile.read)
    slice(0, 5, None) at slice(1, 6, 1)
    slice(3, 8, None) at slice(0, 5, 1)
    """
    down = axis.plan.down
    whole = circle_size(axis)
    if whole is not None and whole <= circle:
        return (_tile(axis, range(axis.output_size), range(axis.input_size), 0),)
    window = _window(axis)
    step = tile_outputs(axis, circle)
    result = []
    for first in range(0, axis.output_size, step):
        outputs = range(first, min(first + step, axis.output_size))
        read = reads(axis.plan, outputs)
        start = max(read.start, 0)
        inputs = range(start, max(start, min(read.stop, axis.input_size)))
        result.append(_tile(axis, outputs, inputs, down * first + window.start))
    return tuple(result)


def _window(axis: BoundAxis) -> range:
    """The distances of all taps from their output, and its own."""
    distances = [0, *Grid(axis).kernel.values()]
    return range(min(distances), max(distances) + 1)


def _tile(axis: BoundAxis, outputs: range, inputs: range, start: int) -> Tile:
    """A tile whose circle begins at the place `start` of the grid."""

    def places(positions: range, spacing: int) -> slice:
        first = spacing * positions.start - start
        return slice(first, first + spacing * len(positions), spacing) if positions else slice(0, 0)

    return Tile(
        slice(outputs.start, outputs.stop),
        places(outputs, axis.plan.down),
        slice(inputs.start, inputs.stop),
        places(inputs, axis.plan.up),
    )


@dataclass(frozen=True)
class ObservedAxis:
    """An axis of `size` data, each a sum over `kernel` positions, every `stride`-th of which was kept.

    Positions are those of the estimate, `result` of them. Data read up to `before` positions in front of it and
    `after` behind: what surrounds the picture. With them the axis has `extended` positions.

    >>> axis = ObservedAxis(kernel=5, stride=2, size=8, surroundings="unknown")
    >>> axis.result, axis.before, axis.after, axis.extended
    (16, 2, 2, 20)
    """

    kernel: int
    stride: int
    size: int
    surroundings: str

    @staticmethod
    def within(extended: int, kernel: int, stride: int) -> ObservedAxis:
        """The longest axis whose data were made of at most `extended` positions, with nothing known around them.

        >>> ObservedAxis.within(20, kernel=5, stride=2).size
        8
        """
        return ObservedAxis(kernel, stride, (extended - kernel + 1) // stride, "unknown")

    @property
    def centre(self) -> int:
        """The index of the PSF that lies on the datum."""
        return self.kernel // 2

    @property
    def result(self) -> int:
        return self.stride * self.size

    @property
    def before(self) -> int:
        return self.kernel - 1 - self.centre

    @property
    def after(self) -> int:
        return self.centre

    @property
    def extended(self) -> int:
        return self.before + self.result + self.after

    @cached_property
    def sources(self) -> tuple[int | None, ...]:
        """For each extended position the one of the estimate that it copies, None for none."""
        return source_indices(SURROUNDINGS[self.surroundings] or "zeros", self.result, self.before, self.after)

    def check(self) -> None:
        """Raises TrousError where the surroundings would be copied from more of the picture than there is."""
        try:
            check_border(SURROUNDINGS[self.surroundings] or "zeros", self.result, self.before, self.after)
        except TrousError:
            rule = f"must reach less far than the estimate's {self.result} positions for boundary {self.surroundings}"
            raise TrousError("psf", rule, f"{self.kernel} positions") from None

    @cached_property
    def bound(self) -> BoundAxis:
        """From extended positions to data; zeros around are the plan's own, so that they are no positions."""
        if self.surroundings == "zero":
            plan = conv_axis(self.kernel, self.stride, self.before, self.after, 1)
            return BoundAxis(plan, self.result, self.size)
        return BoundAxis(conv_axis(self.kernel, self.stride, 0, 0, 1), self.extended, self.size)

    @property
    def least_circle(self) -> int:
        """Positions of the smallest circle that holds the axis and one more, which parts its ends; a periodic one is a
        circle itself."""
        return self.result if self.surroundings == "periodic" else self.extended + 1

    @property
    def origin(self) -> int:
        """Where on the circle the estimate begins."""
        return 0 if self.surroundings == "periodic" else self.before

    @property
    def places(self) -> slice:
        """Where on the circle the data lie."""
        return slice(self.origin, self.origin + self.result, self.stride)

    @property
    def aliases(self) -> list[list[int]]:
        """For each frequency of the data the `stride` ones of the estimate that look alike at every `stride`-th
        position: `stride` lists of `size`."""
        return [[k + j * self.size for k in range(self.size)] for j in range(self.stride)]

    def turns(self, circle: int) -> list[int]:
        """Where on the circle each index of the PSF lies, so that its product with a picture's spectrum is the blur."""
        return [(t - self.centre) % circle for t in range(self.kernel)]
