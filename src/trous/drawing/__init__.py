"""Pictures of layers and models, drawn from their plans: SVG, PNG, GIF and HTML. See docs/drawing.md."""

from trous.drawing.models import MODEL_VIEWS
from trous.drawing.scene import Drawing
from trous.drawing.views import VIEWS, draw

__all__ = ["MODEL_VIEWS", "VIEWS", "Drawing", "draw"]
