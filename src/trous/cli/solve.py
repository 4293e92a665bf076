"""`trous solve`: every layer between two sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from trous.cli import numbers, show

if TYPE_CHECKING:
    from trous.solving import Solutions


def solve(
    input_size: Annotated[
        str | None, typer.Argument(metavar="[INPUT]", help="64, 64x48, or all of 32-256.", show_default=False)
    ] = None,
    output_size: Annotated[
        str | None, typer.Argument(metavar="[OUTPUT]", help="The size wanted, in the same form.", show_default=False)
    ] = None,
    factor: Annotated[
        str | None, typer.Option(help="In place of OUTPUT: 2, 1/2, 2x1.", metavar="F", show_default=False)
    ] = None,
    kind: Annotated[str | None, typer.Option(help="conv or transposed; both if not said.", show_default=False)] = None,
    kernel: Annotated[
        str | None,
        typer.Option(help="Range to search, as all that follow.  [default: 1-8]", show_default=False),
    ] = None,
    stride: Annotated[str | None, typer.Option(help="[default: 1 to the ratio, or 8]", show_default=False)] = None,
    dilation: Annotated[str, typer.Option()] = "1-4",
    padding: Annotated[str | None, typer.Option(help="[default: 0 to dilation*(kernel-1)]", show_default=False)] = None,
    output_padding: Annotated[
        str | None, typer.Option(help="[default: all that is allowed]", show_default=False)
    ] = None,
    asymmetric: Annotated[bool, typer.Option("--asymmetric", help="List (before, after) pairs as well.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Lines to show.")] = 12,
    everything: Annotated[bool, typer.Option("--all", help="Show all of them.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the layers that map one size to another, the best first.

    First come those with even overlap, then the cheaper. Ranges are written 3, 1-8 or 1,3,5. Exit code 1: there is
    no such layer; what is nearest is told.

    \b
    Examples:
      trous solve 64 256
      trous solve 224x224 112x112 --kernel 3 --dilation 1
      trous solve 32-256 --factor 2 --kind transposed
      trous solve --factor 1/2 --kernel 1,3,5 --all
      trous solve 22050 220500 --json
    """
    import trous

    found = trous.solve(
        None if input_size is None else numbers.size("input_size", input_size),
        None if output_size is None else numbers.size("output_size", output_size),
        factor=None if factor is None else numbers.factor(factor),
        kind=kind,
        kernel=numbers.choice("kernel", kernel),
        stride=numbers.choice("stride", stride),
        padding=numbers.choice("padding", padding),
        dilation=numbers.choice("dilation", dilation) or (),
        output_padding=numbers.choice("output_padding", output_padding),
        symmetric=not asymmetric,
    )
    _print(found, len(found) if everything else limit, json_)
    if not found:
        raise typer.Exit(1)


def _print(found: Solutions, most: int, json_: bool) -> None:
    import json

    from trous.solving.advice import advice
    from trous.solving.text import heading, numbers_of, table

    rows = table(found, most)
    said = advice(found)
    if json_:
        specs = [{**row, **numbers_of(spec)} for row, spec in zip(rows, found, strict=False)]
        typer.echo(json.dumps({"sizes": found.question, "count": len(found), "specs": specs, "advice": said}, indent=1))
        return
    show.rows(heading(found), rows)
    if len(found) > len(rows) > 0:
        typer.echo(f"and {len(found) - len(rows):,} more (--limit, --all)")
    for line in said:
        typer.echo(line)
