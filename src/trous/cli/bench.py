"""`trous bench`: check, then time; and the measures beside speed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from trous.cli import show
from trous.errors import TrousError

if TYPE_CHECKING:
    from trous.bench.peers import Peer

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
Frozen = Annotated[
    bool, typer.Option("--frozen", help="Weights stay: trous and torch.compile may prepare them before the calls.")
]
Seconds = Annotated[float, typer.Option(min=0, help="Time for each, all contenders together.")]
List = Annotated[
    str, typer.Argument(metavar="[LIST]", help="A packaged list (shapes, held_out), or a JSON file of that form.")
]
Ids = Annotated[list[str] | None, typer.Argument(help="Only these of its layers.", show_default=False)]
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
    list_name: List = "shapes",
    ids: Ids = None,
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
    frozen: Frozen = False,
    threads: Threads = None,
    seconds: Seconds = 2.0,
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
    from trous.bench.peers import PEERS
    from trous.bench.report import Report
    from trous.problem import Problem

    folder = show.folder(output, None if problem or ids else RESULTS)
    if problem is not None:
        list_name, cases = "problem", [lists.Case("problem", Problem.parse(problem), "given")]
    else:
        cases = lists.chosen(lists.read_cases(list_name), ids or [], list_name)
    if dtype is not None:
        cases = [replace(case, problem=replace(case.problem, dtype=dtype.value)) for case in cases]
    if frozen and mode is Mode.train:
        raise TrousError("frozen", "must be left out in training, which changes the weights", frozen)
    rivals, count = _peers(peers, [peer.key for peer in PEERS]), threads_of(threads)
    limits = roofline.measure(cases[0].problem.dtype, count)
    results = show.timed(
        lambda: measure_all(
            cases,
            rivals,
            training=mode is Mode.train,
            frozen=frozen,
            threads=count,
            seconds=seconds,
            limit=limit,
            track=show.track,
        )
    )
    show.finish(Report(results, limits, rivals, frozen).record(Path(list_name).stem, seconds), folder)


@bench.command()
def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Some of gtcrn, unet2d, unet3d, hifigan, fsrcnn, convtasnet, meshnet.", show_default=False),
    ] = None,
    peers: Annotated[str, typer.Option(help="Of torch and compile, one, or both joined by a comma.")] = "torch,compile",
    frozen: Frozen = False,
    threads: Threads = None,
    seconds: Seconds = 10.0,
    limit: Annotated[float, typer.Option(min=1, help="Seconds after which a contender is out of a network.")] = 120.0,
    output: Output = None,
) -> None:
    """Whole networks through trous.accelerate, beside PyTorch and torch.compile.

    Eval mode, batch 1, in both memory formats where there are two. Real weights and inputs are taken from the folder
    TROUS_DATA, where GTCRN's clip and MeshNet's MRI lie in it.

    \b
    Examples:
      trous bench models
      trous bench models fsrcnn unet2d --seconds 20
      trous bench models --frozen
    """
    from trous.bench import models as whole

    folder = show.folder(output, None if names else RESULTS)
    rivals, count = _peers(peers, ("torch", "compile")), threads_of(threads)
    results = show.timed(
        lambda: whole.measure(
            names or [], rivals, frozen=frozen, threads=count, seconds=seconds, limit=limit, track=show.track
        )
    )
    show.finish(whole.record(results, count, frozen), folder)


@bench.command()
def calls(
    problem: Annotated[
        str | None, typer.Option(help="One layer as a word (trous plan --help).", show_default=False)
    ] = None,
    seconds: Seconds = 3.0,
    output: Output = None,
) -> None:
    """What a call costs that has next to nothing to do: NumPy, torch, and torch's own.

    \b
    Examples:
      trous bench calls
      trous bench calls --problem conv_transpose,c1-1,x2x2,k2x2,s2
    """
    from trous.bench import calls as small
    from trous.problem import Problem

    folder = show.folder(output, None if problem else RESULTS)
    problems = [Problem.parse(text) for text in (small.CALLS if problem is None else (problem,))]
    results = show.timed(lambda: small.measure(problems, seconds, track=show.track))
    show.finish(small.record(results), folder)


@bench.command()
def sizes(threads: Threads = None, output: Output = None) -> None:
    """What a new size costs: 100 different lengths beside 100 calls of one, through vocoder layers.

    \b
    Examples:
      trous bench sizes --threads 1
    """
    from trous.bench import sizes as new

    folder = show.folder(output, RESULTS)
    results = show.timed(lambda: new.measure(new.LAYERS, threads=threads_of(threads), track=show.track))
    show.finish(new.record(results), folder)


@bench.command()
def memory(list_name: List = "shapes", ids: Ids = None, output: Output = None) -> None:
    """Memory beyond input, weight and output: what kernels ask for, and what the process grows by.

    \b
    Examples:
      trous bench memory
      trous bench memory held_out meshnet_d8
    """
    from trous.bench import lists
    from trous.bench import memory as beyond

    folder = show.folder(output, None if ids else RESULTS)
    cases = lists.chosen(lists.read_cases(list_name), ids or [], list_name)
    results = beyond.measure(cases, track=show.track)
    show.finish(beyond.record(results, Path(list_name).stem), folder)


def threads_of(wanted: int | None) -> int:
    return wanted or len(os.sched_getaffinity(0))


def _peers(named: str, keys: Sequence[str]) -> list[Peer]:
    from trous.bench.peers import PEERS

    wanted = {"all": keys, "none": ()}.get(named, named.split(","))
    if unknown := set(wanted) - set(keys):
        raise TrousError("peers", f"must be all, none, or some of {', '.join(keys)}", ",".join(sorted(unknown)))
    return [peer for peer in PEERS if peer.key in wanted]
