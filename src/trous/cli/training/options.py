"""What all `trous train` commands have in common: where a run goes, and on what machines it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trous.apps.fitting import Machines

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="The run's folder. [default: runs/ and the name]", show_default=False),
]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Times that all data is seen.", show_default=False)]
Seed = Annotated[int | None, typer.Option("--seed", help="Of everything that is random.", show_default=False)]
Accelerator = Annotated[str, typer.Option("--accelerator", help="cpu, gpu, mps, ... as Lightning names them.")]
Devices = Annotated[str, typer.Option("--devices", help="How many, or which ones, for example 2 or 0,1.")]
Nodes = Annotated[int, typer.Option("--nodes", help="How many machines.")]
Strategy = Annotated[str, typer.Option("--strategy", help="ddp, fsdp, ... as Lightning names them.")]
Precision = Annotated[
    str | None, typer.Option("--precision", help="32-true, bf16-mixed, 16-mixed, ...", show_default=False)
]


def machines(accelerator: str, devices: str, nodes: int, strategy: str, precision: str) -> Machines:
    """The options as `trous.apps.fitting` takes them; what Lightning refuses, it refuses there."""
    from trous.apps.fitting import Machines

    count: Any = int(devices) if devices.lstrip("-").isdigit() else devices
    return Machines(accelerator, count, nodes, strategy, precision)


@contextmanager
def run(folder: Path) -> Iterator[None]:
    """A run in a folder: tells whether it begins or goes on, and what to do when it is stopped."""
    from trous.apps.fitting import CHECKPOINTS, LAST

    begun = (folder / CHECKPOINTS / f"{LAST}.ckpt").exists()
    typer.echo(f"{'going on with' if begun else 'a new run in'} {folder}", err=True)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"\nstopped; the same command goes on from the last whole epoch in {folder}", err=True)
        raise typer.Exit(130) from None
