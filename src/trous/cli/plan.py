"""`trous plan`: what a layer computes, tap by tap."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trous.problem import Problem


def plan(
    problem: Annotated[str, typer.Argument(help="A layer with its sizes, as one word.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print the taps and counts as JSON.")] = False,
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
      trous plan conv_transpose,c1-1,x8,k3,s2 --json
    """
    from trous.problem import Problem

    parsed = Problem.parse(problem)
    if as_json:
        typer.echo(json.dumps(_data(parsed), indent=2))
        return
    typer.echo(f"{parsed}: {parsed.input_shape} -> {parsed.output_shape}, {parsed.multiplications:,} multiplications\n")
    typer.echo(f"{parsed.bound.plan}\n")
    typer.echo(str(parsed.bound))


def _data(problem: Problem) -> dict[str, Any]:
    """Shapes and counts; for each axis `o = up*m + phase`, `i = down*m + offset` and its taps with their live steps."""
    axes = []
    for axis in problem.bound.axes:
        taps = [{**tap._asdict(), "steps": [axis.steps(tap).start, axis.steps(tap).stop]} for tap in axis.plan.taps]
        sizes = {"input_size": axis.input_size, "output_size": axis.output_size}
        axes.append({**sizes, "up": axis.plan.up, "down": axis.plan.down, "taps": taps})
    return {
        "problem": str(problem),
        "input_shape": list(problem.input_shape),
        "output_shape": list(problem.output_shape),
        "multiplications": problem.multiplications,
        "axes": axes,
    }
