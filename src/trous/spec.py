"""What the user said: a convolution or a transposed convolution, without sizes or channels."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar

from trous.arrays import is_torch
from trous.errors import TrousError
from trous.plan import AxisPlan, Plan, conv_axis, transposed_axis
from trous.plan.padding import PADDING_WORDS, conv_padding, output_paddings, transposed_padding

Ints = int | Sequence[int]
Padding = int | Sequence[int] | Sequence[tuple[int, int]] | str

#: Of an argument: the product of two stays below 2**63.
LARGEST = 2**31 - 1
#: Of a size: what 64 bits hold.
LARGEST_SIZE = 2**63 - 1
#: Least and largest value. A plan lists every tap of a kernel, so a kernel has to end.
BOUNDS = {
    "kernel": (1, 2**20),
    "stride": (1, LARGEST),
    "output_padding": (0, LARGEST),
    "dilation": (1, LARGEST),
    "groups": (1, LARGEST),
}


class Spec:
    """What both kinds share. Attributes keep the form they were given in.

    Specs compare by what was said, in whatever form: stride 2 equals stride (2, 2) where something else names two axes.
    A word never equals the numbers that it stands for, nor a spec that leaves the number of axes open one that names
    it. Where it matters what is computed, compare plans.

    The kinds declare their fields themselves, in the order of their arguments, which inherited fields would not keep.
    """

    kernel: Any
    stride: Any
    padding: Any
    dilation: Any
    groups: int
    __dataclass_fields__: ClassVar[dict[str, Any]]

    def __post_init__(self) -> None:
        for name in self._names():
            object.__setattr__(self, name, _checked(name, getattr(self, name)))
        ranks = {name: len(getattr(self, name)) for name in self._names() if _has_rank(getattr(self, name))}
        if len(set(ranks.values())) > 1:
            raise TrousError("per-axis arguments", "must name the same number of axes", ranks)
        if self.ndim not in (None, 1, 2, 3):
            raise TrousError("kernel", "must have 1, 2 or 3 axes", self.kernel)

    @classmethod
    def _names(cls) -> tuple[str, ...]:
        return tuple(cls.__dataclass_fields__)

    @property
    def ndim(self) -> int | None:
        """Number of axes, or None while every argument is one number for however many there will be."""
        for name in self._names():
            if _has_rank(getattr(self, name)):
                return len(getattr(self, name))
        return None

    def plan(self, ndim: int | None = None) -> Plan:
        """The tap plan. `ndim` says how many axes a spec of plain numbers has; it defaults to 1."""
        named = self.ndim
        if ndim is None:
            return _plan(self, named or 1)
        if named not in (None, ndim):
            raise TrousError("ndim", f"must be the {named} that the spec names", ndim)
        return _plan(self, integer("ndim", ndim, 1, 3))

    def output_size(self, size: Ints) -> Any:
        """The size that comes out for `size` in: an int for an int, a tuple for one size per axis.

        >>> Conv(3, stride=2, padding=1).output_size(9)
        5
        >>> ConvTranspose((4, 4), stride=2, padding=1).output_size((5, 7))
        (10, 14)
        """
        sizes = integers("size", size, 0, LARGEST_SIZE)
        if isinstance(sizes, int) and self.ndim not in (None, 1):
            raise TrousError("size", f"must have one entry for each of {self.ndim} axes", size)
        rank = 1 if isinstance(sizes, int) else len(sizes)
        if self.ndim not in (None, rank):
            raise TrousError("size", f"must have one entry for each of {self.ndim} axes", size)
        result = self.plan(rank).output_size(sizes)
        for n, out in zip((sizes,) if isinstance(sizes, int) else sizes, result, strict=True):
            self.check_output(size, n, out)
        return result[0] if isinstance(sizes, int) else result

    def axis_arguments(self, axis: int) -> dict[str, Any]:
        """The arguments of one axis as numbers (padding: a word or a pair)."""
        per_axis = {}
        for name in self._names():
            value = getattr(self, name)
            per_axis[name] = value if isinstance(value, (int, str)) else value[axis]
        if isinstance(per_axis["padding"], int):
            per_axis["padding"] = (per_axis["padding"],) * 2
        return per_axis

    def axis_padding(self, axis: int) -> tuple[int, ...]:
        raise NotImplementedError

    def check_output(self, size: Any, n: int, out: int) -> None:
        """Refuse an output of `out` positions from `n` inputs on an axis; `size` is what the message shows."""
        raise NotImplementedError

    def _axis(self, axis: int) -> AxisPlan:
        raise NotImplementedError

    @cached_property
    def _key(self) -> tuple[Any, ...]:
        return (
            type(self),
            self.ndim,
            tuple(tuple(sorted(self.axis_arguments(axis).items())) for axis in range(self.ndim or 1)),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spec) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@dataclass(frozen=True, eq=False)
class Conv(Spec):
    """A convolution (cross-correlation, as in deep learning), of one to three dimensions.

    Args are integers, or one integer per axis; a kernel has at most 2**20 taps along an axis. `padding` is also a
    `(before, after)` pair per axis, or one of "valid", "same", "causal", "full" (`trous.plan.padding`). Raises
    TrousError for anything that cannot be.

    >>> Conv(3, dilation=2).output_size(10)
    6
    """

    kernel: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1

    def axis_padding(self, axis: int) -> tuple[int, int]:
        """`(before, after)` of one axis, whatever the form it was given in."""
        a = self.axis_arguments(axis)
        if isinstance(a["padding"], str):
            return conv_padding(a["padding"], a["kernel"], a["stride"], a["dilation"])
        return a["padding"]

    def _axis(self, axis: int) -> AxisPlan:
        a = self.axis_arguments(axis)
        return conv_axis(a["kernel"], a["stride"], *self.axis_padding(axis), a["dilation"])

    def check_output(self, size: Any, n: int, out: int) -> None:
        if out < 1:
            raise TrousError("kernel", f"must fit into the padded input of size {size}, dilation counted", self.kernel)


@dataclass(frozen=True, eq=False)
class ConvTranspose(Spec):
    """A transposed convolution: the adjoint of `Conv` with the same numbers, of one to three dimensions.

    `padding` crops the output. `output_padding` lengthens it behind, without adding taps, and must be smaller than
    stride or dilation: it says which of the sizes that the convolution maps to one is wanted.

    >>> ConvTranspose(3, stride=2, padding=1, output_padding=1).output_size(8)
    16
    """

    kernel: Any
    stride: Any = 1
    padding: Any = 0
    output_padding: Any = 0
    dilation: Any = 1
    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for axis in range(self.ndim or 1):
            a = self.axis_arguments(axis)
            if a["output_padding"] not in output_paddings(a["stride"], a["dilation"]):
                rule = f"must be smaller than stride ({a['stride']}) or dilation ({a['dilation']})"
                raise TrousError("output_padding", rule, a["output_padding"])
            if a["output_padding"] and isinstance(a["padding"], str):
                raise TrousError("output_padding", f'must be 0 beside padding "{a["padding"]}"', a["output_padding"])

    def axis_padding(self, axis: int) -> tuple[int, int, int]:
        """`(before, after, output_padding)` of one axis, whatever the form padding was given in."""
        a = self.axis_arguments(axis)
        if isinstance(a["padding"], str):
            return transposed_padding(a["padding"], a["kernel"], a["stride"], a["dilation"])
        return (*a["padding"], a["output_padding"])

    def reachable(self, size: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """Smallest and largest output size per axis that the convolution maps back to `size`, one entry per axis.

        These are what an explicit output size may ask for; without output_padding the smallest comes out.
        """
        intervals = []
        for axis, n in enumerate(size):
            plan = self._axis(axis)  # and not from the cache, which torch.compile warns of
            smallest = plan.output_size(n) - self.axis_padding(axis)[2]
            intervals.append((smallest, smallest + plan.up - 1))
        return tuple(intervals)

    def _axis(self, axis: int) -> AxisPlan:
        a = self.axis_arguments(axis)
        return transposed_axis(a["kernel"], a["stride"], *self.axis_padding(axis), a["dilation"])

    def check_output(self, size: Any, n: int, out: int) -> None:
        if out < min(n, 1):
            raise TrousError("padding", f"must leave an output; an input of size {size} gives size {out}", self.padding)


@lru_cache(maxsize=4096)
def _plan(spec: Spec, ndim: int) -> Plan:
    return Plan(tuple(spec._axis(axis) for axis in range(ndim)))


def _has_rank(value: Any) -> bool:
    return isinstance(value, tuple)


def integers(name: str, value: Any, least: int, most: int = LARGEST) -> Any:
    """`value` as an int or a tuple of ints, each within bounds."""
    given = [value] if not isinstance(value, (tuple, list)) else list(value)
    try:
        numbers = [index(v) for v in given]
    except TypeError:
        raise TrousError(name, "must be an integer or one integer per axis", value) from None
    if not numbers:
        raise TrousError(name, "must have at least one entry", value)
    for n in numbers:
        if n < least:
            raise TrousError(name, f"must be at least {least}", value)
        if n > most:
            raise TrousError(name, f"must be at most {most}", value)
    return tuple(numbers) if isinstance(value, (tuple, list)) else numbers[0]


def integer(name: str, value: Any, least: int, most: int = LARGEST) -> int:
    """`value` as an int within bounds."""
    try:
        number = index(value)
    except TypeError:
        raise TrousError(name, "must be one integer", value) from None
    return integers(name, number, least, most)


def index(value: Any) -> int:
    """`value` as an int. Raises TypeError for what is none, a bool and a tensor, whose value may change, among it."""
    if isinstance(value, bool) or is_torch(value):
        raise TypeError
    return operator.index(value)


def _checked(name: str, value: Any) -> Any:
    if name == "padding":
        return _padding(value)
    return (integer if name == "groups" else integers)(name, value, *BOUNDS[name])


def _padding(value: Any) -> Any:
    if isinstance(value, str):
        if value not in PADDING_WORDS:
            raise TrousError("padding", f"must be one of {', '.join(PADDING_WORDS)}, or numbers", value)
        return value
    if isinstance(value, (tuple, list)) and any(isinstance(v, (tuple, list)) for v in value):
        if not all(isinstance(v, (tuple, list)) and len(v) == 2 for v in value):
            raise TrousError("padding", "must be a (before, after) pair for every axis once it is for one", value)
        return tuple(integers("padding", pair, 0) for pair in value)
    return integers("padding", value, 0)
