"""Measurements on the terminal: a bar while they are made, their tables, where they were written."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from trous.errors import TrousError

if TYPE_CHECKING:
    from trous.bench.record import Record

T = TypeVar("T")

#: Cores in use by others from which on times are not to be trusted.
BUSY = 0.2


def timed(measure: Callable[[], T]) -> T:
    """What `measure` gives; where trous is wrong there is nothing to time, and exit code 1."""
    warn_if_busy()
    try:
        return measure()
    except ArithmeticError as error:
        typer.echo(f"trous: {error}", err=True)
        raise typer.Exit(1) from None


def warn_if_busy() -> None:
    """Say so where somebody else is at work: what shares its cores is timed too long, threads that spin most of all."""
    from trous.bench.machine import busy

    if (cores := busy()) > BUSY:
        typer.echo(f"trous: mind: {cores:.1f} cores are at work for somebody else; times will be too long", err=True)


def track(items: Iterable[Any], name: Callable[[Any], str]) -> Iterator[Any]:
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


@contextmanager
def counted(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; what it gives is told how much is done."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(name, total=total)
        yield lambda done: progress.update(task, completed=done)


def folder(output: Path | None, default: Path | None) -> Path | None:
    """Where files will go, None for nowhere: checked before the work rather than after it, and nothing made yet."""
    chosen = output or default
    if chosen is not None:
        there = next(path for path in (chosen.absolute(), *chosen.absolute().parents) if path.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            raise _unwritable(chosen, error) from None
    return chosen


def _unwritable(folder: Path, error: OSError) -> TrousError:
    return TrousError("output", f"must be where files can be written ({error.strerror})", str(folder))


def rows(title: str, found: Sequence[dict[str, str]]) -> None:
    """A title and a table, a row for each; numbers to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False, soft_wrap=True)
    if title:
        console.print(title)
    if not found:
        return
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in found[0]:
        numeric = all(row[name][:1].isdigit() for row in found)
        table.add_column(name, justify="right" if numeric else "left", no_wrap=True)
    for row in found:
        table.add_row(*row.values())
    needed = console.measure(table, options=console.options.update(width=1000)).maximum
    console.width = max(console.width, needed)  # rather a long line than half a number
    console.print(table)


def finish(record: Record, folder: Path | None) -> None:
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
        for name, numeric in zip(header, numeric_columns(header, rows), strict=True):
            table.add_column(name.replace(", ", "\n"), justify="right" if numeric else "left", no_wrap=True)
        for row in rows:
            table.add_row(*row)
        needed = console.measure(table, options=console.options.update(width=1000)).maximum
        console.width = max(console.width, needed)  # rather a long line than half a number
        console.print(table)
    for fact in record.facts:
        console.print(fact)
    if folder is None:
        return
    try:
        for path in record.write(folder):
            console.print(f"wrote {path}")
    except OSError as error:
        raise _unwritable(folder, error) from None
