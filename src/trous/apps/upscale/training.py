"""Training the network that enlarges."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader

from trous.apps.data import located, pictures_in
from trous.apps.fitting import Machines, fit
from trous.apps.quality import psnr
from trous.apps.recipes import claim
from trous.apps.upscale.model import Upscaler, enlarge_by, tensors, widen
from trous.apps.upscale.network import Network
from trous.apps.upscale.patches import Pair, Patches, batch, pairs
from trous.apps.upscale.recipe import Recipe
from trous.errors import TrousError
from trous.files import replace_file

#: Of a run's folder: what it ends with.
WEIGHTS = "weights.safetensors"
#: Told how many of how many pictures have been prepared.
Done = Callable[[int, int], None]
#: Steps that the rate takes to rise.
_RISE = 500


class Training(lightning.LightningModule):
    """A network that learns to enlarge: the mean absolute difference, by Adam."""

    def __init__(self, recipe: Recipe, network: torch.nn.Module):
        super().__init__()
        self.recipe, self.network = recipe, network

    def training_step(self, pair: tuple[Tensor, Tensor], _: int) -> Tensor:
        small, large = pair
        cut = slice(self.recipe.margin * self.recipe.scale, -self.recipe.margin * self.recipe.scale or None)
        loss = (self.network(small) - large)[..., cut, cut].abs().mean()
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(small), sync_dist=True)
        return loss

    def validation_step(self, pair: Pair, _: int) -> None:
        enlarged = self.enlarge(pair.small / np.float32(255 * 256)) * 255
        found = psnr(enlarged, pair.large / 256, border=self.recipe.scale)
        self.log("psnr", found, on_step=False, on_epoch=True, batch_size=1, sync_dist=True)

    def enlarge(self, small: np.ndarray) -> np.ndarray:
        return enlarge_by(self.network, small)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), self.recipe.rate)
        last = self.recipe.epochs * self.recipe.steps

        def factor(step: int) -> float:
            return min(1.0, (step + 1) / _RISE) * (0.5 * (1 + math.cos(math.pi * min(step / last, 1))) + 0.005)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Pictures(lightning.LightningDataModule):
    """Other patches in every epoch, the same whenever the run is made again."""

    def __init__(self, recipe: Recipe, learnt: list[Pair], held_out: list[Pair]):
        super().__init__()
        self.recipe, self.learnt, self.held_out = recipe, learnt, held_out

    def train_dataloader(self) -> Any:
        epoch = self.trainer.current_epoch if self.trainer else 0
        count = self.recipe.steps * self.recipe.batch * (self.trainer.world_size if self.trainer else 1)
        patches = Patches(self.learnt, self.recipe.patch, count, (self.recipe.seed, epoch))
        return DataLoader(patches, self.recipe.batch, collate_fn=batch)

    def val_dataloader(self) -> Any:
        return DataLoader(self.held_out, batch_size=None, collate_fn=Pair._make)  # type: ignore[arg-type]


def prepared(recipe: Recipe, done: Done | None = None) -> Pictures:
    """What the recipe learns from; `done(n, total)` is called after each picture."""
    paths = [path for name in recipe.folders for path in pictures_in(located(name))]
    if len(paths) < 2:
        raise TrousError("folders", "must hold two pictures at least, one to learn from and one to measure", len(paths))
    held_out = min(recipe.held_out, max(1, len(paths) // 10))
    apart = {paths[round((n + 0.5) * len(paths) / held_out - 0.5)] for n in range(held_out)}
    ready = count(1)
    made = partial(pairs, scale=recipe.scale, done=lambda: done and done(next(ready), len(paths)))
    learnt = made([path for path in paths if path not in apart], sizes=recipe.sizes)
    return Pictures(recipe, learnt, made(sorted(apart), sizes=(1.0,)))


def train(recipe: Recipe, pictures: Pictures, folder: Path, machines: Machines | None = None) -> Network:
    """Train as the recipe says, leave `weights.safetensors` in `folder`, and return the network.

    A folder that holds a run is gone on with.
    """
    claim(folder, recipe, free=("folders",))
    torch.manual_seed(recipe.seed)
    network = widen(Upscaler(recipe.scale, recipe.channels, recipe.layers, recipe.kernel_size), recipe.width)
    fit(Training(recipe, network), pictures, folder, epochs=recipe.epochs, machines=machines, seed=recipe.seed)
    save(network, recipe, folder / WEIGHTS)
    return Network(recipe.scale, tensors(network))


@rank_zero_only
def save(network: Upscaler, recipe: Recipe, path: Path) -> None:
    """Write what runs, and the recipe with it."""
    import safetensors.numpy

    said = {"trous.upscale": json.dumps(asdict(recipe))}
    replace_file(path, safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in tensors(network).items()}, said))
