"""Picture files and folders on the terminal: the bar while they are worked on, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trous.apps.pictures import FolderReport


def bar() -> Any:
    """A bar on standard error, gone when the work is done; nothing where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    name = TextColumn("{task.description}", markup=False)
    columns = name, BarColumn(), TaskProgressColumn(), TimeRemainingColumn(elapsed_when_finished=True)
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def summary(report: FolderReport[Any], what: str, seconds: float) -> str:
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
