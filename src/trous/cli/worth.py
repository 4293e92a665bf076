"""`trous bench upscale` and `trous bench upsampling`: what networks that enlarge are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
