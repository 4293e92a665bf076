"""Picture files of any size, read and written row by row by libvips (docs/adr/0013-libvips-for-large-pictures.md)."""

from trous.apps.pictures.folders import FolderReport, each_picture, pictures_and_others
from trous.apps.pictures.formats import FORMATS, Format
from trous.apps.pictures.layout import Layout
from trous.apps.pictures.reading import Picture, open_picture
from trous.apps.pictures.writing import save_picture

__all__ = [
    "FORMATS",
    "FolderReport",
    "Format",
    "Layout",
    "Picture",
    "each_picture",
    "open_picture",
    "pictures_and_others",
    "save_picture",
]
