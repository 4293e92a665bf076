"""The commands of `trous`, gathered."""

from __future__ import annotations

from typing import Annotated

import typer

import trous
from trous.cli import worth
from trous.cli.audio import audio
from trous.cli.autoencoding import autoencode
from trous.cli.bench import bench
from trous.cli.convert import convert
from trous.cli.deblur import deblur
from trous.cli.deconvolution import deconvolution
from trous.cli.demo import demo
from trous.cli.draw import draw
from trous.cli.explain import explain
from trous.cli.inspect import inspect
from trous.cli.plan import plan
from trous.cli.solve import solve
from trous.cli.stack import stack
from trous.cli.training import train
from trous.cli.upscale import upscale

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
bench.command()(worth.audio)
bench.command()(deconvolution)
bench.command()(worth.upsampling)
bench.command()(worth.upscale)
bench.command()(worth.wavenet)
app.add_typer(audio, name="audio")
app.add_typer(autoencode, name="autoencode")
app.add_typer(bench, name="bench")
app.command()(convert)
app.command()(deblur)
app.command()(demo)
app.command()(draw)
app.command()(explain)
app.command()(inspect)
app.command()(plan)
app.command()(solve)
app.command()(stack)
app.add_typer(train, name="train")
app.command()(upscale)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trous {trous.__version__}")
        raise typer.Exit


@app.callback()
def _trous(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Transposed and dilated convolution from one tap plan.

    \b
    Examples:
      trous demo                        a photograph enlarged, filtered, timed; writes demo.html
      trous demo holiday.jpg            the same with your own
      trous plan conv_transpose,c1-1,x8,k3,s2
      trous draw conv_transpose,c1-1,x5x5,k3x3,s2,p1 -o upsampling.gif
      trous convert conv_transpose,k4x4,s2,p1 --to onnx
      trous solve 64 256                every layer that takes size 64 to 256
      trous stack 16000                 dilated layers that see 16,000 samples
      trous inspect mynet:UNet -i 1,3,256,256
      trous upscale photo.jpg large.png --scale 2
      trous deblur photo.png sharp.png --psf motion:15,30
      trous train autoencoder photos    pictures to a few values and back
      trous autoencode show shirt.png   with a trained one
      trous audio render amp.nam di.wav out.wav
      trous train wavenet speech        sound, sample by sample
      trous audio generate runs/speech out.wav --mel-from voice.wav
      trous bench                       every layer of a list, beside the other libraries
    """
