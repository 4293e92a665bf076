"""All that decides what a training gives."""

from __future__ import annotations

from dataclasses import dataclass

from trous.apps.audio.nam import SIZES
from trous.errors import TrousError
from trous.spec import integer

#: What may be another in a run that goes on.
FREE = ("epochs", "minutes", "precision")


@dataclass(frozen=True)
class Recipe:
    """The defaults are those for a minute of playing and a network of standard size.

    Args:
        input, target: sound files of what went into the amplifier, and of what came out.
        size: of the network, as `trous.apps.audio.nam.SIZES` names them.
        epochs: times that all is seen.
        minutes: how long to train instead, if not 0.
        batch, crop: pieces in a batch, and outputs of each.
        rate: the largest learning rate (Adam), which a cosine brings to 0 in the end.
        latency: samples that the target comes later than the input; found, if None.
        held_out: seconds at the end of the recording to measure by; a tenth of all, but 3 to 30, if None.
        precision: as Lightning names it.
        seed: of everything that is random.

    Raises TrousError for numbers that cannot be.
    """

    input: str
    target: str
    size: str = "standard"
    epochs: int = 100
    minutes: float = 0.0
    batch: int = 1
    crop: int = 8192
    rate: float = 4e-3
    latency: int | None = None
    held_out: float | None = None
    precision: str = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise TrousError("size", f"must be one of {', '.join(SIZES)}", self.size)
        for name in ("epochs", "batch", "crop"):
            integer(name, getattr(self, name), 1)
        integer("seed", self.seed, 0, 2**32 - 1)
        if self.latency is not None:
            integer("latency", self.latency, -(2**31))
        if not 0 <= self.minutes < float("inf"):
            raise TrousError("minutes", "must be a number from 0", self.minutes)
        if not 0 < self.rate < float("inf"):
            raise TrousError("rate", "must be a number above 0", self.rate)
