"""`trous bench deconvolution`: what `trous.deconvolve` is worth, and how fast it is, beside other libraries."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from trous.cli import show
from trous.cli.bench import RESULTS, Output, Threads, threads_of


class Part(StrEnum):
    quality = "quality"
    variation = "variation"
    speed = "speed"
    bars = "bars"
    galaxies = "galaxies"


def deconvolution(
    parts: Annotated[
        list[Part] | None, typer.Argument(help="What to measure; all of it if nothing is named.", show_default=False)
    ] = None,
    kernels: Annotated[
        int | None, typer.Option(min=1, help="Only the first of the eight kernels.", show_default=False)
    ] = None,
    pictures: Annotated[
        int | None, typer.Option(min=1, help="Only the first of the photographs.", show_default=False)
    ] = None,
    sizes: Annotated[
        list[int] | None,
        typer.Option("--size", help="Of speed: 512, 1024, 2048 or 4096; any number of times.", show_default=False),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder that finished runs are kept in, and taken from.")] = Path(
        "runs/deconvolution"
    ),
    threads: Threads = None,
    output: Output = None,
) -> None:
    """Deconvolution on real data, beside scikit-image, PyLops, deepinv and flowdec.

    \b
      quality    photographs blurred by real camera shakes: PSNR of every method, beside scikit-image's at their best
      variation  total variation beside those of PyLops (pyproximal) and deepinv, at the weights that suit them best
      speed      Richardson-Lucy to the same likelihood and at equal iterations, beside scikit-image's
      bars       microscopy in three dimensions, beside flowdec's algorithm
      galaxies   a hundred stamps with their own kernels in one call; round trips without noise

    The data lies in the folder TROUS_DATA. Quality and speed take hours; what was stopped goes on, and what is in
    --runs is not measured again. Of a part of the kernels, pictures or sizes files are written where --output says so.

    \b
    Examples:
      TROUS_DATA=data trous bench deconvolution
      TROUS_DATA=data trous bench deconvolution quality --kernels 2 --pictures 2
      TROUS_DATA=data trous bench deconvolution speed --size 512 --threads 1 -o build
    """
    from trous.apps.data import data_folder
    from trous.apps.deconvolution import bars, galaxies, quality, report, speed, variation
    from trous.apps.deconvolution.cases import cases
    from trous.errors import TrousError

    folder, root = show.folder(output, None if kernels or pictures or sizes else RESULTS), data_folder()
    if unknown := set(sizes or ()) - set(speed.SIZES):
        raise TrousError("size", f"must be one of {', '.join(map(str, speed.SIZES))}", sorted(unknown)[0])
    for part in dict.fromkeys(parts or Part):
        if part is Part.quality:
            chosen = cases(root, kernels, pictures)
            found = quality.run(chosen, runs / part, show.track, quality.CONTENDERS)
            record = report.record(found, chosen)
        elif part is Part.variation:
            record = variation.measure(cases(root, kernels, pictures), runs / part, show.track)
        elif part is Part.speed:
            count = threads_of(threads)
            record = show.timed(lambda: speed.measure(root, runs / "speed", sizes or speed.SIZES, count, show.track))  # noqa: B023
        elif part is Part.bars:
            record = bars.measure(root, show.track)
        else:
            record = show.timed(lambda: galaxies.measure(root, show.track))
        show.finish(record, folder)
