"""What bounds a search: for each argument of a layer the values that it may take, in ascending order."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from trous.errors import TrousError
from trous.plan.padding import conv_padding, output_paddings
from trous.spec import BOUNDS, LARGEST, index

#: Ascending, without repetition.
Values = range | tuple[int, ...]

#: What users give: one value, or those to search.
Choice = int | Collection[int]


@dataclass(frozen=True)
class Ranges:
    """The bounds of one axis. None: whatever the layer's other numbers suggest or allow."""

    kernel: Values
    stride: Values
    dilation: Values
    padding: Values | None
    output_padding: Values | None
    symmetric: bool

    def paddings(self, kernel: int, dilation: int) -> Values:
        """What may be padded on one side; by default up to what the window reaches beyond one position."""
        if self.padding is not None:
            return self.padding
        return range(conv_padding("full", kernel, 1, dilation)[0] + 1)

    def output_paddings(self, transposed: bool, stride: int, dilation: int) -> Values:
        """What may be added behind: nothing to the output of a convolution."""
        allowed = output_paddings(stride, dilation) if transposed else range(1)
        return allowed if self.output_padding is None else between(self.output_padding, 0, allowed[-1])


@dataclass(frozen=True)
class Bounds:
    """What the user said of the ranges, for any axis; None where the sizes decide."""

    kernel: Values | None
    stride: Values | None
    dilation: Values
    padding: Values | None
    output_padding: Values | None
    symmetric: bool

    @staticmethod
    def checked(kernel: Any, stride: Any, padding: Any, dilation: Any, output_padding: Any, symmetric: bool) -> Bounds:
        return Bounds(
            kernel=None if kernel is None else values("kernel", kernel, *BOUNDS["kernel"]),
            stride=None if stride is None else values("stride", stride, *BOUNDS["stride"]),
            dilation=values("dilation", dilation, *BOUNDS["dilation"]),
            padding=None if padding is None else values("padding", padding, 0, LARGEST),
            output_padding=None if output_padding is None else values("output_padding", output_padding, 0, LARGEST),
            symmetric=symmetric,
        )

    def of(self, ratio: int) -> Ranges:
        """The ranges of an axis whose sizes are as `ratio` to 1, rounded up, whichever is the larger."""
        return Ranges(
            kernel=range(1, 9) if self.kernel is None else self.kernel,
            stride=range(1, max(8, min(ratio, BOUNDS["stride"][1])) + 1) if self.stride is None else self.stride,
            dilation=self.dilation,
            padding=self.padding,
            output_padding=self.output_padding,
            symmetric=self.symmetric,
        )


def values(name: str, given: Any, least: int, most: int) -> Values:
    """An int, a range or a collection of ints as ascending values, each within bounds."""
    if isinstance(given, range):
        found: Values = given if given.step > 0 else given[::-1]
    else:
        listed: Collection[Any] = given if isinstance(given, (tuple, list, set, frozenset)) else (given,)
        try:
            found = tuple(sorted({index(value) for value in listed}))
        except TypeError:
            raise TrousError(name, "must be an integer, a range or a collection of integers", given) from None
    if not found:
        raise TrousError(name, "must have at least one value", given)
    if found[0] < least or found[-1] > most:
        raise TrousError(name, f"must be {least} to {most}", given)
    return found


def between(found: Values, low: int, high: int) -> Values:
    """Those from `low` to `high`, both included."""
    return found[bisect_left(found, low) : bisect_right(found, high)]


def sums(found: Values, symmetric: bool) -> Values:
    """What two paddings come to: twice one of `found`, or any two of them."""
    if symmetric and isinstance(found, range):
        return range(2 * found[0], 2 * found[-1] + 1, 2 * found.step)
    if symmetric:
        return tuple(2 * value for value in found)
    if is_dense(found):
        return range(2 * found[0], 2 * found[-1] + 1)
    return tuple(sorted({front + back for front in found for back in found}))


def is_dense(found: Values) -> bool:
    """Whether every number between the first and the last is among them."""
    return len(found) == found[-1] - found[0] + 1


def sum_count(found: Values, least: int, most: int) -> int:
    """How many pairs of `found`, in either order, come to `least` to `most`."""
    if not is_dense(found):
        return sum(len(between(found, least - front, most - front)) for front in found)
    return _pairs_up_to(len(found), most - 2 * found[0]) - _pairs_up_to(len(found), least - 1 - 2 * found[0])


def _pairs_up_to(length: int, most: int) -> int:
    """Pairs of numbers from 0, below `length`, that come to `most` at most: a triangle, or a square less a triangle."""
    if most < length:
        return (most + 1) * (most + 2) // 2 if most >= 0 else 0
    left = max(0, 2 * length - 2 - most)
    return length**2 - left * (left + 1) // 2
