"""`trous autoencode`: pictures to codes and back, side by side, and how strange they are."""

from __future__ import annotations

import typer

from trous.cli.autoencoding.codes import decode, encode
from trous.cli.autoencoding.errors import measure, score
from trous.cli.autoencoding.show import show

autoencode = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
for command in (encode, decode, show, score, measure):
    autoencode.command()(command)


@autoencode.callback()
def _autoencode() -> None:
    """Encode pictures with a trained autoencoder, decode, compare, and find those that are strange.

    \b
    Models of your own come from trous train autoencoder; those without --whole take pictures of any
    size. Pictures are read as grey or as RGB, whichever a model is for. Shipped, for 28 by 28 grey
    pixels as in Fashion-MNIST (docs/models/autoencoder.md):
      fashion-16, fashion-32, fashion-64   codes of so many values
      fashion-32-denoise                   removes noise

    \b
    Examples:
      trous autoencode encode photos --model runs/photos -o photos.codes
      trous autoencode decode photos.codes --model runs/photos -o decoded
      trous autoencode show photos/a.png photos/b.png --model runs/photos -o pairs.png
      trous autoencode score photos --model runs/photos --json
      trous autoencode measure fashion-16 fashion-32 fashion-64
    """
