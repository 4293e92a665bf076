"""`trous deblur`: pictures and stacks whose blur is known, made sharp."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trous.cli.folders import Progress, counted, transform
from trous.errors import TrousError

if TYPE_CHECKING:
    from trous.apps.deblur.files import Deblurred
    from trous.apps.deblur.restore import Settings

#: The share of clipped values from which on it is said.
CLIPPED = 0.02


class Method(StrEnum):
    total_variation = "total_variation"
    wiener = "wiener"
    richardson_lucy = "richardson_lucy"
    least_squares = "least_squares"


class Boundary(StrEnum):
    unknown = "unknown"
    reflect = "reflect"
    periodic = "periodic"
    zero = "zero"


class Saturated(StrEnum):
    auto = "auto"
    off = "off"


def deblur(
    source: Annotated[
        Path, typer.Argument(metavar="IN", help="A picture, a TIFF stack, or a folder of them.", show_default=False)
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file or the folder to write.", show_default=False)],
    psf: Annotated[str, typer.Option("--psf", metavar="PSF", help="What a point became: words or a file, see above.")],
    method: Annotated[
        Method, typer.Option("--method", "-m", help="How to deblur, see above.")
    ] = Method.total_variation,
    boundary: Annotated[Boundary, typer.Option(help="What surrounds the picture.")] = Boundary.unknown,
    noise: Annotated[
        str | None,
        typer.Option(
            help="Standard deviation of the noise: 2.5 in units of the file's values, or 1% of full scale."
            " [estimated; of JPEG, WebP and AVIF 0.5% at least]",
            show_default=False,
        ),
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(help="How much smoothness counts; more is smoother. [from the noise]", show_default=False),
    ] = None,
    iterations: Annotated[
        int | None, typer.Option("--iterations", "-n", help="How many. [found]", show_default=False)
    ] = None,
    nonnegative: Annotated[bool, typer.Option("--nonnegative", help="Nothing below 0 while it is estimated.")] = False,
    saturated: Annotated[
        Saturated, typer.Option(help="Highlights at full scale, if few: auto leaves them out, off counts them.")
    ] = Saturated.auto,
    linear: Annotated[
        bool | None,
        typer.Option(
            "--linear/--no-linear",
            help="Take values for sRGB's, and deblur light. [in colour, or 8 bits and no TIFF]",
            show_default=False,
        ),
    ] = None,
    scale: Annotated[int, typer.Option("--scale", "-s", min=1, help="Enlarge as well: so many times the size.")] = 1,
    centre: Annotated[
        bool, typer.Option("--centre", help="Move the PSF by whole pixels, so that its centroid is its middle.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Write in place of files that are there.")] = False,
) -> None:
    """Make a picture, a stack or all of a folder sharp, where it is known how it was blurred.

    \b
    PSF, in pixels of OUT:
      gaussian:2         standard deviation; gaussian:1,2,2 for each axis: depth, rows, columns
      motion:15,30       a straight way 15 long, 30 degrees counterclockwise from the right
      disk:3             out of focus, radius 3
      box:4              an even square; box:2,4,4 for each axis
      psf.png            a picture, .tif of any kind, .npy, .npz, .mat (version 7.3 too)
      kernels.mat:3      the third of several; kernels.mat:name by its name

    \b
    Methods:
      total_variation    the best for pictures: sharp edges, calm surfaces
      wiener             one step in Fourier space: the quickest
      richardson_lucy    for counts of light, as in microscopes and telescopes
      least_squares      nothing is assumed; ends when the noise is reached

    A PSF of three axes deblurs a TIFF stack as a volume, one of two every page by itself. Of ImageJ and OME axes,
    resolution and names go along. Pages that are NaN in places are filled in from what is around.

    Lenses and shaken cameras blur light, and photographs hold it under the curve of sRGB. So pictures in colour and
    those of 8 bits are decoded, deblurred as light and encoded again, which is worth 1 to 5 dB. Blur that a program
    made of their values wants --no-linear, by about as much. Stacks, grey TIFF, grey of 16 bits and floats are taken
    for amounts of light as they are. Integers are rounded and
    clipped; floats are not. Transparency is not deblurred. With --scale N the middle of pixel (r, c) is that of (N*r,
    N*c) in OUT.

    Of a folder, every picture is written into OUT under the same name, but for those that are there. Exit code 1: one
    of them failed; 2: nothing could be done. A file is complete or not there.

    \b
    Examples:
      trous deblur photo.png sharp.png --psf motion:15,30
      trous deblur photo.jpg sharp.tif --psf disk:3 --noise 1%
      trous deblur stack.tif sharp.tif --psf measured.tif -m richardson_lucy -n 30
      trous deblur shaken.png sharp.png --psf kernels.mat:2 --no-linear
      trous deblur small.png large.png --psf gaussian:1.6 --scale 2
      trous deblur photos sharp --psf gaussian:1.2
    """
    from trous.apps.deblur.files import deblur_file
    from trous.apps.deblur.psf import read_psf
    from trous.apps.deblur.restore import Settings

    given, share = _noise(noise)
    settings = Settings(
        read_psf(psf, centre=centre),
        method=method.value,
        boundary=boundary.value,
        scale=scale,
        noise=given,
        noise_is_share=share,
        weight=weight,
        iterations=iterations,
        nonnegative=nonnegative,
        linear=linear,
        saturated=saturated is Saturated.auto,
    )
    for note in settings.psf.notes:
        _mind(note)

    def work(path: Path, new: Path, progress: Progress) -> Deblurred:
        return deblur_file(path, new, settings, progress=lambda done: progress(done, 1))

    def line(done: Deblurred, seconds: float) -> str:
        return _line(done, settings, noise is None, seconds)

    transform(source, target, work, force=force, verb="deblurred", line=line, mind=_say_what_to_mind)


def _noise(text: str | None) -> tuple[float | None, bool]:
    """A number, and whether it is a share of full scale."""
    if text is None:
        return None, False
    percent = text.endswith("%")
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise TrousError("noise", "must be a number, or a percentage of full scale such as 1%", text)
    return (value / 100 if percent else value), percent


def _line(done: Deblurred, settings: Settings, estimated: bool, seconds: float) -> str:
    """`photo.png (64 × 48) deblurred to sharp.png by wiener, noise 1.3 (estimated), in 0.1 s`."""
    outcome = done.outcome
    after = f" ({done.after})" if done.after != done.before else ""
    said = [f"{done.source} ({done.before}) deblurred to {done.target}{after} by {settings.method}"]
    if done.linear:
        said[0] += " in linear light"
    if outcome.iterations:
        said.append(counted(outcome.iterations, "iteration"))
    said.append(f"noise {outcome.noise:.3g}{' (estimated)' if estimated else ''}")
    return ", ".join(said) + f", in {seconds:.1f} s"


def _say_what_to_mind(done: Deblurred) -> None:
    outcome, name = done.outcome, done.source.name
    if done.more:
        _mind(f"{name} has {done.more} more pages or series; the first was deblurred")
    if outcome.filled:
        _mind(f"{name} had {counted(outcome.filled, 'value')} NaN or infinite, filled in from around")
    if outcome.left_out:
        _mind(
            f"{name} has {counted(outcome.left_out, 'value')} at full scale, taken for unknown highlights"
            " (--saturated off counts them)"
        )
    if outcome.clipped > CLIPPED * outcome.values:
        share = 100 * outcome.clipped / outcome.values
        _mind(f"{name}: {share:.1f} % of the values were clipped to what {done.dtype} holds")


def _mind(note: str) -> None:
    typer.echo(f"trous: mind: {note}", err=True)
