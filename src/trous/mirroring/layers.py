"""The layers of a decoder: each knows the size rule of the encoder's layer that it mirrors, and returns to a size.

    encoded(size)      what the encoder's layer makes of a size
    needed(size)       the smallest size that it makes this or more of
    forward(z, size)   from what it made back to a size

Sizes are tuples with one entry for each axis; of values without axes, behind a flattening, they are empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from trous.errors import TrousError
from trous.functional import conv_transpose
from trous.mirroring.specs import crop, mirrored
from trous.nn import layers
from trous.nn.border import pad
from trous.plan import AxisPlan, transposed_axis
from trous.plan.resample import nearest_indices
from trous.plan.retrace import dense_window, overlap, repeated_border, smallest_input
from trous.spec import Conv, ConvTranspose, Spec

Size = tuple[int, ...]


class Level(nn.Module):
    """A layer of a decoder, by the axis plans of the encoder's layer."""

    def __init__(self, axes: Sequence[AxisPlan]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def encoded(self, size: Size) -> Size:
        return tuple(axis.output_size(n) for axis, n in zip(self.axes, size, strict=True))

    def needed(self, size: Size) -> Size:
        return tuple(smallest_input([axis], n) for axis, n in zip(self.axes, size, strict=True))


class Convolution(Level):
    """A convolution that returns from a transposed one, or the other way: the same kernel, stride and dilation.

    z: `(batch, in_channels, *size)`; gives `(batch, out_channels, *size)`. Norm and activation follow.
    """

    def __init__(self, spec: Spec, size: Size, channels: tuple[int, int], groups: int, factory: dict[str, Any]) -> None:
        super().__init__(spec.plan(len(size)).axes)
        back: Any = mirrored(spec, size)
        name = f"{type(back).__name__}{len(size)}d"
        extra = {"output_padding": back.output_padding} if isinstance(back, ConvTranspose) else {}
        self.layer: Any = getattr(layers, name)(
            *channels, back.kernel, back.stride, back.padding, dilation=back.dilation, groups=groups, **extra, **factory
        )
        self.finish: nn.Module = nn.Sequential()

    def forward(self, z: Tensor, size: Size) -> Tensor:
        y = self.layer(z, size) if isinstance(self.layer, nn.modules.conv._ConvTransposeNd) else self.layer(z)
        result: Tensor = self.finish(y)
        return result


class Unpool(Level):
    """Pooling undone by a transposed convolution of each channel by itself.

    At first every output is the mean of the pooled values whose windows hold it, the nearest for those in no window. A
    constant stays constant at the border too, where pooled values are repeated. The weight is trained like any other.

    z: `(batch, channels, *size)`; gives as many channels. weight: `(channels, 1, *kernel)`.
    """

    def __init__(self, spec: Conv, channels: int, ndim: int, factory: dict[str, Any]) -> None:
        super().__init__(spec.plan(ndim).axes)
        self.windows = [_window(spec, axis) for axis in range(ndim)]  #: kernel, stride, before, after, dilation
        self.back = [transposed_axis(k, s, before, after, 0, d) for k, s, before, after, d in self.windows]
        weight = torch.ones([1] * ndim, **factory)
        for axis, (window, plan) in enumerate(zip(self.windows, self.back, strict=True)):
            taps = overlap(plan)
            share = torch.tensor([1 / taps[k] for k in range(window[0])], **factory)
            weight = weight * share.reshape([-1 if a == axis else 1 for a in range(ndim)])
        self.weight = nn.Parameter(weight.expand(channels, 1, *weight.shape).clone())

    def forward(self, z: Tensor, size: Size) -> Tensor:
        ndim = len(size)
        repeats, crops = zip(*map(repeated_border, self.back, z.shape[-ndim:], size), strict=True)
        padding = tuple(
            (before + first, after + last)
            for (_, _, before, after, _), (first, last) in zip(self.windows, crops, strict=True)
        )
        stride, dilation = tuple(window[1] for window in self.windows), tuple(window[4] for window in self.windows)
        y: Tensor = conv_transpose(
            pad(z, repeats, "replicate"),
            self.weight,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=len(self.weight),
            output_size=size,
        )
        return y

    def extra_repr(self) -> str:
        kernel, stride = (tuple(window[n] for window in self.windows) for n in (0, 1))
        return f"{len(self.weight)}, kernel_size={kernel}, stride={stride}"


class Unpad(Level):
    """Padding undone: what the encoder added is cropped, what it cropped comes back as zeros."""

    def forward(self, z: Tensor, size: Size) -> Tensor:
        amounts = []
        for axis, n, wanted in zip(self.axes, z.shape[-len(size) :], size, strict=True):
            before = axis.taps[0].offset
            amounts.append((before, wanted - n - before))
        return nn.functional.pad(z, [n for pair in reversed(amounts) for n in pair])

    def extra_repr(self) -> str:
        return f"before={tuple(-axis.taps[0].offset for axis in self.axes)}"


class Broadcast(nn.Module):
    """Adaptive pooling undone: every position copies the pooled value in whose share it lies.

    Where a map was pooled to one value, copies alone would leave a decoder that gives every place the same. There it is
    a transposed convolution of each channel by itself whose kernel is the map, ones at first: `z * pattern`. At other
    sizes than the one it was made for, the pattern is interpolated linearly, as position embeddings are.

    z: `(batch, channels, *outputs)`; gives `(batch, channels, *size)`. pattern: `(channels, *size)`.
    """

    def __init__(self, outputs: Size, size: Size, channels: int, factory: dict[str, Any]) -> None:
        super().__init__()
        self.outputs = outputs
        self.pattern = nn.Parameter(torch.ones(channels, *size, **factory)) if prod(outputs) == 1 else None

    def encoded(self, size: Size) -> Size:
        return self.outputs

    def needed(self, size: Size) -> Size:
        return (1,) * len(size)

    def forward(self, z: Tensor, size: Size) -> Tensor:
        if self.pattern is not None:
            return z * self._pattern_at(size)
        for axis, (n, out) in enumerate(zip(self.outputs, size, strict=True), start=z.ndim - len(size)):
            z = z.index_select(axis, torch.tensor(nearest_indices(n, out), device=z.device))
        return z

    def _pattern_at(self, size: Size) -> Tensor:
        pattern = self.pattern
        assert pattern is not None
        if tuple(pattern.shape[1:]) == size:
            return pattern
        mode = ("linear", "bilinear", "trilinear")[len(size) - 1]
        return nn.functional.interpolate(pattern[None], size, mode=mode, align_corners=False)[0]

    def extra_repr(self) -> str:
        pattern = "" if self.pattern is None else f", pattern={tuple(self.pattern.shape)}"
        return f"from {self.outputs}{pattern}"


class Unflatten(nn.Module):
    """Features back to maps of `channels`; `fixed` is the size that the encoder's linear layers leave no choice of."""

    def __init__(self, channels: int, ndim: int, fixed: Size | None) -> None:
        super().__init__()
        self.channels, self.ndim, self.fixed = channels, ndim, fixed

    def encoded(self, size: Size) -> Size:
        if self.fixed is not None and size != self.fixed:
            rule = f"must lead to maps of size {self.fixed}, which the encoder's linear layer is made for"
            raise TrousError("input_size", rule, size)
        return ()

    def needed(self, size: Size) -> Size:
        return self.fixed or (1,) * self.ndim

    def forward(self, z: Tensor, size: Size) -> Tensor:
        return z.unflatten(-1, (self.channels, *size))

    def extra_repr(self) -> str:
        return f"channels={self.channels}" + ("" if self.fixed is None else f", size={self.fixed}")


class Linear(nn.Module):
    """A linear layer with the numbers of features exchanged. z: `(batch, in_features)`."""

    def __init__(self, features: tuple[int, int], factory: dict[str, Any]) -> None:
        super().__init__()
        self.layer = nn.Linear(*features, **factory)
        self.finish: nn.Module = nn.Sequential()

    def encoded(self, size: Size) -> Size:
        return size

    def needed(self, size: Size) -> Size:
        return size

    def forward(self, z: Tensor, size: Size) -> Tensor:
        y: Tensor = self.finish(self.layer(z))
        return y


def _window(spec: Conv, axis: int) -> tuple[int, int, int, int, int]:
    """Kernel, stride, before, after and dilation of the layer that spreads what a pooling layer gathered."""
    a = spec.axis_arguments(axis)
    kernel, before, after, dilation = dense_window(a["kernel"], a["stride"], *crop(spec, axis), a["dilation"])
    return kernel, a["stride"], before, after, dilation
