"""The pictures of docs/deconvolution.md are made, and those of the page are there."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trous.apps.deconvolution import figures, noise_study
from trous.apps.deconvolution.pictures import Cell, centred, grid, levels
from trous.demo.photo import SHIPPED, load_photo

DOCS = Path(__file__).parents[3] / "docs"
LARGEST = 250_000


def test_the_pictures_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "FACE", (0, 0, 40))
    monkeypatch.setattr(figures, "CORNER", 30)
    monkeypatch.setattr(figures, "study", lambda picture, track: noise_study.study(picture, (0.01, 0.1), track))
    monkeypatch.setattr(figures, "garments", lambda root: [np.eye(28)])
    titles = []
    pixels = load_photo(SHIPPED).pixels[0, :, 50:150, 100:220]
    written = figures.draw(tmp_path / "new", pixels, tmp_path, lambda title: titles.append(title) or iter)
    names = sorted(path.name for path in written)
    assert names == sorted(path.name for path in (DOCS / "figures/deconvolution").iterdir())
    assert titles == ["Stride 1", "Stride 2", "Borders", "Noise"]
    with Image.open(tmp_path / "new/stride_1.png") as image:
        assert image.mode == "L"
    assert (tmp_path / "new/noise.svg").read_bytes().count(b"</svg>") == 1


def test_the_page_shows_them_all_and_they_are_small() -> None:
    page = (DOCS / "deconvolution.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"\(figures/deconvolution/([^)]+)\)", page))
    there = {path.name: path.stat().st_size for path in (DOCS / "figures/deconvolution").iterdir()}
    assert shown == set(there)
    assert max(there.values()) < LARGEST


def test_cells_share_one_scale_and_do_not_touch() -> None:
    dark, light = np.zeros((30, 60)), np.full((30, 60), 2.0)
    page = np.asarray(Image.open(BytesIO(grid([Cell(dark, "a"), Cell(light, "b"), Cell(dark, "c")], 2, enlarged=2))))
    assert (page[10:70, 10:130] == 0).all() and (page[10:70, 140:260] == 255).all()
    assert (page[:, 131:139] == 255).all()
    assert page.shape == (2 * (60 + 18 + 10) + 10, 2 * (120 + 10) + 10)


def test_a_long_name_makes_room() -> None:
    name = "a name that is wider than its picture"
    page = np.asarray(Image.open(BytesIO(grid([Cell(np.ones((9, 9)), name)] * 2, 2))))
    written = np.flatnonzero((page < 255).any(0))
    assert np.diff(written).max() >= 10  # one gap at least between the two


def test_levels_and_centres() -> None:
    assert levels(np.array([[-0.1, 0.5, 1.1]])).tolist() == [[0, 128, 255]]
    assert centred(np.ones((1, 1)), (4, 5), 2).tolist() == [
        [0, 0, 0, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]
