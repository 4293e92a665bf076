"""`Conv1d` ... `ConvTranspose3d`: torch.nn's layers, subclassed, with only the computation replaced.

Constructors, attributes, initialisation, repr and state_dict are torch's, so that weights load both ways and a layer
still is an instance of the torch class. Beyond torch they take every padding of `trous.conv`, "same" with any stride
among it, padding_mode reflect, replicate and circular for transposed layers too, and an `activation` in the same pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from trous.autograd import activated
from trous.entry import requested_epilogue, requested_size
from trous.errors import TrousError
from trous.frozen import Frozen, freeze
from trous.functional import Activation, conv, conv_transpose
from trous.nn.border import Pairs, check_rank, fold, pad
from trous.plan.border import PADDING_MODES
from trous.spec import Conv, ConvTranspose, Ints, Padding, Spec


class Layer(torch.nn.Module):
    """What both kinds share: the paddings that torch's constructors refuse, and the activation.

    Stands in front of a class of torch.nn.
    """

    activation: Activation = None  #: of the class, for layers that torch's constructor made
    frozen: bool = False  #: whether the weight stays as it is; see `trous.accelerate`
    _kept: Frozen | None = None
    _folded: Any = None  #: of a frozen layer, by `trous.nn.sequence`
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: Any
    dilation: tuple[int, ...]
    groups: int
    padding_mode: Any
    weight: Tensor
    bias: Tensor | None
    _reversed_padding_repeated_twice: Any

    def _set_padding(self, padding: Any, padding_mode: str) -> None:
        """Keep `padding` as torch would, a tuple or a word."""
        if padding_mode not in PADDING_MODES:
            raise TrousError("padding_mode", f"must be one of {', '.join(PADDING_MODES)}", padding_mode)
        if isinstance(padding, (tuple, list)):
            self.padding = tuple(tuple(p) if isinstance(p, list) else p for p in padding)
        else:
            self.padding = padding if isinstance(padding, str) else (padding,) * len(self.kernel_size)
        self.padding_mode = padding_mode
        self._reversed_padding_repeated_twice = tuple(n for pair in reversed(self._pairs()) for n in pair)

    def _set_activation(self, activation: Activation) -> None:
        requested_epilogue(activation)
        if activation is not None:  # without one the layer's attributes are torch's
            self.activation = tuple(activation) if isinstance(activation, list) else activation

    def extra_repr(self) -> str:
        own = super().extra_repr()
        own = own if self.activation is None else f"{own}, activation={self.activation!r}"
        return f"{own}, frozen=True" if self.frozen else own

    def freeze(self, frozen: bool) -> None:
        """Take the weight to stay as it is from now on, or no longer."""
        for name in ("frozen", "_kept", "_folded"):
            vars(self).pop(name, None)
        if frozen and not parametrize.is_parametrized(self):  # whose weight is another one at every call
            self.frozen = True

    def kept(self, weight: Any, input: Any) -> Any:
        """The weight for a call: of a frozen layer one that is packed once, unless something traces or compiles."""
        if not self.frozen or not isinstance(input, Tensor) or torch.compiler.is_compiling():
            return weight
        if self._kept is None or self._kept.array is not weight:
            self._kept = freeze(weight)
        return self._kept

    def convolve(self, input: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation) -> Tensor:
        """The layer's output with this weight, bias and activation in the place of its own."""
        raise NotImplementedError

    def _spec(self) -> Spec:
        raise NotImplementedError

    def _pairs(self) -> list[tuple[int, int]]:
        """`(before, after)` of every axis."""
        paddings = map(self._spec().axis_padding, range(len(self.kernel_size)))
        return [(before, after) for before, after, *_ in paddings]


class _Conv(Layer):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        activation: Activation = None,
    ) -> None:
        Conv(kernel_size, stride, padding, dilation, groups)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, 0, dilation, groups, bias, device=device, dtype=dtype
        )
        self._set_padding(padding, padding_mode)
        self._set_activation(activation)

    def _spec(self) -> Conv:
        return Conv(self.kernel_size, self.stride, self.padding, self.dilation, self.groups)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return self.convolve(input, weight, bias, self.activation)

    def convolve(self, input: Tensor, weight: Tensor, bias: Tensor | None, activation: Activation) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = pad(input, self._pairs(), self.padding_mode), 0
        return conv(
            input,
            self.kept(weight, input),
            bias,
            stride=self.stride,
            padding=padding,
            dilation=self.dilation,
            groups=self.groups,
            activation=activation,
        )


