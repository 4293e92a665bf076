"""`trous inspect`: what a network does to sizes, receptive fields and budgets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from trous.cli.models import found, numbers, shapes

if TYPE_CHECKING:
    from trous.inspection import Report


def inspect(
    model: Annotated[str, typer.Argument(help="module:factory, or an ONNX file.", metavar="MODEL", show_default=False)],
    sizes: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", help="Shape of the input, batch,channels,size...; once for each input."),
    ] = None,
    axes: Annotated[
        str | None, typer.Option(help="Dimensions of the input to follow. [default: all but the first two]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Print for each layer the output size, receptive field, parameters, multiply-adds and memory, and warnings.

    \b
    MODEL is module:name, where name is a torch model or a function or class that gives one when
    called without arguments; modules are looked for in the current folder too. Or a file that
    ends in .onnx. Nothing is computed and no weights are downloaded.

    \b
    Examples:
      trous inspect torchvision.models:resnet18 --input 1,3,224,224
      trous inspect mynet:UNet --input 572,572
      trous inspect net.onnx --json
    """
    import trous

    report = trous.inspect(found(model), shapes(sizes), axes=None if axes is None else numbers("axes", axes))
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _show(report)


def _show(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from trous.inspection.text import HEADER, LEFT, notes, row, sums

    console = Console(highlight=False, markup=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    rows = [row(layer.on(0)) for layer in report]
    used = [any(column) for column in zip(*rows, strict=True)]
    for name, wanted in zip(HEADER, used, strict=True):
        if wanted:
            table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True)
    for layer, cells in zip(report, rows, strict=True):
        shown = (cell for cell, wanted in zip(cells, used, strict=True) if wanted)
        table.add_row(*shown, style="yellow" if layer.warnings else None)
    needed = console.measure(table, options=console.options.update(width=1000)).maximum
    console.width = max(console.width, needed)  # rather a long line than half a number
    console.print(table)
    for line in (*sums(report), *notes(report)):
        console.print(line)
