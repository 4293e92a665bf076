"""`trous autoencode score` and `measure`: the errors of pictures, and of models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from trous.cli.autoencoding.options import DEFAULT, Images, ModelName, bar, count, opened
from trous.errors import TrousError


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

    loaded, pictures = opened(model, images)
    with bar() as track:
        found = errors(loaded, pictures, track)
    order = np.argsort(-found, kind="stable")[:limit]
    listed = [{"image": pictures.names[n], "mse": float(found[n])} for n in order]
    if as_json:
        typer.echo(json.dumps({"model": loaded.name, "images": listed}, indent=2))
        return
    from trous.cli.show import rows

    shown = [{"image": each["image"], "MSE": f"{each['mse']:.6f}"} for each in listed]
    title = f"{count(len(found))} by {loaded.name}: median {np.median(found):.6f}, largest {found.max():.6f}"
    rows(title, shown)


def measure(
    models: Annotated[
        list[str] | None,
        typer.Argument(help="As for --model; all that are shipped without.", metavar="MODEL...", show_default=False),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="The folder of Fashion-MNIST's archives. [default: below TROUS_DATA]")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write a CSV file, too.", show_default=False)] = None,
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
    if out is not None:
        _write_csv(out, found)
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


def _cell(value: Any, form: str) -> str:
    return "" if value is None else format(value, form)


def _write_csv(path: Path, found: list[dict[str, Any]]) -> None:
    import csv
    import io

    from trous.files import replace_file

    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(key for each in found for key in each)), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.8g}" if isinstance(v, float) else v for k, v in each.items()} for each in found)
    try:
        replace_file(path, text.getvalue())
    except OSError as error:
        raise TrousError("out", f"must be where a file can be written ({error.strerror})", str(path)) from None
