"""`trous bench`: check, then time; and the measures beside speed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from trous.errors import TrousError

if TYPE_CHECKING:
    from trous.bench.peers import Peer
    from trous.bench.record import Record

RESULTS = Path("benchmarks/results")


class DefaultLayers(TyperGroup):
    """What is no command is a list of layers: `trous bench` is `trous bench layers`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, "-h", "--help"):
            args = ["layers", *args]
        return super().parse_args(ctx, args)


class Mode(StrEnum):
    forward = "forward"
    train = "train"


class Dtype(StrEnum):
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Threads for every contender; by default one for each core.", show_default=False),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help=f"Folder for the files; by default {RESULTS}.", show_default=False),
]

bench = typer.Typer(cls=DefaultLayers, rich_markup_mode=None)


@bench.callback()
def _bench() -> None:
    """Check, then time: trous beside every other library that is installed.

    Without a command: layers. Each command prints a table and writes files, which are complete or not there.

    \b
    Examples:
      trous bench                                    the packaged list of layers
      trous bench held_out                           a list that nothing was tuned to
      trous bench shapes dw_d2 lka_k7d3              two layers of a list
      trous bench --problem conv,c64-64,x128x128,k3x3,p2,d2
      trous bench --mode train --peers torch,compile
      trous bench models
    """


@bench.command()
def layers(
    list_name: Annotated[
        str, typer.Argument(metavar="[LIST]", help="A packaged list (shapes, held_out), or a JSON file of that form.")
    ] = "shapes",
    ids: Annotated[list[str] | None, typer.Argument(help="Only these of its layers.", show_default=False)] = None,
    problem: Annotated[
        str | None, typer.Option(help="One layer as a word (trous plan --help) and no list.", show_default=False)
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="The output alone, or also the gradients for input and weight.")
    ] = Mode.forward,
    dtype: Annotated[Dtype | None, typer.Option(help="In place of the layers' own.", show_default=False)] = None,
    peers: Annotated[
        str, typer.Option(help="Some of torch, compile, onnxruntime, openvino, jax, joined by commas; all; none.")
    ] = "all",
    threads: Threads = None,
    seconds: Annotated[float, typer.Option(min=0, help="Time for each layer, all contenders together.")] = 2.0,
    limit: Annotated[float, typer.Option(min=1, help="Seconds after which a contender is out of a layer.")] = 30.0,
    output: Output = None,
) -> None:
    """Layers, beside PyTorch, torch.compile, ONNX Runtime, OpenVINO and JAX in all of their memory formats.

    Prints milliseconds, GFLOP/s, the share of the roofline and how many times faster trous is, for channels-first and
    channels-last input. Writes them as JSON, Markdown and, with matplotlib, a roofline plot; of a part of a list, or of
    one problem, only where --output says so.

    \b
    Examples:
      trous bench layers shapes dw_d2 --seconds 5
      trous bench --problem conv_transpose,c64-32,x64x64,k4x4,s2,p1 --dtype bfloat16
    """
    from dataclasses import replace

    from trous.bench import lists, roofline
    from trous.bench.layers import measure_all
    from trous.bench.report import Report
    from trous.problem import Problem

    if problem is not None:
        list_name, cases = "problem", [lists.Case("problem", Problem.parse(problem), "given")]
    else:
        cases = lists.chosen(lists.read_cases(list_name), ids or [], list_name)
    if dtype is not None:
        cases = [replace(case, problem=replace(case.problem, dtype=dtype.value)) for case in cases]
    rivals, count = _peers(peers), threads or len(os.sched_getaffinity(0))
    limits = roofline.measure(cases[0].problem.dtype, count)
    try:
        results = measure_all(
            cases,
            rivals,
            training=mode is Mode.train,
            threads=count,
            seconds=seconds,
            limit=limit,
            track=_track,
        )
    except ArithmeticError as error:
        typer.echo(f"trous: {error}", err=True)
        raise typer.Exit(1) from None
    whole = problem is None and not ids
    _finish(
        Report(results, limits, rivals).record(Path(list_name).stem, seconds), output or (RESULTS if whole else None)
    )


def _peers(named: str) -> list[Peer]:
    from trous.bench.peers import PEERS

    keys = [peer.key for peer in PEERS]
    wanted = {"all": keys, "none": []}.get(named, named.split(","))
    if unknown := set(wanted) - set(keys):
        raise TrousError("peers", f"must be all, none, or some of {', '.join(keys)}", ",".join(sorted(unknown)))
    return [peer for peer in PEERS if peer.key in wanted]


def _track(items: Iterable[Any], name: Callable[[Any], str]) -> Iterator[Any]:
    """The items, with a bar on standard error that names the one at hand."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = TextColumn("{task.description:20}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    listed = list(items)
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(listed))
        for item in listed:
            progress.update(task, description=name(item))
            yield item
            progress.advance(task)


def _finish(record: Record, folder: Path | None) -> None:
    """Print the table and what it says; write the files, if there is a folder for them."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from trous.bench.record import numeric_columns

    console = Console(highlight=False, markup=False, soft_wrap=True)
    for number, (header, rows) in enumerate(record.tables):
        table = Table(
            title="" if number else record.title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
        )
        for name, right in zip(header, numeric_columns(header, rows), strict=True):
            heading = name.replace(", channels ", "\n").replace("ONNX ", "ONNX\n")
            table.add_column(heading, justify="right" if right else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        console.width = max(console.width, console.measure(table).maximum)  # rather a long line than half a number
        console.print(table)
    for fact in record.facts:
        console.print(fact)
    if folder is None:
        return
    try:
        for path in record.write(folder):
            console.print(f"wrote {path}")
    except OSError as error:
        raise TrousError("output", f"must be where files can be written ({error.strerror})", str(folder)) from None
