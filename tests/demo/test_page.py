"""The page is whole, needs nothing from outside, and says what the story says."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from trous import Conv, ConvTranspose
from trous.demo import drawing
from trous.demo.page import page
from trous.demo.pictures import busiest, data_uri
from trous.demo.sections import milliseconds
from trous.demo.story import Story

VOID = {"meta", "img", "br"}


class Outline(HTMLParser):
    """Every element with its attributes; raises where one is closed that is not the last opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open and self.open[-1] != "style" else ""

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def text(story: Story) -> str:
    return page(story, credit="by a <friend>")


@pytest.fixture(scope="module")
def outline(text: str) -> Outline:
    return Outline(text)


def test_it_needs_nothing_from_outside(text: str, outline: Outline) -> None:
    assert not {tag for tag, _ in outline.elements} & {"script", "link", "iframe", "object", "base"}
    assert all(re.match("data:image/(png|jpeg);base64,", str(img["src"])) for img in outline.attributes("img"))
    assert not re.search(r"https?:|url\(|@import|srcset|href", text)


def test_every_picture_is_one_and_is_described(story: Story, outline: Outline) -> None:
    images = outline.attributes("img")
    assert len(images) == 1 + len(story.enlargements) + 4 * len(story.learned) + len(story.looks)
    for image in images:
        assert image["alt"]
        content = base64.b64decode(str(image["src"]).partition(",")[2])
        with Image.open(io.BytesIO(content)) as decoded:
            decoded.load()
            assert decoded.mode == "RGB"
    assert all(svg["aria-label"] for svg in outline.attributes("svg"))


def test_it_tells_the_story(story: Story, outline: Outline) -> None:
    said = " ".join(outline.text.split())
    for check in story.checks:
        assert check.sentence[1:] in said
    for name in ("small & <odd>.png", "52 × 40 pixels, reduced from 400 × 520", "by a <friend>"):
        assert name in said
    for view in story.looks:
        assert f"{view.cost.nominal:,} multiplications, {view.cost.multiplications:,} of them inside" in said
    for race in story.races:
        assert f"{race.job}{race.problem.multiplications:,}" in outline.text
    for result in story.enlargements:
        assert f"largest difference {result.difference:.2g}" in said
    for row in story.lecture.transposed:
        assert "".join(f"{value:g}" for value in row) in outline.text
    assert {"class": "bad"} not in outline.attributes("li")


def test_it_says_what_went_wrong(story: Story) -> None:
    wrong = replace(story.races[0], seconds={}, refused="PyTorch is off by <1>")
    lecture = replace(story.lecture, equivalent=story.lecture.equivalent + 1)
    told = replace(story, races=[wrong, *story.races[1:]], lecture=lecture, caution="it was busy")
    outline = Outline(page(told))
    assert "Mind: it was busy." in outline.text
    assert outline.attributes("li").count({"class": "bad"}) == 2
    assert "not timed: PyTorch is off by <1>" in outline.text
    assert "not the same" in outline.text


def test_pictures_keep_their_pixels(rng: np.random.Generator) -> None:
    values = rng.integers(0, 256, (3, 5, 7))
    encoded = data_uri(values / 255, repeat=2, lossless=True)
    with Image.open(io.BytesIO(base64.b64decode(encoded.partition(",")[2]))) as image:
        assert np.array_equal(np.asarray(image).transpose(2, 0, 1), values.repeat(2, 1).repeat(2, 2))
    assert data_uri(np.full((3, 5, 7), 1.5)) == data_uri(np.ones((3, 5, 7)))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_detail_is_where_something_is(channels: int) -> None:
    picture = np.full((3, 60, 90), 0.5)
    picture[:channels, 30:34, 50:54] = 1.0
    top, left = busiest(picture, side=16, margin=8)
    assert top <= 30 <= 34 <= top + 16
    assert left <= 50 <= 54 <= left + 16
    assert busiest(np.zeros((3, 32, 32)), side=16, margin=8) == (8, 8)
    assert busiest(np.zeros((3, 18, 32)), side=16, margin=8) == (1, 8)


@pytest.mark.parametrize(
    ("spec", "holes", "lines"),
    [(Conv(3, padding=2, dilation=2), 0, 7 + 5 + 5), (Conv(1, stride=3), 4, 3), (ConvTranspose(2, stride=2), 6, 14)],
)
def test_taps_drawn_are_taps_executed(spec: Conv | ConvTranspose, holes: int, lines: int) -> None:
    bound = spec.plan().bind(7)
    outline = Outline(drawing.axis_taps(spec.plan().axes[0], 7, 1, "a & b"))
    circles = [str(circle["class"]).split() for circle in outline.attributes("circle")]
    assert sum("hole" in kind for kind in circles) == holes
    assert sum("input" in kind for kind in circles) == 7
    assert sum("output" in kind for kind in circles) == bound.output_size[0]
    assert len(outline.attributes("path")) == lines == bound.multiplications


def test_receptive_field_drawn() -> None:
    outline = Outline(drawing.receptive_field(Conv((3, 3), dilation=2).plan(), 7, "field"))
    kinds = [rect["class"] for rect in outline.attributes("rect")]
    assert (kinds.count("read"), kinds.count("unread"), kinds.count("outside")) == (9, 16, 24)


def test_milliseconds() -> None:
    assert [milliseconds(s) for s in (1.234e-5, 1.234e-4, 1.234e-3, 0.01234, 0.1234)] == [
        "0.0123",
        "0.123",
        "1.23",
        "12.3",
        "123",
    ]
