"""Pictures written from the top to the bottom, in memory for a strip of rows; files are complete or not there."""

from __future__ import annotations

import fcntl
import os
import re
import select
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np

from trous.apps.pictures.formats import format_for
from trous.apps.pictures.layout import Layout
from trous.apps.pictures.reading import Picture
from trous.apps.pictures.stored import stored_png
from trous.apps.pictures.vips import reason, vips
from trous.errors import TrousError
from trous.files import replacing

#: Bytes that may wait for the encoder, where the system lets a pipe hold so many.
WAITING = 1 << 20
#: Milliseconds after which the encoder is looked at, should it take nothing.
PATIENCE = 200
#: What a file says beside its pixels and goes on being true of the enlarged picture.
KEPT = re.compile(r"(icc-profile|exif|xmp|iptc)-data|exif-ifd[^1].*|resolution-unit")
#: How XMP says that the picture is to be turned.
TURNED = re.compile(rb"""(tiff:Orientation\s*(?:=\s*["']|>)\s*)[2-8]""")
#: What EXIF data begins with in JPEG files.
EXIF = b"Exif\0\0"


def save_picture(target: Path, strips: Iterable[np.ndarray], layout: Layout, like: Picture | None = None) -> None:
    """Write a picture in place of what is there, in one step at the end.

    Args:
        target: the file; its suffix is the format: PNG, JPEG, WebP or TIFF.
        strips: `(rows, width, bands)` of the layout's dtype, from the top to the bottom, each taken when it is needed.
        layout: size, bands and dtype of the whole.
        like: whose profile, EXIF, XMP, IPTC and resolution go along. What these say of orientation and size is put
            right, and a thumbnail left out.

    Raises:
        TrousError: another suffix, a format that does not hold such a picture, both before any strip is taken; or the
            file cannot be written. After this or any error of the strips, what was there before is there as it was.
    """
    kind = format_for(target, layout)
    if target.is_dir():
        raise TrousError("target", "must be a file, not a folder", str(target))

    def save(image: Any) -> None:
        out = vips().Target.new_to_descriptor(file.fileno())
        getattr(_described(image, like), kind.save)(out, **kind.arguments(layout))

    try:
        with replacing(target) as file, _Encoder(save) as encoder:
            for piece in stored_png(strips, layout):
                encoder.feed(piece)
    except OSError as error:
        raise _unwritable(target, error.strerror or str(error)) from None
    except vips().Error as error:
        raise _unwritable(target, "; ".join(filter(None, (reason(error), kind.failing)))) from None


class _Encoder:
    """libvips at work in a thread of its own, on the bytes of a picture that come through a pipe."""

    def __init__(self, save: Callable[[Any], None]):
        self._save = save
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Encoder:
        self._end, self._start = os.pipe()
        os.set_blocking(self._start, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with suppress(OSError):  # more than the system allows
                fcntl.fcntl(self._start, fcntl.F_SETPIPE_SZ, WAITING)
        self._ready = select.poll()
        self._ready.register(self._start, select.POLLOUT)
        self._thread.start()
        return self

    def feed(self, data: bytes) -> None:
        """Hand on the bytes as fast as they are taken; raises the encoder's error when it has given up."""
        left = memoryview(data)
        while left and self._thread.is_alive():  # it may end before the last bytes, which are no pixels
            if self._ready.poll(PATIENCE):
                with suppress(BrokenPipeError):
                    left = left[os.write(self._start, left) :]
        if self._failure is not None:
            raise self._failure

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        os.close(self._start)  # a picture that ends too early is an error, so the encoder stops
        self._thread.join()
        if kind is None and self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        pyvips = vips()
        try:
            source = pyvips.Source.new_from_descriptor(self._end)
            self._save(pyvips.Image.pngload_source(source, access="sequential", fail_on="error"))
        except BaseException as error:
            self._failure = error.with_traceback(None)  # whose frames would hold the pipe open
        finally:
            os.close(self._end)


def _unwritable(target: Path, said: str) -> TrousError:
    return TrousError("target", f"must be where a picture can be written ({said})", str(target))


def _described(image: Any, like: Picture | None) -> Any:
    """The image with what another says beside its pixels."""
    if like is None:
        return image
    header, types = like.header, vips().GValue
    image = image.copy(xres=header.xres, yres=header.yres)
    for name in filter(KEPT.fullmatch, header.get_fields()):
        value = header.get(name)
        if name == "xmp-data":
            value = TURNED.sub(rb"\g<1>1", value)
        if name == "exif-data":
            value = without_thumbnail(value)
        image.set_type(types.blob_type if name.endswith("-data") else types.refstr_type, name, value)
    image.set_type(types.gint_type, "orientation", 1)  # the picture has been turned already
    return image


def without_thumbnail(exif: bytes) -> bytes:
    """EXIF data without the thumbnail, which would be that of the small picture: it is the second directory.

    Each directory ends in the place of the next, 0 for none (TIFF 6.0, section 2; EXIF 2.32, section 4.5).
    """
    start = len(EXIF) if exif.startswith(EXIF) else 0
    order: Literal["little", "big"] = "little" if exif[start : start + 2] == b"II" else "big"
    first = start + int.from_bytes(exif[start + 4 : start + 8], order)
    following = first + 2 + 12 * int.from_bytes(exif[first : first + 2], order)
    return exif[:following] + bytes(4) + exif[following + 4 :] if following + 4 <= len(exif) else exif
