"""Folders of pictures, worked on one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from trous.apps.pictures.formats import FORMATS
from trous.errors import TrousError

T = TypeVar("T")


@dataclass
class FolderReport(Generic[T]):
    """What became of a folder's files: done, failed with the reason, there already, and left out as no pictures."""

    done: list[T] = field(default_factory=list)
    failed: list[tuple[Path, TrousError]] = field(default_factory=list)
    there: list[Path] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)


def each_picture(
    source: Path, target: Path, work: Callable[[Path, Path], T], *, replace: bool = False
) -> FolderReport[T]:
    """Make a folder's pictures into others of the same names in another folder; folders within it are left out.

    Args:
        source: the folder. Its pictures are the files with a suffix of `trous.apps.pictures.FORMATS`.
        target: another folder; made, if it is not there.
        work: makes one file into another.
        replace: work also on what is in the target already. Otherwise a run that was stopped is gone on with.

    Raises:
        TrousError: one of the folders cannot be what it must. A picture that fails is in the report.
    """
    pictures, left_out = pictures_and_others(source)
    if target.exists() and target.samefile(source):
        raise TrousError("target", "must be another folder than the source", str(target))
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrousError("target", f"must be a folder that can be made ({error.strerror})", str(target)) from None
    report: FolderReport[T] = FolderReport(left_out=left_out)
    for path in pictures:
        new = target / path.name
        if new.exists() and not replace:
            report.there.append(path)
            continue
        try:
            report.done.append(work(path, new))
        except TrousError as error:
            report.failed.append((path, error))
    return report


def pictures_and_others(folder: Path) -> tuple[list[Path], list[Path]]:
    """The files of a folder that are pictures by their suffix, and those that are not or are hidden, by name.

    Raises TrousError if it cannot be read or has no pictures.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file())
    except OSError as error:
        raise TrousError("source", f"must be a folder that can be read ({error.strerror})", str(folder)) from None
    pictures = [path for path in files if path.suffix.lower() in FORMATS and not path.name.startswith(".")]
    if not pictures:
        raise TrousError("source", f"must have pictures ({', '.join(FORMATS)})", str(folder))
    return pictures, [path for path in files if path not in set(pictures)]
