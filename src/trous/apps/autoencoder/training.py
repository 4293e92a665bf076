"""Training an autoencoder: what Lightning asks for, and a run as a whole."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from trous.apps.autoencoder.batches import Data
from trous.apps.autoencoder.files import WEIGHTS, Model, save_model
from trous.apps.autoencoder.images import Pictures, find, read_idx
from trous.apps.autoencoder.model import Architecture, Autoencoder
from trous.apps.autoencoder.recipe import Recipe
from trous.apps.data import located
from trous.apps.fitting import Machines, fit
from trous.apps.recipes import claim
from trous.errors import TrousError

#: The archives of MNIST and of Fashion-MNIST, in a folder that is theirs.
IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"
#: Share of the steps in which the learning rate rises to its largest, before it falls as a cosine to 0.
WARM_UP = 0.05


class Training(lightning.LightningModule):
    """Mean squared error of the reconstruction by AdamW; what is logged is the mean over an epoch."""

    def __init__(self, architecture: Architecture, recipe: Recipe) -> None:
        super().__init__()
        self.model = Autoencoder(architecture)
        self.recipe = recipe

    def training_step(self, batch: tuple[Tensor, Tensor], place: int) -> Tensor:
        seen, images = batch
        loss = torch.nn.functional.mse_loss(self.model(seen).float(), images.float())
        self.log("mse", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(images))
        return loss

    def configure_optimizers(self) -> Any:
        total = max(1, int(self.trainer.estimated_stepping_batches))
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.recipe.rate, weight_decay=self.recipe.decay)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: share(step / total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def share(progress: float) -> float:
    """The learning rate as a share of its largest: up in a straight line, then down as a cosine."""
    if progress < WARM_UP:
        return (progress + 1e-3) / (WARM_UP + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP))))


def training_pictures(recipe: Recipe) -> Pictures:
    """The pictures of a recipe's folder; of the archives of MNIST or Fashion-MNIST those for training.

    Raises TrousError where there are none, or not of one size where the code is for whole images.
    """
    folder = located(recipe.data)
    archive = folder / IMAGES
    found = find([archive if archive.is_file() else folder])
    if recipe.without:
        if not archive.is_file():
            raise TrousError(
                "without", "must be left out for pictures without labels, as MNIST's archives have", recipe.without
            )
        labels = read_idx(folder / LABELS)
        found = [picture for picture, label in zip(found, labels, strict=True) if label not in recipe.without]
    pictures = Pictures(found)
    if recipe.whole and len(set(pictures.sizes)) > 1:
        odd = next(n for n, size in enumerate(pictures.sizes) if size != pictures.sizes[0])
        rule = (
            f"must hold images of one size for a code of the whole image; {pictures.names[0]} has {pictures.sizes[0]}"
        )
        raise TrousError("data", rule, f"{pictures.names[odd]} with {pictures.sizes[odd]}")
    return pictures


def train(name: str, recipe: Recipe, pictures: Pictures, folder: Path, machines: Machines | None = None) -> Model:
    """Train by a recipe, from the last checkpoint in `folder` if it has one, and write the weights there.

    Raises TrousError where the folder is that of a run with another recipe; epochs may be added.
    """
    architecture = Architecture(
        pictures.channels, recipe.code, pictures.sizes[0] if recipe.whole else None, recipe.widths
    )
    claim(folder, recipe, free=("epochs", "precision", "data"))
    lightning.seed_everything(recipe.seed, verbose=False)  # the first weights
    module = Training(architecture, recipe)
    machines = machines or Machines(precision=recipe.precision)
    fit(module, Data(pictures, recipe), folder, epochs=recipe.epochs, machines=machines, seed=recipe.seed)
    told = {key: value for key, value in recipe.to_dict().items() if key != "data"}  # a folder of this machine
    model = Model(name, module.model.eval(), told)
    rank_zero_only(save_model)(folder / WEIGHTS, model)
    return model
