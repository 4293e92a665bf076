"""Specs that return to the sizes of other specs: what `trous.mirror` does without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trous.errors import TrousError
from trous.plan.padding import mirrored_padding
from trous.plan.retrace import most_returning, returning_border, returning_padding, smallest_input
from trous.spec import LARGEST_SIZE, Conv, ConvTranspose, Ints, Spec, integers


def mirrored_specs(encoder: Spec | Sequence[Spec], input_size: Ints) -> tuple[Spec, ...]:
    """The encoder's specs on their way back, last one first; see `trous.mirror`."""
    specs = (encoder,) if isinstance(encoder, Spec) else tuple(encoder)
    if not specs or not all(isinstance(spec, (Conv, ConvTranspose)) for spec in specs):
        rule = "must be a torch module, or a Conv or ConvTranspose or a sequence of these"
        raise TrousError("encoder", rule, encoder)
    given = integers("input_size", input_size, 1, LARGEST_SIZE)
    size = given if isinstance(given, tuple) else (given,)
    for spec in specs:
        if spec.ndim not in (None, len(size)):
            raise TrousError("input_size", f"must have one entry for each of {spec.ndim} axes", input_size)
    needed = tuple(smallest_input(spec.plan(len(size)).axes[axis] for spec in specs) for axis in range(len(size)))
    if any(n < least for n, least in zip(size, needed, strict=True)):
        raise TrousError("input_size", f"must be at least {_plain(needed)} for this encoder", input_size)
    mirrors: list[Spec] = []
    for spec in specs:
        mirrors.append(mirrored(spec, size))
        size = spec.output_size(size)
    return tuple(reversed(mirrors))


def mirrored(spec: Spec, size: tuple[int, ...]) -> Spec:
    """The spec that gives exactly `size` for what `spec` makes of it.

    Raises TrousError for a transposed convolution that no convolution returns from.
    """
    axes = range(len(size))
    if isinstance(spec, ConvTranspose):
        return Conv(spec.kernel, spec.stride, _returning_padding(spec, axes), spec.dilation, spec.groups)
    plan = spec.plan(len(size))
    extra = tuple(returning_padding(axis, n) for axis, n in zip(plan.axes, size, strict=True))
    padding = _compact([crop(spec, axis) for axis in axes])
    return ConvTranspose(spec.kernel, spec.stride, padding, _plain(extra), spec.dilation, spec.groups)


def crop(spec: Spec, axis: int) -> tuple[int, int]:
    """`(before, after)` that the transposed convolution crops to retrace the sizes of a convolution, on one axis."""
    a = spec.axis_arguments(axis)
    if isinstance(a["padding"], str):
        return mirrored_padding(a["padding"], a["kernel"], a["stride"], a["dilation"])
    before, after = a["padding"]
    return before, after


def _returning_padding(spec: ConvTranspose, axes: range) -> Any:
    """The padding of the convolution back, at any size. A word stays a word: both kinds mean the same sizes by it."""
    if isinstance(spec.padding, str):
        return spec.padding
    pairs = []
    for axis in axes:
        stride = spec.axis_arguments(axis)["stride"]
        before, after, output_padding = spec.axis_padding(axis)
        pair = returning_border(stride, before, after, output_padding)
        if pair is None:
            rule = f"must be at most {most_returning(stride, before, after)} for a convolution to return from it"
            raise TrousError("output_padding", rule, spec.output_padding)
        pairs.append(pair)
    return _compact(pairs)


def _compact(pairs: Sequence[tuple[int, int]]) -> Any:
    """Padding in the shortest form that says it: one number, one for each axis, or pairs."""
    if any(before != after for before, after in pairs):
        return tuple(pairs)
    return _plain(tuple(before for before, _ in pairs))


def _plain(numbers: tuple[int, ...]) -> Any:
    """One number where all are alike."""
    return numbers[0] if len(set(numbers)) == 1 else numbers
