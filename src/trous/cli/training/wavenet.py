"""`trous train wavenet`: a network that makes sound, for a folder of sound files, or by a recipe."""

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


def wavenet(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="FOLDER", help="Sound files, .wav, at any rate.", show_default=False),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="One that is shipped, or a TOML file.", show_default=False)
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", help="mulaw: 256 levels; mixture: of logistics, 16 bits. [mulaw]", show_default=False),
    ] = None,
    components: Annotated[
        int | None, typer.Option("--components", help="Of a mixture. [5]", show_default=False)
    ] = None,
    mels: Annotated[
        int | None,
        typer.Option("--mels", help="Channels of the mel spectrogram; 0: none. [80]", show_default=False),
    ] = None,
    strides: Annotated[
        str | None,
        typer.Option("--strides", help="From its columns to samples. [8,8,4]", show_default=False),
    ] = None,
    layers: Annotated[int | None, typer.Option("--layers", help="Dilated ones. [20]", show_default=False)] = None,
    cycle: Annotated[
        int | None, typer.Option("--cycle", help="Layers until dilations begin anew. [10]", show_default=False)
    ] = None,
    kernel: Annotated[int | None, typer.Option("--kernel", help="Of the dilated ones. [2]", show_default=False)] = None,
    channels: Annotated[
        int | None, typer.Option("--channels", help="From layer to layer. [32]", show_default=False)
    ] = None,
    skip: Annotated[int | None, typer.Option("--skip", help="Channels to the output. [64]", show_default=False)] = None,
    sample_rate: Annotated[
        int | None, typer.Option("--sample-rate", help="What files are brought to. [22050]", show_default=False)
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Pieces in a batch. [4]", show_default=False)] = None,
    segment: Annotated[
        int | None, typer.Option("--segment", help="Samples predicted in a piece. [4096]", show_default=False)
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Batches in an epoch. [500]", show_default=False)] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", help="The largest learning rate. [0.002]", show_default=False)
    ] = None,
    example: Annotated[float, typer.Option("--example", min=0, help="Seconds of sound to generate in the end.")] = 1.0,
    epochs: Epochs = None,
    seed: Seed = None,
    out: Out = None,
    accelerator: Accelerator = "auto",
    devices: Devices = "auto",
    nodes: Nodes = 1,
    strategy: Strategy = "auto",
    precision: Precision = None,
) -> None:
    """Train a WaveNet: sound, sample by sample, by a stack of dilated convolutions.

    \b
    It learns from every .wav file of the folder and the folders in it. Some, evenly spread, are held
    out, and after every epoch the bits that a sample of them costs are measured. With --mels the
    sound is conditioned on its mel spectrogram, without on nothing. What is not given is as the
    recipe says, and else as in the brackets; an epoch is --steps batches, and --epochs is 100 without
    a recipe. In the end a held-out file is generated anew, to example.wav in the run's folder; the
    weights go to weights.safetensors. trous audio generate takes them.

    \b
    Examples:
      trous train wavenet speech --out runs/speech
      trous train wavenet music --mels 0 --output mixture --layers 30 --channels 64
      trous train wavenet speech --accelerator gpu --batch 16 --precision bf16-mixed
      trous train wavenet --recipe ljspeech
    """
    from trous.apps.audio.wavenet.recipe import RECIPES, Recipe
    from trous.apps.recipes import made, read_recipe, shipped

    options: dict[str, Any] = {"output": output, "mels": mels, "layers": layers, "cycle": cycle, "kernel": kernel}
    options |= {"channels": channels, "skip": skip, "sample_rate": sample_rate, "batch": batch, "segment": segment}
    options |= {"steps": steps, "rate": rate, "epochs": epochs, "seed": seed, "precision": precision}
    options |= {"components": components}
    options |= {"strides": None if strides is None else numbers("strides", strides)}
    options |= {"folder": None if folder is None else str(folder)}
    if recipe is not None:
        path = shipped(RECIPES, recipe)
        name, asked = path.stem, read_recipe(Recipe, path, **options)
    elif folder is not None:
        name, asked = folder.resolve().name, made(Recipe, {k: v for k, v in options.items() if v is not None})
    else:
        raise TrousError("folder", "must be given, or a --recipe", None)
    into = out or Path("runs") / name

    from rich.console import Console
    from rich.progress import Progress

    from trous.apps.audio.wavenet.files import WEIGHTS
    from trous.apps.audio.wavenet.training import EXAMPLE, prepared, train, write_example

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Read sounds", total=None)
        clips = prepared(asked, lambda done, total: progress.update(task, completed=done, total=total))
    told = f"{name}: {len(clips.learnt):,} files to learn from, {len(clips.held_out):,} held out"
    typer.echo(f"{told}, {asked.epochs} epochs; {asked.field:,} samples of context", err=True)
    if clips.short:
        typer.echo(f"left out as too short for a piece: {len(clips.short):,}, {clips.short[0].name} first", err=True)
    with run(into):
        network = train(asked, clips, into, machines(accelerator, devices, nodes, strategy, asked.precision))
    count = sum(parameter.numel() for parameter in network.parameters())
    typer.echo(f"wrote {into / WEIGHTS}: {count:,} parameters")
    if example:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("Generate an example", total=None)
            write_example(network, clips, into, example, lambda n, of: progress.update(task, completed=n, total=of))
        typer.echo(f"wrote {into / EXAMPLE}: {example:g} s, like {clips.held_out[0].path.name}")
