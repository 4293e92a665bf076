"""JAX: lax.conv_general_dilated and lax.conv_transpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trous.conventions.layer import (
    Layer,
    Operator,
    check_names,
    check_operator,
    conv_spec,
    kernel_of,
    pairs_of,
    per_axis,
    sizes_of,
    transposed_spec,
)
from trous.errors import TrousError
from trous.plan.conventions import Pair, keras_crop, same_padding, spread_padding
from trous.spec import LARGEST, Conv, ConvTranspose, Ints, Spec

CONV, TRANSPOSE = "conv_general_dilated", "conv_transpose"
_GENERAL = ("window_strides", "padding", "lhs_dilation", "rhs_dilation", "feature_group_count", "batch_group_count")
_KNOWN = {CONV: _GENERAL, TRANSPOSE: ("strides", "padding", "rhs_dilation", "use_consistent_padding")}
#: What says where the axes of an array are and which way the weight lies, and not what is computed.
_IGNORED = ("dimension_numbers", "transpose_kernel", "precision", "preferred_element_type", "out_sharding")
_SPATIAL = ("W", "HW", "DHW")


def to_jax(spec: Spec, ndim: int | None = None, size: Ints | None = None) -> Operator:
    """`lax.conv_general_dilated`, or `lax.conv_transpose` for a transposed layer without groups.

    JAX can say every spec. Padding is written as pairs, arrays are channels-last, and the weight of either operator is
    what `weight_to_jax` gives: call `operator(x, weight, **attributes)`. `lax.conv_transpose` has no groups; with them
    a transposed layer is `lax.conv_general_dilated` of the input with `lhs_dilation`.

    >>> print(to_jax(ConvTranspose(4, stride=2, padding=1), ndim=1))
    conv_transpose(strides=(2,), padding=((2, 2),), rhs_dilation=(1,), dimension_numbers=('NWC', 'WIO', 'NWC'))
    """
    layer = Layer.of(spec, ndim, size)
    axes = _SPATIAL[layer.ndim - 1]
    layout = {"dimension_numbers": (f"N{axes}C", f"{axes}IO", f"N{axes}C")}
    padding, dilation = jax_padding(layer), {"rhs_dilation": layer.dilation}
    if layer.transposed and layer.groups == 1:
        return Operator(TRANSPOSE, {"strides": layer.stride, "padding": padding} | dilation | layout)
    attributes: dict[str, Any] = {"window_strides": layer.stride, "padding": padding}
    if layer.transposed:
        attributes |= {"window_strides": (1,) * layer.ndim, "lhs_dilation": layer.stride}
    return Operator(CONV, attributes | dilation | layout | {"feature_group_count": layer.groups})


def from_jax(
    name: str,
    attributes: Mapping[str, Any],
    *,
    kernel: Ints | None = None,
    size: Ints | None = None,
    transposed: bool | None = None,
) -> Conv | ConvTranspose:
    """The spec of `lax.<name>(x, weight, **attributes)`.

    JAX reads the `kernel` from its weight, so it has to be given, one entry for each axis. `size` is the input's,
    needed for "SAME" with a stride. `lax.conv_general_dilated` is read as transposed where its lhs_dilation is above 1;
    `transposed` says what it is where all strides are 1 and it may be either: the kernel of a transposed layer is the
    other way round (`weight_from_jax`).

    >>> from_jax("conv_transpose", {"strides": (2,), "padding": "SAME"}, kernel=(3,))
    ConvTranspose(kernel=(3,), stride=2, padding=((0, 1),), output_padding=0, dilation=1, groups=1)
    """
    check_operator(name, _KNOWN)
    check_names(name, attributes, _KNOWN[name], _IGNORED)
    kernel = kernel_of("kernel", {}, kernel, None)
    ndim = len(kernel)
    for needed in _KNOWN[name][:2]:
        if needed not in attributes:
            raise TrousError("attributes", f"of {name} must have {needed}", dict(attributes))
    stride = per_axis(_KNOWN[name][0], attributes[_KNOWN[name][0]], ndim, 1)
    dilation = per_axis("rhs_dilation", attributes.get("rhs_dilation") or 1, ndim, 1)
    if attributes.get("batch_group_count", 1) != 1:
        raise TrousError("batch_group_count", "must be 1", attributes["batch_group_count"])
    padding, groups = attributes["padding"], attributes.get("feature_group_count", 1)
    if name == TRANSPOSE:
        consistent = attributes.get("use_consistent_padding", False)
        crops = transposed_crops(padding, kernel, stride, dilation, consistent=consistent)
        return transposed_spec(kernel, stride, crops, dilation, 1)
    spread = per_axis("lhs_dilation", attributes.get("lhs_dilation") or 1, ndim, 1)
    return general_spec(kernel, stride, padding, spread, dilation, groups, size, transposed, "lhs_dilation")


def jax_padding(layer: Layer) -> tuple[Pair, ...]:
    """Of the input as it is for a convolution, of the input spread by the stride for a transposed one."""
    if not layer.transposed:
        return layer.pairs
    return tuple(spread_padding(axis.kernel, axis.dilation, axis.pair) for axis in layer.axes)


def general_spec(
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: Any,
    spread: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    size: Ints | None,
    transposed: bool | None,
    spread_name: str,
) -> Conv | ConvTranspose:
    """A convolution of an input that is spread, which makes it a transposed one."""
    if max(spread) > 1:
        if max(stride) > 1:
            rule = "must be 1 beside a stride above 1: spread first, then keep every output whose index the stride"
            raise TrousError(spread_name, f"{rule} divides; trous has no layer for both at once", spread)
        if transposed is False:
            raise TrousError("transposed", f"must not be False where {spread_name} is above 1", transposed)
    if transposed or max(spread) > 1:
        if max(stride) > 1:
            raise TrousError("transposed", f"must not be True where the stride is above 1, {stride}", transposed)
        if isinstance(padding, str) and max(spread) > 1:
            raise TrousError("padding", f"must be pairs beside {spread_name}, as JAX demands", padding)
        pairs = conv_pairs(padding, kernel, stride, dilation, size)
        crops = [spread_padding(k, d, pair) for k, d, pair in zip(kernel, dilation, pairs, strict=True)]
        return transposed_spec(kernel, spread, crops, dilation, groups)
    return conv_spec(kernel, stride, conv_pairs(padding, kernel, stride, dilation, size), dilation, groups)


def conv_pairs(
    padding: Any, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], size: Ints | None
) -> tuple[Pair, ...]:
    """The padding of a convolution, in words or pairs."""
    ndim = len(kernel)
    sizes = sizes_of(size, ndim)
    if not isinstance(padding, str):
        return pairs_of("padding", padding, ndim, -LARGEST)
    word = padding.upper()
    if word == "VALID":
        return ((0, 0),) * ndim
    if word not in ("SAME", "SAME_LOWER"):
        raise TrousError("padding", "must be SAME, SAME_LOWER, VALID or pairs", padding)
    axes = zip(kernel, stride, dilation, sizes, strict=True)
    return tuple(same_padding(*axis, lower=word == "SAME_LOWER") for axis in axes)


def transposed_crops(
    padding: Any, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...], *, consistent: bool
) -> tuple[Pair, ...]:
    """What `lax.conv_transpose` crops. Pairs pad the spread input, unless `consistent`: then they are the crop."""
    if isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            raise TrousError("padding", "must be SAME, VALID or pairs", padding)
        return tuple(keras_crop(padding.lower(), *axis) for axis in zip(kernel, stride, dilation, strict=True))
    pairs = pairs_of("padding", padding, len(kernel), -LARGEST)
    if consistent:
        return pairs
    return tuple(spread_padding(k, d, pair) for k, d, pair in zip(kernel, dilation, pairs, strict=True))
