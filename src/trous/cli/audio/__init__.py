"""`trous audio`: sound through networks."""

from __future__ import annotations

import typer

from trous.cli.audio.info import info
from trous.cli.audio.render import render

audio = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
audio.command()(info)
audio.command()(render)


@audio.callback()
def _audio() -> None:
    """Play sound through trained networks, and see what they are.

    \b
    Examples:
      trous audio info amp.nam                   a model of an amplifier: network, rate, maker
      trous audio render amp.nam di.wav out.wav  a dry guitar through it
    """
