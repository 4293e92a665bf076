"""What all networks of Neural Amp Modeler files have: weights in an order of their own, and a warm-up."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from trous.errors import TrousError
from trous.plan.padding import conv_padding
from trous.plan.stack import field


class CausalConv(nn.Conv1d):
    """A convolution whose output reads the input up to its own place, zeros standing before the first sample."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, *, dilation: int = 1, groups: int = 1, bias: bool = True
    ) -> None:
        super().__init__(inputs, outputs, kernel, dilation=dilation, groups=groups, bias=bias)
        self.before, _ = conv_padding("causal", kernel, 1, dilation)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(functional.pad(x, (self.before, 0)) if self.before else x)

    @property
    def reach(self) -> int:
        """How many samples before its own an output reads."""
        return field(self.kernel_size[0], self.dilation) - 1


class Network(nn.Module):
    """A network `(batch, in_channels, frames)` to `(batch, out_channels, frames)`, causal.

    Before the first sample its layers see zeros. A player that has heard silence is in another state: `warm_up` samples
    of silence lead there, and the reference engine begins so.

    Attributes:
        architecture: its name in files.
        config: its `config` in files.
        in_channels, out_channels: of the signal.
        settling: samples of silence that a recurrent network needs to come to rest.
    """

    architecture: str
    config: dict[str, Any]
    in_channels: int
    out_channels: int
    settling = 0

    @property
    def reach(self) -> int | None:
        """How many samples before its own an output depends on, at most; None if on all."""
        return None if self._settling() else self._reach()

    @property
    def warm_up(self) -> int:
        """Samples of silence after which more change nothing, or next to nothing in recurrent networks."""
        return self._reach() + self._settling()

    def _reach(self) -> int:
        return sum(each.reach for each in self.modules() if isinstance(each, CausalConv))

    def _settling(self) -> int:
        return sum(each.settling for each in self.modules() if isinstance(each, Network))

    @property
    def receptive_field(self) -> int | None:
        """How many samples an output depends on, its own too; None if on all before it. As the trainer counts."""
        return None if self.reach is None else self.reach + 1

    def stored(self) -> list[Tensor]:
        """The tensors that hold the file's weights, in its order."""
        return list(self.parameters())

    @property
    def count(self) -> int:
        """How many weights the file has."""
        return sum(tensor.numel() for tensor in self.stored())

    def weights(self) -> Tensor:
        """The file's `weights`, float32."""
        return torch.cat([tensor.detach().flatten() for tensor in self.stored()]).float().cpu()

    @torch.no_grad()
    def set_weights(self, weights: Tensor) -> None:
        """Take the file's `weights`. Raises TrousError where there are too many or too few."""
        self.check_count(weights)
        tensors = self.stored()
        counts = [tensor.numel() for tensor in tensors]
        for tensor, part in zip(tensors, weights.split(counts), strict=True):
            tensor.copy_(part.reshape(tensor.shape))

    def check_count(self, weights: Tensor) -> None:
        """Raises TrousError where `weights` are too many or too few."""
        if len(weights) != self.count:
            raise TrousError("weights", f"must be {self.count} numbers, as the config says", f"{len(weights)} numbers")

    def written(self, rate: int) -> dict[str, Any]:
        """`config` as it is written in a file of this rate, for the weights that the network has now."""
        return self.config
