"""What a WaveNet is made of, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from math import prod
from typing import Any

from trous.errors import TrousError
from trous.plan.reach import reads_through, receptive_field
from trous.plan.sizes import centred_padding
from trous.spec import Conv, ConvTranspose, Spec, integer, integers

OUTPUTS = ("mulaw", "mixture")
#: A column of a spectrogram sees so many hops.
HOPS = 4


@dataclass(frozen=True)
class Architecture:
    """The network's sizes; the defaults are those of `trous train wavenet`.

    Args:
        output: what is said of the next sample: "mulaw", probabilities of the 256 levels of 8-bit mu-law, or "mixture",
            discretised logistics (`trous.apps.audio.wavenet.outputs`).
        layers: dilated ones, with dilations 1, 2, 4, ... that begin anew after `cycle` layers.
        kernel: of a dilated layer.
        channels: of what goes from layer to layer.
        skip: channels of what the layers add up to the output.
        components: of a mixture.
        mels: channels of the mel spectrogram that the sound is conditioned on; 0 for none.
        strides: of the transposed convolutions between spectrogram and samples; their product is the hop.
        condition: channels of what comes out of these for every sample.
        sample_rate: samples a second.

    Raises TrousError for numbers that cannot be.
    """

    output: str = "mulaw"
    layers: int = 20
    cycle: int = 10
    kernel: int = 2
    channels: int = 32
    skip: int = 64
    components: int = 5
    mels: int = 80
    strides: tuple[int, ...] = (8, 8, 4)
    condition: int = 16
    sample_rate: int = 22050

    def __post_init__(self) -> None:
        if self.output not in OUTPUTS:
            raise TrousError("output", f"must be one of {', '.join(OUTPUTS)}", self.output)
        for name in ("layers", "channels", "skip", "components", "condition"):
            integer(name, getattr(self, name), 1, 4096)
        integer("cycle", self.cycle, 1, 24)
        integer("kernel", self.kernel, 2, 64)
        integer("mels", self.mels, 0, 1024)
        integer("sample_rate", self.sample_rate, 1000, 768_000)
        integers("strides", self.strides, 1, 64)
        if self.mels and not (2 <= self.hop <= 4096 and self.hop % 2 == 0):
            raise TrousError("strides", "must be numbers with an even product, from 2 to 4,096", self.strides)

    @property
    def dilations(self) -> list[int]:
        return [2 ** (n % self.cycle) for n in range(self.layers)]

    @cached_property
    def field(self) -> int:
        """How many samples the next one depends on, in samples."""
        return receptive_field([Conv(self.kernel, dilation=d).plan(1) for d in self.dilations])[0]

    @property
    def hop(self) -> int:
        """Samples for a column of the mel spectrogram; 1 where there is none."""
        return prod(self.strides) if self.mels else 1

    @cached_property
    def around(self) -> int:
        """How many columns of sound to either side of its own a sample's condition can depend on."""
        if not self.mels:
            return 0
        read = reads_through([spec.plan(1).axes[0] for spec in self.conditioning], range(self.hop))
        return -(-max(-read.start, read.stop - self.hop) // self.hop)

    @property
    def conditioning(self) -> list[Spec]:
        """What makes a condition for every sample of sound: the spectrogram's windows, then the layers behind."""
        layers = [enlarging(stride) for stride in self.strides]
        return [framing(self.hop), Conv(3, padding="same"), *layers]

    @property
    def silence(self) -> int:
        """How much of it stands before a sound, in samples: as much as the first of them can depend on."""
        return self.hop * (-(-self.field // self.hop) + self.around)

    @property
    def conditions(self) -> int:
        """Channels beside the sample in the core's input."""
        return self.condition if self.mels else 0

    def to_dict(self) -> dict[str, Any]:
        """The numbers as JSON has them."""
        return asdict(self) | {"strides": list(self.strides)}


def framing(hop: int) -> Conv:
    """The windows of a spectrogram: `HOPS` hops long, evenly around the samples of their column."""
    return Conv(HOPS * hop, hop, centred_padding(HOPS * hop, hop) or 0)


def enlarging(stride: int) -> ConvTranspose:
    """To `stride` times as many samples, with two taps for every one, three where the stride is odd."""
    kernel = (2 + stride % 2) * stride
    return ConvTranspose(kernel, stride, centred_padding(kernel, stride))
