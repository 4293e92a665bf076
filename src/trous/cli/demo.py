"""`trous demo`: the main job on a photograph, as a page and a table."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trous.errors import TrousError

if TYPE_CHECKING:
    from rich.table import Table

    from trous.demo.story import Story


def demo(
    photo: Annotated[
        Path | None, typer.Argument(help="A photograph of your own; otherwise a cat's.", show_default=False)
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the page goes.")] = Path("demo.html"),
) -> None:
    """Enlarge and filter a photograph, and time it.

    Enlarges by 2 and 3 with nearest, bilinear, bicubic and Lanczos kernels, makes it small and large again by trained
    weights, filters at dilation 1, 2 and 3, replays the textbook's transposed convolution, and times it against
    PyTorch. Writes one HTML page that needs nothing else and prints the times; takes some twenty seconds. Exit code 1:
    something did not come out as it must; 2: it could not be done.

    \b
    Examples:
      trous demo
      trous demo holiday.jpg --out holiday.html
    """
    import torch  # noqa: F401 - everything below compares with it: say now if it is missing
    from rich.console import Console
    from rich.progress import Progress

    from trous.demo.page import page
    from trous.demo.photo import CREDIT, SHIPPED, load_photo
    from trous.demo.story import SECONDS, tell
    from trous.files import replace_file

    _check_writable(out)
    loaded = load_photo(photo or SHIPPED)
    console = Console()
    if loaded.notice:
        height, width = loaded.size
        console.print(f"{loaded.name}: {loaded.notice} to {width} × {height} pixels", highlight=False, markup=False)
    with Progress(console=Console(stderr=True), transient=True) as progress:
        story = tell(loaded, progress.track, SECONDS)
    text = page(story, credit="" if photo else CREDIT.read_text(encoding="utf-8"))
    try:
        replace_file(out, text)
    except OSError as error:
        raise _unwritable(out, error) from None
    console.print(_table(story))
    if story.caution:
        console.print(f"[yellow]Mind:[/] {story.caution}", highlight=False)
    for check in story.checks:
        console.print("[green]✓[/]" if check.holds else "[red]✗[/]", check.sentence, highlight=False)
    console.print(f"\nThe page: {out.resolve()}", highlight=False, soft_wrap=True)
    if not all(check.holds for check in story.checks):
        raise typer.Exit(1)


def _check_writable(out: Path) -> None:
    """Before the work rather than after it."""
    if out.exists() and not out.is_file():
        raise TrousError("out", "must be a file", str(out))
    try:
        with tempfile.TemporaryFile(dir=out.resolve().parent):
            pass
    except OSError as error:
        raise _unwritable(out, error) from None


def _unwritable(out: Path, error: OSError) -> TrousError:
    return TrousError("out", f"must be where a file can be written ({error.strerror})", str(out))


def _table(story: Story) -> Table:
    from rich import box
    from rich.table import Table

    from trous.bench.compare import OURS, OURS_LAST, THEIRS, THEIRS_LAST
    from trous.demo.sections import interpolate_seconds, milliseconds

    layouts = OURS, OURS_LAST, THEIRS, THEIRS_LAST
    caption = (
        "Milliseconds, the median of one call; last: channels last.\n"
        "Ratio: PyTorch over trous, the better memory format of each."
    )
    table = Table(box=box.SIMPLE_HEAD, caption=caption, caption_justify="left")
    table.add_column("", no_wrap=True)
    for name in (*(name.replace(", channels ", "\n") for name in layouts), "inter-\npolate", "ratio"):
        table.add_column(name, justify="right")
    for race in story.races:
        if race.refused:
            table.add_row(race.job, *["wrong"] * len(layouts))
            continue
        other = interpolate_seconds(race)
        times = [milliseconds(race.seconds[name]) for name in layouts]
        table.add_row(race.job, *times, milliseconds(other) if other else "", f"{race.ratio:.2f}")
    return table
