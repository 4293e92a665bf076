"""The decoder of a torch model: built from its trace, and run at any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import gcd, prod
from typing import Any

import torch
from torch import Tensor, nn

from trous.errors import TrousError
from trous.inspection.torch_trace import trace
from trous.mirroring.layers import Broadcast, Convolution, Linear, Size, Unflatten, Unpad, Unpool
from trous.mirroring.path import Step, steps
from trous.spec import Ints, integer, integers

Make = Callable[..., nn.Module]


class Decoder(nn.Module):
    """Layers that retrace the sizes of an encoder, last one first; `trous.mirror` makes it.

    `levels` are the layers; `output_activation` follows the last. `input_size` is the size that it returns to unless a
    call asks for another.
    """

    def __init__(self, levels: Sequence[nn.Module], input_size: Size, channels: int, output_activation: Any) -> None:
        super().__init__()
        self.input_size, self.channels = input_size, channels
        self.levels = nn.ModuleList(levels)
        self.output_activation = output_activation

    def sizes(self, input_size: Ints | None = None) -> list[Size]:
        """The encoder's sizes for an input: at the input, and behind each layer that the decoder mirrors.

        Behind a flattening they are empty. The decoder's layers go through them from the end.

        Raises:
            TrousError: the size is too small for the encoder, or a linear layer fixes another one.
        """
        given = self.input_size if input_size is None else integers("input_size", input_size, 1)
        size = given if isinstance(given, tuple) else (given,) * len(self.input_size)
        if len(size) != len(self.input_size):
            raise TrousError("input_size", f"must have one entry for each of {len(self.input_size)} axes", input_size)
        levels: list[Any] = list(self.levels)
        least: Size = () if any(isinstance(level, Unflatten) for level in levels) else (1,) * len(size)
        for level in levels:
            least = level.needed(least)
        if any(n < needed for n, needed in zip(size, least, strict=True)):
            raise TrousError("input_size", f"must be at least {least} for this encoder", input_size)
        sizes = [size]
        for level in reversed(levels):
            try:
                sizes.append(level.encoded(sizes[-1]))
            except TrousError as error:
                raise error.within(f"decoder(z, input_size={size})") from None
        return sizes

    def code_shape(self, input_size: Ints | None = None) -> tuple[int, ...]:
        """The shape of a code, without batch: what the encoder makes of an input of this size. Raises as `sizes`."""
        return self._code_shape(self.sizes(input_size))

    def forward(self, z: Tensor, input_size: Ints | None = None) -> Tensor:
        """Decode.

        Args:
            z: `(batch, *code_shape)`: what the encoder made of inputs of `input_size`.
            input_size: one integer for each axis, the decoder's own by default. The weights are the same for all sizes.

        Returns:
            `(batch, channels, *input_size)`.

        Raises:
            TrousError: as `sizes` does, or z has another shape.
        """
        sizes = self.sizes(input_size)
        wanted = self._code_shape(sizes)
        if tuple(z.shape[1:]) != wanted:
            rule = f"must have shape (batch, {', '.join(map(str, wanted))}) for input_size={sizes[0]}"
            raise TrousError("z", rule, tuple(z.shape))
        for level, size in zip(self.levels, sizes[-2::-1], strict=True):
            z = level(z, size)
        return z if self.output_activation is None else self.output_activation(z)

    def _code_shape(self, sizes: list[Size]) -> tuple[int, ...]:
        """Features that only flatten maps are as many as these have elements; a linear layer fixes them."""
        first: Any = self.levels[0]
        if isinstance(first, Unflatten):
            return (first.channels * prod(sizes[-2]),)
        return (self.channels, *sizes[-1])

    def extra_repr(self) -> str:
        return f"input_size={self.input_size}"


def decoder(
    encoder: nn.Module,
    input_size: Ints,
    in_channels: int | None,
    activation: Make | None,
    norm: Make | None,
    output_activation: Make | None,
) -> Decoder:
    """The decoder of a torch model; see `trous.mirror`."""
    size, channels = _sizes(encoder, input_size, in_channels)
    like = next((p for p in encoder.parameters() if p.is_floating_point()), torch.empty(0))
    factory: dict[str, Any] = {"device": like.device, "dtype": like.dtype}
    graph = trace(encoder, [torch.zeros(1, channels, *size, **factory)], [range(2, 2 + len(size))])
    path = steps(graph, dict(encoder.named_modules()), len(size))
    code = graph.outputs[0].shape[1:]
    levels, made = _levels(path, code[0], len(size), factory)
    if not levels:
        raise TrousError("encoder", "must have a convolution, pooling or linear layer to mirror", encoder)
    if made != channels:
        rule = f"must have a convolution before channels are joined or parted; its mirror would give {made} channels"
        raise TrousError("encoder", rule, type(encoder).__name__)
    _finish(levels, activation, norm, factory)
    return Decoder(levels, size, code[0], None if output_activation is None else output_activation())


def _levels(path: list[Step], channels: int, ndim: int, factory: dict[str, Any]) -> tuple[list[Any], int]:
    """A layer for each step, last one first, and the channels that come out.

    Channels are those that the layers before have made: where the encoder joins or parts channels between two
    convolutions, the convolution back takes the joined ones.
    """
    levels: list[Any] = []
    for place, step in reversed(list(enumerate(path))):
        size = step.inputs[1:]
        match step.kind:
            case "convolution":
                assert step.spec is not None
                groups = gcd(step.spec.groups, channels)
                levels.append(Convolution(step.spec, size, (channels, step.inputs[0]), groups, factory))
                channels = step.inputs[0]
            case "pooling":
                levels.append(Unpool(step.spec, channels, ndim, factory))  # type: ignore[arg-type]
            case "padding":
                levels.append(Unpad(step.axes))
            case "adaptive pooling":
                levels.append(Broadcast(step.outputs[1:], size, channels, factory))
            case "linear":
                levels.append(Linear((channels, step.inputs[0]), factory))
                channels = step.inputs[0]
            case "flattening":
                if channels != step.outputs[0]:
                    rule = f"must not join or part features behind the flattening of {step.layer!r}"
                    raise TrousError("encoder", rule, channels)
                fixed = any(later.kind == "linear" for later in path[place:])
                levels.append(Unflatten(step.inputs[0], ndim, size if fixed else None))
                channels = step.inputs[0]
    return levels, channels


def _finish(levels: list[Any], activation: Make | None, norm: Make | None, factory: dict[str, Any]) -> None:
    """Normalisation and activation behind every layer with channels of its own but the last of them."""
    own = [level for level in levels if isinstance(level, (Convolution, Linear))]
    for level in own[:-1]:
        follows = []
        if norm is not None and isinstance(level, Convolution):
            follows.append(norm(level.layer.out_channels).to(**factory))
        if activation is not None:
            follows.append(activation())
        level.finish = nn.Sequential(*follows)


def _sizes(encoder: nn.Module, input_size: Ints, in_channels: int | None) -> tuple[Size, int]:
    """Size and channels of the input; what is not said is as the first convolution that was defined has it."""
    given = integers("input_size", input_size, 1)
    size = given if isinstance(given, tuple) else (given,)
    first = next((module for module in encoder.modules() if isinstance(module, nn.modules.conv._ConvNd)), None)
    if first is not None:
        rank = len(first.kernel_size)
        size = size * rank if len(size) == 1 else size
        if len(size) == rank + 2:
            size, in_channels = size[2:], size[1] if in_channels is None else in_channels
    if len(size) > 3 or (first is not None and len(size) != rank):
        raise TrousError("input_size", "must have one entry for each axis, or be (batch, channels, *size)", input_size)
    if first is None and in_channels is None:
        raise TrousError("in_channels", "must be given for an encoder without a convolution layer", None)
    return size, first.in_channels if in_channels is None else integer("in_channels", in_channels, 1)  # type: ignore[union-attr]
