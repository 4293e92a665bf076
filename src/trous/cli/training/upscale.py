"""`trous train upscale`: a network that enlarges, for folders of pictures, or by a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

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


def upscale(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="Folders of pictures, and what is in them.", show_default=False)
    ] = None,
    scale: Annotated[int | None, typer.Option("--scale", help="2, 3 or 4.", show_default=False)] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="One that is shipped, or a TOML file.", show_default=False)
    ] = None,
    channels: Annotated[
        int | None, typer.Option("--channels", help="Of every feature map. [16]", show_default=False)
    ] = None,
    layers: Annotated[int | None, typer.Option("--layers", help="Of 3x3. [4]", show_default=False)] = None,
    kernel: Annotated[
        int | None,
        typer.Option(
            "--kernel", help="Of the last layer; the scale and an even number more. [5 scales]", show_default=False
        ),
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Patches in a batch. [16]", show_default=False)] = None,
    patch: Annotated[
        int | None, typer.Option("--patch", help="Pixels to a side of them, made small. [32]", show_default=False)
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="Batches in an epoch. [1000]", show_default=False)
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", help="The largest learning rate. [0.001]", show_default=False)
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
    """Train a network that enlarges pictures.

    \b
    It learns from pictures and from the same made small by bicubic interpolation. Some, evenly spread, are held out
    and measured after every epoch. What is not given is as the recipe says, and else as in the brackets; an epoch is
    --steps batches, and --epochs is 60 without a recipe. The weights go to weights.safetensors in the run's folder;
    trous upscale --model takes them.

    \b
    Examples:
      trous train upscale photos --scale 2
      trous train upscale photos drawings --scale 4 --channels 32 --layers 8 --out runs/large
      trous train upscale --recipe small-x3
      trous train upscale photos --scale 2 --accelerator gpu --devices 4 --strategy ddp --precision bf16-mixed
    """
    from trous.apps.recipes import made, read_recipe, shipped
    from trous.apps.upscale.recipe import RECIPES, Recipe

    options: dict[str, Any] = {"channels": channels, "layers": layers, "kernel": kernel, "batch": batch}
    options |= {"patch": patch, "steps": steps, "rate": rate, "epochs": epochs, "seed": seed, "precision": precision}
    options |= {"scale": scale, "folders": tuple(map(str, folders or ())) or None}
    if recipe is not None:
        path = shipped(RECIPES, recipe)
        name, asked = path.stem, read_recipe(Recipe, path, **options)
    elif folders and scale:
        name = f"upscale-x{scale}"
        asked = made(Recipe, {key: value for key, value in options.items() if value is not None})
    else:
        raise TrousError("folders", "must be given, and a --scale, or a --recipe", None)
    into = out or Path("runs") / name

    from rich.console import Console
    from rich.progress import Progress

    from trous.apps.upscale.training import WEIGHTS, prepared, train

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Make pictures small", total=None)
        pictures = prepared(asked, lambda done, total: progress.update(task, completed=done, total=total))
    count = len(pictures.learnt)
    typer.echo(f"{name}: {count:,} pictures at one size or another, {asked.epochs} epochs", err=True)
    with run(into):
        train(asked, pictures, into, machines(accelerator, devices, nodes, strategy, asked.precision))
    typer.echo(f"wrote {into / WEIGHTS}")
