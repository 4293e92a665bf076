"""`trous autoencode`: pictures to codes and back, side by side, and how strange they are."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trous.errors import TrousError

if TYPE_CHECKING:
    from trous.apps.autoencoder.files import Model
    from trous.apps.autoencoder.images import Pictures

DEFAULT = "fashion-32"

autoencode = typer.Typer(no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)

Images = Annotated[
    list[Path],
    typer.Argument(help="Pictures, folders of them, MNIST archives.", metavar="IMAGE...", show_default=False),
]
ModelName = Annotated[
    str, typer.Option("--model", "-m", help="A model that is shipped, weights, or the folder of a run.")
]


@autoencode.callback()
def _autoencode() -> None:
    """Encode pictures with a trained autoencoder, decode, compare, and find those that are strange.

    \b
    Models of your own come from trous train autoencoder; those without --whole take pictures of any
    size. Shipped, for 28 by 28 grey pixels as in Fashion-MNIST (docs/models/autoencoder.md):
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


@autoencode.command()
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

    loaded, pictures = _opened(model, images)
    with _bar() as track:
        codes = encoded(loaded, pictures, track)
    save_codes(out, codes)
    pixels = sum(loaded.network.architecture.channels * height * width for height, width in codes.sizes)
    values = sum(value.numel() for value in codes.values)
    typer.echo(
        f"wrote {out}: {len(pictures):,} pictures, {pixels:,} values as {values:,} (1 for {pixels / values:.1f})"
    )


@autoencode.command()
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
    typer.echo(f"wrote {len(read.names):,} pictures into {out}")


@autoencode.command()
def show(
    images: Images,
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture.")] = Path("reconstructions.png"),
    model: ModelName = DEFAULT,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, evenly chosen.")] = 40,
) -> None:
    """Write originals and reconstructions side by side.

    They come in one picture, with the mean squared error of each.

    \b
    Examples:
      trous autoencode show shirt.png shoe.png
      trous autoencode show photos --model runs/photos -o pairs.png --limit 12
    """
    from trous.apps.autoencoder.coding import side_by_side
    from trous.apps.autoencoder.images import save_image

    loaded, pictures = _opened(model, images, limit)
    with _bar() as track:
        page = side_by_side(loaded, pictures, track)
    save_image(out, page)
    typer.echo(f"wrote {out}: {len(pictures)} pictures")


@autoencode.command()
def score(
    images: Images,
    model: ModelName = DEFAULT,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Print only so many.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print reconstruction errors, the strangest first.

    The error is the mean squared one, pixels from 0 to 1. What a model was not trained on has a high
    one: compare with the errors of pictures that are known to be as they should.

    \b
    Examples:
      trous autoencode score parts --model runs/parts --limit 10
      trous autoencode score parts --model runs/parts --json
    """
    import numpy as np

    from trous.apps.autoencoder.coding import errors

    loaded, pictures = _opened(model, images)
    with _bar() as track:
        found = errors(loaded, pictures, track)
    order = np.argsort(-found, kind="stable")[:limit]
    listed = [{"image": pictures.names[n], "mse": float(found[n])} for n in order]
    if as_json:
        typer.echo(json.dumps({"model": loaded.name, "images": listed}, indent=2))
        return
    from trous.cli.show import rows

    shown = [{"image": each["image"], "MSE": f"{each['mse']:.6f}"} for each in listed]
    title = f"{len(found):,} pictures by {loaded.name}: median {np.median(found):.6f}, largest {found.max():.6f}"
    rows(title, shown)


@autoencode.command()
def measure(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="As for --model; all that are shipped without.", metavar="MODEL...", show_default=False),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="The folder of Fashion-MNIST's archives. [default: below TROUS_DATA]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure models against principal components.

    Both have as many values, and are measured on Fashion-MNIST's test set; so is what noise a model
    removes that learnt to, and how well its errors tell a class that it was trained without (AUROC).

    \b
    Examples:
      trous autoencode measure
      trous autoencode measure runs/fashion-32-without-8 --json
    """
    from trous.apps.autoencoder.files import load_model, shipped
    from trous.apps.autoencoder.measure import fashion_mnist
    from trous.apps.autoencoder.measure import measure as measured
    from trous.cli.show import rows

    archives = fashion_mnist(data)
    found = [measured(load_model(name), archives) for name in models or shipped()]
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    shown = {"mse": ".5f", "mse_pca": ".5f", "ratio": ".1%", "psnr_noisy": ".2f", "psnr_denoised": ".2f"}
    shown |= {"psnr_denoised_pca": ".2f", "without": "", "auroc": ".4f", "auroc_pca": ".4f"}
    keys = [key for key in ("model", "code", *shown) if any(key in each for each in found)]
    rows(
        "Fashion-MNIST's 10,000 test images, pixels from 0 to 1; ratio: mse over mse_pca; psnr: in dB",
        [{key.replace("_", " "): _cell(each.get(key), shown.get(key, "")) for key in keys} for each in found],
    )


def _opened(model: str, images: list[Path], limit: int | None = None) -> tuple[Model, Pictures]:
    """The model and the pictures as it takes them; of more than `limit` pictures evenly many."""
    from trous.apps.autoencoder.files import load_model
    from trous.apps.autoencoder.images import Pictures, find

    loaded = load_model(model)
    found = find(images)
    if limit is not None and len(found) > limit:
        found = [found[n * len(found) // limit] for n in range(limit)]
    return loaded, Pictures(found, loaded.network.architecture.channels)


def _bar() -> Any:
    """A bar on standard error, as `trous.apps.autoencoder.coding.Track` has it."""
    from contextlib import contextmanager

    from rich.console import Console
    from rich.progress import Progress

    @contextmanager
    def shown() -> Iterator[Callable[[Iterator[Any], int], Iterator[Any]]]:
        with Progress(console=Console(stderr=True), transient=True) as progress:

            def track(batches: Iterator[Any], count: int) -> Iterator[Any]:
                task = progress.add_task("Pictures", total=count)
                for batch in batches:
                    yield batch
                    progress.advance(task, len(batch[0]))

            yield track

    return shown()


def _cell(value: Any, form: str) -> str:
    return "" if value is None else format(value, form)
