"""ONNX operators that read along positions by a plan: convolution, pooling, Resize, padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np

from trous.conventions import from_onnx
from trous.inspection import flow
from trous.inspection.onnx_call import Call, operator
from trous.inspection.values import Value
from trous.plan import AxisPlan, Plan, conv_axis
from trous.plan.coordinates import moved, overshoot, places
from trous.plan.cost import cost
from trous.plan.padding import ceil_padding
from trous.plan.resample import sampled_axis
from trous.spec import Conv, ConvTranspose

#: Attributes that say where a layer reads.
_GEOMETRY = (
    "auto_pad",
    "dilations",
    "group",
    "kernel_shape",
    "output_padding",
    "output_shape",
    "pads",
    "strides",
)

#: Which input is the weight, where it is not the second.
_WEIGHT = {"QLinearConv": 3}


@operator("Conv", "ConvInteger", "QLinearConv", "FusedConv", "ConvTranspose")
def _convolution(call: Call) -> list[Value]:
    call.weight = _WEIGHT.get(call.kind, 1)
    x, w = call.first, call[call.weight]
    size, kernel = x.shape[2:], w.shape[2:]
    groups = call.attributes.get("group", 1)
    spec = _spec(call, kernel, size)
    channels = w.shape[1] * groups if isinstance(spec, ConvTranspose) else w.shape[0]
    plan = spec.plan(len(size))
    shape = (x.shape[0], channels, *spec.output_size(size))
    call.spec, call.channels = spec, (x.shape[1], channels)
    call.bound = plan.bind(size, shape[2:])
    call.cost = cost(
        call.bound, batch=x.shape[0], in_channels=x.shape[1], out_channels=channels, groups=groups, itemsize=x.itemsize
    )
    y = flow.taps(x, {dim + 2: axis for dim, axis in enumerate(plan.axes)}, shape, call.layer, groups=groups)
    added = call.get(3) if call.kind == "FusedConv" else None
    if added is not None:
        y = flow.joined([y, added], shape)
    return [_computed(call, y, w)]


def _computed(call: Call, y: Value, w: Value) -> Value:
    """The result of a layer whose weight may itself come out of the network: all of it is then used everywhere."""
    return flow.joined([y, flow.mixed([w], (1,) * len(y.shape), call.layer)], y.shape) if w.trails else y


def _spec(call: Call, kernel: Sequence[int], size: Sequence[int]) -> Conv | ConvTranspose:
    """The layer that the attributes describe, for an input of one size."""
    name = "ConvTranspose" if call.kind == "ConvTranspose" else "Conv"
    own = {name: value for name, value in call.attributes.items() if name in _GEOMETRY}
    return from_onnx(name, own, kernel=kernel, size=size)


@operator("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool")
def _pool(call: Call) -> list[Value]:
    x, kernel = call.first, call.attributes["kernel_shape"]
    size = x.shape[2:]
    spec = _spec(call, kernel, size)
    rank = len(size)
    if call.attributes.get("ceil_mode"):
        names = ("kernel", "stride", "dilation")
        numbers = [spec.axis_arguments(axis) for axis in range(rank)]
        padding = tuple(ceil_padding(*a["padding"], *(a[name] for name in names)) for a in numbers)
        spec = replace(spec, padding=padding)
    call.spec = replace(spec, groups=x.shape[1])
    return _along(call, dict(enumerate(spec.plan(rank).axes, 2)), spec.output_size(size)) * call.outputs


@operator("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "QLinearGlobalAveragePool")
def _global_pool(call: Call) -> list[Value]:
    return [flow.reduced(call.first, list(range(2, len(call.first.shape))), call.layer, keep=True)]


def _along(call: Call, axes: dict[int, AxisPlan], outputs: Sequence[int]) -> list[Value]:
    """A layer without weights that runs along the dimensions `axes`."""
    x, shape = call.first, list(call.first.shape)
    for dim, n in zip(axes, outputs, strict=True):
        shape[dim] = n
    call.bound = Plan(tuple(axes.values())).bind([x.shape[dim] for dim in axes], outputs)
    return [flow.taps(x, axes, shape, call.layer)]


@operator("Resize", "Upsample")
def _resize(call: Call) -> list[Value]:
    x = call.first
    rank, mode, given = len(x.shape), call.attributes.get("mode", "nearest"), call.attributes
    coordinates = given.get("coordinate_transformation_mode", "half_pixel")
    rounding = given.get("nearest_mode", "round_prefer_floor")
    first = call.kind == "Upsample" or call.version < 11  # of operator sets before, which knew one way only
    scaled = call.dims(given.get("axes", range(rank)))
    rates, sizes = _rates(call, first, scaled)
    regions = [(Fraction(0), Fraction(1))] * rank
    if coordinates == "tf_crop_and_resize":
        ends = [Fraction(end).limit_denominator(_FINEST) for end in call.numbers(1)]
        for n, dim in enumerate(scaled):
            regions[dim] = ends[n], ends[n + len(scaled)]
    axes, outputs, value = {}, [], x
    spatial = 2 if rank > 2 and x.shape[:2] == sizes[:2] else 0
    for dim in range(spatial, rank):
        n, out, rate = x.shape[dim], sizes[dim], rates[dim]
        if first:
            coordinates, rounding = "asymmetric", "floor" if rate <= 1 or call.kind == "Upsample" else "ceil"
        try:
            at = places(coordinates, n, out, rate, regions[dim])
            axis = sampled_axis(rounding if mode == "nearest" else mode, at, antialias=bool(given.get("antialias")))
        except (ValueError, KeyError):
            call.warnings.append(f"{call.layer}: {mode} {coordinates} is taken to mix all that goes in")
            return [flow.mixed([x], sizes, call.layer)]
        axes[dim] = axis
        outputs.append(out)
    made = _along(call, axes, outputs)
    if mode != "nearest" or coordinates == "tf_crop_and_resize":
        return made
    inside = {}
    for dim, axis in axes.items():  # what lies outside is the edge repeated
        before, after = overshoot(axis, x.shape[dim], sizes[dim])
        if before or after:
            value = flow.padded(value, dim, before, after, "replicate")
        inside[dim] = moved(axis, before)
    return made if value is x else [flow.taps(value, inside, sizes, call.layer)]


#: Denominators of scales that are given as floating-point numbers.
_FINEST = 1 << 12


def _rates(call: Call, first: bool, scaled: Sequence[int]) -> tuple[list[Fraction], tuple[int, ...]]:
    """Inputs per output and the output size of every dimension, by the factors or the sizes that are given."""
    x, position = call.first, 1 if first else 2
    rates, sizes = [Fraction(1)] * len(x.shape), list(x.shape)
    scales = call.numbers(position, "scales")
    if scales:
        for dim, scale in zip(scaled, scales, strict=True):
            n = x.shape[dim]
            product = float(np.float32(n) * np.float32(scale))  # rounded as the standard's own inference does
            sizes[dim] = floor(product)
            exact = product == sizes[dim] > 0
            rates[dim] = Fraction(n, sizes[dim]) if exact else 1 / Fraction(scale).limit_denominator(_FINEST)
        return rates, tuple(sizes)
    wanted = dict(zip(scaled, call.numbers(3, default=()), strict=True))
    policy = call.attributes.get("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        sizes = [wanted.get(dim, n) for dim, n in enumerate(x.shape)]
        return [Fraction(n, out) for n, out in zip(x.shape, sizes, strict=True)], tuple(sizes)
    limit: Callable[..., Fraction] = min if policy == "not_larger" else max
    scale = limit(Fraction(out, x.shape[dim]) for dim, out in wanted.items())
    for dim in scaled:
        rates[dim], sizes[dim] = 1 / scale, floor(scale * x.shape[dim] + Fraction(1, 2))
    return rates, tuple(sizes)


_PADDING_MODES = {"constant": "zeros", "reflect": "reflect", "edge": "replicate", "wrap": "circular"}


@operator("Pad")
def _pad(call: Call) -> list[Value]:
    value, mode = call.first, call.attributes.get("mode", "constant")
    pads = call.numbers(1, "pads" if "pads" in call.attributes else "paddings")
    dims = call.dims(call.numbers(3, default=range(len(value.shape))))
    for dim, before, after in zip(dims, pads[: len(dims)], pads[len(dims) :], strict=True):
        if before or after:
            value = flow.padded(value, dim, before, after, _PADDING_MODES[mode])
    return [value]


@operator("LRN")
def _local_response(call: Call) -> list[Value]:
    x, size = call.first, call.attributes["size"]
    axis = conv_axis(size, 1, (size - 1) // 2, size - 1 - (size - 1) // 2, 1)
    return [flow.joined([x, flow.taps(x, {1: axis}, x.shape, call.layer)], x.shape)]


@operator("STFT")
def _frames(call: Call) -> list[Value]:
    step, length, window = call.numbers(1), call.numbers(3), call.get(2)
    length = window.shape[0] if window is not None else length
    if not isinstance(length, int):
        raise NotImplementedError
    x, axis = call.first, conv_axis(length, step, 0, 0, 1)
    seen = flow.reduced(x, [2], call.layer, keep=True) if len(x.shape) == 3 else x
    shape = (x.shape[0], axis.output_size(x.shape[1]), *seen.shape[2:])
    seen = flow.taps(seen, {1: axis}, shape, call.layer)
    if len(shape) < 4:
        seen = flow.rearranged(seen, lambda array: array.reshape(*array.shape[:2], 1, 1))
    bins = length // 2 + 1 if call.attributes.get("onesided", 1) else length
    return [flow.joined([seen], (*shape[:2], bins, 2))]
