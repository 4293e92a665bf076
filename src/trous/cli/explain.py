"""`trous explain`: which code a layer would run, and why."""

from __future__ import annotations

from typing import Annotated

import typer


def explain(
    problem: Annotated[str, typer.Argument(help="A layer with its sizes, as one word.", show_default=False)],
    channels_last: Annotated[
        bool, typer.Option("--channels-last", help="Input and output in channels-last memory.")
    ] = False,
) -> None:
    """Print which back-end and kernel a layer would take, why, and how the work would be cut.

    The word is that of trous plan. Nothing is computed.

    \b
    Examples:
      trous explain conv,c64-64,x128x128,k3x3,p2,d2
      trous explain conv_transpose,n1,c64-32,x128x128,k4x4,s2,p1 --channels-last
    """
    import trous

    typer.echo(str(trous.explain(problem, channels_last=channels_last)))
