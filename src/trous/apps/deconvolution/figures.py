"""The pictures of docs/deconvolution.md, and the table that they come with: `trous draw --deconvolution`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from trous.apps.deconvolution.encoder import FirstLayer, garments, ways
from trous.apps.deconvolution.noise_study import plot, study
from trous.apps.deconvolution.pictures import Cell, centred, grid
from trous.apps.deconvolution.story import Blurred, Estimate, Track, by_boundary, estimates, grey, repeated, shaken
from trous.errors import TrousError
from trous.files import replace_file

#: Parts of the cat, in pixels: what the grids show (top, left, side), and the corner under the boundaries.
FACE = (44, 84, 212)
CORNER = 96
#: Pixels along the border whose PSNR is told for every boundary.
FRAME = 12
#: Of the small pictures of the encoder.
ENLARGED = 6


def draw(folder: Path, pixels: np.ndarray, root: Path | None, track: Callable[[str], Track]) -> Iterator[Path]:
    """Write every picture into the folder, each in one step; that of the encoder where there is a folder of data.

    Args:
        folder: is made where it is not there.
        pixels: the photograph, `(3, height, width)`, values from 0 to 1.
        root: the folder of data, or None.
        track: given a title, what wraps the work under it.

    Yields:
        The files, as they are written. Raises TrousError where that cannot be.
    """
    picture = grey(pixels)
    for stride in (1, 2):
        blurred = shaken(picture, stride)
        found = estimates(blurred, track(f"Stride {stride}"))
        yield _written(folder, f"stride_{stride}.png", story(blurred, found))
    blurred = shaken(picture)
    yield _written(folder, "borders.png", borders(blurred, by_boundary(blurred, track=track("Borders"))))
    yield _written(folder, "noise.svg", plot(study(picture, track=track("Noise"))))
    if root is not None:
        yield _written(folder, "encoder.png", encoder(garments(root)))


def story(blurred: Blurred, found: Sequence[Estimate]) -> bytes:
    """The original, the PSF and every estimate: the same part of each, PSNR of the whole."""
    top, left, side = FACE
    part = slice(top, top + side), slice(left, left + side)
    psf = blurred.psf / blurred.psf.max()
    enlarged = max(1, side // 2 // max(psf.shape))
    kernel = Cell(centred(psf, (side, side), enlarged), "the kernel", f"{enlarged} times as large, white: most")
    cells = [Cell(blurred.truth[part], "original"), kernel]
    cells += [Cell(each.picture[part], each.name, f"{each.psnr:.2f} dB") for each in found]
    return grid(cells, columns=4)


def borders(blurred: Blurred, found: Sequence[Estimate]) -> bytes:
    """The corner at the left and the top under every boundary; PSNR of the border alone."""
    corner = slice(CORNER), slice(CORNER)
    shown = [replace(repeated(blurred), name="blurred"), *found]
    cells = [Cell(blurred.truth[corner], "original")]
    for each in shown:
        cells.append(Cell(each.picture[corner], each.name, f"{blurred.psnr(each.picture, FRAME):.2f} dB at the border"))
    return grid(cells, columns=3, enlarged=3)


def encoder(pictures: Sequence[np.ndarray]) -> bytes:
    """A row for each picture: original, and back from the encoder's first layer."""
    layer = FirstLayer()
    cells = []
    for picture in pictures:
        for number, way in enumerate(ways(layer, picture)):
            note = f"error {way.error:.3f}" if way.error > 1e-3 else f"error {way.error:.0e}"
            cells.append(Cell(way.picture, way.name, note if number else ""))
    return grid(cells, columns=len(cells) // len(pictures), enlarged=ENLARGED)


def _written(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(path, content)
    except OSError as error:
        raise TrousError("folder", f"must be where files can be written ({error.strerror})", str(folder)) from None
    return path
