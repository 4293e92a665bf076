"""`trous plan`: what a layer computes, tap by tap."""

from __future__ import annotations

from typing import Annotated

import typer


def plan(
    problem: Annotated[str, typer.Argument(help="A layer with its sizes, as one word.", show_default=False)],
) -> None:
    """Print the taps of a layer and what it executes.

    \b
    The word: conv or conv_transpose, then comma-separated
      c64-32    channels in-out       x128x128  input size     k3x3  kernel
      s2        stride                p1        padding        op1   output padding
      d2        dilation              g4        groups         n8    batch
    Numbers for each axis, or one for all. Padding is also psame, pcausal, pfull, or before
    and after each axis, p0:2x1:1.

    \b
    Examples:
      trous plan conv,c1-1,x33x33,k3x3,p6,d6
      trous plan conv_transpose,n1,c64-32,x128x128,k4x4,s2,p1
    """
    from trous.problem import Problem

    parsed = Problem.parse(problem)
    typer.echo(f"{parsed}: {parsed.input_shape} -> {parsed.output_shape}, {parsed.multiplications:,} multiplications\n")
    typer.echo(f"{parsed.bound.plan}\n")
    typer.echo(str(parsed.bound))
