"""`trous train autoencoder`: an autoencoder for a folder of pictures, or by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trous.cli.models import numbers
from trous.cli.training.options import (
    Accelerator,
    Devices,
    Epochs,
    Nodes,
    Out,
    Precision,
    Seed,
    Strategy,
    machines,
    run,
)
from trous.errors import TrousError


def autoencoder(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Pictures of any size, or MNIST's archives.", metavar="FOLDER", show_default=False),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="One that is shipped, or a TOML file.", show_default=False)
    ] = None,
    code: Annotated[
        int | None, typer.Option("--code", help="Values of a code, at each place of it. [32]", show_default=False)
    ] = None,
    whole: Annotated[
        bool | None,
        typer.Option("--whole", help="One code for the whole image; all have one size.", show_default=False),
    ] = None,
    noise: Annotated[
        float | None,
        typer.Option(
            "--noise", help="Learn to remove Gaussian noise of this deviation, 0 to 1. [0]", show_default=False
        ),
    ] = None,
    without: Annotated[
        list[int] | None, typer.Option("--without", help="Leave out a class (archives).", show_default=False)
    ] = None,
    crop: Annotated[
        int | None, typer.Option("--crop", help="Side of the squares to train on. [64]", show_default=False)
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Crops in a batch. [32]", show_default=False)] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", help="The largest learning rate. [0.002]", show_default=False)
    ] = None,
    widths: Annotated[
        str | None,
        typer.Option("--widths", help="Channels of the layers before the code. [32,64,64]", show_default=False),
    ] = None,
    epochs: Epochs = None,
    seed: Seed = None,
    out: Out = None,
    accelerator: Accelerator = "auto",
    devices: Devices = "auto",
    nodes: Nodes = 1,
    strategy: Strategy = "auto",
    precision: Precision = None,
) -> None:
    """Train an autoencoder for pictures.

    \b
    It brings pictures to a code of a few values, and back to exactly their size.
    Without --whole the code is a map, with --code values for each 8 by 8 pixels, and pictures may
    have any size, in training and later. With --whole the code is --code values for all of a picture.
    What is not given is as the recipe says, and else as in the brackets. --epochs is 50 without one.
    The weights go to weights.safetensors in the run's folder; trous autoencode takes them.

    \b
    Examples:
      trous train autoencoder photos --code 16 --out runs/photos
      trous train autoencoder faces --whole --code 64 --noise 0.1
      trous train autoencoder --recipe fashion-32
      trous train autoencoder photos --accelerator gpu --devices 2 --precision bf16-mixed
    """
    from trous.apps.autoencoder.recipe import RECIPES, Recipe
    from trous.apps.recipes import made, read_recipe, shipped

    options: dict[str, Any] = {"code": code, "whole": whole, "noise": noise, "crop": crop, "batch": batch, "rate": rate}
    options |= {"data": None if folder is None else str(folder), "without": tuple(without or ()) or None}
    options |= {"widths": None if widths is None else numbers("widths", widths)}
    options |= {"epochs": epochs, "seed": seed, "precision": precision}
    if recipe is not None:
        path = shipped(RECIPES, recipe)
        name, asked = path.stem, read_recipe(Recipe, path, **options)
    elif folder is not None:
        name, asked = folder.resolve().name, made(Recipe, {k: v for k, v in options.items() if v is not None})
    else:
        raise TrousError("folder", "must be given, or a --recipe", None)
    into = out or Path("runs") / name

    from trous.apps.autoencoder.files import WEIGHTS
    from trous.apps.autoencoder.training import train, training_pictures

    pictures = training_pictures(asked)
    typer.echo(f"{name}: {len(pictures):,} pictures, {asked.epochs} epochs", err=True)
    with run(into):
        model = train(name, asked, pictures, into, machines(accelerator, devices, nodes, strategy, asked.precision))
    count = sum(parameter.numel() for parameter in model.network.parameters())
    typer.echo(f"wrote {into / WEIGHTS}: {count:,} parameters")
