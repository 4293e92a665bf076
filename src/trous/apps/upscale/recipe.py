"""All that decides what a training gives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trous.errors import TrousError
from trous.spec import integer

#: Those of the weights that ship.
RECIPES = Path(__file__).with_name("recipes")
#: Taps to a side that an output has of the last layer's kernel, where a recipe does not say how large it is.
TAPS = 5


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights.

    Args:
        scale: 2, 3 or 4.
        folders: of pictures to learn from; those that are not there are looked for in TROUS_DATA.
        channels, layers, kernel: as in `Upscaler`; a kernel of 0 is one of 5 times the scale.
        width: channels between the two halves of every weight while training (`trous.apps.upscale.model.Wide`).
        sizes: at which every picture is used; 1 is as it is.
        held_out: pictures, evenly spread, that are not learnt from, and measured after every epoch; no more than a
            tenth of all.
        epochs, steps: of an epoch, `steps` batches.
        batch, patch: patches in a batch, and pixels to a side at the reduced size.
        margin: pixels to every side of a patch, at the reduced size, that are not compared: zeros lie beyond.
        rate: the largest learning rate, which a cosine brings to 1/200 in the end (Adam).
        precision: as Lightning names it.
        seed: of everything that is random.

    Raises TrousError for numbers that cannot be.
    """

    scale: int
    folders: tuple[str, ...]
    epochs: int = 60
    channels: int = 16
    layers: int = 4
    kernel: int = 0
    width: int = 128
    sizes: tuple[float, ...] = (1.0, 0.8, 0.6)
    held_out: int = 10
    steps: int = 1000
    batch: int = 16
    patch: int = 32
    margin: int = 4
    rate: float = 1e-3
    precision: str = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        integer("scale", self.scale, 2, 4)
        integer("margin", self.margin, 0)
        integer("patch", self.patch, 2 * self.margin + 1)
        integer("seed", self.seed, 0, 2**32 - 1)
        for name in ("epochs", "channels", "layers", "width", "held_out", "steps", "batch"):
            integer(name, getattr(self, name), 1)
        if not self.rate > 0:
            raise TrousError("rate", "must be a number above 0", self.rate)
        if not self.sizes or not all(0 < size <= 1 for size in self.sizes):
            raise TrousError("sizes", "must be numbers above 0 and to 1", self.sizes)

    @property
    def kernel_size(self) -> int:
        return self.kernel or TAPS * self.scale
