"""What an autoencoder is trained on: batches of crops, each batch of one size.

Which crops are in a batch follows from the seed, the epoch and the place of the batch alone, so that a run that was
stopped goes on with what it would have seen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import prod
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from trous.apps.autoencoder.images import Pictures
from trous.apps.autoencoder.recipe import Recipe


class Batches(Dataset[tuple[Tensor, Tensor]]):
    """The batches of one epoch, as items: what the encoder sees and what shall come out.

    Both are `(batch, channels, height, width)`, values from 0 to 1; they differ by Gaussian noise, if there is some.

    Of each picture as many crops of `crop` by `crop` pixels as cover its area; a side that is shorter is taken whole.
    Without `crop` every picture once and whole. Pictures whose crops are of one size share batches.
    """

    def __init__(
        self, pictures: Pictures, batch: int, crop: int | None, noise: float = 0.0, seed: int = 0, epoch: int = 0
    ) -> None:
        self.pictures, self.noise, self.seed, self.epoch = pictures, noise, seed, epoch
        random = np.random.default_rng((seed, epoch))
        by_size: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)
        for index, (height, width) in enumerate(pictures.sizes):
            size = (height, width) if crop is None else (min(height, crop), min(width, crop))
            spare = height - size[0], width - size[1]
            for _ in range(-(-height * width // prod(size))):
                top, left = random.integers(0, spare, endpoint=True).tolist() if any(spare) else (0, 0)
                by_size[size].append((index, top, left))
        self.batches: list[tuple[tuple[int, int], list[tuple[int, int, int]]]] = []
        for size, crops_of in by_size.items():
            order = random.permutation(len(crops_of))
            for start in range(0, len(order), batch):
                self.batches.append((size, [crops_of[n] for n in order[start : start + batch]]))
        self.order = random.permutation(len(self.batches))

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        (height, width), crops = self.batches[self.order[place]]
        cut = [self.pictures[index][:, top : top + height, left : left + width] for index, top, left in crops]
        images = as_tensor(cut)
        if not self.noise:
            return images, images
        return noisy(images, self.noise, self.seed, self.epoch, place), images


def as_tensor(images: Sequence[np.ndarray]) -> Tensor:
    """Images of one size, `(channels, height, width)` of uint8, as a batch of float32 from 0 to 1."""
    return torch.from_numpy(np.stack(images)).float() / 255


def noisy(images: Tensor, noise: float, *seed: int) -> Tensor:
    """Images with Gaussian noise of this standard deviation, not clipped; the same for the same numbers."""
    random = np.random.default_rng(seed)
    return images + noise * torch.from_numpy(random.standard_normal(images.shape, np.float32))


class Data(lightning.LightningDataModule):
    """The batches as Lightning takes them: a loader for every epoch."""

    def __init__(self, pictures: Pictures, recipe: Recipe) -> None:
        super().__init__()
        self.pictures, self.recipe = pictures, recipe

    def train_dataloader(self) -> Any:
        recipe, epoch = self.recipe, self.trainer.current_epoch if self.trainer else 0
        crop = None if recipe.whole else recipe.crop
        batches = Batches(self.pictures, recipe.batch, crop, recipe.noise, recipe.seed, epoch)
        return DataLoader(batches, batch_size=None, shuffle=False)
