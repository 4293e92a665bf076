"""What every convention is translated from and into: a layer with one padding or crop for each axis."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from trous.errors import TrousError
from trous.plan import AxisPlan, conv_axis, transposed_axis
from trous.plan.conventions import Pair, agree, output_crop, padding_of_crop, symmetric_crop
from trous.plan.padding import conv_padding, output_paddings
from trous.spec import LARGEST_SIZE, Conv, ConvTranspose, Ints, Spec, integer, integers


class Operator(NamedTuple):
    """How a framework spells a layer: the name of its operator or class, and the arguments as it names them.

    What a spec does not know is left out: channels, bias, dtype.
    """

    name: str
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.attributes.items())})"


@dataclass(frozen=True)
class Axis:
    """One axis. `pair` is the padding of a convolution or the crop of a transposed one (`trous.plan.conventions`)."""

    kernel: int
    stride: int
    dilation: int
    pair: Pair
    transposed: bool
    size: int | None

    def accepts(self, pair: Pair) -> bool:
        """Whether `pair` in place of its own gives the same, at its size or without one at every size."""
        return agree(self._plan(self.pair), self._plan(pair), self.size)

    def _plan(self, pair: Pair) -> AxisPlan:
        if self.transposed:
            return transposed_axis(self.kernel, self.stride, *pair, 0, self.dilation)
        return conv_axis(self.kernel, self.stride, *pair, self.dilation)


@dataclass(frozen=True)
class Layer:
    """A spec with its number of axes settled, and its size where the user says one."""

    axes: tuple[Axis, ...]
    groups: int
    transposed: bool

    @classmethod
    def of(cls, spec: Spec, ndim: int | None, size: Ints | None) -> Layer:
        """Raises TrousError where nothing says how many axes there are."""
        if not isinstance(spec, (Conv, ConvTranspose)):
            raise TrousError("spec", "must be a trous.Conv or a trous.ConvTranspose", spec)
        if ndim is None and spec.ndim is None:
            if size is None:
                raise TrousError("ndim", "must be given for a spec that names no axes", ndim)
            given = integers("size", size, 0, LARGEST_SIZE)
            ndim = len(given) if isinstance(given, tuple) else 1
        ndim = spec.plan(ndim).ndim
        transposed = isinstance(spec, ConvTranspose)
        axes = []
        for axis, n in enumerate(sizes_of(size, ndim)):
            arguments = spec.axis_arguments(axis)
            kernel, stride, dilation = (arguments[name] for name in ("kernel", "stride", "dilation"))
            pair = spec.axis_padding(axis) if isinstance(spec, Conv) else output_crop(*spec.axis_padding(axis))
            axes.append(Axis(kernel, stride, dilation, pair, transposed, n))
        return cls(tuple(axes), spec.groups, transposed)

    @property
    def ndim(self) -> int:
        return len(self.axes)

    @property
    def kernel(self) -> tuple[int, ...]:
        return tuple(axis.kernel for axis in self.axes)

    @property
    def stride(self) -> tuple[int, ...]:
        return tuple(axis.stride for axis in self.axes)

    @property
    def dilation(self) -> tuple[int, ...]:
        return tuple(axis.dilation for axis in self.axes)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        return tuple(axis.pair for axis in self.axes)

    def accepts(self, pairs: Iterable[Pair]) -> bool:
        return all(axis.accepts(pair) for axis, pair in zip(self.axes, pairs, strict=True))


def conv_spec(
    kernel: tuple[int, ...], stride: tuple[int, ...], pairs: Iterable[Pair], dilation: tuple[int, ...], groups: int
) -> Conv:
    """The convolution with these numbers. Raises TrousError for a negative padding other than that of "causal"."""
    pairs = tuple(pairs)
    padding: Any = _shortest(pairs)
    if any(min(pair) < 0 for pair in pairs):
        padding = "causal"
        if pairs != tuple(conv_padding("causal", *axis) for axis in zip(kernel, stride, dilation, strict=True)):
            crop = tuple((max(-before, 0), max(-after, 0)) for before, after in pairs)
            rule = f"must not be negative for trous.Conv: crop the input by {crop} first and pad the other sides only"
            raise TrousError("padding", rule, pairs)
    return Conv(kernel, _shared(stride), padding, _shared(dilation), groups)


def transposed_spec(
    kernel: tuple[int, ...], stride: tuple[int, ...], crops: Iterable[Pair], dilation: tuple[int, ...], groups: int
) -> ConvTranspose:
    """The transposed convolution with these numbers, as torch spells it where it can.

    Raises TrousError for outputs that it cannot have: in front of the first, or further behind the last than
    output_padding goes.
    """
    crops = tuple(crops)
    allowed = [output_paddings(*axis) for axis in zip(stride, dilation, strict=True)]
    even = [symmetric_crop(crop) for crop in crops]
    if all(padding >= 0 and extra in extras for (padding, extra), extras in zip(even, allowed, strict=True)):
        both, extras = zip(*even, strict=True)
        return ConvTranspose(kernel, _shared(stride), _shared(both), _shared(extras), _shared(dilation), groups)
    before, after, output_padding = zip(*map(padding_of_crop, crops), strict=True)
    if min(before) < 0:
        added = tuple(max(-b, 0) for b in before)
        rule = "as a crop of the output must not be negative in front for trous.ConvTranspose: crop 0 there and put"
        raise TrousError("padding", f"{rule} {added} outputs that hold the bias in front", crops)
    if any(extra not in extras for extra, extras in zip(output_padding, allowed, strict=True)):
        limits = tuple(extras.stop for extras in allowed)
        rule = f"must stay below stride or dilation, {limits}, for trous.ConvTranspose"
        raise TrousError("output_padding", f"{rule}: append the outputs beyond, which hold the bias", output_padding)
    padding = _shortest(tuple(zip(before, after, strict=True)))
    numbers = (_shared(stride), padding, _shared(output_padding), _shared(dilation))
    return ConvTranspose(kernel, *numbers, groups)


def check_names(name: str, attributes: Mapping[str, Any], known: Iterable[str], ignored: Iterable[str] = ()) -> None:
    """Refuse an attribute that the operator does not have. `ignored` are those that a spec does not know."""
    known = tuple(known)
    for attribute in attributes:
        if attribute not in known and attribute not in ignored:
            raise TrousError("attributes", f"of {name} must be among {', '.join(known)}", attribute)


def check_operator(name: str, known: Iterable[str]) -> None:
    if name not in (known := tuple(known)):
        raise TrousError("name", f"must be one of {', '.join(known)}", name)


def per_axis(name: str, value: Any, ndim: int, least: int = 0) -> tuple[int, ...]:
    """`value`, one integer or one for each axis, as the latter."""
    given = integers(name, value, least, LARGEST_SIZE)
    if isinstance(given, int):
        return (given,) * ndim
    if len(given) != ndim:
        raise TrousError(name, f"must have one entry for each of {ndim} axes", value)
    return given


def pairs_of(name: str, value: Any, ndim: int, least: int) -> tuple[Pair, ...]:
    """`value`, one integer, or for each axis one or a (before, after) pair, as pairs."""
    if isinstance(value, (tuple, list)):
        if len(value) != ndim:
            raise TrousError(name, f"must have one entry for each of {ndim} axes", value)
        ends = [v if isinstance(v, (tuple, list)) else (v, v) for v in value]
    else:
        ends = [(value, value)] * ndim
    if any(len(pair) != 2 for pair in ends):
        raise TrousError(name, "must be an integer or a (before, after) pair for each axis", value)
    return tuple((integer(name, before, least), integer(name, after, least)) for before, after in ends)


def kernel_of(name: str, attributes: Mapping[str, Any], kernel: Ints | None, ndim: int | None) -> tuple[int, ...]:
    """The kernel that the attribute `name` says, or else the argument; one number stands for `ndim` axes."""
    said = attributes.get(name)
    value = kernel if said is None else said
    if value is None:
        raise TrousError("kernel", "must be given where the attributes do not say it", None)
    given = integers("kernel" if said is None else name, value, 1)
    if isinstance(given, int) and ndim is None:
        ndim = 1
    result = per_axis(name, given, ndim or len(given), 1)
    if kernel is not None and per_axis("kernel", kernel, len(result), 1) != result:
        raise TrousError("kernel", f"must be what the attributes say, {result}", kernel)
    if len(result) > 3:
        raise TrousError("kernel", "must have 1, 2 or 3 axes", value)
    return result


def sizes_of(size: Ints | None, ndim: int) -> tuple[int | None, ...]:
    return (None,) * ndim if size is None else per_axis("size", size, ndim)


def _shared(values: tuple[int, ...]) -> Any:
    """The one number that all axes share, or the numbers."""
    return values[0] if len(set(values)) == 1 else values


def _shortest(pairs: tuple[Pair, ...]) -> Any:
    if any(before != after for before, after in pairs):
        return pairs
    return _shared(tuple(before for before, _ in pairs))
