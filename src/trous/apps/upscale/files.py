"""Picture files, enlarged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trous.apps.pictures import Layout, Picture, open_picture, save_picture
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


def _strips(picture: Picture, large: Layout, network: Network, progress: Progress | None) -> Iterator[np.ndarray]:
    done = 0
    for strip in enlarge_rows(picture.rows, picture.layout.size, network):
        yield strip
        done += len(strip)
        if progress:
            progress(done, large.height)
