"""`trous train amp`: a network that sounds like an amplifier, from a recording of what went in and what came out."""

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

#: What players of `.nam` files know.
GEAR = "amp", "pedal", "pedal_amp", "amp_cab", "amp_pedal_cab", "preamp", "studio"
TONE = "clean", "overdrive", "crunch", "hi_gain", "fuzz"


def amp(
    input: Annotated[Path, typer.Option("--input", "-i", help="What went into the amplifier.", show_default=False)],
    target: Annotated[Path, typer.Option("--target", "-t", help="What came out.", show_default=False)],
    size: Annotated[str, typer.Option("--size", help="standard, lite, feather or nano.")] = "standard",
    epochs: Epochs = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="How long to train, in place of --epochs.", show_default=False)
    ] = None,
    latency: Annotated[
        int | None,
        typer.Option("--latency", help="Samples that the target is late. [found]", show_default=False),
    ] = None,
    held_out: Annotated[
        float | None,
        typer.Option("--held-out", help="Seconds at the end to measure by. [a tenth, 3 to 30]", show_default=False),
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", help="Pieces in a batch. [1]", show_default=False)] = None,
    crop: Annotated[
        int | None, typer.Option("--crop", help="Samples to learn from a piece. [8192]", show_default=False)
    ] = None,
    rate: Annotated[
        float | None, typer.Option("--rate", help="The largest learning rate. [0.004]", show_default=False)
    ] = None,
    seed: Seed = None,
    out: Out = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the model, in its file.", show_default=False)] = None,
    modeled_by: Annotated[str | None, typer.Option("--modeled-by", help="Who made it.", show_default=False)] = None,
    gear_make: Annotated[str | None, typer.Option("--gear-make", help="Of the gear.", show_default=False)] = None,
    gear_model: Annotated[str | None, typer.Option("--gear-model", help="Of the gear.", show_default=False)] = None,
    gear_type: Annotated[str | None, typer.Option("--gear-type", help=", ".join(GEAR), show_default=False)] = None,
    tone_type: Annotated[str | None, typer.Option("--tone-type", help=", ".join(TONE), show_default=False)] = None,
    input_level: Annotated[
        float | None,
        typer.Option("--input-level", help="dBu at the amplifier for full scale of the input.", show_default=False),
    ] = None,
    output_level: Annotated[
        float | None, typer.Option("--output-level", help="dBu that full scale of the target is.", show_default=False)
    ] = None,
    accelerator: Accelerator = "auto",
    devices: Devices = "auto",
    nodes: Nodes = 1,
    strategy: Strategy = "auto",
    precision: Precision = None,
) -> None:
    """Train a network that sounds like an amplifier.

    \b
    --input and --target are recordings of one channel, of one length and rate: what was played into
    the amplifier, and what came out. A minute or more, soft and loud, low and high, ending with
    something like all of it: the last tenth is not learned, but measured by. The delay between the
    two is found; --latency says it where that fails.
    --epochs is 100 without --minutes. The run's folder gets amp.nam, which Neural Amp Modeler's
    plug-ins play, target.wav and model.wav, the held-out part by the amplifier and by the network, and
    report.png. More in docs/amp.md.

    \b
    Examples:
      trous train amp --input di.wav --target amp.wav
      trous train amp -i di.wav -t amp.wav --size feather --minutes 10 --out runs/plexi
      trous train amp -i di.wav -t amp.wav --name "Plexi, bright" --gear-make Marshall --tone-type crunch
      trous train amp -i di.wav -t amp.wav --latency 312 --held-out 6
    """
    for option, value, known in (("gear-type", gear_type, GEAR), ("tone-type", tone_type, TONE)):
        if value is not None and value not in known:
            raise TrousError(option, f"must be one of {', '.join(known)}", value)
    metadata: dict[str, Any] = {"name": name, "modeled_by": modeled_by}
    metadata |= {"gear_make": gear_make, "gear_model": gear_model, "gear_type": gear_type, "tone_type": tone_type}
    metadata |= {"input_level_dbu": input_level, "output_level_dbu": output_level}
    metadata = {key: value for key, value in metadata.items() if value is not None}
    options: dict[str, Any] = {"input": str(input), "target": str(target), "size": size, "epochs": epochs}
    options |= {"minutes": minutes, "latency": latency, "held_out": held_out, "batch": batch, "crop": crop}
    options |= {"rate": rate, "seed": seed, "precision": precision}

    from trous.apps.audio.amp.recipe import Recipe
    from trous.apps.audio.amp.recording import read_recording
    from trous.apps.audio.nam import fresh

    if epochs is not None and minutes is not None:
        raise TrousError("minutes", "must not stand beside epochs", minutes)
    asked = Recipe(**{key: value for key, value in options.items() if value is not None})
    context = fresh(asked.size).reach
    assert context is not None
    recording, doubts = read_recording(
        input, target, context, crop=asked.crop, latency=asked.latency, held_out=asked.held_out
    )
    learned, measured = recording.seconds
    typer.echo(f"{learned:.1f} s to learn, {measured:.1f} s held out, {recording.rate} Hz", err=True)
    typer.echo(recording.alignment.told(recording.rate), err=True)
    for doubt in doubts:
        typer.echo(f"trous: mind: {doubt}", err=True)

    from trous.apps.audio.amp.training import MODEL, REPORT, train

    into = out or Path("runs") / target.stem
    with run(into):
        ratio = train(
            asked, recording, into, machines(accelerator, devices, nodes, strategy, asked.precision), metadata
        )
    typer.echo(f"wrote {into / MODEL}: error-to-signal ratio {ratio:.4f} on what was held out; see {into / REPORT}")
