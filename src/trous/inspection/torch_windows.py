"""ATen's operators that read along axes: what their arguments say, as specs and plans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from trous.plan import AxisPlan
from trous.plan.padding import ceil_padding
from trous.plan.resample import interpolated_axis, nearest_axis
from trous.spec import Conv, ConvTranspose, Spec

POOLING = ("avg_pool1d", "avg_pool2d", "avg_pool3d", "max_pool2d_with_indices", "max_pool3d_with_indices", "max_pool2d")
NEAREST = (
    *("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d"),
    *("_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d"),
)
INTERPOLATED = (
    *("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d"),
    *("_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa"),
)
MIRRORED = (
    *("reflection_pad1d", "reflection_pad2d", "reflection_pad3d"),
    *("replication_pad1d", "replication_pad2d", "replication_pad3d"),
)

Arguments = Mapping[str, Any]


def convolution(arguments: Arguments, kernel: Sequence[int]) -> Spec:
    """Of `aten::convolution`."""
    rank = len(kernel)
    stride, padding, dilation = (each(arguments[name], rank) for name in ("stride", "padding", "dilation"))
    if arguments["transposed"]:
        extra = each(arguments["output_padding"], rank)
        return ConvTranspose(tuple(kernel), stride, padding, extra, dilation, arguments["groups"])
    return Conv(tuple(kernel), stride, padding, dilation, arguments["groups"])


def pooling(arguments: Arguments, channels: int = 1) -> Conv:
    """Of `POOLING`: the depthwise convolution with the same windows."""
    rank = len(arguments["kernel_size"])
    kernel = each(arguments["kernel_size"], rank)
    stride = each(arguments["stride"] or kernel, rank)
    padding, dilation = each(arguments["padding"], rank), each(arguments.get("dilation") or 1, rank)
    if arguments["ceil_mode"]:
        axes = zip(padding, kernel, stride, dilation, strict=True)
        return Conv(kernel, stride, tuple(ceil_padding(p, p, k, s, d) for p, k, s, d in axes), dilation, channels)
    return Conv(kernel, stride, padding, dilation, channels)


def interpolation(name: str, arguments: Arguments, inputs: Sequence[int], outputs: Sequence[int]) -> list[AxisPlan]:
    """Of `NEAREST` and `INTERPOLATED`: the plan of each axis at these sizes."""
    rates = _rates(arguments, inputs, outputs)
    if name in NEAREST:
        return [nearest_axis(rate, centred="exact" in name) for rate in rates]
    corners = arguments["align_corners"]
    if corners:
        sizes = zip(inputs, outputs, strict=True)
        rates = [Fraction(n - 1, out - 1) if out > 1 < n else Fraction(n, out) for n, out in sizes]
    kind = "cubic" if "bicubic" in name else "linear"
    return [interpolated_axis(kind, rate, corners=corners, antialias=name.endswith("_aa")) for rate in rates]


def _rates(arguments: Arguments, inputs: Sequence[int], outputs: Sequence[int]) -> list[Fraction]:
    """Inputs per output, for every axis: as the sizes say unless a factor was given that they do not follow exactly."""
    rank, scales = len(inputs), arguments.get("scale_factors")
    scales = scales or [arguments.get(name) for name in ("scales_d", "scales_h", "scales_w") if name in arguments]
    scales = list(scales or [arguments.get("scales")])[-rank:]
    rates = []
    for n, out, scale in zip(inputs, outputs, scales + [None] * (rank - len(scales)), strict=True):
        exact = scale is None or n * scale == out
        rates.append(Fraction(n, out) if exact else 1 / Fraction(scale).limit_denominator(1 << 12))
    return rates


def paddings(arguments: Arguments, rank: int) -> dict[int, tuple[int, int]]:
    """Of padding operators: before and after of every dimension that they pad, the last one first."""
    given = arguments["pad"] if "pad" in arguments else arguments["padding"]
    return {rank - 1 - n: (given[2 * n], given[2 * n + 1]) for n in range(len(given) // 2)}


def each(value: Any, rank: int) -> tuple[int, ...]:
    """A number for every axis from a list of them, or of one for all."""
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    return values * rank if len(values) == 1 else values
