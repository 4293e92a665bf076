"""What is asked for: along each axis the input sizes and the output that each of them must give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import Any

from trous.errors import TrousError
from trous.plan.sizes import Ends
from trous.spec import LARGEST, LARGEST_SIZE, index

#: Of a factor: whatever has a larger denominator was a decimal fraction before it became a float.
_LARGEST_DENOMINATOR = 2**20


@dataclass(frozen=True)
class Wanted:
    """The sizes of one axis: input and output of the first and the last, those between in even steps."""

    ends: Ends
    text: str

    @property
    def single(self) -> bool:
        """Whether it is one size and not a list of them."""
        return self.ends[0] == self.ends[1]

    @property
    def ratio(self) -> int:
        """The larger size over the smaller, rounded up, and the largest there is."""
        return max(-(-max(pair) // min(pair)) for pair in self.ends)


def wanted(input_size: Any, output_size: Any, factor: Any) -> tuple[tuple[Wanted, ...], bool]:
    """What is wanted of each axis, and whether the user named the axes. Arguments as those of `trous.solve`."""
    if (output_size is None) == (factor is None):
        raise TrousError("output_size", "or factor must be given, and not both", (output_size, factor))
    if input_size is None and factor is None:
        raise TrousError("input_size", "must be given beside output_size", input_size)
    name, other = ("output_size", output_size) if factor is None else ("factor", factor)
    leading = other if input_size is None else input_size
    named = _is_list(leading)
    rank = len(leading) if named else 1
    if rank not in (1, 2, 3):
        raise TrousError(name if input_size is None else "input_size", "must have 1, 2 or 3 axes", leading)
    for_all = factor is not None and not _is_list(other)
    if not for_all and (_is_list(other) != named or (named and len(other) != rank)):
        raise TrousError(name, f"must have an entry for each axis of input_size {input_size!r}", other)
    axis = _by_size if factor is None else _by_factor
    pairs = zip(_listed(input_size, rank), _listed(other, rank), strict=True)
    return tuple(axis(first, second) for first, second in pairs), named


def _is_list(value: Any) -> bool:
    return isinstance(value, (tuple, list))


def _listed(value: Any, rank: int) -> Sequence[Any]:
    return value if _is_list(value) else (value,) * rank


def _by_size(inputs: Any, outputs: Any) -> Wanted:
    first = _sizes("input_size", inputs)
    second = _sizes("output_size", outputs)
    if len(second) > 1 and len(second) != len(first):
        rule = f"must be one size, or as many as the {len(first)} of input_size {inputs!r}"
        raise TrousError("output_size", rule, outputs)
    ends = ((first[0], second[0]), (first[-1], second[-1]))
    return Wanted(ends, f"{_text(first)} -> {_text(second)}")


def _by_factor(inputs: Any, factor: Any) -> Wanted:
    """The inputs for which the factor gives a whole number. Without sizes, the multiples of its denominator without
    end: the last of them so far away that a layer with another ratio has left the factor on the way there."""
    ratio = _fraction(factor)
    if inputs is None:
        found = range(ratio.denominator, ratio.denominator * (LARGEST + 2) + 1, ratio.denominator)
        text = f"n -> {_times(ratio)}"
    else:
        sizes = _sizes("input_size", inputs)
        found = _multiples(sizes, ratio.denominator)
        if not found:
            raise TrousError("input_size", f"must hold a multiple of {ratio.denominator} for factor {ratio}", inputs)
        text = f"n = {_text(found)} -> {_times(ratio)}" if len(sizes) > 1 else f"{found[0]} -> {int(found[0] * ratio)}"
    ends = ((found[0], int(found[0] * ratio)), (found[-1], int(found[-1] * ratio)))
    return Wanted(ends, text)


def _multiples(sizes: range, number: int) -> range:
    """The multiples of `number` among the sizes, which come again after a period."""
    period = number // gcd(sizes.step, number)
    first = next((place for place, size in enumerate(sizes[:period]) if size % number == 0), None)
    return range(0) if first is None else sizes[first::period]


def _sizes(name: str, value: Any) -> range:
    if isinstance(value, range):
        sizes = value
    else:
        try:
            size = index(value)
        except TypeError:
            raise TrousError(name, "must be an integer or a range, or one of these for each axis", value) from None
        sizes = range(size, size + 1)
    if not sizes:
        raise TrousError(name, "must hold a size", value)
    for size in (sizes[0], sizes[-1]):
        if not 1 <= size <= LARGEST_SIZE:
            raise TrousError(name, f"must be 1 to {LARGEST_SIZE}", value)
    return sizes


def _fraction(value: Any) -> Fraction:
    try:
        if isinstance(value, bool):
            raise TypeError
        ratio = Fraction(value)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        raise TrousError("factor", 'must be a number above 0 or a fraction such as "1/2"', value) from None
    if ratio <= 0:
        raise TrousError("factor", "must be above 0", value)
    if ratio.denominator > _LARGEST_DENOMINATOR:
        near = ratio.limit_denominator(1000)
        raise TrousError("factor", f'must be exact; for {value!r} write "{near}"', value)
    if ratio.numerator > LARGEST:
        raise TrousError("factor", f"must be at most {LARGEST}", value)
    return ratio


def _text(sizes: range) -> str:
    if len(sizes) == 1:
        return str(sizes[0])
    return f"{sizes[0]}..{sizes[-1]}" + (f" by {sizes.step}" if abs(sizes.step) > 1 else "")


def _times(ratio: Fraction) -> str:
    scaled = "n" if ratio.numerator == 1 else f"{ratio.numerator}*n"
    return scaled if ratio.denominator == 1 else f"{scaled}/{ratio.denominator}"
