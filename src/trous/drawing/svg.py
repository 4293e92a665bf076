"""Pictures as SVG: text that is the same every time, colours that follow light and dark.

Frames are an animation of their visibility by style sheet, which browsers also play in an `<img>`. Where nothing moves,
because somebody asked for that or the program cannot, the most telling frame shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby

from trous.drawing.palette import COLOURS, STYLES, Style
from trous.drawing.scene import Circle, Drawing, Line, Rect, Shape, Text

FONT = 'system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif'


def svg(drawing: Drawing, *, dark: bool | None = None, interactive: bool = False) -> str:
    """The drawing as SVG text. `interactive` leaves the frames to a script, and keeps the keys of the shapes."""
    width, height = number(drawing.width), number(drawing.height)
    title = escape(drawing.title)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="trous" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" role="img" aria-label="{title}">',
        f"<title>{title}</title>",
        f"<desc>{escape(drawing.description)}</desc>",
        f"<style>\n{_sheet(drawing, dark, interactive)}</style>",
        f'<rect class="paper" width="{width}" height="{height}" rx="6"/>',
        *_elements(drawing.background, keys=interactive),
    ]
    count, duration = len(drawing.frames), drawing.milliseconds
    for place, frame in enumerate(drawing.frames):
        classes = f"frame frames{count}" if count > 1 and not interactive else "frame"
        kind = f"{classes} still" if place == drawing.still else classes
        delay = f' style="animation-delay:{-(count - place) * duration}ms"' if count > 1 and not interactive else ""
        parts += [f'<g class="{kind}"{delay}>', *_elements(frame.shapes, keys=False), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def number(value: float) -> str:
    """At most one decimal, and none that says nothing."""
    return f"{round(value, 1) + 0:g}"


def _elements(shapes: Iterable[Shape], keys: bool) -> Iterator[str]:
    """Elements in order. Neighbours of one style without a key become one path."""
    for (kind, style, keyed), group in groupby(shapes, lambda s: (type(s), s.style, keys and _key(s) is not None)):
        if kind is Text:
            texts = "\n".join(_text(shape) for shape in group if isinstance(shape, Text))
            yield f'<g class="{style}">{texts}</g>'
        elif keyed:
            yield from map(_keyed, group)
        else:
            yield f'<path class="{style}" d="{"".join(map(_outline, group))}"/>'


def _key(shape: Shape) -> tuple[str, int] | None:
    return shape.key if isinstance(shape, (Rect, Circle)) else None


def _outline(shape: Shape) -> str:
    match shape:
        case Rect(x, y, width, height):
            return f"M{number(x)} {number(y)}h{number(width)}v{number(height)}h{number(-width)}z"
        case Line(x1, y1, x2, y2):
            return f"M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}"
        case Circle(x, y, radius):
            r, across = number(radius), number(2 * radius)
            return f"M{number(x - radius)} {number(y)}a{r} {r} 0 1 0 {across} 0a{r} {r} 0 1 0 -{across} 0z"
    raise TypeError(shape)


def _text(text: Text) -> str:
    anchor = "" if text.anchor == "middle" else f' text-anchor="{text.anchor}"'
    baseline = text.y + 0.35 * STYLES[text.style].size
    return f'<text x="{number(text.x)}" y="{number(baseline)}"{anchor}>{escape(text.text)}</text>'


def _keyed(shape: Shape) -> str:
    kind, index = _key(shape) or ("", 0)
    return f'<path class="{shape.style} {kind}" data-{kind}="{index}" d="{_outline(shape)}"/>'


def _sheet(drawing: Drawing, dark: bool | None, interactive: bool) -> str:
    """The style sheet: what the shapes use of colours and styles, and when each frame shows."""
    shapes = [*drawing.background, *(shape for frame in drawing.frames for shape in frame.shapes)]
    used = sorted({"paper"} | {shape.style for shape in shapes}, key=list(STYLES).index)
    colours = {colour for style in used for colour in (STYLES[style].fill, STYLES[style].stroke) if colour}
    names = sorted(colours, key=list(COLOURS).index)
    lines = [f".trous{{{_variables(names, bool(dark))};font-family:{FONT}}}"]
    if dark is None:
        lines.append(f"@media (prefers-color-scheme:dark){{.trous{{{_variables(names, True)}}}}}")
    lines.append(".trous text{text-anchor:middle}")
    lines += [f".trous .{style}{{{_declarations(STYLES[style])}}}" for style in used]
    lines += [f'.trous [text-anchor="{anchor}"]{{text-anchor:{anchor}}}' for anchor in _anchors(shapes)]
    lines += [".trous .frame{visibility:hidden;pointer-events:none}", ".trous .still{visibility:visible}"]
    count = len(drawing.frames)
    if count > 1 and not interactive:
        whole = count * drawing.milliseconds
        share = 100 * 10**6 // count / 10**6  # rounded down, so that no two frames are seen at once
        lines += [
            f".trous .frames{count}{{animation:trous-frames{count} {whole}ms step-end infinite}}",
            f"@keyframes trous-frames{count}{{0%{{visibility:visible}}{share:.10g}%{{visibility:hidden}}"
            "100%{visibility:hidden}}",
            "@media (prefers-reduced-motion:reduce){.trous .frame{animation:none}}",
        ]
    return "\n".join(lines) + "\n"


def _anchors(shapes: Iterable[Shape]) -> list[str]:
    return sorted({shape.anchor for shape in shapes if isinstance(shape, Text)} - {"middle"})


def _variables(names: Iterable[str], dark: bool) -> str:
    return ";".join(f"--{name}:{COLOURS[name][dark]}" for name in names)


def _declarations(style: Style) -> str:
    if style.size:
        weight = ";font-weight:600" if style.bold else ""
        return f"fill:var(--{style.fill});font-size:{number(style.size)}px{weight}"
    fill = f"var(--{style.fill})" if style.fill else "none"
    stroke = f";stroke:var(--{style.stroke})" if style.stroke else ""
    width = f";stroke-width:{number(style.width)}" if style.width != 1 else ""
    dash = f";stroke-dasharray:{number(style.dash)}" if style.dash else ""
    return f"fill:{fill}{stroke}{width}{dash}"
