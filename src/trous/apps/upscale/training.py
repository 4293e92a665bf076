"""Training the network that enlarges."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from trous.apps.fitting import Machines, fit
from trous.apps.quality import psnr
from trous.apps.upscale.model import Upscaler, tensors, widen
from trous.apps.upscale.network import Network, read
from trous.apps.upscale.patches import Pair, Patches, batch, find, pairs
from trous.errors import TrousError
from trous.files import replace_file

RECIPES = Path(__file__).with_name("recipes")
#: Told how many of how many pictures have been prepared.
Done = Callable[[int, int], None]
#: Steps that the rate takes to rise.
_RISE = 500


@dataclass(frozen=True)
class Recipe:
    """All that decides the weights.

    Args:
        scale: 2, 3 or 4.
        folders: of pictures to learn from; those that are not absolute lie in `TROUS_DATA`.
        channels, layers, kernel: as in `Upscaler`.
        width: channels between the two halves of every weight while training (`trous.apps.upscale.model.Wide`).
        sizes: at which every picture is used; 1 is as it is.
        held_out: pictures, evenly spread, that are not learnt from, and measured after every epoch.
        epochs, steps: of an epoch, `steps` batches.
        batch, patch: patches in a batch, and pixels to a side at the reduced size.
        margin: pixels to every side of a patch, at the reduced size, that are not compared: zeros lie beyond.
        rate: the largest, which a cosine brings to 1/200 in the end (Adam).
        seed: of everything that is random.
    """

    scale: int
    folders: tuple[str, ...]
    epochs: int
    channels: int = 16
    layers: int = 4
    kernel: int = 10
    width: int = 128
    sizes: tuple[float, ...] = (1.0, 0.8, 0.6)
    held_out: int = 10
    steps: int = 1000
    batch: int = 16
    patch: int = 32
    margin: int = 4
    rate: float = 1e-3
    seed: int = 0


class Training(lightning.LightningModule):
    """The mean absolute difference, by Adam."""

    def __init__(self, recipe: Recipe):
        super().__init__()
        self.recipe = recipe
        network = Upscaler(recipe.scale, recipe.channels, recipe.layers, recipe.kernel)
        self.network = widen(network, recipe.width)

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
        """By the network that will run."""
        return Network(self.recipe.scale, tensors(self.network))(small)

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
        return DataLoader(self.held_out, batch_size=None)  # type: ignore[arg-type]  # a list is a dataset


def train(recipe: Recipe, root: Path, folder: Path, machines: Machines, done: Done | None = None) -> Network:
    """Train as the recipe says, on pictures from `root`, leave `weights.safetensors` in `folder`, and return it.

    `done(n, total)` is called for each picture that has been prepared. A folder that holds a run is gone on with.
    """
    paths = find(root / name for name in recipe.folders)
    if not 0 < recipe.held_out < len(paths):
        raise TrousError("held_out", f"must be 1 to {len(paths) - 1} of {len(paths)} pictures", recipe.held_out)
    apart = {paths[round((n + 0.5) * len(paths) / recipe.held_out - 0.5)] for n in range(recipe.held_out)}
    ready = count(1)
    prepare = partial(pairs, scale=recipe.scale, done=lambda: done and done(next(ready), len(paths)))
    learnt = prepare([path for path in paths if path not in apart], sizes=recipe.sizes)
    pictures = Pictures(recipe, learnt, prepare(sorted(apart), sizes=(1.0,)))
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    module = fit(Training(recipe), pictures, folder, epochs=recipe.epochs, machines=machines, seed=recipe.seed)
    path = folder / "weights.safetensors"
    save(module.network, recipe, path)
    return read(path)


def save(network: Upscaler, recipe: Recipe, path: Path) -> None:
    """Write what runs, and the recipe with it."""
    import safetensors.numpy

    said = {"trous.upscale": json.dumps(asdict(recipe))}
    replace_file(path, safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in tensors(network).items()}, said))
