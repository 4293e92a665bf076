"""Pictures through a trained network: to codes, back, and to errors. Those of one size share batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trous.apps.autoencoder.batches import as_tensor
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
    for indices, images in track(_batches(model, pictures), len(pictures)):
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


@torch.no_grad()
def reconstructions(
    model: Model, pictures: Pictures, track: Track = untracked
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Which pictures, what they are and their reconstructions, both `(n, channels, height, width)` from 0 to 1."""
    for indices, images in track(_batches(model, pictures), len(pictures)):
        yield indices, images, model.network.reconstruct(images)


def errors(model: Model, pictures: Pictures, track: Track = untracked) -> np.ndarray:
    """The mean squared error of every reconstruction, pixels from 0 to 1: what has not been seen in training is high.

    Raises TrousError for a picture that the network is not for.
    """
    found = np.zeros(len(pictures))
    for indices, images, again in reconstructions(model, pictures, track):
        found[indices] = (again - images).double().square().mean(dim=(1, 2, 3)).numpy()
    return found


def side_by_side(model: Model, pictures: Pictures, track: Track = untracked) -> np.ndarray:
    """One picture `(3, height, width)` of uint8 with every original, its reconstruction, and the error."""
    rows: list[Any] = [None] * len(pictures)
    for indices, images, again in reconstructions(model, pictures, track):
        error = (again - images).double().square().mean(dim=(1, 2, 3))
        for index, *pair, mse in zip(indices, eight_bit(images), eight_bit(again), error.tolist(), strict=True):
            rows[index] = (f"{mse:.4f}  {Path(pictures.names[index]).name}", pair)
    return cells(rows, ("original", "reconstruction"))


def eight_bit(images: Tensor) -> np.ndarray:
    """Values from 0 to 1, clipped, as uint8."""
    pixels: np.ndarray = (images.clamp(0, 1) * 255).round().byte().numpy()
    return pixels


def _batches(model: Model, pictures: Pictures) -> Iterator[tuple[list[int], Tensor]]:
    """Places and pixels of pictures, those of one size together."""
    by_size: dict[tuple[int, int], list[int]] = {}
    for index, size in enumerate(pictures.sizes):
        by_size.setdefault(size, []).append(index)
    for size, indices in by_size.items():
        try:
            model.network.check(size)
        except TrousError as error:
            raise error.within(f"{pictures.names[indices[0]]} with {model.name}") from None
        step = max(1, TOGETHER // (size[0] * size[1]))
        for start in range(0, len(indices), step):
            chosen = indices[start : start + step]
            yield chosen, as_tensor([pictures[index] for index in chosen])
