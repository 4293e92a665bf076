"""Flax: nn.Conv and nn.ConvTranspose, of linen and of nnx alike. They wrap the operators of JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trous.conventions.jax import general_spec, jax_padding, transposed_crops
from trous.conventions.layer import (
    Layer,
    Operator,
    check_names,
    check_operator,
    kernel_of,
    pairs_of,
    per_axis,
    transposed_spec,
)
from trous.errors import TrousError
from trous.plan.conventions import causal_padding
from trous.spec import LARGEST, Conv, ConvTranspose, Ints, Spec

_COMMON = ("kernel_size", "strides", "padding", "kernel_dilation")
_KNOWN = {"Conv": (*_COMMON, "input_dilation", "feature_group_count"), "ConvTranspose": _COMMON}
_IGNORED = (
    *("features", "in_features", "out_features", "use_bias", "transpose_kernel", "name"),
    *("dtype", "param_dtype", "precision", "kernel_init", "bias_init", "promote_dtype", "preferred_element_type"),
)


def to_flax(spec: Spec, ndim: int | None = None, size: Ints | None = None) -> Operator:
    """`nn.Conv`, or `nn.ConvTranspose` for a transposed layer without groups; Flax can say every spec.

    With groups a transposed layer is `nn.Conv` with input_dilation. The weight of either is what `weight_to_flax`
    gives, for the default `transpose_kernel=False`.

    >>> print(to_flax(ConvTranspose(4, stride=2, padding=1), ndim=1))
    ConvTranspose(kernel_size=(4,), strides=(2,), padding=((2, 2),), kernel_dilation=(1,))
    """
    layer = Layer.of(spec, ndim, size)
    attributes: dict[str, Any] = {
        "kernel_size": layer.kernel,
        "strides": layer.stride,
        "padding": jax_padding(layer),
        "kernel_dilation": layer.dilation,
    }
    if layer.transposed and layer.groups == 1:
        return Operator("ConvTranspose", attributes)
    if layer.transposed:
        attributes |= {"strides": (1,) * layer.ndim, "input_dilation": layer.stride}
    return Operator("Conv", attributes | {"feature_group_count": layer.groups})


def from_flax(
    name: str,
    attributes: Mapping[str, Any],
    *,
    kernel: Ints | None = None,
    size: Ints | None = None,
    transposed: bool | None = None,
) -> Conv | ConvTranspose:
    """The spec of `nn.<name>(**attributes)`; `size` and `transposed` as for `from_jax`.

    >>> from_flax("ConvTranspose", {"kernel_size": (3,), "strides": (2,), "padding": 1})
    ConvTranspose(kernel=(3,), stride=2, padding=1, output_padding=0, dilation=1, groups=1)
    """
    check_operator(name, _KNOWN)
    check_names(name, attributes, _KNOWN[name], _IGNORED)
    kernel = kernel_of("kernel_size", attributes, kernel, None)
    ndim = len(kernel)
    stride, dilation = (per_axis(w, attributes.get(w) or 1, ndim, 1) for w in ("strides", "kernel_dilation"))
    padding = attributes.get("padding", "SAME")
    if padding in ("CIRCULAR", "REFLECT"):
        mode = {"CIRCULAR": "wrap", "REFLECT": "reflect"}[padding]
        rule = f'must be SAME, VALID, CAUSAL or numbers: pad the input with jax.numpy.pad, mode "{mode}", first'
        raise TrousError("padding", rule, padding)
    if not isinstance(padding, str):
        padding = pairs_of("padding", padding, ndim, -LARGEST)
    if name == "ConvTranspose":
        crops = transposed_crops(padding, kernel, stride, dilation, consistent=False)
        return transposed_spec(kernel, stride, crops, dilation, 1)
    if padding == "CAUSAL":
        if ndim > 1:
            raise TrousError("padding", "must not be CAUSAL with more than one axis, as Flax demands", padding)
        padding = (causal_padding(kernel[0], dilation[0]),)
    spread = per_axis("input_dilation", attributes.get("input_dilation") or 1, ndim, 1)
    groups = attributes.get("feature_group_count", 1)
    return general_spec(kernel, stride, padding, spread, dilation, groups, size, transposed, "input_dilation")
