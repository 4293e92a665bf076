"""Pictures of layers, drawn from their plans: SVG, PNG, GIF and HTML. See docs/drawing.md."""

from trous.drawing.scene import Drawing
from trous.drawing.views import VIEWS, draw

__all__ = ["VIEWS", "Drawing", "draw"]
