"""The commands of `trous`, gathered."""

from __future__ import annotations

from typing import Annotated

import typer

import trous
from trous.cli.bench import bench
from trous.cli.convert import convert
from trous.cli.demo import demo
from trous.cli.explain import explain
from trous.cli.plan import plan

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(bench, name="bench")
app.command()(convert)
app.command()(demo)
app.command()(explain)
app.command()(plan)


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
      trous convert conv_transpose,k4x4,s2,p1 --to onnx
      trous bench                       every layer of a list, beside the other libraries
    """
