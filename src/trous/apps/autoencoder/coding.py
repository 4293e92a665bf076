"""Pictures through a trained network: to codes, back, and to errors. Those of one size share batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trous.apps.autoencoder.batches import as_tensor, noisy
from trous.apps.autoencoder.files import Codes, Model, check_codes
from trous.apps.autoencoder.grid import cells
from trous.apps.autoencoder.images import Pictures
from trous.errors import TrousError

#: Pixels that go through the network together, one image at least.
TOGETHER = 2**20

#: Wraps what is gone through, to show how far it is; gets the number of steps.
Track = Callable[[Iterator[Any], int], Iterator[Any]]


def untracked(items: Iterator[Any], count: int) -> Iterator[Any]:
    return items


@torch.no_grad()
def encode(model: Model, pictures: Pictures, track: Track = untracked) -> Codes:
    """The codes of pictures. Raises TrousError for a picture that the network is not for."""
    values: list[Any] = [None] * len(pictures)
    for indices, images in track(_batches([model], pictures), len(pictures)):
        for index, code in zip(indices, model.network.encode(images), strict=True):
            values[index] = code
    return Codes(model.name, model.fingerprint(), pictures.names, pictures.sizes, values)


@torch.no_grad()
def decode(model: Model, codes: Codes) -> Iterator[np.ndarray]:
    """The images `(channels, height, width)` of uint8 that codes stand for, one after the other.

    Raises TrousError for codes of another model, or of other sizes than they say.
    """
    check_codes(codes, model)
    for size, value in zip(codes.sizes, codes.values, strict=True):
        yield eight_bit(model.network.decode(value[None], size))[0]


def errors(model: Model, pictures: Pictures, track: Track = untracked) -> np.ndarray:
    """The mean squared error of every reconstruction, pixels from 0 to 1: what has not been seen in training is high.

    Raises TrousError for a picture that the network is not for.
    """
    found = np.zeros(len(pictures))
    for indices, images in track(_batches([model], pictures), len(pictures)):
        found[indices] = mean_squared(model.network.reconstruct(images), images).numpy()
    return found


def side_by_side(
    models: Sequence[Model], pictures: Pictures, noise: float = 0.0, track: Track = untracked
) -> np.ndarray:
    """One picture `(3, height, width)` of uint8 with every original, its reconstruction by each model, and the errors.

    With `noise`, the standard deviation of Gaussian noise for pixels from 0 to 1, the models see noisy pictures, which
    stand beside the originals. Raises TrousError for a picture that a network is not for.
    """
    rows: list[Any] = [None] * len(pictures)
    for indices, images in track(_batches(models, pictures), len(pictures)):
        seen = noisy(images, noise, indices[0]) if noise else images
        shown = [seen] * bool(noise) + [model.network.reconstruct(seen) for model in models]
        errors = torch.stack([mean_squared(image.clamp(0, 1), images) for image in shown], 1)
        for n, index in enumerate(indices):
            text = " ".join(f"{error:.4f}" for error in errors[n].tolist())
            rows[index] = (
                f"{Path(pictures.names[index]).name}: {text}",
                [eight_bit(image[n]) for image in (images, *shown)],
            )
    return cells(rows, ["original", *["noisy"] * bool(noise), *(model.name for model in models)])


def mean_squared(images: Tensor, others: Tensor) -> Tensor:
    """The mean squared error of each image of a batch, in float64."""
    return (images - others).double().square().mean(dim=(1, 2, 3))


def eight_bit(images: Tensor) -> np.ndarray:
    """Values from 0 to 1, clipped, as uint8."""
    pixels: np.ndarray = (images.clamp(0, 1) * 255).round().byte().numpy()
    return pixels


def _batches(models: Sequence[Model], pictures: Pictures) -> Iterator[tuple[list[int], Tensor]]:
    """Places and pixels of pictures, those of one size together."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for index, size in enumerate(pictures.sizes):
        by_size.setdefault(size, []).append(index)
    for size, indices in by_size.items():
        for model in models:
            try:
                model.network.check(size)
            except TrousError as error:
                raise error.within(f"{pictures.names[indices[0]]} with {model.name}") from None
        step = max(1, TOGETHER // (size[0] * size[1]))
        for start in range(0, len(indices), step):
            chosen = indices[start : start + step]
            yield chosen, as_tensor([pictures[index] for index in chosen])
