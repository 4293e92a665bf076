"""Every picture of the gallery, as text and as a person sees it.

After a change that is meant, look at the pictures (`make figures`) and rewrite what is compared with:

    TROUS_GOLDEN=write pytest tests/drawing/test_gallery.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drawing.seen import outside, overlapping, visible_texts
from trous import TrousError
from trous.drawing import Drawing, gallery
from trous.drawing.gallery import GALLERY, draw_gallery
from trous.drawing.palette import COLOURS, STYLES, Style, contrast

GOLDEN = Path(__file__).parent / "golden"
FIGURES = Path(__file__).parents[2] / "docs" / "figures"

DRAWINGS = {entry.name: entry.make() for entry in GALLERY}
each = pytest.mark.parametrize("name", DRAWINGS)


@each
def test_the_picture_is_what_it_was(name: str) -> None:
    text, path = DRAWINGS[name].svg(), GOLDEN / f"{name}.svg"
    if os.environ.get("TROUS_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_nothing_is_left_of_pictures_that_are_gone() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(DRAWINGS)


def test_the_figures_of_the_pages_are_those_of_the_gallery() -> None:
    figures = sorted(path for path in FIGURES.iterdir() if path.is_file())  # other pages have folders of their own
    assert len(figures) > 3
    for figure in figures:
        assert figure.read_text(encoding="utf-8") == DRAWINGS[figure.stem].svg(), "run make figures"


@each
def test_every_text_can_be_read(name: str) -> None:
    """None lies over another or outside, and each has contrast with what it stands on, by day and by night."""
    drawing = DRAWINGS[name]
    for frame in range(0, len(drawing.frames), 2):
        seen = visible_texts(drawing, frame)
        boxes = [text.box for text, _ in seen]
        assert [(seen[a][0].text, seen[b][0].text) for a, b in overlapping(boxes)] == [], frame
        assert outside(drawing, boxes) == [], frame
        for ink, ground in {(STYLES[text.style].fill, ground) for text, ground in seen}:
            for mode in (0, 1):
                assert contrast(COLOURS[ink][mode], COLOURS[ground][mode]) >= 4.5, (ink, ground, mode)


def test_the_test_above_can_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger letters do overlap."""
    crowded = Drawing(400, 300, "", DRAWINGS["fields_stacked"].background, DRAWINGS["fields_stacked"].frames)
    monkeypatch.setitem(STYLES, "label", Style("ink", size=40))
    assert list(overlapping([text.box for text, _ in visible_texts(crowded, 2)]))


#: Input and output of each, as in the guide's own figures.
KNOWN = {
    "no_padding_no_strides": (4, 2),
    "arbitrary_padding_no_strides": (5, 6),
    "same_padding_no_strides": (5, 5),
    "full_padding_no_strides": (5, 7),
    "no_padding_strides": (5, 2),
    "padding_strides": (5, 3),
    "padding_strides_odd": (6, 3),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_known_animations_have_their_sizes(name: str) -> None:
    size, output = KNOWN[name]
    forth, back = DRAWINGS[name], DRAWINGS[f"{name}_transposed"]
    assert forth.links and back.links
    assert (forth.links.input_size, forth.links.output_size) == ((size, size), (output, output))
    assert (back.links.input_size, back.links.output_size) == ((output, output), (size, size))
    assert (len(forth.frames), len(back.frames)) == (output**2, size**2)


@pytest.mark.parametrize("name", [name for name in KNOWN if name != "padding_strides_odd"])
def test_the_twin_is_the_adjoint(name: str) -> None:
    forth, back = DRAWINGS[name].links, DRAWINGS[f"{name}_transposed"].links
    assert forth and back
    assert sorted((i, o, k) for o, i, k in back.taps) == sorted(forth.taps)


def test_writing_the_gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = [entry for entry in GALLERY if entry.name in ("no_padding_strides", "matrix")]
    monkeypatch.setattr(gallery, "GALLERY", few)
    written = draw_gallery(tmp_path / "new" / "folder")
    names = ["no_padding_strides.svg", "no_padding_strides.gif", "matrix.svg", "matrix.png"]
    assert [path.name for path in written] == names
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == sorted(names)


def test_where_the_gallery_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrousError, match="folder must be where files can be written"):
        draw_gallery(tmp_path / "file")
    with pytest.raises(TrousError, match=r"suffixes must be of .svg, .png, .gif, .html, got '.bmp'"):
        draw_gallery(tmp_path, (".bmp",))


def test_the_gallery_shows_1_to_3_axes() -> None:
    ranks = {len(drawing.links.input_size) for drawing in DRAWINGS.values() if drawing.links}
    assert ranks == {1, 2, 3}
