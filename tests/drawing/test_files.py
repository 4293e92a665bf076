"""What is written: SVG, PNG, GIF and HTML that open, with their frames; and what cannot be."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from drawing.definition import triples
from trous import Conv, ConvTranspose, TrousError
from trous.drawing import Drawing, draw
from trous.drawing.palette import COLOURS
from trous.drawing.raster import gif, image, png
from trous.drawing.scene import Frame

SVG = "{http://www.w3.org/2000/svg}"
SPEC, SIZE = ConvTranspose(3, stride=2, padding=1), (2, 3)
DRAWING = draw(SPEC, SIZE)
STILL = draw(ConvTranspose(3, stride=2), (3, 3), view="overlap")


def test_svg() -> None:
    root = ElementTree.fromstring(DRAWING.svg())
    assert root.get("role") == "img"
    assert root.get("aria-label") == root.findtext(f"{SVG}title") == DRAWING.title
    assert root.findtext(f"{SVG}desc") == DRAWING.description
    assert root.get("viewBox") == f"0 0 {DRAWING.width} {DRAWING.height}"
    frames = [group for group in root if "frame" in (group.get("class") or "").split()]
    assert len(frames) == len(DRAWING.frames) == 15
    still = [place for place, group in enumerate(frames) if "still" in (group.get("class") or "").split()]
    assert still == [DRAWING.still]


def test_every_class_and_colour_is_defined() -> None:
    for drawing in (DRAWING, STILL):
        text = drawing.svg()
        used = {name for names in re.findall(r'class="([^"]+)"', text) for name in names.split()}
        used -= {"trous", "frame", "still"} if len(drawing.frames) == 1 else {"trous"}
        assert used <= set(re.findall(r"\.([a-z][\w-]*)[{ ]", text)), drawing.title
        variables = set(re.findall(r"var\(--([\w-]+)\)", text))
        assert variables == set(re.findall(r"--([\w-]+):", text))
        assert "prefers-color-scheme:dark" in text


def test_a_frame_at_a_time() -> None:
    """Each is seen for its share of the animation, the first one first."""
    text = DRAWING.svg()
    delays = [int(delay) for delay in re.findall(r"animation-delay:(-\d+)ms", text)]
    count, duration = len(DRAWING.frames), DRAWING.milliseconds
    assert f"{count * duration}ms step-end infinite" in text
    shown = [
        [f for f, delay in enumerate(delays) if (t - delay) % (count * duration) < duration]
        for t in range(0, count * duration, duration)
    ]
    assert shown == [[frame] for frame in range(count)]
    (share,) = re.findall(r"([\d.]+)%{visibility:hidden}100%", text)
    assert 100 / count - 1e-5 < float(share) <= 100 / count
    assert "animation" not in STILL.svg()
    assert "prefers-reduced-motion" in text


@pytest.mark.parametrize("dark", [True, False])
def test_a_mode_that_is_fixed(dark: bool) -> None:
    text = DRAWING.svg(dark=dark)
    assert "prefers-color-scheme" not in text
    assert f"--paper:{COLOURS['paper'][dark]}" in text
    assert ("dark" if dark else "light") in re.search(r'<html lang="en" class="(\w+)"', DRAWING.html(dark=dark))[1]  # type: ignore[index]


def test_text_is_escaped() -> None:
    drawing = Drawing(10, 10, 'a <b> & "c"', (), (Frame((), "<d>"),))
    assert ElementTree.fromstring(drawing.svg()).get("aria-label") == 'a <b> & "c"'
    assert "<b>" not in drawing.html()


@pytest.mark.parametrize("dark", [False, True])
def test_png(dark: bool) -> None:
    opened = Image.open(io.BytesIO(png(DRAWING, dark=dark)))
    assert opened.format == "PNG"
    assert opened.size == (2 * DRAWING.width, 2 * DRAWING.height)
    assert opened.convert("RGB").getpixel((1, 1)) == tuple(bytes.fromhex(COLOURS["paper"][dark][1:]))
    assert opened.tobytes() == image(DRAWING, DRAWING.still, dark=dark).tobytes()


def test_gif() -> None:
    opened = Image.open(io.BytesIO(gif(DRAWING)))
    assert (opened.format, opened.n_frames, opened.info["loop"]) == ("GIF", 15, 0)  # type: ignore[attr-defined]
    assert opened.size == (DRAWING.width, DRAWING.height)
    durations = []
    for frame in range(15):
        opened.seek(frame)
        durations.append(opened.info["duration"])
        truth = np.asarray(image(DRAWING, frame, scale=1), int)
        assert np.abs(np.asarray(opened.convert("RGB"), int) - truth).mean() < 2
    assert durations == [700] * 14 + [2100]


def test_a_gif_is_small() -> None:
    assert len(gif(DRAWING)) < 80_000


def test_html_needs_nothing_else() -> None:
    text = DRAWING.html()
    assert re.findall(r"(?:src|href|url\()", text) == []
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}
    assert text.count('class="frame') == 15
    assert 'id="step" type="range" min="0" max="14"' in text
    assert "prefers-color-scheme" in text


def page_data(text: str) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
    assert found
    return json.loads(found[1])


def test_what_hovering_tells_is_the_definition() -> None:
    data = page_data(DRAWING.html())
    assert {tuple(tap) for tap in data["taps"]} == triples(SPEC, SIZE)  # type: ignore[attr-defined]
    assert data["sizes"] == {"output": [3, 5], "input": [2, 3], "kernel": [3, 3]}
    assert data["still"] == DRAWING.still


def test_what_can_be_hovered_over_is_there() -> None:
    text = DRAWING.html()
    for kind, count in (("output", 15), ("input", 6), ("kernel", 9)):
        found = re.findall(rf'<path class="[\w-]+ {kind}" data-{kind}="(\d+)"', text)
        assert sorted(map(int, found)) == list(range(count))


def test_a_page_of_one_step_has_no_slider() -> None:
    for drawing in (STILL, DRAWING.at(3)):
        assert 'id="step"' not in drawing.html()
        assert page_data(drawing.html())["taps"] is None


@pytest.mark.parametrize("suffix", [".svg", ".SVG", ".png", ".gif", ".html"])
def test_save(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_text("old")
    assert draw(Conv(3), 5).save(str(path)) == path
    start = {".svg": b"<svg", ".png": b"\x89PNG", ".gif": b"GIF89a", ".html": b"<!DOCTYPE html>"}[suffix.lower()]
    assert path.read_bytes().startswith(start)
    assert os.listdir(tmp_path) == [path.name]


def test_a_notebook_shows_it() -> None:
    assert DRAWING._repr_svg_() == DRAWING.svg()
    assert len(repr(DRAWING)) < 200


@pytest.mark.parametrize("name", ["x.pdf", "x", "x.svg.gz"])
def test_another_suffix(name: str, tmp_path: Path) -> None:
    with pytest.raises(TrousError, match=r"path must end in one of \.svg, \.png, \.gif, \.html"):
        DRAWING.save(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(TrousError, match="path must be where a file can be written"):
        DRAWING.save(tmp_path / "missing" / "x.svg")
    (tmp_path / "x.svg").mkdir()
    with pytest.raises(TrousError, match="path must be where a file can be written"):
        DRAWING.save(tmp_path / "x.svg")


def test_png_and_gif_say_that_they_need_pillow(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    for name in ("x.png", "x.gif"):
        with pytest.raises(ModuleNotFoundError, match="PNG and GIF need Pillow: pip install pillow"):
            DRAWING.save(tmp_path / name)


def test_svg_and_html_need_no_pillow_and_no_torch() -> None:
    code = "import sys; sys.modules['PIL'] = sys.modules['torch'] = None; import trous; "
    code += "d = trous.draw(trous.Conv(3), 5); d.svg(); d.html(); print(len(d.frames))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "3\n"
