"""`trous audio`: sound through networks of dilated convolutions, and out of them."""

from __future__ import annotations

import typer

from trous.cli.audio.generate import generate
from trous.cli.audio.info import info
from trous.cli.audio.latency import latency
from trous.cli.audio.render import render

audio = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
audio.command()(info)
audio.command()(latency)
audio.command()(render)
audio.command()(generate)


@audio.callback()
def _audio() -> None:
    """Sound through networks of dilated convolutions, and out of them.

    \b
    Examples:
      trous audio info amp.nam                   a model of an amplifier: network, rate, maker
      trous audio render amp.nam di.wav out.wav  a dry guitar through it
      trous audio generate runs/speech out.wav --mel-from voice.wav
      trous audio latency amp.nam                whether it keeps up, in blocks of 1 to 1024
    """
