"""`trous audio latency`: how late a network's sound comes, and whether it keeps up."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trous.cli import models, show
from trous.errors import TrousError

if TYPE_CHECKING:
    from trous.apps.audio.latency.measure import Latency, Timing
    from trous.apps.audio.latency.subject import Subject


def latency(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A .nam file, what trous train wavenet wrote, or module:factory.", show_default=False
        ),
    ],
    rate: Annotated[
        int | None,
        typer.Option("--rate", min=1, help="Samples a second. [the model's, or 48000]", show_default=False),
    ] = None,
    block: Annotated[
        list[int] | None,
        typer.Option("--block", help="Samples of a block; once for each size. [1 to 1024]", show_default=False),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", help="Of sound for each line. [what takes 2 s in all]", show_default=False),
    ] = None,
    size: Annotated[
        float, typer.Option("--size", min=0.0, max=1.0, help="Of a file with networks of several sizes, which; 0 to 1.")
    ] = 1.0,
    channels: Annotated[
        int | None,
        typer.Option("--channels", min=1, help="That a torch module takes. [as its first layer]", show_default=False),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Draw it too, as .svg or .png.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Print a network's receptive field, delay and cost, and how long it takes for blocks of several sizes.

    \b
    The network runs on noise, on one core, as one compiled call a block (trous.stream with
    fused=True): called by native code, as an audio thread would, and by .push from Python. A network
    that the fused engine refuses is timed without it. Of a WaveNet, the core is measured: what runs
    for every sample. "used" is how much of the time that a block lasts the worst one took; a sound
    card drops out above 100 %.

    \b
    Examples:
      trous audio latency amp.nam
      trous audio latency amp.nam --rate 48000 --block 64 --seconds 60
      trous audio latency runs/speech -o latency.png
      trous audio latency mynet:Denoiser --channels 2 --json
    """
    from trous.apps.audio.latency import picture
    from trous.apps.audio.latency.measure import BLOCKS, measure

    if output is not None:
        picture.check(output)
    subject = _subject(model, size, channels)
    if rate is not None:
        subject = replace(subject, rate=rate)
    show.warn_if_busy()
    found = measure(subject, tuple(block or BLOCKS), seconds, show.track)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=2))
    else:
        _show(found)
    if output is not None:
        picture.save(found, output)
        typer.echo(f"wrote {output}", err=as_json)


def _subject(model: str, size: float, channels: int | None) -> Subject:
    """What MODEL names."""
    from trous.apps.audio import nam
    from trous.apps.audio.latency import subject
    from trous.apps.audio.wavenet.files import load

    path = Path(model)
    own = not path.exists() and ":" in model
    if channels is not None and not own:
        raise TrousError("channels", "must be left out for a file, which says them", channels)
    if own:
        return subject.of_module(model, models.found(model), channels)
    if path.suffix.lower() == ".nam":
        return subject.of_amp(path.name, nam.load(path, size=size))
    if not path.exists() or path.suffix.lower() == ".onnx":
        raise TrousError("model", "must be a .nam file, weights of trous train wavenet, or module:factory", model)
    return subject.of_wavenet(model, load(path))


def _show(found: Latency) -> None:
    facts = found.facts
    field = "all that came before" if facts.receptive_field is None else _samples(found, facts.receptive_field)
    context = "all that came before" if facts.context is None else _samples(found, facts.context)
    cost = "not counted" if facts.multiplications is None else f"{facts.multiplications:,.0f}"
    typer.echo(f"{found.name} at {found.rate:,} Hz")
    for name, value in (
        ("receptive field", field),
        ("delay", _samples(found, facts.delay)),
        ("lookback", context),
        ("parameters", f"{facts.parameters:,}"),
        ("multiplications a sample", cost),
    ):
        typer.echo(f"  {name:24}  {value}")
    if found.refused:
        typer.echo(f"  not fused: {found.refused}")
    show.rows("", [_row(timing) for timing in found.timings])


def _samples(found: Latency, samples: int) -> str:
    return f"{samples:,} {'sample' if samples == 1 else 'samples'}, {found.milliseconds(samples):.3g} ms"


def _row(timing: Timing) -> dict[str, str]:
    times = {"median": timing.median, "99.9 %": timing.high, "worst": timing.worst}
    return {
        "engine": timing.engine,
        "block": f"{timing.block}",
        **{f"{name}, µs": f"{1e6 * value:,.1f}" for name, value in times.items()},
        "times real time": f"{timing.real_time:,.3g}",
        "used": f"{100 * timing.used:,.1f} %",
        "blocks": f"{timing.blocks:,}",
    }
