"""The smaller architectures of Neural Amp Modeler files: an impulse response, convolutions in a row, an LSTM."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from trous.apps.audio.nam.activations import activation
from trous.apps.audio.nam.fields import Fields, divides, equal
from trous.apps.audio.nam.network import CausalConv, Network


class Linear(Network):
    """One long filter; the file has its impulse response, the first sample first."""

    architecture = "Linear"

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = config
        fields = Fields(config, "config")
        for key in ("in_channels", "out_channels"):
            equal(fields.integer(key, 1), 1, fields.named(key), "the one channel that is understood here")
        self.in_channels = self.out_channels = 1
        taps, bias = fields.integer("receptive_field", largest=1 << 22), fields.flag("bias", False)
        self.conv = CausalConv(1, 1, taps, bias=bias)
        fields.value("implementation")  # how an engine should compute it
        fields.finish()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)

    def weights(self) -> Tensor:
        return self._turned(super().weights())

    def set_weights(self, weights: Tensor) -> None:
        self.check_count(weights)
        super().set_weights(self._turned(weights))

    def _turned(self, weights: Tensor) -> Tensor:
        """A convolution of torch reads its kernel from the oldest sample on."""
        taps = self.conv.kernel_size[0]
        return torch.cat([weights[:taps].flip(0), weights[taps:]])


class Norm(nn.Module):
    """Batch normalisation as it is after training: a scale and an offset for each channel."""

    mean: Tensor
    variance: Tensor
    epsilon: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("epsilon", torch.tensor(1e-5))

    def stored(self) -> list[Tensor]:
        return [self.mean, self.variance, self.weight, self.bias, self.epsilon]

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight / torch.sqrt(self.epsilon + self.variance)
        return x * scale[:, None] + (self.bias - scale * self.mean)[:, None]


class ConvNet(Network):
    """Dilated convolutions of two taps, each normalised and activated, and a 1x1 convolution behind the last."""

    architecture = "ConvNet"

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__()
        self.config = config
        fields = Fields(config, "config")
        self.in_channels, self.out_channels = fields.integer("in_channels", 1), fields.integer("out_channels", 1)
        channels, groups, normed = fields.integer("channels"), fields.integer("groups", 1), fields.flag("batchnorm")
        said, inputs = fields.value("activation"), self.in_channels
        self.blocks = nn.ModuleList()
        for dilation in fields.integers("dilations"):
            divides(groups, [inputs, channels], fields.named("groups"))
            conv = CausalConv(inputs, channels, 2, dilation=dilation, groups=groups, bias=not normed)
            norm = Norm(channels) if normed else nn.Identity()
            self.blocks.append(nn.Sequential(conv, norm, activation(said, channels, fields.named("activation"))))
            inputs = channels
        self.head = CausalConv(channels, self.out_channels)
        fields.finish()

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.head(x)

    def stored(self) -> list[Tensor]:
        found: list[Tensor] = []
        for block in self.blocks:
            for part in block.children():
                found += part.stored() if isinstance(part, Norm) else part.parameters()
        return [*found, *self.head.parameters()]


class LSTM(Network):
    """Long short-term memory, layer on layer, from a state that the file has, and a linear layer behind.

    Its output depends on all samples before. The reference engine lets it hear half a second of silence first.
    """

    architecture = "LSTM"

    def __init__(self, config: dict[str, Any], rate: float = 48000.0) -> None:
        super().__init__()
        self.config = config
        fields = Fields(config, "config")
        self.in_channels, self.out_channels = fields.integer("in_channels", 1), fields.integer("out_channels", 1)
        size = fields.integer("input_size", 1)
        equal(size, self.in_channels, fields.named("input_size"), "the channels of the input")
        layers, hidden = fields.integer("num_layers"), fields.integer("hidden_size")
        fields.finish()
        self.cells = nn.LSTM(self.in_channels, hidden, layers, batch_first=True)
        nn.init.zeros_(self.cells.get_parameter("bias_hh_l0"))
        self.hidden, self.cell = nn.Parameter(torch.zeros(layers, hidden)), nn.Parameter(torch.zeros(layers, hidden))
        self.head = nn.Linear(hidden, self.out_channels)
        self.settling = max(1, int(rate / 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.step(x, None)[0]

    def step(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """A block, from the state that the block before left, or from the file's."""
        if state is None:
            hidden, cell = (each[:, None].expand(-1, len(x), -1).contiguous() for each in (self.hidden, self.cell))
            state = hidden, cell
        y, state = self.cells(x.transpose(1, 2), state)
        return self.head(y).transpose(1, 2), state

    @property
    def count(self) -> int:
        surplus = sum(self._cell("bias_hh", i).numel() for i in range(self.cells.num_layers))
        return sum(each.numel() for each in self.parameters()) - surplus

    def weights(self) -> Tensor:
        """For each layer its matrix, the columns for its input before those for its state, its bias, and its state."""
        parts: list[Tensor] = []
        for i in range(self.cells.num_layers):
            matrix = torch.cat([self._cell("weight_ih", i), self._cell("weight_hh", i)], dim=1)
            bias = self._cell("bias_ih", i) + self._cell("bias_hh", i)
            parts += [matrix, bias, self.hidden[i], self.cell[i]]
        parts += [self.head.weight, self.head.bias]
        return torch.cat([part.detach().flatten() for part in parts]).float().cpu()

    @torch.no_grad()
    def set_weights(self, weights: Tensor) -> None:
        self.check_count(weights)
        rest = weights
        for i in range(self.cells.num_layers):
            own, other = self._cell("weight_ih", i), self._cell("weight_hh", i)
            rows, columns = own.shape[0], own.shape[1] + other.shape[1]
            matrix, rest = rest[: rows * columns].reshape(rows, columns), rest[rows * columns :]
            own.copy_(matrix[:, : own.shape[1]])
            other.copy_(matrix[:, own.shape[1] :])
            self._cell("bias_hh", i).zero_()
            for tensor in (self._cell("bias_ih", i), self.hidden[i], self.cell[i]):
                tensor.copy_(rest[: tensor.numel()])
                rest = rest[tensor.numel() :]
        self.head.weight.copy_(rest[: self.head.weight.numel()].reshape(self.head.weight.shape))
        self.head.bias.copy_(rest[self.head.weight.numel() :])

    def _cell(self, name: str, layer: int) -> Tensor:
        return self.cells.get_parameter(f"{name}_l{layer}")
