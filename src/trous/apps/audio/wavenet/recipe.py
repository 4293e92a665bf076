"""All that decides what a training gives."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from trous.apps.audio.wavenet.architecture import Architecture
from trous.errors import TrousError
from trous.spec import integer

#: Those that come with trous.
RECIPES = Path(__file__).with_name("recipes")


@dataclass(frozen=True, kw_only=True)
class Recipe(Architecture):
    """An architecture, and all that decides its weights.

    Args:
        folder: of .wav files; one that is not there is looked for in TROUS_DATA.
        held_out: files, evenly spread, that are not learnt from and measured after every epoch; no more than a tenth
            of all, but one.
        epochs, steps: of an epoch, `steps` batches.
        batch, segment: pieces in a batch, and samples that are predicted in each, rounded up to whole columns.
        rate: the largest learning rate (Adam), which a cosine brings to 1/100 in the end.
        precision: as Lightning names it.
        stored: of the weights in the file, float32 or float16.
        seed: of everything that is random.

    Raises TrousError for numbers that cannot be.
    """

    folder: str
    held_out: int = 10
    epochs: int = 100
    steps: int = 500
    batch: int = 4
    segment: int = 4096
    rate: float = 2e-3
    precision: str = "32-true"
    stored: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("held_out", "epochs", "steps", "batch", "segment"):
            integer(name, getattr(self, name), 1)
        integer("seed", self.seed, 0, 2**32 - 1)
        if not 0 < self.rate < float("inf"):
            raise TrousError("rate", "must be a number above 0", self.rate)
        if self.output == "mixture" and "16" in self.precision:
            raise TrousError("precision", "must be 32-true for a mixture, whose levels have 16 bits", self.precision)
        if self.stored not in ("float32", "float16"):
            raise TrousError("stored", "must be float32 or float16", self.stored)

    @property
    def architecture(self) -> Architecture:
        return Architecture(**{field.name: getattr(self, field.name) for field in fields(Architecture)})

    @property
    def columns(self) -> int:
        """Of a segment."""
        return -(-self.segment // self.hop)
