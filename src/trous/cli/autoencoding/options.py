"""What the `trous autoencode` commands have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from trous.apps.autoencoder.files import Model
    from trous.apps.autoencoder.images import Pictures

DEFAULT = "fashion-32"
Images = Annotated[
    list[Path],
    typer.Argument(help="Pictures, folders of them, MNIST archives.", metavar="IMAGE...", show_default=False),
]
ModelName = Annotated[
    str, typer.Option("--model", "-m", help="A model that is shipped, weights, or the folder of a run.")
]


def opened(model: str, images: list[Path]) -> tuple[Model, Pictures]:
    """The model, and the pictures with the channels that it takes."""
    from trous.apps.autoencoder.files import load_model
    from trous.apps.autoencoder.images import Pictures, find

    loaded = load_model(model)
    return loaded, Pictures(find(images), loaded.network.architecture.channels)


def count(pictures: int) -> str:
    return "1 picture" if pictures == 1 else f"{pictures:,} pictures"


@contextmanager
def bar() -> Iterator[Callable[[Iterator[Any], int], Iterator[Any]]]:
    """A bar on standard error, as `trous.apps.autoencoder.coding.Track` has it."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:

        def track(batches: Iterator[Any], total: int) -> Iterator[Any]:
            task = progress.add_task("Pictures", total=total)
            for batch in batches:
                yield batch
                progress.advance(task, len(batch[0]))

        yield track
