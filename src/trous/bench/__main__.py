"""`python -m trous.bench LIST [ID ...]`: the table on the terminal; for a whole list also the files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from trous.bench import report
from trous.bench.compare import compare, read_cases


def main(
    cases: Annotated[Path, typer.Argument(help="JSON list of layers", exists=True, dir_okay=False)],
    ids: Annotated[list[str] | None, typer.Argument(help="only these layers; writes no files")] = None,
    seconds: Annotated[float, typer.Option(help="time for each layer")] = 2.0,
) -> None:
    """Check, then time trous beside PyTorch on every layer of a list."""
    listed = read_cases(cases)
    unknown = set(ids or ()) - {case.id for case in listed}
    if unknown:
        raise typer.BadParameter(f"not in {cases}: {', '.join(sorted(unknown))}")
    chosen = [case for case in listed if not ids or case.id in ids]
    console = Console()
    columns = TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    results = []
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=len(chosen))
        for case in chosen:
            progress.update(task, description=case.id)
            results.append(compare(case, seconds))
            progress.advance(task)
    table = Table(title="milliseconds a call", box=None, padding=(0, 1))
    for name in report.HEADER:
        table.add_column(name, justify="left" if name == "layer" else "right", no_wrap=True)
    for row in report.rows(results):
        table.add_row(*row)
    console.print(table)
    for line in report.summary(results):
        console.print(line)
    if not ids:
        for path in report.write(results, cases.parent / "results", f"python -m trous.bench {cases}"):
            console.print(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
