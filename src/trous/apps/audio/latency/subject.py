"""What is measured: a network, its rate, and what can be said of it without running it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import nn

from trous.apps.audio import nam
from trous.apps.audio.wavenet.network import WaveNet
from trous.errors import TrousError
from trous.inspection import inspect
from trous.streaming import stream
from trous.streaming.live import Stream

#: Frames a second where nothing says how many.
RATE = 48000

#: Lengths of signals are multiples of it, so that strides of all usual kinds divide them.
_EVEN = 5040


@dataclass(frozen=True)
class Subject:
    """A network that takes `(batch, channels, samples)`, and the rate that it is for."""

    name: str
    network: nn.Module
    channels: int
    rate: int = RATE

    @property
    def empty(self) -> torch.Tensor:
        """A block of no samples."""
        parameters = self.network.parameters()
        return torch.empty(1, self.channels, 0, dtype=next((p.dtype for p in parameters), torch.float32))


def of_amp(name: str, amp: nam.Amp) -> Subject:
    """The network of a `.nam` file."""
    return Subject(name, amp.network, amp.network.in_channels, amp.rate)


def of_wavenet(name: str, network: WaveNet) -> Subject:
    """What a WaveNet runs for every sample, its core; the sample and its conditions are the channels."""
    architecture = network.architecture
    return Subject(name, network.core, 1 + architecture.conditions, architecture.sample_rate)


def of_module(name: str, network: nn.Module, channels: int | None = None) -> Subject:
    """A torch module; if not said, its channels are those that its first layer with `in_channels` takes, else 1."""
    if channels is None:
        found = (getattr(each, "in_channels", None) for each in network.modules())
        channels = next((number for number in found if isinstance(number, int)), 1)
    return Subject(name, network, channels)


@dataclass(frozen=True)
class Facts:
    """What follows from the plan alone.

    Attributes:
        receptive_field: samples that an output depends on; None for all that came before.
        delay: by how many samples an output comes later than its place.
        context: samples before its place that an output depends on; None for all.
        parameters: of the network.
        multiplications: for a sample of the input, by convolutions, products and recurrent layers; None where they
            cannot be counted.
    """

    receptive_field: int | None
    delay: int
    context: int | None
    parameters: int
    multiplications: float | None


def facts(subject: Subject) -> tuple[Stream, Facts]:
    """The network as a stream that is not fused, and what is known of it.

    Raises TrousError where the network cannot be streamed.
    """
    live = stream(subject.network.eval())
    live.push(subject.empty)
    delay, context = live.delay, live.context
    field, multiplications = _inspected(subject, delay + (context or 0) + 1)
    if context is None:
        field = None
    elif field is None:
        field = context + delay + 1
    parameters = sum(p.numel() for p in subject.network.parameters())
    return live, Facts(field, delay, context, parameters, multiplications)


def _inspected(subject: Subject, reach: int) -> tuple[int | None, float | None]:
    """Receptive field and multiplications for a sample: what twice the signal has more than the signal."""
    length = _EVEN * -(-max(reach, 1) // _EVEN)
    try:
        short, long = (inspect(subject.network, (1, subject.channels, n)) for n in (length, 2 * length))
        field = short.output.receptive_field
        return (field[0] if field else None), float(Fraction(long.macs - short.macs, length))
    except TrousError:
        return None, None
