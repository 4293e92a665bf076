"""Axes on circles, where convolution is a product of spectra.

The discrete Fourier transform knows circles only. An axis lies on one by its grid (`trous.plan.grid`): input `i` at
place `up*i`, output `o` at `down*o`, and every kernel index at one distance from the output. `circle_size` says how
large the circle must be for no tap to come round to something from the other side.

`ObservedAxis` is the axis of a picture that was blurred: what its data were made of. The blur is a convolution in the
sense of physics, `y[i] = sum over t of psf[t] * x[stride*i + centre - t]`; the cross-correlation with the mirrored PSF.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import gcd

from trous.errors import TrousError
from trous.plan.axis import conv_axis
from trous.plan.bind import BoundAxis
from trous.plan.border import check_border, source_indices
from trous.plan.grid import Grid

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
        """From extended positions to data."""
        return BoundAxis(conv_axis(self.kernel, self.stride, 0, 0, 1), self.extended, self.size)

    @property
    def least_circle(self) -> int:
        """Positions of the smallest circle that holds the axis; a periodic one is a circle itself."""
        return self.result if self.surroundings == "periodic" else self.extended

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
