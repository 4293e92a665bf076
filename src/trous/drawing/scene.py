"""What a picture consists of: shapes with a style, and frames that are drawn over a background one at a time.

Lengths are pixels, y points down. Where a shape stands for an input, an output or a weight it carries a `key`, by which
the page finds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from trous.drawing.palette import STYLES
from trous.errors import TrousError
from trous.files import replace_file

#: ("input" | "output" | "kernel", flat index): what a shape stands for.
Key = tuple[str, int]
SUFFIXES = (".svg", ".png", ".gif", ".html")


class Rect(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    style: str
    key: Key | None = None


class Line(NamedTuple):
    x1: float
    y1: float
    x2: float
    y2: float
    style: str


class Circle(NamedTuple):
    x: float
    y: float
    radius: float
    style: str
    key: Key | None = None


class Text(NamedTuple):
    """`x` is the text's start, middle or end, `y` its middle; how large it is, is its style's."""

    x: float
    y: float
    text: str
    style: str
    anchor: Literal["start", "middle", "end"] = "middle"

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom."""
        size = STYLES[self.style].size
        width = text_width(self.text, size)
        left = self.x - width * {"start": 0, "middle": 0.5, "end": 1}[self.anchor]
        return left, self.y - size * 0.55, left + width, self.y + size * 0.55


Shape = Rect | Line | Circle | Text

_NARROW = frozenset("ijlI.,:;|!'()[] ·")
_WIDE = frozenset("mwMW%@→")


def text_width(text: str, size: float) -> float:
    """A width that `text` keeps within in the sans-serif fonts of the usual systems, in the unit of `size`."""
    return size * sum(0.42 if c in _NARROW else 0.98 if c in _WIDE else 0.76 if c.isupper() else 0.64 for c in text)


class Frame(NamedTuple):
    """One step of an animation: what is drawn over the background, and what it shows in words."""

    shapes: tuple[Shape, ...]
    caption: str


class Links(NamedTuple):
    """What hovering over the page tells: each tap as (output, input, kernel), flat indices; the sizes of the three."""

    taps: tuple[tuple[int, int, int], ...]
    output_size: tuple[int, ...]
    input_size: tuple[int, ...]
    kernel_size: tuple[int, ...]


@dataclass(frozen=True)
class Drawing:
    """A picture of one frame or several, `width` x `height` pixels.

    `save` writes it; notebooks show it by themselves. `still` is the frame that shows most, for files that do not move.
    """

    width: float
    height: float
    title: str
    background: tuple[Shape, ...] = field(repr=False)
    frames: tuple[Frame, ...] = field(repr=False)
    still: int = 0
    links: Links | None = field(default=None, repr=False)

    @property
    def milliseconds(self) -> int:
        """How long each frame stays."""
        return 700 if len(self.frames) <= 30 else 400

    @property
    def description(self) -> str:
        """What the picture shows, in words, for those who do not see it."""
        steps = f"{len(self.frames)} steps, one of them: " if len(self.frames) > 1 else ""
        return f"{self.title}. {steps}{self.frames[self.still].caption}"

    def at(self, step: int) -> Drawing:
        """The picture of one step alone. Raises TrousError for a step that is not there."""
        if not 0 <= step < len(self.frames):
            raise TrousError("step", f"must be from 0 to {len(self.frames) - 1}", step)
        return replace(self, frames=(self.frames[step],), still=0)

    def svg(self, *, dark: bool | None = None) -> str:
        """The picture as SVG text; several frames are an animation that needs no script.

        `dark` None follows the mode of who looks at it, True and False fix it.
        """
        from trous.drawing.svg import svg

        return svg(self, dark=dark)

    def html(self, *, dark: bool | None = None) -> str:
        """A page that needs nothing else: the picture, a slider over its steps, and what hovering lights."""
        from trous.drawing.page import page

        return page(self, dark=dark)

    def save(self, path: str | Path, *, dark: bool | None = None) -> Path:
        """Write the picture, in one step, as what the name ends in: .svg, .png (one frame), .gif or .html.

        `dark` None follows the mode of who looks at it in .svg and .html, and is light in .png and .gif. Returns the
        path. Raises TrousError for another suffix and for a path that cannot be written. PNG and GIF need Pillow.
        """
        from trous.drawing.raster import gif, png

        path = Path(path)
        match path.suffix.lower():
            case ".svg":
                content: str | bytes = self.svg(dark=dark)
            case ".html":
                content = self.html(dark=dark)
            case ".png":
                content = png(self, dark=bool(dark))
            case ".gif":
                content = gif(self, dark=bool(dark))
            case _:
                raise TrousError("path", f"must end in one of {', '.join(SUFFIXES)}", str(path))
        try:
            replace_file(path, content)
        except OSError as error:
            raise TrousError("path", f"must be where a file can be written ({error.strerror})", str(path)) from None
        return path

    def _repr_svg_(self) -> str:
        return self.svg()


def extent(shapes: Sequence[Shape]) -> tuple[float, float]:
    """How far shapes reach to the right and down."""
    right, bottom = 0.0, 0.0
    for shape in shapes:
        match shape:
            case Rect():
                corner = shape.x + shape.width, shape.y + shape.height
            case Line():
                corner = max(shape.x1, shape.x2), max(shape.y1, shape.y2)
            case Circle():
                corner = shape.x + shape.radius, shape.y + shape.radius
            case Text():
                corner = shape.box[2:]
        right, bottom = max(right, corner[0]), max(bottom, corner[1])
    return right, bottom
