"""Picture files and folders of them, enlarged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trous.apps.pictures import FORMATS, Layout, Picture, open_picture, save_picture
from trous.apps.upscale.network import Network
from trous.apps.upscale.rows import enlarge_rows
from trous.errors import TrousError

#: Is told the rows of the enlarged picture that are done, and how many it has.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Enlarged:
    """What became of a file; `pages` is how many pictures it has, of which the first was enlarged."""

    source: Path
    target: Path
    before: Layout
    after: Layout
    pages: int


@dataclass
class FolderReport:
    """What became of a folder's files: enlarged, failed with the reason, there already, and left out as no pictures."""

    enlarged: list[Enlarged] = field(default_factory=list)
    failed: list[tuple[Path, TrousError]] = field(default_factory=list)
    there: list[Path] = field(default_factory=list)
    left_out: list[Path] = field(default_factory=list)


def enlarge_file(source: Path, target: Path, network: Network, *, progress: Progress | None = None) -> Enlarged:
    """Enlarge a picture file, in memory for a few rows, and write it in place of what is there in one step at the end.

    Args:
        source: a picture as `trous.apps.pictures.open_picture` reads them.
        target: the file to write; its suffix is the format (`trous.apps.pictures.FORMATS`).
        network: what `trous.apps.upscale.load` gives.
        progress: is called after every strip of rows.

    Raises:
        TrousError: one of the files cannot be what it must, or both are the same. Nothing is left half-written.
    """
    picture = open_picture(source)
    if target.exists() and target.samefile(source):
        raise TrousError("target", "must be another file than the source", str(target))
    large = picture.layout.times(network.scale)
    save_picture(target, _strips(picture, large, network, progress), large, picture)
    return Enlarged(source, target, picture.layout, large, picture.pages)


def enlarge_folder(
    source: Path,
    target: Path,
    network: Network,
    *,
    replace: bool = False,
    watch: Callable[[Path], Progress] | None = None,
) -> FolderReport:
    """Enlarge the pictures of a folder into another one, under the same names; folders within it are left out.

    Args:
        source: the folder. Its pictures are the files with a suffix of `trous.apps.pictures.FORMATS`.
        target: another folder; made, if it is not there.
        network: what `trous.apps.upscale.load` gives.
        replace: enlarge also what is in the target already. Otherwise a run that was stopped is gone on with.
        watch: is called with every picture before it begins, and gives its `progress`.

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
    report = FolderReport(left_out=left_out)
    for path in pictures:
        new = target / path.name
        progress = watch(path) if watch else None
        if new.exists() and not replace:
            report.there.append(path)
            continue
        try:
            report.enlarged.append(enlarge_file(path, new, network, progress=progress))
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


def _strips(picture: Picture, large: Layout, network: Network, progress: Progress | None) -> Iterator[np.ndarray]:
    done = 0
    for strip in enlarge_rows(picture.rows, picture.layout.size, network):
        yield strip
        done += len(strip)
        if progress:
            progress(done, large.height)