class _ConvTranspose(Layer):
    output_padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        activation: Activation = None,
    ) -> None:
        ConvTranspose(kernel_size, stride, padding, output_padding, dilation, groups)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            0,
            output_padding,
            groups,
            bias,
            dilation,
            device=device,
            dtype=dtype,
        )
        self._set_padding(padding, padding_mode)
        self._set_activation(activation)

    def _spec(self) -> ConvTranspose:
        return ConvTranspose(
            self.kernel_size, self.stride, self.padding, self.output_padding, self.dilation, self.groups
        )

    def forward(self, input: Tensor, output_size: Ints | None = None) -> Tensor:
        """The layer's output; `output_size`, as in torch, stands in for output_padding where it is given."""
        return self.convolve(input, self.weight, self.bias, self.activation, output_size)

    def convolve(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        activation: Activation,
        output_size: Ints | None = None,
    ) -> Tensor:
        arguments: dict[str, Any] = {"stride": self.stride, "dilation": self.dilation, "groups": self.groups}
        if output_size is None:
            arguments["output_padding"] = self.output_padding
        else:
            arguments["output_size"] = output_size
        if self.padding_mode == "zeros":
            weight = self.kept(weight, input)
            return conv_transpose(input, weight, bias, padding=self.padding, activation=activation, **arguments)
        y = self._folded(input, weight, arguments)
        y = y if bias is None else y + bias.to(y.dtype).reshape(-1, *[1] * len(self.kernel_size))
        return activated(y, requested_epilogue(activation))

    def _folded(self, input: Tensor, weight: Tensor, arguments: dict[str, Any]) -> Tensor:
        """The adjoint of a convolution behind a border: nothing is cropped, the border goes back to its sources."""
        spec, pairs = self._spec(), self._pairs()
        if "output_size" in arguments:
            arguments["output_size"] = _bordered_size(input, spec, pairs, arguments["output_size"])
        else:
            arguments["output_padding"] = tuple(spec.axis_padding(axis)[2] for axis in range(len(pairs)))
        return fold(conv_transpose(input, weight, **arguments), pairs, self.padding_mode)


def _bordered_size(input: Tensor, spec: ConvTranspose, pairs: Pairs, wanted: Any) -> tuple[int, ...]:
    """The output size to ask for, border included, where `wanted` is what shall remain of it."""
    check_rank(input, len(pairs))
    sizes = requested_size(spec, tuple(input.shape[-len(pairs) :]), wanted)
    return tuple(n + sum(pair) for n, pair in zip(sizes, pairs, strict=True))


for _name in ("pad", "fold", "_bordered_size"):  # they branch on sizes, which torch.fx must not look into
    torch.fx.wrap(_name)


class Conv1d(_Conv, torch.nn.Conv1d):
    """torch.nn.Conv1d on trous. x: `(batch, in_channels, length)`; see `trous.conv` for paddings and errors."""


class Conv2d(_Conv, torch.nn.Conv2d):
    """torch.nn.Conv2d on trous. x: `(batch, in_channels, height, width)`; see `trous.conv` for paddings and errors."""


class Conv3d(_Conv, torch.nn.Conv3d):
    """torch.nn.Conv3d on trous. x: `(batch, in_channels, depth, height, width)`; see `trous.conv`."""


class ConvTranspose1d(_ConvTranspose, torch.nn.ConvTranspose1d):
    """torch.nn.ConvTranspose1d on trous. x: `(batch, in_channels, length)`; see `trous.conv_transpose`.

    With a padding_mode it is the adjoint of `Conv1d` with the same arguments, and so for two and three dimensions.
    """


class ConvTranspose2d(_ConvTranspose, torch.nn.ConvTranspose2d):
    """torch.nn.ConvTranspose2d on trous. x: `(batch, in_channels, height, width)`; see `trous.conv_transpose`."""


class ConvTranspose3d(_ConvTranspose, torch.nn.ConvTranspose3d):
    """torch.nn.ConvTranspose3d on trous. x: `(batch, in_channels, depth, height, width)`; see `conv_transpose`."""
