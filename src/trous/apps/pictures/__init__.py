"""Picture files of any size, read and written row by row by libvips (docs/adr/0013-libvips-for-large-pictures.md)."""

from trous.apps.pictures.formats import FORMATS, Format
from trous.apps.pictures.layout import Layout
from trous.apps.pictures.reading import Picture, open_picture
from trous.apps.pictures.writing import save_picture

__all__ = ["FORMATS", "Format", "Layout", "Picture", "open_picture", "save_picture"]
