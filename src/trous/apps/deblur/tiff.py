"""TIFF files of science: stacks and volumes, integers and floats of any width, what ImageJ and OME say of them.

Photographs in TIFF are left to `trous.apps.pictures`, which knows colour profiles, palettes and orientation.
"""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ElementTree
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from trous.errors import TrousError
from trous.files import replacing

SUFFIXES = (".tif", ".tiff")
#: What tifffile raises for files that are no TIFF, cut short or damaged.
BROKEN = (ValueError, OSError, IndexError, KeyError, RuntimeError, struct.error, zlib.error, AssertionError)
#: Axes along which pages are planes of a volume: what is said to be depth, and what is not said to be anything.
DEPTH = ("Z", "Q", "I")
COLOURS = (3, 4)


@dataclass(frozen=True)
class Series:
    """Pages that belong together.

    Attributes:
        array: of the axes named in `axes`, native byte order.
        axes: a letter for each: Z, Y, X; C channels, T times, S samples of colour (last, or before Y and X); Q unknown.
        more: how many other series the file has.
        options: how `tifffile.imwrite` is to write it.
        sizes: which numbers of `options["metadata"]` are lengths of a pixel, by axis.
    """

    array: np.ndarray
    axes: str
    more: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    sizes: dict[str, str] = field(default_factory=dict)

    @property
    def depth(self) -> int | None:
        """The axis along which the pages are a volume."""
        return next((self.axes.index(name) for name in DEPTH if name in self.axes), None)

    @property
    def colour(self) -> int | None:
        """The axis of colours, with transparency perhaps."""
        return self.axes.index("S") if "S" in self.axes else None


def is_photograph(path: Path) -> bool:
    """Whether a TIFF is one picture of 8 or 16 bits, of which neither ImageJ nor OME says anything."""
    from tifffile import TiffFile

    try:
        with TiffFile(path) as file:
            first = file.pages.first
            special = file.is_imagej or file.is_ome or len(file.pages) > 1
            return not special and first.dtype in (np.uint8, np.uint16)
    except BROKEN:
        return True  # libvips reads more than tifffile, and says what is wrong with the rest


def read_series(path: Path) -> Series:
    """The first series of a TIFF. Raises TrousError for what is no TIFF, damaged, or cannot be decoded."""
    from tifffile import TiffFile

    try:
        with TiffFile(path) as file:
            series, page = file.series[0], file.pages.first
            array = series.asarray()
            array = array.astype(array.dtype.newbyteorder("="), copy=False)
            options, sizes = _options(file, series, page)
            more = len(file.series) - 1
    except BROKEN as error:
        said = str(error).partition("\n")[0]
        missing = "imagecodecs" in said
        rule = "needs another package: pip install imagecodecs" if missing else f"must be an undamaged TIFF ({said})"
        raise TrousError("source", rule, str(path)) from None
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise TrousError("source", "must have integers or floats of at most 64 bits", f"{path} ({array.dtype})")
    if page.photometric == 3 and "imagej" not in options:
        raise TrousError("source", "must have values and not the numbers of a palette", str(path))
    if not {"Y", "X"} <= set(series.axes) or not array.size:
        raise TrousError("source", "must have rows and columns", f"{path} (axes {series.axes})")
    return Series(array, series.axes, more, options, sizes)


def write_series(target: Path, series: Series, array: np.ndarray, scale: int = 1, depth: bool = False) -> None:
    """Write an array with the axes and the description of a series, in one step.

    Args:
        target: the file, of one of SUFFIXES.
        series: what it was made from; what that says of the size of a pixel is divided by `scale`.
        scale: how many times as large rows and columns are, and with `depth` planes too.
        depth: whether planes are enlarged as well.

    Raises:
        TrousError: the file cannot be written.
    """
    from tifffile import imwrite

    options = {**series.options, "metadata": dict(series.options["metadata"])}
    for axis, name in series.sizes.items():
        if axis != "Z" or depth:
            options["metadata"][name] /= scale
    if "resolution" in options:
        options["resolution"] = tuple(number * scale for number in options["resolution"])
    try:
        with replacing(target) as file:
            imwrite(file, array, **options)
    except OSError as error:
        rule = f"must be where a picture can be written ({error.strerror or error})"
        raise TrousError("target", rule, str(target)) from None


def _options(file: Any, series: Any, page: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """How the same kind of file is written, and which of its numbers are sizes of pixels."""
    metadata: dict[str, Any] = {"axes": series.axes}
    options: dict[str, Any] = {"metadata": metadata, "photometric": "minisblack"}
    sizes: dict[str, str] = {}
    if "S" in series.axes:
        samples = series.shape[series.axes.index("S")]
        if samples in COLOURS:
            options["photometric"] = "rgb"
            options["extrasamples"] = ["unassalpha"] * (samples - 3)
        if series.axes.index("S") < series.axes.index("Y"):
            options["planarconfig"] = "separate"
    elif page.photometric == 0:
        options["photometric"] = "miniswhite"
    if file.is_imagej:
        options["imagej"] = True
        metadata |= {k: v for k, v in file.imagej_metadata.items() if k not in ("axes", "shape")}
        sizes = {"Z": "spacing"} if "spacing" in metadata else {}
    elif file.is_ome:
        options["ome"] = True
        said, sizes = _ome(file.ome_metadata)
        metadata |= said
    if not file.is_imagej and page.compression != 1:
        options["compression"] = "zlib"
    if "XResolution" in page.tags and "YResolution" in page.tags:
        options["resolution"] = tuple(numerator / denominator for numerator, denominator in _fractions(page))
        options["resolutionunit"] = page.resolutionunit
    return options, sizes


def _fractions(page: Any) -> list[tuple[int, int]]:
    found = [page.tags[name].value for name in ("XResolution", "YResolution")]
    return [(numerator, denominator or 1) for numerator, denominator in found]


def _ome(xml: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Sizes of pixels, times and names of channels (OME 2016-06), as `tifffile.imwrite` takes them."""
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None:
        return {}, {}
    said: dict[str, Any] = {}
    for name, value in pixels.attrib.items():
        if name.startswith(("PhysicalSize", "TimeIncrement")):
            said[name] = value if name.endswith("Unit") else float(value)
    names = [channel.get("Name") for channel in pixels.iterfind("{*}Channel")]
    if names and all(names):
        said["Channel"] = {"Name": names}
    return said, {axis: f"PhysicalSize{axis}" for axis in "XYZ" if f"PhysicalSize{axis}" in said}
