"""`trous stack`: dilated layers that see a field."""

from __future__ import annotations

from typing import Annotated

import typer

from trous.cli import numbers, show


def stack(
    field: Annotated[int, typer.Argument(metavar="FIELD", help="Inputs that an output must see.", show_default=False)],
    kernel: Annotated[str, typer.Option(help="Or a range to choose from: 2-8 or 2,3.")] = "2",
    objective: Annotated[str, typer.Option(help="What shall be few: layers or multiplications.")] = "layers",
    max_dilation: Annotated[
        int | None, typer.Option(help="The largest dilation; no bound if not said.", show_default=False)
    ] = None,
    channels: Annotated[int, typer.Option(help="Into and out of every layer.")] = 1,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find the dilated stack with the fewest layers that sees a field without gaps, beside other designs.

    \b
    Examples:
      trous stack 16000
      trous stack 22050 --kernel 3 --channels 32
      trous stack 16000 --kernel 2-8 --objective multiplications
      trous stack 16000 --max-dilation 512 --json
    """
    import json
    from dataclasses import asdict

    import trous

    found = trous.solve_stack(
        field,
        numbers.choice("kernel", kernel) or (),
        objective=objective,
        max_dilation=max_dilation,
        channels=channels,
    )
    if json_:
        facts = {name: getattr(found, name) for name in ("kernel", "dilations", "layers", "receptive_field")}
        facts |= {name: getattr(found, name) for name in ("parameters", "multiplications", "context", "memory")}
        designs = [{**asdict(each), "rate": str(each.rate)} for each in found.alternatives()]
        designs = [{**each, "multiplications": float(each["multiplications"])} for each in designs]
        typer.echo(json.dumps({"wanted": field, **facts, "designs": designs}, indent=1))
        return
    typer.echo("\n".join(found.lines()))
    show.rows("", found.rows())
    typer.echo(found.remark())
