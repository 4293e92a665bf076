"""Picture files and stacks, deblurred."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from trous.apps.deblur.restore import Outcome, Progress, Settings, enlarged, restore
from trous.apps.deblur.tiff import SUFFIXES, Series, is_photograph, read_series, write_series
from trous.apps.pictures import open_picture, save_picture
from trous.errors import TrousError

#: Decoders, in the words of libvips, of formats that take away what is faint, and the noise that does as much harm, of
#: full scale. The estimate sees what was left: JPEG of quality 75 to 98 has 0.1 to 0.2 % of it where 0.4 to 0.8 % are
#: best, by 1 to 6 dB.
LOSSY, LEAST_NOISE = ("jpegload", "uhdrload", "webpload", "heifload"), 0.005


@dataclass(frozen=True)
class Deblurred:
    """What became of a file; `before` and `after` are sizes, `more` the pages or series that it has beside.

    `linear` says whether its values were taken for those of sRGB."""

    source: Path
    target: Path
    before: str
    after: str
    outcome: Outcome
    more: int
    dtype: np.dtype
    linear: bool


def deblur_file(source: Path, target: Path, settings: Settings, *, progress: Progress | None = None) -> Deblurred:
    """Deblur a picture file or a stack, and write it in place of what is there in one step at the end.

    Photographs are read by `trous.apps.pictures`; TIFF with several pages, floats or wider integers, or written by
    ImageJ or for OME, by tifffile. A PSF of three axes deblurs a stack as a volume, one of two every page by itself.
    The colours of RGB are deblurred together. Transparency is not deblurred.

    Args:
        source: the file.
        target: the file to write; its suffix is the format, TIFF for stacks.
        settings: the PSF, and how.
        progress: is called after every iteration.

    Raises:
        TrousError: one of the files cannot be what it must, both are the same, or the settings do not fit. Nothing is
            left half-written.
    """
    if target.exists() and source.exists() and target.samefile(source):
        raise TrousError("target", "must be another file than the source", str(target))
    report = progress or (lambda done: None)
    stack = source.suffix.lower() in SUFFIXES and source.is_file() and not is_photograph(source)
    try:
        return (_deblur_stack if stack else _deblur_picture)(source, target, settings, report)
    except TrousError as error:
        if error.argument in ("y", "source") and str(source) not in str(error.value):
            raise TrousError("source", error.rule, f"{source} ({error.value})") from None
        raise


def _deblur_picture(source: Path, target: Path, settings: Settings, progress: Progress) -> Deblurred:
    picture = open_picture(source)
    layout = picture.layout
    large = layout.times(settings.scale)
    if settings.psf.values.ndim != 2:
        raise TrousError("psf", "must have two axes for a picture; three are for stacks in TIFF", settings.psf.name)
    settings.psf.check_fits(large.size)
    outcome = Outcome()
    # Grey of 16 bits and grey TIFF come from instruments, whose values are amounts of light already.
    photograph = layout.bands > 2 or not (layout.deep or source.suffix.lower() in SUFFIXES)
    linear = photograph if settings.linear is None else settings.linear
    least = LEAST_NOISE if picture.header.get("vips-loader").startswith(LOSSY) else 0.0

    def strips() -> Iterator[np.ndarray]:  # asked for once the target is known to hold such a picture
        pixels = picture.rows(0, layout.height)
        colours = pixels[..., :-1] if layout.alpha else pixels
        result, found = restore(colours, settings, channel_axis=-1, linear=linear, progress=progress, least_noise=least)
        outcome.add(found)
        yield np.concatenate([result, enlarged(pixels[..., -1:], settings.scale)], -1) if layout.alpha else result

    save_picture(target, strips(), large, picture)
    return Deblurred(source, target, str(layout), str(large), outcome, picture.pages - 1, layout.dtype, linear)


def _deblur_stack(source: Path, target: Path, settings: Settings, progress: Progress) -> Deblurred:
    series = read_series(source)
    if target.suffix.lower() not in SUFFIXES:
        what = f"{source.name} is a stack, of floats, or of a microscope"
        raise TrousError("target", f"must end in {' or '.join(SUFFIXES)}: {what}", str(target))
    volume = settings.psf.values.ndim == 3
    if volume and series.depth is None:
        rule = f"must have two axes: {source.name} is no volume, its axes are {series.axes}"
        raise TrousError("psf", rule, settings.psf.name)
    result, outcome = _pages(series, settings, volume, progress)
    write_series(target, series, result, settings.scale, volume)
    before, after = (_sizes(array, series.axes) for array in (series.array, result))
    return Deblurred(source, target, before, after, outcome, series.more, result.dtype, bool(settings.linear))


def _pages(series: Series, settings: Settings, volume: bool, progress: Progress) -> tuple[np.ndarray, Outcome]:
    """The array with every page, or volume, deblurred; transparency as it was."""
    array, scale = series.array, settings.scale
    blurred = [series.axes.index(name) for name in "YX"]
    blurred = [series.depth, *blurred] if volume and series.depth is not None else blurred
    settings.psf.check_fits([scale * array.shape[axis] for axis in blurred])
    own = [*blurred, *([] if series.colour is None else [series.colour])]
    others = [axis for axis in range(array.ndim) if axis not in own]
    # Pages in front, what is deblurred at once behind: planes, rows, columns, colours.
    ordered = array.transpose(*others, *own)
    shape = tuple(scale * n if axis in blurred else n for axis, n in zip((*others, *own), ordered.shape, strict=True))
    result, outcome = np.empty(shape, array.dtype), Outcome()
    places = list(np.ndindex(*ordered.shape[: len(others)]))
    for number, place in enumerate(places):
        page = ordered[place]
        alpha = series.colour is not None and page.shape[-1] in (2, 4)
        colours = page[..., :-1] if alpha else page
        done, found = restore(
            colours,
            settings,
            channel_axis=None if series.colour is None else -1,
            linear=bool(settings.linear),
            progress=partial(_part, progress, number, len(places)),
        )
        outcome.add(found)
        if alpha:
            result[place][..., :-1] = done
            result[place][..., -1] = _enlarged_planes(page[..., -1], scale, volume)
        else:
            result[place] = done
        progress((number + 1) / len(places))
    return result.transpose(np.argsort([*others, *own])), outcome


def _part(progress: Progress, number: int, count: int, share: float) -> None:
    progress((number + share) / count)


def _enlarged_planes(alpha: np.ndarray, scale: int, volume: bool) -> np.ndarray:
    if not volume:
        return enlarged(alpha, scale)
    return np.stack([enlarged(plane, scale) for plane in alpha]).repeat(scale, 0)


def _sizes(array: np.ndarray, axes: str) -> str:
    """`64 × 64 × 32 (XYZ)`, in the order in which pictures say their sizes."""
    return " × ".join(map(str, array.shape[::-1])) + ("" if axes == "YX" else f" ({axes[::-1]})")
