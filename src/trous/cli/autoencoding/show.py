"""`trous autoencode show`: originals and reconstructions side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trous.cli.autoencoding.options import DEFAULT, Images, bar, count
from trous.errors import TrousError


def show(
    images: Images,
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture.")] = Path("reconstructions.png"),
    models: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help=f"As elsewhere; once for each. [default: {DEFAULT}]", show_default=False),
    ] = None,
    noise: Annotated[float, typer.Option("--noise", min=0, help="Gaussian noise to remove, of this deviation.")] = 0.0,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many pictures, evenly chosen.")] = 40,
) -> None:
    """Write originals and reconstructions side by side.

    They come in one picture, with the mean squared error of each reconstruction, pixels from 0 to 1.

    \b
    Examples:
      trous autoencode show shirt.png shoe.png
      trous autoencode show shirt.png -m fashion-16 -m fashion-64
      trous autoencode show shirt.png -m fashion-32-denoise --noise 0.25
      trous autoencode show photos -m runs/photos -o pairs.png --limit 12
    """
    from trous.apps.autoencoder.coding import side_by_side
    from trous.apps.autoencoder.files import load_model
    from trous.apps.autoencoder.images import Pictures, find, save_image

    loaded = [load_model(name) for name in models or [DEFAULT]]
    channels = {model.network.architecture.channels for model in loaded}
    if len(channels) > 1:
        raise TrousError("model", "must be all for grey or all for RGB pictures", ", ".join(models or []))
    found = find(images)
    if len(found) > limit:
        found = [found[n * len(found) // limit] for n in range(limit)]
    with bar() as track:
        page = side_by_side(loaded, Pictures(found, channels.pop()), noise, track)
    save_image(out, page)
    typer.echo(f"wrote {out}: {count(len(found))}")
