"""`trous audio generate`: sound out of a trained WaveNet."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from trous.errors import TrousError

#: Seconds that are generated where nothing says how many.
SECONDS = 2.0


def generate(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS", help="What trous train wavenet wrote, or a run's folder.", show_default=False
        ),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT", help="The sound file to write: .wav, .flac, ...", show_default=False)
    ],
    seconds: Annotated[
        float | None,
        typer.Option("--seconds", "-s", help=f"How long. [{SECONDS:g}, or all of --mel-from]", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the random numbers.")] = 0,
    mel_from: Annotated[
        Path | None,
        typer.Option("--mel-from", help="The sound whose mel spectrogram it follows, at any rate.", show_default=False),
    ] = None,
    temperature: Annotated[
        float, typer.Option("--temperature", "-t", min=0, help="Below 1: what is likelier; 0: the likeliest.")
    ] = 1.0,
    half: Annotated[
        bool, typer.Option("--half", help="Weights in 16 bits (float16): large networks run up to 3 times as fast.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Write in place of a file that is there.")] = False,
) -> None:
    """Generate sound with a trained WaveNet, sample by sample.

    \b
    A network that was trained with mel spectrograms needs --mel-from, and gives a sound with that
    spectrogram; one that was trained without needs nothing. The same weights, seed and options give
    the same sound. What is written is mono, 16 bits, at the network's rate. Memory is for a block,
    whatever the length; the file is complete or not there.

    \b
    Examples:
      trous audio generate runs/speech out.wav --mel-from voice.wav
      trous audio generate runs/speech out.wav --mel-from voice.wav --seconds 1 --temperature 0.8
      trous audio generate runs/music/weights.safetensors out.flac --seconds 10 --seed 3
    """
    import torch

    from trous.apps.audio.sound import blocks, facts, frames_at, writing
    from trous.apps.audio.wavenet.files import load
    from trous.apps.audio.wavenet.synthesis import sounds

    if seconds is not None and not 0 < seconds < float("inf"):
        raise TrousError("seconds", "must be a number above 0", seconds)
    if target.exists() and not force:
        raise TrousError("target", "must not be there yet, but for --force", str(target))
    network = load(weights)
    rate = network.architecture.sample_rate
    speech, frames = None, max(1, round((seconds or SECONDS) * rate))
    if mel_from is not None:
        said = facts(mel_from)
        whole = frames_at(said.frames, said.rate, rate)
        frames = whole if seconds is None else min(frames, whole)
        speech = blocks(mel_from, rate=rate, mono=True)
    made = sounds(network, frames, seed, temperature, speech, torch.float16 if half else None)
    started = time.perf_counter()
    with _bar() as bar, writing(target, rate, 1, subtype="PCM_16", frames=frames) as file:
        task = bar.add_task("Samples", total=frames)
        for block in made:
            file.write(block)
            bar.advance(task, block.shape[1])
    speed = frames / (time.perf_counter() - started)
    typer.echo(f"wrote {target}: {frames / rate:.2f} s, {speed:,.0f} samples/s, {speed / rate:.3g} times real time")


def _bar() -> Any:
    """A bar on standard error with samples a second, gone when the work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskProgressColumn, TimeRemainingColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:,.0f} samples/s")

    columns = BarColumn(), TaskProgressColumn(), Speed(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True)
