"""Training a WaveNet: what Lightning asks for, and a run as a whole."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import DataLoader

from trous.apps.audio.sound import writing
from trous.apps.audio.wavenet.clips import Clips, Pieces, read_clips
from trous.apps.audio.wavenet.files import WEIGHTS, save
from trous.apps.audio.wavenet.network import WaveNet
from trous.apps.audio.wavenet.recipe import Recipe
from trous.apps.audio.wavenet.synthesis import sounds
from trous.apps.data import located
from trous.apps.fitting import Machines, fit
from trous.apps.recipes import claim

#: Of a run's folder: sound that was generated in the end.
EXAMPLE = "example.wav"
#: Steps in which the learning rate rises to its largest.
_RISE = 200
#: What it falls to, as a share of that.
_LEAST = 0.01


class Training(lightning.LightningModule):
    """Bits for a sample, by Adam; those of files that are held out are measured with the averaged weights."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe, self.network = recipe, WaveNet(recipe.architecture)

    def bits(self, sound: Tensor) -> Tensor:
        """What the samples of pieces cost, `(batch, n)`; each is told those before it."""
        network, field = self.network, self.recipe.field
        first = self.recipe.silence
        last = first + self.recipe.columns * self.recipe.hop
        levels = network.output.encode(sound)
        conditions = None
        if network.conditions is not None:
            spectrogram, layers = network.conditions
            with torch.autocast(sound.device.type, enabled=False):  # quiet beside loud needs all digits
                columns = spectrogram(sound[:, None])
            conditions = layers(columns)[..., first - field + 1 : last]
        outputs = network(levels[:, first - field : last - 1], conditions)[..., field - 1 :]
        return network.output.bits(outputs.float(), levels[:, first:last])

    def training_step(self, sound: Tensor, _: int) -> Tensor:
        loss = self.bits(sound).mean()
        self.log("bits", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(sound))
        return loss

    def validation_step(self, sound: Tensor, _: int) -> None:
        bits = self.bits(sound).mean()
        self.log("held_out_bits", bits, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(sound))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), self.recipe.rate)
        last = self.recipe.epochs * self.recipe.steps

        def factor(step: int) -> float:
            falling = 0.5 * (1 + math.cos(math.pi * min(step / last, 1)))
            return min(1.0, (step + 1) / _RISE) * (_LEAST + (1 - _LEAST) * falling)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Data(lightning.LightningDataModule):
    """Other pieces in every epoch, the same whenever the run is made again; always the same held out."""

    def __init__(self, recipe: Recipe, clips: Clips):
        super().__init__()
        self.recipe, self.clips = recipe, clips

    def train_dataloader(self) -> Any:
        epoch = self.trainer.current_epoch if self.trainer else 0
        count = self.recipe.steps * self.recipe.batch * (self.trainer.world_size if self.trainer else 1)
        seed = (self.recipe.seed, epoch)
        return DataLoader(Pieces(self.clips.learnt, self.recipe, self.recipe.columns, count, seed), self.recipe.batch)

    def val_dataloader(self) -> Any:
        return DataLoader(Pieces(self.clips.held_out, self.recipe, self.recipe.columns), self.recipe.batch)


def prepared(recipe: Recipe, done: Callable[[int, int], None] = lambda n, total: None) -> Clips:
    """What the recipe learns from; `done(n, total)` is called after each file."""
    return read_clips(located(recipe.folder), recipe.architecture, recipe.columns, recipe.held_out, done)


def train(recipe: Recipe, clips: Clips, folder: Path, machines: Machines | None = None) -> WaveNet:
    """Train as the recipe says, leave `weights.safetensors` in `folder`, and return the network.

    A folder that holds a run is gone on with.
    """
    claim(folder, recipe, free=("folder",))
    torch.manual_seed(recipe.seed)
    module = Training(recipe)
    fit(module, Data(recipe, clips), folder, epochs=recipe.epochs, machines=machines, seed=recipe.seed)
    rank_zero_only(save)(module.network, recipe, folder / WEIGHTS)
    return module.network.cpu().eval()


@rank_zero_only
def write_example(
    network: WaveNet, clips: Clips, folder: Path, seconds: float, done: Callable[[int, int], None]
) -> None:
    """Generate the beginning of the first file that is held out, or something, and write it into the folder.

    `done(n, total)` is called with the samples that there are.
    """
    clip, rate = clips.held_out[0], network.architecture.sample_rate
    frames = max(1, round(seconds * rate))
    speech = None
    if network.conditions is not None:
        frames = min(frames, clip.frames)
        speech = [clip.sound[None]]
    with writing(folder / EXAMPLE, rate, 1, subtype="PCM_16", frames=frames) as file:
        for block in sounds(network, frames, speech=speech):
            file.write(block)
            done(file.frames, frames)
