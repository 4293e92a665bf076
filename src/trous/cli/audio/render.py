"""`trous audio render`: a sound file through a model of an amplifier."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trous.cli.ending import terminable
from trous.errors import TrousError

if TYPE_CHECKING:
    from trous.apps.audio.nam.rendering import Rendered


def render(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A .nam file.", show_default=False)],
    source: Annotated[Path, typer.Argument(metavar="IN", help="The sound to play.", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.", show_default=False)],
    gain: Annotated[float, typer.Option("--gain", help="dB in front of the model: more drive.")] = 0.0,
    output_gain: Annotated[float, typer.Option("--output-gain", help="dB behind the model.")] = 0.0,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Bring the model to the loudness of -18 dB, by what its file says.")
    ] = False,
    size: Annotated[
        float, typer.Option("--size", min=0.0, max=1.0, help="Of a file with networks of several sizes, which; 0 to 1.")
    ] = 1.0,
    block: Annotated[
        int | None,
        typer.Option("--block", min=1, max=1 << 20, help="Frames at a time. [8192]", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Write in place of a file that is there.")] = False,
) -> None:
    """Play a sound file through a Neural Amp Modeler file.

    IN is WAV, FLAC, AIFF, MP3, OGG or what else libsndfile reads, at any rate, with any number of channels, each of
    which passes through the model by itself. The model runs at its own rate; other sound is resampled there and back.
    OUT is .wav, .flac, .aiff, .caf or .w64, has the frames, channels and rate of IN, and its bits where the format has
    them. Memory is for some blocks, however long the sound. OUT is complete or not there.

    \b
    Examples:
      trous audio render amp.nam di.wav out.wav
      trous audio render amp.nam di.wav out.flac --gain 6 --normalize
      trous audio render a2.nam di.wav out.wav --size 0     its smallest network
    """
    from trous.apps.audio import nam
    from trous.apps.audio.nam.rendering import BLOCK, render

    amp = nam.load(model, size=size)
    if target.exists() and not force:
        raise TrousError("target", "must not be there yet, but for --force", str(target))
    after, before = _factor(output_gain, "output-gain"), _factor(gain, "gain")
    if normalize:
        if amp.loudness is None:
            raise TrousError("normalize", "needs a model that says how loud it is; this one does not", str(model))
        after *= amp.gain_to_normal
    started = time.perf_counter()
    with terminable(), _bar() as bar:
        task = bar.add_task(source.name, total=None)
        done = render(
            amp,
            source,
            target,
            block=block or BLOCK,
            gain_before=before,
            gain_after=after,
            progress=lambda frames, whole: bar.update(task, completed=frames, total=whole),
        )
    for line in _told(done, target, time.perf_counter() - started):
        typer.echo(line)
    if done.clipped:
        typer.echo(f"trous: mind: {_clipping(done, output_gain)}", err=True)


def _factor(decibels: float, name: str) -> float:
    if not abs(decibels) <= 200:
        raise TrousError(name, "must be from -200 to 200 dB", decibels)
    return float(10 ** (decibels / 20))


def _bar() -> Any:
    """A bar on standard error, gone when the work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    name = TextColumn("{task.description}", markup=False)
    columns = name, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _told(done: Rendered, target: Path, seconds: float) -> list[str]:
    said = done.source
    channels = "1 channel" if said.channels == 1 else f"{said.channels} channels"
    lines = [f"{said.path}: {said.seconds:.1f} s, {said.rate} Hz, {channels}"]
    if done.resampled:
        lines.append(f"resampled to the model's {done.rate} Hz and back")
    peak = f"{20 * math.log10(done.peak):.1f} dB" if done.peak else "silence"
    speed = f"{seconds:.1f} s, {said.seconds / seconds:.1f} times real time"
    return [*lines, f"{target}: {done.subtype}, peak {peak}; {speed}"]


def _clipping(done: Rendered, decibels: float) -> str:
    over = 20 * math.log10(done.peak)
    samples = "1 sample lies" if done.clipped == 1 else f"{done.clipped} samples lie"
    where = f"{samples} above full scale, by up to {over:.1f} dB"
    if done.subtype in ("FLOAT", "DOUBLE"):
        return f"{where}; OUT holds them as they are"
    return f"{where}, and were clipped; try --output-gain {math.floor((decibels - over) * 10) / 10:.1f}"
