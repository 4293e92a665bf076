"""Pieces of a recording to learn from.

Which pieces are in a batch follows from the seed, the epoch and the place of the batch alone, so that a run that was
stopped goes on with what it would have seen.
"""

from __future__ import annotations

from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from trous.apps.audio.amp.recipe import Recipe
from trous.apps.audio.amp.recording import Recording


class Crops(Dataset[tuple[Tensor, Tensor]]):
    """The batches of one epoch: input `(batch, context + crop)`, and the target of its last `crop` samples.

    Together they have every sample of what is learned about once; where they begin is another place in every epoch.
    """

    def __init__(self, recording: Recording, context: int, recipe: Recipe, epoch: int) -> None:
        self.recording, self.context, self.crop, self.batch = recording, context, recipe.crop, recipe.batch
        random = np.random.default_rng((recipe.seed, epoch))
        spare = recording.learned - context - recipe.crop
        starts = np.arange(-int(random.integers(recipe.crop)), spare + recipe.crop, recipe.crop).clip(0, spare)
        whole = -(-len(starts) // recipe.batch) * recipe.batch
        self.starts = random.permutation(np.resize(starts, whole))

    def __len__(self) -> int:
        return len(self.starts) // self.batch

    def __getitem__(self, place: int) -> tuple[Tensor, Tensor]:
        starts = self.starts[place * self.batch : (place + 1) * self.batch]
        seen = [self.recording.input[n : n + self.context + self.crop] for n in starts]
        wanted = [self.recording.target[n + self.context : n + self.context + self.crop] for n in starts]
        return torch.from_numpy(np.stack(seen)), torch.from_numpy(np.stack(wanted))


class Data(lightning.LightningDataModule):
    """The batches as Lightning takes them: other crops in every epoch, and the clip that is held out, whole."""

    def __init__(self, recording: Recording, context: int, recipe: Recipe) -> None:
        super().__init__()
        self.recording, self.context, self.recipe = recording, context, recipe

    def train_dataloader(self) -> Any:
        epoch = self.trainer.current_epoch if self.trainer else 0
        return DataLoader(Crops(self.recording, self.context, self.recipe, epoch), batch_size=None, shuffle=False)

    def val_dataloader(self) -> Any:
        clip = self.recording.input[self.recording.held_out - self.context :]
        wanted = self.recording.target[self.recording.held_out :]
        return DataLoader([(torch.from_numpy(clip), torch.from_numpy(wanted))], batch_size=None)  # type: ignore[arg-type]
