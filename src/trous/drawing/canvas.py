"""Shapes laid out: panels of cells, and the canvas with its heading above and its caption below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trous.drawing.scene import Drawing, Frame, Key, Line, Links, Rect, Shape, Text, extent, text_width

#: Row and column of a cell.
Place = tuple[int, int]

MARGIN = 18
GAP = 44
LABEL = 22  #: height of a line of text, its distance included
LARGEST_CELL = 30


@dataclass(frozen=True)
class Panel:
    """Cells of a grid whose left top corner is at (x, y); rows and columns are addressed by their places."""

    x: float
    y: float
    cell: float
    rows: range
    columns: range

    @property
    def width(self) -> float:
        return self.cell * len(self.columns)

    @property
    def height(self) -> float:
        return self.cell * len(self.rows)

    def rect(self, place: Place, style: str, key: Key | None = None) -> Rect:
        x, y = self._corner(*place)
        return Rect(x, y, self.cell, self.cell, style, key)

    def window(self, rows: range, columns: range, style: str, inset: float = 0) -> Rect:
        """The outline of an interval of cells, moved inwards by `inset`."""
        x, y = self._corner(rows[0], columns[0])
        width, height = self.cell * len(columns), self.cell * len(rows)
        return Rect(x + inset, y + inset, width - 2 * inset, height - 2 * inset, style)

    def text(self, place: Place, text: str, style: str) -> list[Text]:
        """The text in its cell; none where it would not fit."""
        x, y = self._corner(*place)
        made = Text(x + self.cell / 2, y + self.cell / 2, text, style)
        left, top, right, bottom = made.box
        fits = right - left <= self.cell - 2 and bottom - top <= self.cell - 2
        return [made] if fits else []

    def cross(self, place: Place) -> list[Line]:
        """What marks a cell that nobody reads."""
        x, y = self._corner(*place)
        a, b = self.cell * 0.36, self.cell * 0.64
        return [Line(x + a, y + a, x + b, y + b, "cross"), Line(x + b, y + a, x + a, y + b, "cross")]

    def below(self, text: str) -> Text:
        """The name of the panel."""
        return Text(self.x + self.width / 2, self.y + self.height + LABEL - 6, text, "label")

    def _corner(self, row: int, column: int) -> tuple[float, float]:
        return self.x + self.cell * (column - self.columns[0]), self.y + self.cell * (row - self.rows[0])


def cell_size(*counts: int, texts: Sequence[str] = (), most: float = 460) -> float:
    """The side of a cell, so that the longest of `counts` cells keep within `most` pixels and the texts fit."""
    widest = max((text_width(text, 11) + 6 for text in texts), default=0)
    return max(widest, min(LARGEST_CELL, max(9, most // max(counts))))


def beside(sizes: Sequence[tuple[float, float]], labels: Sequence[str], gap: float = GAP) -> list[tuple[float, float]]:
    """Left top corners of panels of these (width, height) next to each other, their middles level, labels below."""
    height = max(h for _, h in sizes)
    corners, x = [], 0.0
    for (w, h), label in zip(sizes, labels, strict=True):
        room = max(w, text_width(label, 12))
        corners.append((x + (room - w) / 2, (height - h) / 2))
        x += room + gap
    return corners


def arrow(left: float, right: float, y: float) -> list[Shape]:
    """Between two panels: what the one gives is the other."""
    tip = (left + right) / 2 + 8
    return [
        Line(tip - 16, y, tip, y, "arrow"),
        Line(tip - 5, y - 4, tip, y, "arrow"),
        Line(tip - 5, y + 4, tip, y, "arrow"),
    ]


def compose(
    title: str,
    background: Sequence[Shape],
    frames: Sequence[tuple[Sequence[Shape], str]],
    *,
    still: int = 0,
    links: Links | None = None,
) -> Drawing:
    """The drawing of what was laid out from (0, 0), with its title above and each frame's caption below."""
    across, down = extent([*background, *(shape for shapes, _ in frames for shape in shapes)])
    bold = 1.1  # so much wider than others
    texts = bold * text_width(title, 14), *(text_width(caption, 13) for _, caption in frames)
    width = max(across, *texts) + 2 * MARGIN
    left, top = (width - across) / 2, MARGIN + 2 * LABEL - 8
    bottom = top + down + LABEL + 4
    heading = Text(width / 2, MARGIN + 6, title, "heading")
    made = []
    for shapes, caption in frames:
        words = [Text(width / 2, bottom, caption, "caption")] if caption else []
        made.append(Frame((*(_moved(shape, left, top) for shape in shapes), *words), caption))
    moved = (heading, *(_moved(shape, left, top) for shape in background))
    return Drawing(round(width), round(bottom + MARGIN), title, moved, tuple(made), still, links)


def _moved(shape: Shape, right: float, down: float) -> Shape:
    if isinstance(shape, Line):
        return shape._replace(x1=shape.x1 + right, y1=shape.y1 + down, x2=shape.x2 + right, y2=shape.y2 + down)
    return shape._replace(x=shape.x + right, y=shape.y + down)
