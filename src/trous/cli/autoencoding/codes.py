"""`trous autoencode encode` and `decode`: pictures to a file of codes, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trous.cli.autoencoding.options import DEFAULT, Images, ModelName, bar, count, opened
from trous.errors import TrousError


def encode(
    images: Images,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file of codes.")] = Path("codes.safetensors"),
    model: ModelName = DEFAULT,
) -> None:
    """Write the codes of pictures to a file.

    It is safetensors: for each size of pictures a float32 tensor (pictures, code, rows, columns), and
    the names, sizes and the model as JSON in the head.

    \b
    Examples:
      trous autoencode encode shirt.png -o shirt.codes
      trous autoencode encode photos --model runs/photos
    """
    from trous.apps.autoencoder.coding import encode as encoded
    from trous.apps.autoencoder.files import save_codes

    loaded, pictures = opened(model, images)
    with bar() as track:
        codes = encoded(loaded, pictures, track)
    save_codes(out, codes)
    pixels = sum(loaded.network.architecture.channels * height * width for height, width in codes.sizes)
    values = sum(value.numel() for value in codes.values)
    typer.echo(f"wrote {out}: {count(len(pictures))}, {pixels:,} values as {values:,} (1 for {pixels / values:.1f})")


def decode(
    codes: Annotated[Path, typer.Argument(help="A file that encode has written.", metavar="CODES", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="A folder, or for one picture a file.")] = Path("decoded"),
    model: ModelName = DEFAULT,
) -> None:
    """Write the pictures that codes stand for.

    Each comes back in the size that it had, as an image of 8 bits. A name that ends in .png, .jpg, ...
    is that of one picture; else it is a folder, and pictures are numbered and named like the ones that
    were encoded.

    \b
    Examples:
      trous autoencode decode shirt.codes -o shirt-again.png
      trous autoencode decode photos.codes --model runs/photos -o decoded
    """
    from trous.apps.autoencoder.coding import decode as decoded
    from trous.apps.autoencoder.files import load_codes, load_model
    from trous.apps.autoencoder.images import save_image

    read = load_codes(codes)
    images = decoded(load_model(model), read)
    if out.suffix:
        if len(read.names) != 1:
            raise TrousError("out", f"must be a folder for {len(read.names)} pictures", str(out))
        save_image(out, next(images))
        typer.echo(f"wrote {out}")
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrousError("out", f"must be where a folder can be made ({error.strerror})", str(out)) from None
    digits = len(str(len(read.names) - 1))
    for number, (name, image) in enumerate(zip(read.names, images, strict=True)):
        stem = "" if ":" in name else f"-{Path(name).stem}"  # pictures of an archive have numbers only
        save_image(out / f"{number:0{digits}}{stem}.png", image)
    typer.echo(f"wrote {count(len(read.names))} into {out}")
