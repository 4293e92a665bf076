"""Training a network that sounds like an amplifier: what Lightning asks for, and a run as a whole."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor

from trous.apps.audio import sound
from trous.apps.audio.amp.crops import Data
from trous.apps.audio.amp.loudness import levels
from trous.apps.audio.amp.measures import esr
from trous.apps.audio.amp.quick import quick
from trous.apps.audio.amp.recipe import FREE, Recipe
from trous.apps.audio.amp.recording import Recording
from trous.apps.audio.amp.report import curve, picture
from trous.apps.audio.nam import WaveNet, fresh, save, trained
from trous.apps.fitting import CHECKPOINTS, Machines, fit
from trous.apps.recipes import claim
from trous.files import replace_file

#: Of a run's folder, beside what all have: the network, the best of its checkpoints, and the clip that was held out
#: as the amplifier and as the network play it.
MODEL, BEST, TARGET, PLAYED, REPORT = "amp.nam", "best", "target.wav", "model.wav", "report.png"
#: Steps that the learning rate takes to rise.
_RISE = 100
#: Outputs at a time where there are no gradients.
_PIECE = 1 << 15
#: Seconds of the clip that loudness and gain are measured on.
_MEASURED = 5


class Training(lightning.LightningModule):
    """The mean squared error by Adam, relative to the power of the target; measured by the error-to-signal ratio."""

    def __init__(self, recipe: Recipe, network: WaveNet, recording: Recording) -> None:
        super().__init__()
        self.recipe, self.network = recipe, network
        assert network.reach is not None
        self.context = network.reach
        self.power = float(np.mean(recording.target[: recording.learned].astype(np.float64) ** 2))
        self.seconds = self._since = 0.0

    def forward(self, signal: Tensor) -> Tensor:
        """The outputs that have all of their field: `(samples,)` to `(samples - context,)`."""
        if signal.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            return quick(self.network, signal)
        outputs: Tensor = self.network(signal[None, None])[0, 0, self.context :]
        return outputs

    def training_step(self, batch: tuple[Tensor, Tensor], place: int) -> Tensor:
        seen, wanted = batch
        outputs = torch.stack([self(signal) for signal in seen])
        loss = ((outputs - wanted) ** 2).mean() / self.power
        self.log("loss", loss, on_step=False, on_epoch=True, batch_size=len(seen), sync_dist=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], place: int) -> None:
        seen, wanted = batch
        self.log("esr", esr(self.play(seen), wanted), batch_size=1, sync_dist=True)
        self.log("minutes", self.seconds / 60, batch_size=1)

    @torch.no_grad()
    def play(self, signal: Tensor) -> Tensor:
        """As `forward`, a piece at a time."""
        ends = range(self.context, len(signal), _PIECE)
        return torch.cat([self(signal[end - self.context : end + _PIECE]) for end in ends])

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), self.recipe.rate)

    def on_train_epoch_start(self) -> None:
        self._since = time.monotonic()

    def on_train_batch_start(self, batch: Any, place: int) -> None:
        rate = self.recipe.rate * min(1.0, (self.global_step + 1) / _RISE) * 0.5 * (1 + math.cos(math.pi * self.done))
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def on_train_batch_end(self, *_: Any) -> None:
        now = time.monotonic()
        self.seconds, self._since = self.seconds + now - self._since, now
        if self.trainer.world_size > 1:  # all have one learning rate, and stop together
            self.seconds = self.trainer.strategy.broadcast(self.seconds)
        if self.recipe.minutes and self.done >= 1:
            self.trainer.should_stop = True

    @property
    def done(self) -> float:
        """The share of the run that is done, by time or by steps."""
        if self.recipe.minutes:
            return min(1.0, self.seconds / (60 * self.recipe.minutes))
        return min(1.0, self.global_step / (self.trainer.num_training_batches * self.recipe.epochs))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["seconds"] = self.seconds

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.seconds = checkpoint["seconds"]


def train(
    recipe: Recipe,
    recording: Recording,
    folder: Path,
    machines: Machines | None = None,
    metadata: Mapping[str, Any] | None = None,
    *,
    quiet: bool = False,
) -> float:
    """Train as the recipe says, and leave in `folder` the network that did best on what is held out, and how it sounds.

    A folder that holds a run is gone on with; its epochs, minutes and precision may be others.

    Args:
        recipe: what decides the run.
        recording: what it learns from.
        folder: of the run; gets `amp.nam`, `target.wav`, `model.wav` and `report.png`.
        machines: where to train.
        metadata: what else the `.nam` file says: `name`, `modeled_by`, `gear_make`, ...
        quiet: tell nothing.

    Returns:
        The error-to-signal ratio of what is held out.

    Raises:
        TrousError: a folder of another run.
    """
    claim(folder, recipe, FREE)
    torch.manual_seed(recipe.seed)
    network = fresh(recipe.size)
    training = Training(recipe, network, recording)
    best = ModelCheckpoint(
        folder / CHECKPOINTS,
        BEST,
        monitor="esr",
        mode="min",
        enable_version_counter=False,
        save_on_train_epoch_end=False,
    )
    data = Data(recording, training.context, recipe)
    epochs = None if recipe.minutes else recipe.epochs
    fit(training, data, folder, epochs=epochs, machines=machines, seed=recipe.seed, quiet=quiet, callbacks=[best])
    return finish(training, recording, folder, metadata or {})


def finish(training: Training, recording: Recording, folder: Path, metadata: Mapping[str, Any]) -> float:
    """Write what a run ends with, from its best checkpoint; returns the error-to-signal ratio."""
    path = folder / CHECKPOINTS / f"{BEST}.ckpt"
    training.load_state_dict(torch.load(path, map_location="cpu", weights_only=False)["state_dict"])
    training = training.cpu().eval()
    clip = torch.from_numpy(recording.input[recording.held_out - training.context :])
    played, target = training.play(clip).numpy(), recording.target[recording.held_out :]
    ratio = float(esr(played.astype(np.float64), target))
    _write(training, recording, folder, metadata, played, ratio)
    return ratio


@rank_zero_only
def _write(
    training: Training,
    recording: Recording,
    folder: Path,
    metadata: Mapping[str, Any],
    played: np.ndarray,
    ratio: float,
) -> None:
    alignment, rate = recording.alignment, recording.rate
    calibration = {"delays": [alignment.delay], "recommended": alignment.shift}
    latency = {"manual": training.recipe.latency, "calibration": calibration}
    told = {"training": {"validation_esr": ratio, "data": {"latency": latency}}}
    clip = recording.input[recording.held_out - training.context :][: training.context + _MEASURED * rate]
    measured = levels(training.play, torch.from_numpy(clip))
    save(trained(training.network, rate, **measured, **told, **metadata), folder / MODEL)
    target = recording.target[recording.held_out :]
    sound.write(folder / TARGET, target, rate)
    sound.write(folder / PLAYED, played, rate)
    title = f"{metadata.get('name', folder.name)}: {training.recipe.size} network, ESR {ratio:.4f}"
    replace_file(folder / REPORT, picture(target, played, rate, curve(folder), title))
