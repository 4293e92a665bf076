"""What of a picture is seen: texts that nothing covers, and what they stand on; cells by what they stand for."""

from __future__ import annotations

from collections.abc import Iterator

from trous.drawing import Drawing
from trous.drawing.palette import STYLES
from trous.drawing.scene import Key, Rect, Shape, Text


def layers_of_paint(drawing: Drawing, frame: int) -> list[Shape]:
    return [*drawing.background, *drawing.frames[frame].shapes]


def visible_texts(drawing: Drawing, frame: int) -> list[tuple[Text, str]]:
    """Texts of a frame that no later rectangle covers, with the colour that each stands on."""
    found: list[tuple[Text, str]] = []
    filled: list[Rect] = []
    for shape in layers_of_paint(drawing, frame):
        if isinstance(shape, Rect) and STYLES[shape.style].fill:
            found = [(text, ground) for text, ground in found if not _touches(shape, text)]
            filled.append(shape)
        if isinstance(shape, Text):
            ground = next((STYLES[rect.style].fill for rect in reversed(filled) if _touches(rect, shape)), "paper")
            found.append((shape, ground))
    return found


def overlapping(boxes: list[tuple[float, float, float, float]]) -> Iterator[tuple[int, int]]:
    """Pairs of boxes that share an area."""
    for a, (left, top, right, bottom) in enumerate(boxes):
        for b, (left2, top2, right2, bottom2) in enumerate(boxes[:a]):
            if left < right2 and left2 < right and top < bottom2 and top2 < bottom:
                yield b, a


def outside(drawing: Drawing, boxes: list[tuple[float, float, float, float]]) -> list[tuple[float, ...]]:
    """The boxes that reach over the edge of the picture."""
    return [b for b in boxes if min(b) < 0 or b[2] > drawing.width or b[3] > drawing.height]


def keyed(drawing: Drawing) -> dict[Key, Rect]:
    """The rectangle that stands for each input, output and weight."""
    return {shape.key: shape for shape in drawing.background if isinstance(shape, Rect) and shape.key}


def lit(drawing: Drawing, frame: int, kind: str) -> set[int]:
    """Flat indices of the inputs, outputs or weights that a frame paints over in a full hue."""
    places = {(rect.x, rect.y): key for key, rect in keyed(drawing).items()}
    hues = [s for s in drawing.frames[frame].shapes if isinstance(s, Rect) and s.style.startswith("hue")]
    keys = [places.get((rect.x, rect.y)) for rect in hues]
    return {key[1] for key in keys if key and key[0] == kind}


def _touches(rect: Rect, text: Text) -> bool:
    left, top, right, bottom = text.box
    return left < rect.x + rect.width and rect.x < right and top < rect.y + rect.height and rect.y < bottom
