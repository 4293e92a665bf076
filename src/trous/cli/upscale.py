"""`trous upscale`: pictures enlarged by a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trous.cli.folders import Progress, transform
from trous.errors import TrousError

if TYPE_CHECKING:
    from trous.apps.upscale import Network
    from trous.apps.upscale.files import Enlarged


def upscale(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A picture, or a folder of them.", show_default=False)],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file or the folder to write.", show_default=False)],
    scale: Annotated[
        int | None, typer.Option("--scale", "-s", help="How many times the size: 2, 3 or 4. [2]", show_default=False)
    ] = None,
    model: Annotated[
        str, typer.Option("--model", help="A network that ships, or the weights that trous train upscale wrote.")
    ] = "small",
    force: Annotated[bool, typer.Option("--force", "-f", help="Write in place of files that are there.")] = False,
) -> None:
    """Enlarge a picture, or all of a folder, by a trained network.

    Reads PNG, JPEG, WebP, TIFF, GIF and AVIF, in grey or colour, with transparency or without, 8 or 16 bits. Writes
    what the suffix of OUT says: .png and .tif hold all of these, .webp 8 bits, .jpg 8 bits without transparency. What
    EXIF says of orientation is done; colour profile, EXIF and XMP are kept, but for EXIF in TIFF. Memory is for some
    rows of the picture, whatever its size; WebP, AVIF, interlaced PNG and progressive JPEG have to be decoded whole.

    Of a folder, every .png, .jpg, .jpeg, .webp, .tif and .tiff file is written into OUT under the same name. What is in
    OUT already stays, so the same command goes on with a run that was stopped. Exit code 1: a picture of the folder
    failed; 2: nothing could be done. A file is complete or not there.

    \b
    Examples:
      trous upscale photo.jpg large.png
      trous upscale scan.tif scan-x4.tif --scale 4
      trous upscale photos enlarged --scale 3
      trous upscale photos enlarged --scale 3 --force
      trous upscale photo.jpg large.png --model runs/upscale-x2/weights.safetensors
    """
    from trous.apps.upscale.files import enlarge_file

    network = _network(scale, model)

    def work(path: Path, new: Path, progress: Progress) -> Enlarged:
        return enlarge_file(path, new, network, progress=progress)

    transform(source, target, work, force=force, verb="enlarged", line=_line, mind=_say_pages)


def _network(scale: int | None, model: str) -> Network:
    from trous.apps.upscale import load, read

    if not model.endswith(".safetensors"):
        return load(2 if scale is None else scale, model)
    network = read(Path(model))
    if scale not in (None, network.scale):
        raise TrousError("scale", f"must be that of the weights, {network.scale}", scale)
    return network


def _line(done: Enlarged, seconds: float) -> str:
    return f"{done.source} ({done.before}) enlarged to {done.target} ({done.after}) in {seconds:.1f} s"


def _say_pages(done: Enlarged) -> None:
    if done.pages > 1:
        typer.echo(f"trous: mind: {done.source.name} has {done.pages} pages; the first was enlarged", err=True)
