"""`trous draw`: pictures of a layer, of several, of a model, the whole gallery, or those of deconvolution."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Annotated

import typer

from trous.cli.models import found, shapes
from trous.errors import TrousError


def draw(
    problems: Annotated[
        list[str] | None,
        typer.Argument(metavar="LAYER", help="Layers with their sizes, or a model.", show_default=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file: .svg, .png (one step), .gif or .html.")] = Path(
        "drawing.svg"
    ),
    view: Annotated[
        str | None,
        typer.Option("--view", help="One of those below.", show_default=False),
    ] = None,
    numbers: Annotated[bool, typer.Option("--numbers", help="Write numbers and their sums into the cells.")] = False,
    dark: Annotated[
        bool, typer.Option("--dark", help="Dark colours; .svg and .html follow the viewer's without.")
    ] = False,
    step: Annotated[
        int | None, typer.Option("--step", help="This step alone, counted from 0.", show_default=False)
    ] = None,
    sizes: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="Of a model: shape of the input, batch,channels,size...; once for each."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", help="Of a model: whose output, for effective.", show_default=False)
    ] = None,
    axis: Annotated[
        int | None, typer.Option("--axis", help="Of a model: the axis for fields, from 0.", show_default=False)
    ] = None,
    gallery: Annotated[
        Path | None, typer.Option("--gallery", help="Write the whole gallery into this folder.", show_default=False)
    ] = None,
    deconvolution: Annotated[
        Path | None,
        typer.Option(
            "--deconvolution", help="Write the pictures of docs/deconvolution.md into this folder.", show_default=False
        ),
    ] = None,
) -> None:
    """Draw what a layer computes: an animation with a step for each output, or one of the other views. Or a model.

    The word is that of trous plan. Several words are layers in sequence; what the first gives is the size of the
    second, whose own size must agree. Views:

    \b
      taps       input with its holes and padding, kernel, output (the default for one layer)
      matrix     a row for each output, a column for each input
      channels   which input channels each output channel reads
      overlap    how many taps each output gets: the checkerboard of uneven overlap
      coverage   which inputs of its field the middle output (or --step) reads: gridding
      stack      a tree for one axis, nested receptive fields for two (the default for several layers)

    \b
    A model is module:factory or a file that ends in .onnx, as for trous inspect. Its views:
      effective  which inputs act on the central output (or --layer's), measured (the default for 1 and 2 axes)
      network    a diagram of the layers (the default otherwise)
      fields     how the receptive field grows along --axis

    \b
    Examples:
      trous draw conv_transpose,c1-1,x5x5,k3x3,s2,p1 -o upsampling.gif
      trous draw conv,c1-1,x9,k3,d2 --numbers --step 2 -o dilated.png
      trous draw conv,c4-6,x5x5,k3x3,p1,g2 --view channels -o groups.html
      trous draw conv,c1-1,x9x9,k3x3 conv,c1-1,x7x7,k3x3,d2 -o fields.svg
      trous draw mynet:UNet --input 1,3,256,256 --view network -o net.svg
      trous draw --gallery build/figures
      TROUS_DATA=data trous draw --deconvolution build/figures
    """
    for name, folder, write in (("gallery", gallery, _gallery), ("deconvolution", deconvolution, _deconvolution)):
        if folder is not None:
            if problems:
                raise TrousError(name, "must be asked for without layers", " ".join(problems))
            return write(folder)
    if not problems:
        raise TrousError("layers", "must be one at least, as in: trous draw conv_transpose,c1-1,x5x5,k3x3,s2,p1", [])
    from trous.drawing import draw as picture

    if len(problems) == 1 and _names_model(problems[0]):
        for name, given in (("numbers", numbers or None), ("step", step)):
            if given is not None:
                raise TrousError(name, "must be left out for a model", given)
        drawing = picture(found(problems[0]), shapes(sizes), view=view, layer=layer, axis=axis)
        typer.echo(f"{drawing.title}, wrote {drawing.save(out, dark=dark or None)}")
        return
    for name, option in (("input", sizes), ("layer", layer), ("axis", axis)):
        if option is not None:
            raise TrousError(name, "must be left out but for a model", option)
    from trous.problem import Problem

    parsed = [Problem.parse(word) for word in problems]
    for before, after in pairwise(parsed):
        if before.output_size != after.size:
            raise TrousError("size", f"must be what {before} gives, {before.output_size}", after.size, str(after))
    first = parsed[0]
    drawing = picture(
        first.spec if len(parsed) == 1 else [problem.spec for problem in parsed],
        first.size,
        view=view,
        numbers=numbers,
        channels=(first.in_channels, first.out_channels) if view == "channels" else None,
        step=step,
    )
    written = drawing.save(out, dark=dark or None)
    typer.echo(f"{drawing.title}: {_steps(len(drawing.frames))}, wrote {written}")


def _names_model(word: str) -> bool:
    """Whether a word names a model; those of layers have commas."""
    return word.endswith(".onnx") or (":" in word and "," not in word)


def _steps(count: int) -> str:
    return "1 step" if count == 1 else f"{count} steps"


def _gallery(folder: Path) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from trous.drawing.gallery import draw_gallery

    with Progress(console=Console(stderr=True), transient=True) as progress:
        written = draw_gallery(folder, track=lambda entries: progress.track(entries, description="Drawing"))
    typer.echo(f"wrote {len(written)} files into {folder}")


def _deconvolution(folder: Path) -> None:
    """A minute or two. The encoder's pictures are of Fashion-MNIST, and left out where no data is."""
    import os
    from collections.abc import Iterable, Sequence
    from typing import Any

    from rich.console import Console
    from rich.progress import Progress

    from trous.apps.data import data_folder
    from trous.apps.deconvolution.figures import draw
    from trous.demo.photo import SHIPPED, load_photo

    root = data_folder() if os.environ.get("TROUS_DATA") else None
    with Progress(console=Console(stderr=True), transient=True) as progress:

        def track(title: str) -> Any:
            def tracked(work: Sequence[Any]) -> Iterable[Any]:
                return progress.track(work, description=title)

            return tracked

        written = list(draw(folder, load_photo(SHIPPED).pixels[0], root, track))
    typer.echo(f"wrote {len(written)} files into {folder}")
    if root is None:
        typer.echo("without that of the encoder: it needs Fashion-MNIST in the folder that TROUS_DATA names", err=True)
