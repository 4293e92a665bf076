"""All that decides what a training run gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trous.errors import TrousError
from trous.spec import integer

#: Those of the weights that come with trous, and of the scores in docs/models/autoencoder.md.
RECIPES = Path(__file__).with_name("recipes")


@dataclass(frozen=True)
class Recipe:
    """The defaults are those for a folder of pictures.

    Args:
        data: a folder of pictures, or of MNIST's archives; one that is not there is looked for in TROUS_DATA.
        without: classes of an archive that are left out.
        code: values of a code: at each place of a map, or with `whole` for the whole image.
        whole: one code for an image; all images have one size.
        widths: as in `trous.apps.autoencoder.model.Architecture`.
        noise: standard deviation of the Gaussian noise that is removed, for pixels from 0 to 1.
        crop: pixels to a side of what is cut from the pictures; with `whole` nothing is cut.
        epochs, batch: times that all is seen, crops in a batch.
        rate: the largest learning rate (AdamW), which a cosine brings to 0 in the end.
        decay: the weight decay.
        precision: as Lightning names it.
        seed: of everything that is random.

    Raises TrousError for numbers that cannot be.
    """

    data: str
    without: tuple[int, ...] = ()
    code: int = 32
    whole: bool = False
    widths: tuple[int, ...] = (32, 64, 64)
    noise: float = 0.0
    crop: int = 64
    epochs: int = 50
    batch: int = 32
    rate: float = 2e-3
    decay: float = 0.0
    precision: str = "32-true"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("code", "crop", "epochs", "batch"):
            integer(name, getattr(self, name), 1)
        integer("seed", self.seed, 0, 2**32 - 1)
        for label in self.without:
            integer("without", label, 0, 255)
        for name in ("noise", "decay", "rate"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise TrousError(name, "must be a number from 0", getattr(self, name))

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON has it."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
