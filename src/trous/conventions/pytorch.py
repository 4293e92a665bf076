"""PyTorch: torch.nn.Conv1d ... ConvTranspose3d, and the functions of the same arguments."""

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
from trous.plan.conventions import nearest_symmetric_crop, output_crop, same_padding, symmetric_crop
from trous.plan.padding import output_paddings
from trous.spec import Conv, ConvTranspose, Ints, Spec

_CONV = ("kernel_size", "stride", "padding", "dilation", "groups")
_NAMES = {f"Conv{kind}{ndim}d": (kind, ndim) for kind in ("", "Transpose") for ndim in (1, 2, 3)}
_IGNORED = ("in_channels", "out_channels", "bias", "device", "dtype")


def to_pytorch(spec: Spec, ndim: int | None = None, size: Ints | None = None) -> Operator:
    """`torch.nn.Conv2d` and its kin. Padding is "same" where torch has it, uneven under an even window at stride 1.

    torch pads both ends alike. A transposed layer may still crop less behind than in front, by output_padding. With a
    `size`, uneven padding is evened where the last window of that size does not see the difference. Raises TrousError
    otherwise, with what to pad or crop around the layer.

    >>> print(to_pytorch(ConvTranspose(3, stride=2, padding=((1, 0),)), ndim=1))
    ConvTranspose1d(kernel_size=(3,), stride=(2,), padding=(1,), output_padding=(1,), dilation=(1,), groups=1)
    """
    layer = Layer.of(spec, ndim, size)
    start = {"kernel_size": layer.kernel, "stride": layer.stride}
    end = {"dilation": layer.dilation, "groups": layer.groups}
    if layer.transposed:
        return Operator(f"ConvTranspose{layer.ndim}d", start | _crop(layer) | end)
    return Operator(f"Conv{layer.ndim}d", start | {"padding": _padding(layer)} | end)


def from_pytorch(
    name: str, attributes: Mapping[str, Any], *, kernel: Ints | None = None, size: Ints | None = None
) -> Conv | ConvTranspose:
    """The spec of `torch.nn.<name>(**attributes)`. `size` is not needed; `kernel` where the attributes lack it.

    >>> from_pytorch("Conv2d", {"kernel_size": 4, "padding": "same"})
    Conv(kernel=(4, 4), stride=1, padding=((1, 2), (1, 2)), dilation=1, groups=1)
    """
    check_operator(name, _NAMES)
    kind, ndim = _NAMES[name]
    known = (*_CONV, "padding_mode", *(["output_padding"] if kind else []))
    check_names(name, attributes, known, _IGNORED)
    if attributes.get("padding_mode", "zeros") != "zeros":
        rule = 'must be "zeros": pad the input first, or use trous.nn, which has the modes'
        raise TrousError("padding_mode", rule, attributes["padding_mode"])
    kernel = kernel_of("kernel_size", attributes, kernel, ndim)
    stride, dilation = (per_axis(word, attributes.get(word, 1), ndim, 1) for word in ("stride", "dilation"))
    sizes_of(size, ndim)
    groups, padding = attributes.get("groups", 1), attributes.get("padding", 0)
    if kind:
        pairs = pairs_of("padding", padding, ndim, 0)
        lengthening = per_axis("output_padding", attributes.get("output_padding", 0), ndim)
        crops = [output_crop(*pair, extra) for pair, extra in zip(pairs, lengthening, strict=True)]
        return transposed_spec(kernel, stride, crops, dilation, groups)
    if padding == "same":
        if max(stride) > 1:
            raise TrousError("padding", 'must be numbers above stride 1, where torch has no "same"', padding)
        padding = tuple(same_padding(*axis) for axis in zip(kernel, stride, dilation, strict=True))
    return conv_spec(
        kernel, stride, pairs_of("padding", 0 if padding == "valid" else padding, ndim, 0), dilation, groups
    )


def _padding(layer: Layer) -> Any:
    even = tuple(before for before, _ in layer.pairs)
    if min(even) >= 0 and layer.accepts((n, n) for n in even):
        return even
    if max(layer.stride) == 1 and layer.accepts(same_padding(a.kernel, a.stride, a.dilation) for a in layer.axes):
        return "same"
    flat = tuple(n for pair in reversed(layer.pairs) for n in pair)
    first = f"pad the input by {layer.pairs} first, torch.nn.functional.pad(x, {flat}), and use padding 0"
    raise TrousError("padding", f"must be alike before and behind in PyTorch: {first}", layer.pairs)


def _crop(layer: Layer) -> dict[str, Any]:
    padding, output_padding = zip(*map(symmetric_crop, layer.pairs), strict=True)
    allowed = map(output_paddings, layer.stride, layer.dilation)
    if all(extra in extras for extra, extras in zip(output_padding, allowed, strict=True)):
        return {"padding": padding, "output_padding": output_padding}
    padding, output_padding, left = zip(*map(nearest_symmetric_crop, layer.pairs), strict=True)
    rest = f"use padding {padding}, output_padding {output_padding} and crop the output by {left}"
    rule = "must crop alike before and behind in PyTorch, or less behind by an output_padding below stride or dilation"
    raise TrousError("padding", f"{rule}: {rest}", layer.pairs)
