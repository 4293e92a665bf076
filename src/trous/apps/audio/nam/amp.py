"""A model of an amplifier: a network, the rate that it is for, and what its maker says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from trous.apps.audio.nam.network import Network
from trous.apps.audio.nam.others import LSTM
from trous.streaming import stream

#: Loudness that plug-ins bring models to, in dB, so that all are as loud.
LOUDNESS = -18.0
#: dB beyond which a file is not believed.
_LOUDEST = 200
#: The rate of files that say none.
RATE = 48000


class Live(Protocol):
    """What takes a signal block by block, `(batch, channels, frames)`."""

    def push(self, block: Tensor) -> Tensor: ...


class _Steps:
    """A recurrent network block by block."""

    def __init__(self, network: LSTM) -> None:
        self._network = network
        self._state: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def push(self, block: Tensor) -> Tensor:
        if not block.shape[-1]:
            return block.new_empty(len(block), self._network.out_channels, 0)
        out, self._state = self._network.step(block, self._state)
        return out


@dataclass
class Amp:
    """What a `.nam` file holds.

    Attributes:
        network: a causal torch module, `(batch, 1, frames)` to as many frames.
        rate: frames a second that it is for.
        metadata: what the file says beside: name, gear, loudness in dB, levels in dBu, and what else.
        version: of the file's format.
        choices: of a container, the upper bounds of its networks' sizes.
    """

    network: Network
    rate: int = RATE
    metadata: dict[str, Any] = field(default_factory=dict)
    version: str = "0.5.4"
    choices: tuple[float, ...] = ()

    @property
    def loudness(self) -> float | None:
        """How loud its output is for usual playing, in dB, if the file says."""
        value: Any = self.metadata.get("loudness")
        return float(value) if type(value) in (int, float) and abs(value) < _LOUDEST else None

    @property
    def gain_to_normal(self) -> float:
        """The factor that makes it as loud as others, `LOUDNESS`; 1 if the file does not say how loud it is."""
        return 1.0 if self.loudness is None else float(10 ** ((LOUDNESS - self.loudness) / 20))

    def stream(self, batch: int = 1) -> Live:
        """The network fed block by block, in compiled code, after the silence that the reference engine begins with.

        Args:
            batch: signals at once; blocks are float32 `(batch, 1, frames)`.

        Raises:
            TrousError: a network that cannot be streamed, such as a WaveNet whose condition is recurrent.
        """
        self.network.eval()
        live: Live = _Steps(self.network) if isinstance(self.network, LSTM) else stream(self.network, fused=True)
        silence = torch.zeros(batch, self.network.in_channels, self.network.warm_up)
        live.push(silence)
        return live

    @torch.no_grad()
    def __call__(self, signal: Tensor) -> Tensor:
        """A whole signal `(batch, channels, frames)` at `rate`, after the same silence."""
        self.network.eval()
        silence = signal.new_zeros(*signal.shape[:-1], self.network.warm_up)
        return self.network(torch.cat([silence, signal], dim=-1))[..., self.network.warm_up :]
