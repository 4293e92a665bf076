"""`trous audio`: sound through networks of dilated convolutions, and out of them."""

from __future__ import annotations

import typer

from trous.cli.audio.generate import generate

audio = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
audio.command()(generate)


@audio.callback()
def _audio() -> None:
    """Sound through networks of dilated convolutions, and out of them.

    \b
    Examples:
      trous audio generate runs/speech out.wav --mel-from voice.wav
    """
