"""ONNX: Conv and ConvTranspose of the default operator set, from version 11 on."""

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
    per_axis,
    sizes_of,
    transposed_spec,
)
from trous.errors import TrousError
from trous.plan.conventions import Pair, auto_pad_crop, output_crop, output_shape_crop, padding_of_crop, same_padding
from trous.spec import Conv, ConvTranspose, Ints, Spec

_CONV = ("auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
_KNOWN = {"Conv": _CONV, "ConvTranspose": (*_CONV, "output_padding", "output_shape")}
_AUTO_PAD = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


def to_onnx(spec: Spec, ndim: int | None = None, size: Ints | None = None) -> Operator:
    """The node, with pads written out: all before the first inputs, then all behind the last.

    ONNX can say every spec but a convolution whose padding crops ("causal" at a stride above its window). auto_pad,
    which is deprecated, and output_shape are never needed.

    >>> print(to_onnx(Conv(3, padding="causal", dilation=2), ndim=1))
    Conv(kernel_shape=[3], strides=[1], pads=[4, 0], dilations=[2], group=1)
    """
    layer = Layer.of(spec, ndim, size)
    attributes: dict[str, Any] = {"kernel_shape": list(layer.kernel), "strides": list(layer.stride)}
    if layer.transposed:
        before, after, output_padding = zip(*map(padding_of_crop, layer.pairs), strict=True)
        attributes |= {"pads": [*before, *after], "output_padding": list(output_padding)}
    else:
        before, after = zip(*layer.pairs, strict=True)
        if min(*before, *after) < 0:
            rule = f"must not be negative in ONNX: pad the input by {layer.pairs} first (Pad crops) and use pads 0"
            raise TrousError("pads", rule, [*before, *after])
        attributes["pads"] = [*before, *after]
    attributes |= {"dilations": list(layer.dilation), "group": layer.groups}
    return Operator("ConvTranspose" if layer.transposed else "Conv", attributes)


def from_onnx(
    name: str, attributes: Mapping[str, Any], *, kernel: Ints | None = None, size: Ints | None = None
) -> Conv | ConvTranspose:
    """The spec of a node of this name.

    `kernel` is the weight's where kernel_shape is left out. `size` is the input's; needed for output_shape, and for
    auto_pad SAME of a convolution with a stride. Strings may be bytes, as onnx.helper reads them.

    >>> from_onnx("ConvTranspose", {"kernel_shape": [3], "strides": [2], "output_shape": [8]}, size=4)
    ConvTranspose(kernel=(3,), stride=2, padding=1, output_padding=1, dilation=1, groups=1)
    """
    check_operator(name, _KNOWN)
    check_names(name, attributes, _KNOWN[name])
    ranks = [len(attributes[word]) for word in ("strides", "dilations") if attributes.get(word)]
    kernel = kernel_of("kernel_shape", attributes, kernel, ranks[0] if ranks else None)
    ndim = len(kernel)
    stride, dilation = (per_axis(word, attributes.get(word) or 1, ndim, 1) for word in ("strides", "dilations"))
    auto_pad = attributes.get("auto_pad", "NOTSET")
    auto_pad = auto_pad.decode() if isinstance(auto_pad, bytes) else auto_pad
    if auto_pad not in _AUTO_PAD:
        raise TrousError("auto_pad", f"must be one of {', '.join(_AUTO_PAD)}", auto_pad)
    pads = _pads(attributes, ndim)
    if auto_pad != "NOTSET" and any(map(any, pads)):
        raise TrousError("pads", f"must be left out beside auto_pad {auto_pad}", attributes["pads"])
    axes = list(zip(kernel, stride, dilation, strict=True))
    sizes, lower = sizes_of(size, ndim), auto_pad == "SAME_LOWER"
    groups = attributes.get("group", 1)
    if name == "Conv":
        if auto_pad.startswith("SAME"):
            pads = [same_padding(*axis, n, lower=lower) for axis, n in zip(axes, sizes, strict=True)]
        return conv_spec(kernel, stride, pads, dilation, groups)
    lengthening = per_axis("output_padding", attributes.get("output_padding") or 0, ndim)
    if attributes.get("output_shape"):
        if size is None:
            raise TrousError("size", "must be given: what output_shape crops depends on it", size)
        outputs = per_axis("output_shape", attributes["output_shape"], ndim)
        front = auto_pad != "SAME_UPPER"
        numbers = zip(axes, lengthening, sizes, outputs, strict=True)
        crops = [output_shape_crop(*axis, extra, n or 0, out, lower=front) for axis, extra, n, out in numbers]
    elif auto_pad.startswith("SAME"):
        crops = [auto_pad_crop(*axis, extra, lower=lower) for axis, extra in zip(axes, lengthening, strict=True)]
    else:
        crops = [output_crop(*pair, extra) for pair, extra in zip(pads, lengthening, strict=True)]
    return transposed_spec(kernel, stride, crops, dilation, groups)


def _pads(attributes: Mapping[str, Any], ndim: int) -> list[Pair]:
    pads = list(attributes.get("pads") or [0] * 2 * ndim)
    if len(pads) != 2 * ndim:
        raise TrousError("pads", f"must have {2 * ndim} entries for {ndim} axes, all begins before all ends", pads)
    flat = per_axis("pads", pads, 2 * ndim)
    return list(zip(flat[:ndim], flat[ndim:], strict=True))
