"""Picture files and folders on the terminal: worked on under a bar, and what became of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import typer

from trous.cli.ending import terminable
from trous.errors import TrousError

if TYPE_CHECKING:
    from trous.apps.pictures import FolderReport

T = TypeVar("T")
#: Is told how much of a file is done, and of how much.
Progress = Callable[[float, float], None]


def transform(
    source: Path,
    target: Path,
    work: Callable[[Path, Path, Progress], T],
    *,
    force: bool,
    verb: str,
    line: Callable[[T, float], str],
    mind: Callable[[T], None],
) -> None:
    """Make a picture, or all of a folder's, into others, and say so.

    Args:
        source: a file or a folder.
        target: a file, or a folder for files of the same names.
        work: makes one file into another.
        force: whether to write in place of files that are there.
        verb: what was done to pictures, such as "enlarged".
        line: says what was done to a single file, in so many seconds.
        mind: says what to mind about a file.

    Raises:
        TrousError: nothing could be done.
        typer.Exit: for a folder, with the code 1 if a picture of it failed.
    """
    started = time.perf_counter()
    if source.is_dir():
        with terminable():
            report = _folder(source, target, work, force)
        for path, error in report.failed:
            typer.echo(f"trous: {path.name}: {error}", err=True)
        for done in report.done:
            mind(done)
        typer.echo(_summary(report, verb, time.perf_counter() - started))
        raise typer.Exit(1 if report.failed else 0)
    if target.is_dir():
        target = target / source.name
    if target.exists() and not force:
        raise TrousError("target", "must not be there yet, but for --force", str(target))
    with terminable(), _bar() as shown:
        task = shown.add_task(source.name, total=None)
        done = work(source, target, lambda done, whole: shown.update(task, completed=done, total=whole))
    mind(done)
    typer.echo(line(done, time.perf_counter() - started))


def _folder(source: Path, target: Path, work: Callable[[Path, Path, Progress], T], force: bool) -> FolderReport[T]:
    from trous.apps.pictures import each_picture, pictures_and_others

    count, begun = len(pictures_and_others(source)[0]), itertools.count(1)
    with _bar() as shown:
        task = shown.add_task("", total=None)

        def one(path: Path, new: Path) -> T:
            shown.reset(task, total=None, description=f"{next(begun)} of {count}: {path.name}")
            return work(path, new, lambda done, whole: shown.update(task, completed=done, total=whole))

        return each_picture(source, target, one, replace=force)


def _bar() -> Any:
    """A bar on standard error, gone when the work is done; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    name = TextColumn("{task.description}", markup=False)
    columns = name, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _summary(report: FolderReport[Any], what: str, seconds: float) -> str:
    """What became of the files of a folder, in one line."""
    said = [f"{counted(len(report.done), 'picture')} {what} in {seconds:.1f} s"]
    if report.failed:
        said.append(f"{len(report.failed)} failed")
    if report.there:
        said.append(f"{len(report.there)} there already (--force does them again)")
    if report.left_out:
        said.append(f"{counted(len(report.left_out), 'other file')} left out")
    return ", ".join(said)


def counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
