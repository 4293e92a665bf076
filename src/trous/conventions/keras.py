"""Keras and TensorFlow: keras.layers.Conv1D ... Conv3DTranspose of Keras 3, which every back-end follows."""

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
from trous.plan.conventions import (
    causal_padding,
    keras_crop,
    keras_output_padding,
    nearest_valid_crop,
    same_padding,
    zeros_between,
)
from trous.spec import Conv, ConvTranspose, Ints, Spec

_NAMES = {f"Conv{ndim}D{kind}": (kind, ndim) for kind in ("", "Transpose") for ndim in (1, 2, 3)}
_KNOWN = ("kernel_size", "strides", "padding", "dilation_rate")
#: What get_config() of a layer says besides.
_IGNORED = (
    *("filters", "data_format", "activation", "use_bias", "name", "trainable", "dtype", "rank"),
    *("kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer", "activity_regularizer"),
    *("kernel_constraint", "bias_constraint", "lora_rank", "lora_alpha"),
)


def to_keras(spec: Spec, ndim: int | None = None, size: Ints | None = None) -> Operator:
    """`keras.layers.Conv2D` and its kin, whose padding is one word for all axes.

    What "same" pads depends on the size once there is a stride, so a `size` lets more specs through. Raises TrousError
    where no word says the padding, for strides beside dilation, and for groups of a transposed layer, with what to do
    around the layer.

    >>> print(to_keras(Conv(3, stride=2, padding=1), size=(9, 9)))
    Conv2D(kernel_size=(3, 3), strides=(2, 2), padding='same', dilation_rate=(1, 1), groups=1)
    """
    layer = Layer.of(spec, ndim, size)
    start: dict[str, Any] = {"kernel_size": layer.kernel, "strides": layer.stride}
    if layer.transposed:
        if layer.groups > 1:
            rule = "must be 1 for a transposed layer in Keras: use one layer for each group and concatenate the outputs"
            raise TrousError("groups", rule, layer.groups)
        _check_rates(layer, f"put {tuple(map(zeros_between, layer.stride))} zeros between the inputs and use stride 1")
        return Operator(f"Conv{layer.ndim}DTranspose", start | _crop(layer) | {"dilation_rate": layer.dilation})
    _check_rates(layer, f"use stride 1, padded as here, and keep every output whose index {layer.stride} divides")
    end = {"dilation_rate": layer.dilation, "groups": layer.groups}
    return Operator(f"Conv{layer.ndim}D", start | {"padding": _padding(layer)} | end)


def from_keras(
    name: str, attributes: Mapping[str, Any], *, kernel: Ints | None = None, size: Ints | None = None
) -> Conv | ConvTranspose:
    """The spec of `keras.layers.<name>(**attributes)`, or of a layer's `get_config()`.

    `size` is the input's, needed for "same" of a convolution with a stride. `kernel` where the attributes lack it.

    >>> from_keras("Conv2D", {"kernel_size": 3, "strides": 2, "padding": "same"}, size=(8, 9))
    Conv(kernel=(3, 3), stride=2, padding=((0, 1), (1, 1)), dilation=1, groups=1)
    """
    check_operator(name, _NAMES)
    kind, ndim = _NAMES[name]
    check_names(name, attributes, (*_KNOWN, "output_padding" if kind else "groups"), _IGNORED)
    kernel = kernel_of("kernel_size", attributes, kernel, ndim)
    stride, dilation = (per_axis(word, attributes.get(word, 1), ndim, 1) for word in ("strides", "dilation_rate"))
    sizes, axes = sizes_of(size, ndim), list(zip(kernel, stride, dilation, strict=True))
    words = ("valid", "same", "causal")[: 3 if name == "Conv1D" else 2]
    given = attributes.get("padding", "valid")
    word = given.lower() if isinstance(given, str) else given
    if word not in words:
        raise TrousError("padding", f"must be one of {', '.join(words)} for {name}", given)
    if kind:
        extra = attributes.get("output_padding")
        lengthening = (None,) * ndim if extra is None else per_axis("output_padding", extra, ndim)
        crops = [keras_crop(word, *axis, extra) for axis, extra in zip(axes, lengthening, strict=True)]
        return transposed_spec(kernel, stride, crops, dilation, 1)
    pairs = [_word_padding(word, *axis, n) for axis, n in zip(axes, sizes, strict=True)]
    return conv_spec(kernel, stride, pairs, dilation, attributes.get("groups", 1))


def _word_padding(word: str, kernel: int, stride: int, dilation: int, size: int | None) -> tuple[int, int]:
    match word:
        case "same":
            return same_padding(kernel, stride, dilation, size)
        case "causal":
            return causal_padding(kernel, dilation)
    return 0, 0


def _check_rates(layer: Layer, instead: str) -> None:
    if max(layer.stride) > 1 and max(layer.dilation) > 1:
        raise TrousError("stride", f"must be 1 beside dilation {layer.dilation} in Keras: {instead}", layer.stride)


def _padding(layer: Layer) -> str:
    sized = None not in (axis.size for axis in layer.axes)
    for word in ("valid", "same", "causal"):
        if word == "causal" and layer.ndim > 1:
            continue
        if word == "same" and not sized and max(layer.stride) > 1:
            continue
        if layer.accepts(_word_padding(word, a.kernel, a.stride, a.dilation, a.size) for a in layer.axes):
            return word
    rule = 'must be "valid" or "same"' + (', or "causal"' if layer.ndim == 1 else "") + " in Keras"
    if not sized and max(layer.stride) > 1:
        rule += ', where "same" depends on the size, which was not given'
    first = f'pad the input by {layer.pairs} first (ZeroPadding{layer.ndim}D) and use padding "valid"'
    raise TrousError("padding", f"{rule}: {first}", layer.pairs)


def _crop(layer: Layer) -> dict[str, Any]:
    for word in ("valid", "same"):
        if layer.accepts(keras_crop(word, a.kernel, a.stride, a.dilation) for a in layer.axes):
            return {"padding": word, "output_padding": None}
        extra = tuple(keras_output_padding(word, a.kernel, a.dilation, a.pair) for a in layer.axes)
        allowed = all(0 <= n < stride for n, stride in zip(extra, layer.stride, strict=True))
        if allowed and layer.accepts(
            keras_crop(word, a.kernel, a.stride, a.dilation, n) for a, n in zip(layer.axes, extra, strict=True)
        ):
            return {"padding": word, "output_padding": extra}
    extra, left = zip(*(nearest_valid_crop(a.stride, a.pair) for a in layer.axes), strict=True)
    rest = f'use padding "valid", output_padding {extra} and crop the output by {left} (Cropping{layer.ndim}D)'
    if min(map(min, left)) < 0:
        rest += ", where a negative number appends outputs that hold the bias"
    raise TrousError("padding", f'must be what "valid" or "same" crops in Keras: {rest}', layer.pairs)
