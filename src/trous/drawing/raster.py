"""Pictures as PNG and GIF, by Pillow: drawn larger and reduced, with the font that comes with it."""

from __future__ import annotations

import io
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from trous.drawing.palette import COLOURS, STYLES, Style, mix
from trous.drawing.scene import Circle, Drawing, Line, Rect, Shape, Text

if TYPE_CHECKING:
    from PIL import Image

SCALE = 2  #: pixels of the file for one of the drawing
_OVER = 2  #: drawn so much larger than that, and reduced
#: What Pillow's own font lacks.
_SPELT = str.maketrans({"×": "x", "−": "-", "→": "-"})
_PAUSE = 3  #: the last frame of an animation stays so much longer


def png(drawing: Drawing, *, dark: bool = False, scale: int = SCALE) -> bytes:
    """The most telling frame as a PNG file."""
    return _file(image(drawing, drawing.still, dark=dark, scale=scale), "PNG", optimize=True)


def gif(drawing: Drawing, *, dark: bool = False, scale: int = 1) -> bytes:
    """All frames as a GIF file that repeats for ever."""
    Image = _pillow()
    ground = _ground(drawing, dark, scale)
    images = [_reduced(_with(ground, frame.shapes, dark, scale)) for frame in drawing.frames]
    palette = Image.new("P", (1, 1))
    palette.putpalette([c for colour in _palette(drawing, dark) for c in bytes.fromhex(colour[1:])])
    flat = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in images]
    times = [drawing.milliseconds] * len(flat)
    times[-1] *= _PAUSE if len(flat) > 1 else 1
    return _file(flat[0], "GIF", save_all=True, append_images=flat[1:], duration=times, loop=0, disposal=1)


def image(drawing: Drawing, step: int, *, dark: bool = False, scale: int = SCALE) -> Image.Image:
    """One frame as a Pillow image."""
    return _reduced(_with(_ground(drawing, dark, scale), drawing.frames[step].shapes, dark, scale))


def _pillow() -> Any:
    """The module PIL.Image. Raises ModuleNotFoundError that says what to install."""
    try:
        from PIL import Image
    except ImportError:
        raise ModuleNotFoundError("PNG and GIF need Pillow: pip install pillow", name="PIL") from None
    return Image


def _file(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def _palette(drawing: Drawing, dark: bool) -> list[str]:
    """Every colour of the picture, the same for all frames, and what edges and letters are blurred to."""
    styles = {shape.style for frame in drawing.frames for shape in frame.shapes}
    styles |= {shape.style for shape in drawing.background}
    used = [STYLES[name] for name in sorted(styles)]
    grounds = dict.fromkeys(["paper", *(style.fill for style in used if style.fill and not style.size)])
    lines = dict.fromkeys([style.fill if style.size else style.stroke for style in used])
    on, over = ([COLOURS[name][dark] for name in names if name] for names in (grounds, lines))
    blurred = [mix(line, ground, share) for share in (0.33, 0.67) for line in over for ground in on]
    return list(dict.fromkeys([*on, *over, *blurred]))[:256]


def _ground(drawing: Drawing, dark: bool, scale: int) -> Image.Image:
    Image = _pillow()
    size = round(drawing.width) * scale * _OVER, round(drawing.height) * scale * _OVER
    return _with(Image.new("RGB", size, COLOURS["paper"][dark]), drawing.background, dark, scale)


def _reduced(picture: Image.Image) -> Image.Image:
    return picture.reduce(_OVER)


def _with(ground: Image.Image, shapes: Iterable[Shape], dark: bool, scale: int) -> Image.Image:
    """A copy of the picture with the shapes drawn over it."""
    from PIL import ImageDraw

    picture = ground.copy()
    draw = ImageDraw.Draw(picture)
    for shape in shapes:
        _draw(draw, shape, STYLES[shape.style], dark, scale * _OVER)
    return picture


def _draw(draw: Any, shape: Shape, style: Style, dark: bool, unit: int) -> None:
    fill = COLOURS[style.fill][dark] if style.fill else None
    stroke = COLOURS[style.stroke][dark] if style.stroke else None
    width = max(1, round(style.width * unit))
    match shape:
        case Rect(x, y, w, h):
            half = width // 2
            box = [round(x * unit) - half, round(y * unit) - half]
            box += [round((x + w) * unit) + width - half - 1, round((y + h) * unit) + width - half - 1]
            draw.rectangle(box, fill, None if style.dash else stroke, width)
            if style.dash and stroke:
                _dashed(draw, shape, stroke, width, style.dash * unit, unit)
        case Line(x1, y1, x2, y2):
            draw.line([x1 * unit, y1 * unit, x2 * unit, y2 * unit], stroke, width)
        case Circle(x, y, radius):
            draw.circle((x * unit, y * unit), (radius + style.width / 2) * unit, fill, stroke, width)
        case Text():
            anchor = {"start": "ls", "middle": "ms", "end": "rs"}[shape.anchor]
            place = shape.x * unit, (shape.y + 0.35 * style.size) * unit
            bold = unit // 4 if style.bold else 0
            text = shape.text.translate(_SPELT)
            draw.text(place, text, fill, _font(style.size * unit), anchor=anchor, stroke_width=bold)


def _dashed(draw: Any, rect: Rect, stroke: str, width: int, dash: float, unit: int) -> None:
    """The outline of a rectangle in dashes, each as long as the gap behind it."""
    left, top = rect.x * unit, rect.y * unit
    right, bottom = left + rect.width * unit, top + rect.height * unit
    for (x1, y1), (x2, y2) in (
        ((left, top), (right, top)),
        ((left, bottom), (right, bottom)),
        ((left, top), (left, bottom)),
        ((right, top), (right, bottom)),
    ):
        length = max(x2 - x1, y2 - y1)
        at = 0.0
        while at < length:
            end = min(at + dash, length)
            a, b = at / length, end / length
            draw.line([x1 + a * (x2 - x1), y1 + a * (y2 - y1), x1 + b * (x2 - x1), y1 + b * (y2 - y1)], stroke, width)
            at += 2 * dash


@lru_cache(maxsize=64)
def _font(size: float) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
