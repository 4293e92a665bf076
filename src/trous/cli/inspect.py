"""`trous inspect`: what a network does to sizes, receptive fields and budgets."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trous.errors import TrousError

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

    report = trous.inspect(_found(model), _shapes(sizes), axes=None if axes is None else _numbers("axes", axes))
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _show(report)


def _found(name: str) -> Any:
    """The model that a word on the command line names."""
    if name.endswith(".onnx") or ":" not in name:
        if not Path(name).is_file():
            raise TrousError("model", "must be module:factory or the path of an ONNX file that is there", name)
        return name
    import torch

    module_name, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(module_name)
    except ImportError as error:
        raise TrousError("model", f"must name a module that can be imported ({error})", name) from None
    for part in attribute.split("."):
        if not hasattr(found, part):
            public = ", ".join(sorted(n for n, value in vars(found).items() if callable(value) and n[0] != "_")[:12])
            raise TrousError("model", f"must name what the module has: {public or 'nothing to call'}", name)
        found = getattr(found, part)
    if isinstance(found, torch.nn.Module):
        return found
    try:
        made = found()
    except TypeError as error:
        raise TrousError("model", f"must name a function that needs no arguments ({error})", name) from None
    if not isinstance(made, torch.nn.Module):
        raise TrousError("model", f"must give a torch.nn.Module, not {type(made).__name__}", name)
    return made


def _shapes(sizes: list[str] | None) -> Any:
    if not sizes:
        return None
    shapes = [_numbers("input", size) for size in sizes]
    return shapes[0] if len(shapes) == 1 else shapes


def _numbers(name: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise TrousError(name, "must be integers with commas in between, as in 1,3,224,224", text) from None


def _show(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from trous.inspection.text import HEADER, LEFT, notes, row, sums

    console = Console(highlight=False, markup=False, soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    used = [any(row(layer)[n] for layer in report) for n in range(len(HEADER))]
    for name, wanted in zip(HEADER, used, strict=True):
        if wanted:
            table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=True)
    for layer in report:
        cells = (cell for cell, wanted in zip(row(layer), used, strict=True) if wanted)
        table.add_row(*cells, style="yellow" if layer.warnings else None)
    needed = console.measure(table, options=console.options.update(width=1000)).maximum
    console.width = max(console.width, needed)  # rather a long line than half a number
    console.print(table)
    for line in (*sums(report), *notes(report)):
        console.print(line)
