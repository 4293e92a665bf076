"""Training by Lightning: what is the same whatever the network.

Checkpoints, logs and a copy of what was asked for lie in one folder, from which a run goes on where it was stopped.
The weights that count are the running average of those at the last steps, which a fluctuating last one does not move.
"""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trous.errors import TrousError

#: How much of the average every step keeps.
AVERAGE = 0.999
#: Of a run's folder.
CHECKPOINTS, LAST, LOGS = "checkpoints", "last", "logs"


@dataclass(frozen=True)
class Machines:
    """Where a network is trained, in Lightning's own words (`lightning.Trainer`)."""

    accelerator: str = "auto"
    devices: str | int = "auto"
    nodes: int = 1
    strategy: str = "auto"
    precision: str = "32-true"


def fit(
    module: Any,
    data: Any,
    folder: Path,
    *,
    epochs: int | None,
    machines: Machines | None = None,
    seed: int = 0,
    quiet: bool = False,
    callbacks: Sequence[Any] = (),
) -> Any:
    """Train `module` (a LightningModule) on `data` (a LightningDataModule) until `epochs` have been (if None, until the
    module says stop), and return it with the averaged weights.

    A folder that holds a checkpoint is gone on with. Checkpoints are written at the end of every epoch, logs as CSV and
    for TensorBoard. `quiet` runs tell nothing of how they go; `callbacks` are further ones of Lightning. Raises
    TrousError where Lightning refuses what `machines` says.
    """
    import lightning
    from lightning.pytorch.callbacks import ModelCheckpoint, WeightAveraging
    from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

    machines = machines or Machines()
    folder.mkdir(parents=True, exist_ok=True)
    lightning.seed_everything(seed, verbose=False)
    checkpoint = folder / CHECKPOINTS / f"{LAST}.ckpt"
    averaging = WeightAveraging(avg_fn=averaged)
    table = CSVLogger(folder, LOGS)
    curves = TensorBoardLogger(folder, LOGS, table.version)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)  # no advice, no list of devices that are absent
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning|torch")  # advice on workers and logging
        try:
            trainer = lightning.Trainer(
                accelerator=machines.accelerator,
                devices=machines.devices,
                num_nodes=machines.nodes,
                strategy=machines.strategy,
                precision=machines.precision,  # type: ignore[arg-type]  # a word that Lightning checks
                max_epochs=-1 if epochs is None else epochs,
                callbacks=[
                    ModelCheckpoint(folder / CHECKPOINTS, LAST, enable_version_counter=False),
                    averaging,
                    *callbacks,
                    *([] if quiet else [_progress(epochs)]),
                ],
                logger=[table, curves],
                enable_model_summary=False,
                enable_progress_bar=sys.stdout.isatty() and not quiet,
                reload_dataloaders_every_n_epochs=1,
            )
        except (ValueError, RuntimeError, ImportError) as error:
            raise TrousError("machines", f"must be what Lightning can use ({error})", machines) from None
        before = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(module, data, ckpt_path=str(checkpoint) if checkpoint.exists() else None)
        except SystemExit:  # Lightning's answer to Ctrl-C, after which it heeds no more of them
            if trainer.interrupted:
                raise KeyboardInterrupt from None
            raise
        finally:
            signal.signal(signal.SIGINT, before)
    averaging.on_train_end(trainer, module)  # which Lightning leaves out where no epoch is left
    return module


def averaged(average: Any, weights: Any, count: Any) -> Any:
    """The running average with the weights of one more step, when `count` have been averaged.

    It goes over a ninth of the steps so far, until that is more than `1 / (1 - AVERAGE)`: the first weights are
    random, and a tenth of them would be left after 2,300 steps.
    """
    return average + (weights - average) * (9 / (count + 10)).clamp(min=1 - AVERAGE)


def _progress(epochs: int | None) -> Any:
    """A bar on a terminal; elsewhere a line at the end of every epoch."""
    from lightning.pytorch.callbacks import Callback, RichProgressBar

    if sys.stdout.isatty():
        return RichProgressBar()

    class Lines(Callback):
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            if trainer.is_global_zero:
                measured = ", ".join(f"{name} {float(value):.5g}" for name, value in trainer.callback_metrics.items())
                whole = "" if epochs is None else f" of {epochs}"
                print(f"epoch {trainer.current_epoch + 1}{whole}: {measured}", flush=True)

    return Lines()
