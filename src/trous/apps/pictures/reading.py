"""Pictures read from the top to the bottom, in memory for a strip of rows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from trous.apps.pictures.layout import Layout
from trous.apps.pictures.vips import reason, vips
from trous.errors import TrousError

#: What libvips calls the decoders of the formats that are read. It has others, for drawings and for tables.
DECODERS = ("png", "jpeg", "uhdr", "webp", "tiff", "gif", "heif")
READ = "PNG, JPEG, WebP, TIFF, GIF, AVIF"
#: Interpretations, in the words of libvips, whose samples stay as they are, and so does the profile that says what they
#: mean.
GREY, COLOUR = ("b-w", "grey16"), ("srgb", "rgb16", "rgb")
DTYPES: dict[str, np.dtype] = {"uchar": np.dtype(np.uint8), "ushort": np.dtype(np.uint16)}
#: Orientations that leave rows in rows, from the top to the bottom (EXIF 2.32, tag 274).
UPRIGHT = (1, 2)
#: Bytes of a picture that is turned in memory; larger ones are by way of a file.
IN_MEMORY = 100_000_000


class Picture:
    """A picture file, open; what `open_picture` gives.

    Attributes:
        path: the file.
        layout: size, bands and dtype, turned as EXIF says.
        pages: how many pictures the file has; the first is this one.
        header: the image of libvips, for what the file says beside its pixels.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            image = _decoder(path)
            self.pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
            image = _samples(image, path)
            if image.get_typeof("orientation") and image.get("orientation") not in UPRIGHT:
                image = _at_random(image)
            self.header = image.autorot()
            self._region = vips().Region.new(self.header)
        except vips().Error as error:
            raise _damaged(error, path) from None
        self.layout = Layout(self.header.height, self.header.width, self.header.bands, DTYPES[self.header.format])

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop`, `(rows, width, bands)`; none above those read before.

        Raises TrousError where the file is damaged or cut short.
        """
        _, width = self.layout.size
        shape = (stop - start, width, self.layout.bands)
        if start == stop:
            return np.empty(shape, self.layout.dtype)
        try:
            data = self._region.fetch(0, start, width, stop - start)
        except vips().Error as error:
            raise _damaged(error, self.path) from None
        return np.frombuffer(data, self.layout.dtype).reshape(shape)


def open_picture(source: Path) -> Picture:
    """A picture file, to be read from the top to the bottom.

    PNG, JPEG, WebP, TIFF, GIF and AVIF; grey or RGB, with alpha or without, 8 or 16 bits. Palettes and fewer bits
    become 8; CMYK and other colour spaces become sRGB; other profiles stay with the picture. Of several pages the first
    is read. WebP, AVIF, GIF, interlaced PNG and progressive JPEG are made to be decoded whole, and need memory for it.

    Raises:
        TrousError: what is missing, no picture, damaged, or of another kind of samples.
    """
    try:
        with source.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise TrousError("source", f"must be a file that can be read ({error.strerror})", str(source)) from None
    if empty:
        raise TrousError("source", "must be a picture, not an empty file", str(source))
    return Picture(source)


def _decoder(path: Path) -> Any:
    """The image as it is in the file, its rows to come; a row that is damaged is an error, and not grey."""
    pyvips, options = vips(), {"access": "sequential", "fail_on": "error"}

    def source() -> Any:  # not by its name, in which libvips would look for options
        return pyvips.Source.new_from_file(str(path))

    try:
        image = pyvips.Image.new_from_source(source(), "", **options)
    except pyvips.Error as error:
        if not error.message.startswith("unable to load"):
            raise
        raise TrousError("source", f"must be a picture ({READ})", str(path)) from None
    decoder = image.get("vips-loader").partition("load")[0]
    if decoder not in DECODERS:
        raise TrousError("source", f"must be a picture ({READ})", str(path))
    if decoder == "uhdr":  # JPEG with a map of its highlights beside the picture, which is what others show
        image = pyvips.Image.jpegload_source(source(), **options)
    return image


def _samples(image: Any, path: Path) -> Any:
    """The image in grey or RGB of 8 or 16 bits."""
    if image.interpretation == "cmyk":
        image = image.icc_transform("srgb", embedded=True, input_profile="cmyk")
    elif image.interpretation not in GREY + COLOUR:
        image = image.colourspace("srgb").copy()
        image.remove("icc-profile-data")  # it was that of the other space
    if image.format not in DTYPES:
        raise TrousError("source", "must have 8 or 16 bits a sample", f"{path} ({image.format})")
    colours = 1 if image.interpretation in GREY else 3
    if image.bands not in (colours, colours + 1):
        raise TrousError("source", "must be grey or RGB, with alpha or without", f"{path} ({image.bands} bands)")
    return image


def _at_random(image: Any) -> Any:
    """The image with its rows at hand in any order, for turning.

    A large one goes into a file of tiles, which is gone when it is closed. (One of rows would come into memory again,
    page by page, as its columns are read.)
    """
    if image.width * image.height * image.bands * DTYPES[image.format].itemsize <= IN_MEMORY:
        return image.copy_memory()
    pyvips = vips()
    with tempfile.TemporaryFile() as file:  # libvips has descriptors of its own
        image.tiffsave_target(pyvips.Target.new_to_descriptor(file.fileno()), tile=True, bigtiff=True)
        file.seek(0)
        return pyvips.Image.tiffload_source(pyvips.Source.new_from_descriptor(file.fileno()))


def _damaged(error: Any, path: Path) -> TrousError:
    said = reason(error)
    return TrousError("source", "must be undamaged" + (f" ({said})" if said else ""), str(path))
