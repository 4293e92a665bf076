"""`trous train`: networks of the applications, trained."""

from __future__ import annotations

import typer

from trous.cli.training.amp import amp
from trous.cli.training.autoencoder import autoencoder
from trous.cli.training.upscale import upscale
from trous.cli.training.wavenet import wavenet

train = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
train.command()(amp)
train.command()(autoencoder)
train.command()(upscale)
train.command()(wavenet)


@train.callback()
def _train() -> None:
    """Train a network; a run that was stopped goes on when it is asked for again.

    \b
    A run has a folder, --out: checkpoints, logs as CSV and for TensorBoard, what was asked for, and
    the weights once it has ended. A folder that holds a checkpoint is gone on with.

    \b
    Examples:
      trous train amp -i di.wav -t amp.wav             a network that sounds like an amplifier
      trous train autoencoder photos                   a folder of pictures of any size
      trous train autoencoder --recipe fashion-32      what the weights of that name were trained by
      trous train upscale photos --scale 2             a network that enlarges pictures
      trous train wavenet speech                       a network that makes sound, sample by sample
      tensorboard --logdir runs                        watch it
    """
