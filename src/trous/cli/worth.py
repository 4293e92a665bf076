"""`trous bench upscale`, `upsampling`, `wavenet` and `audio`: what applications are worth, and how fast."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from trous.cli import show
from trous.cli.bench import RESULTS, Output, Seconds, Threads, threads_of

Scales = Annotated[
    list[int] | None,
    typer.Option("--scale", help="2, 3 or 4; any number of times. All if not given.", show_default=False),
]


def upscale(threads: Threads = None, seconds: Seconds = 10.0, output: Output = None) -> None:
    """The networks of trous upscale: PSNR and SSIM on test sets, and times beside PyTorch and ONNX Runtime.

    The sets are folders of images in the folder TROUS_DATA: set5, set14, kodak, set12.

    \b
    Examples:
      TROUS_DATA=data trous bench upscale
    """
    from trous.apps.data import data_folder
    from trous.apps.upscale.report import measure

    folder, root = show.folder(output, RESULTS), data_folder()
    show.finish(show.timed(lambda: measure(root, threads_of(threads), seconds, show.track)), folder)


def upsampling(
    scale: Scales = None,
    runs: Annotated[Path, typer.Option(help="Folder that trained networks are kept in, and taken from.")] = Path(
        "runs/upsampling"
    ),
    epochs: Annotated[int, typer.Option(min=1, help="Of 1,000 steps each.")] = 4,
    threads: Threads = None,
    output: Output = None,
) -> None:
    """Ways to enlarge compared: interpolation, and networks trained alike at equal multiplications.

    Trains fifteen small networks on the pictures in TROUS_DATA, about a minute each on two cores; a run that was
    stopped goes on. Writes a table and a picture.

    \b
    Examples:
      TROUS_DATA=data trous bench upsampling
      TROUS_DATA=data trous bench upsampling --scale 2 --epochs 1 -o build
    """
    import torch

    from trous.apps.data import data_folder
    from trous.apps.upsampling.comparison import SCALES, compare
    from trous.apps.upsampling.report import record
    from trous.errors import TrousError

    folder, root, count = show.folder(output, RESULTS), data_folder(), threads_of(threads)
    if unknown := set(scale or ()) - set(SCALES):
        raise TrousError("scale", "must be 2, 3 or 4", sorted(unknown)[0])
    torch.set_num_threads(count)
    outcomes = list(compare(root, runs, sorted(set(scale or SCALES)), epochs, show.track))
    show.finish(record(outcomes, epochs, count), folder)


def wavenet(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.", show_default=False)],
    like: Annotated[
        Path | None,
        typer.Option("--like", help="A sound that was not learnt from, to be generated anew.", show_default=False),
    ] = None,
    sample: Annotated[
        Path | None, typer.Option("--sample", help="Where to write what was generated.", show_default=False)
    ] = None,
    output: Output = None,
) -> None:
    """A run of trous train wavenet: how its bits fell, and how close its sound comes to the one that it follows.

    Writes tables and a picture. With --like, for a network that is conditioned on mel spectrograms, the distance from
    the sound's own spectrogram is measured, beside that of the sound in the network's levels and that of white noise.

    \b
    Examples:
      trous bench wavenet runs/ljspeech
      trous bench wavenet runs/ljspeech --like audio/ljspeech/LJ001-0005.wav --sample again.wav
    """
    from trous.apps.audio.sound import read, writing
    from trous.apps.audio.wavenet.files import load
    from trous.apps.audio.wavenet.report import record
    from trous.apps.audio.wavenet.scores import curve, likeness
    from trous.errors import TrousError

    folder, epochs, network = show.folder(output, RESULTS), curve(run), load(run)
    found = None
    if like is not None:
        if network.conditions is None:
            raise TrousError("like", "must be left out of what is conditioned on nothing", str(like))
        rate = network.architecture.sample_rate
        sound = read(like, rate, mono=True)[0][0]
        with show.counted("Generate", len(sound)) as done:
            found, made = likeness(network, sound, done)
        if sample is not None:
            with writing(sample, rate, 1, subtype="PCM_16") as file:
                file.write(made[None])
    parameters = sum(parameter.numel() for parameter in network.parameters())
    show.finish(record(run.resolve().name, network.architecture, epochs, found, parameters), folder)


def audio(
    models: Annotated[
        list[Path] | None,
        typer.Argument(help="Neural Amp Modeler files; the standard network if none is given.", show_default=False),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="NeuralAmpModelerCore's program benchmodel, to compare with.", show_default=False),
    ] = None,
    seconds: Seconds = 10.0,
    output: Output = None,
) -> None:
    """Networks for sound on one core: block by block from C, from Python and in PyTorch; WaveNets that generate.

    \b
    Examples:
      trous bench audio
      trous bench audio amp.nam --reference NeuralAmpModelerCore/build/tools/benchmodel
    """
    from trous.apps.audio import nam
    from trous.apps.audio.nam.sizes import fresh
    from trous.apps.audio.speed import measure

    folder = show.folder(output, None if models else RESULTS)
    amps: list[Any] = [(path.stem, nam.load(path).network, path) for path in models or ()]
    amps = amps or [("standard", fresh(), None)]
    show.finish(show.timed(lambda: measure(amps, reference, seconds, show.track)), folder)
