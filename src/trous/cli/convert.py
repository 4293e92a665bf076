"""`trous convert`: a layer as other frameworks spell it."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from trous.errors import TrousError


def convert(
    layer: Annotated[str, typer.Argument(help="A layer, as one word.", show_default=False)],
    to: Annotated[
        str | None, typer.Option("--to", help="flax, jax, keras, onnx or pytorch; all without.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print a layer with the names and attributes of other frameworks.

    The word is that of trous plan; channels and size may be left out. With a size the result need
    only hold at that size, which lets more layers through. What a framework cannot say is named,
    with the nearest thing that works.

    \b
    Examples:
      trous convert conv_transpose,c64-32,k4x4,s2,p1 --to onnx
      trous convert conv,k3x3,s2,p1
      trous convert conv,x225x225,k3x3,s2,p1 --to keras --json
    """
    from trous import conventions
    from trous.problem import parse_spec

    spec, size = parse_spec(layer)
    if to not in (None, *conventions.FRAMEWORKS):
        raise TrousError("--to", f"must be one of {', '.join(conventions.FRAMEWORKS)}", to)
    ndim = None if size else spec.ndim or 1
    found: dict[str, conventions.Operator | TrousError] = {}
    for framework in (to,) if to else conventions.FRAMEWORKS:
        try:
            found[framework] = getattr(conventions, f"to_{framework}")(spec, ndim, size)
        except TrousError as error:
            if to:
                raise
            found[framework] = error
    if as_json:
        said = {f: {"error": str(o)} if isinstance(o, TrousError) else o._asdict() for f, o in found.items()}
        typer.echo(json.dumps(said[to] if to else said))
        return
    for framework, operator in found.items():
        typer.echo(str(operator) if to else f"{framework:<8} {'cannot: ' * isinstance(operator, TrousError)}{operator}")
