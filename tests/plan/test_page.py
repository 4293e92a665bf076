"""docs/plan.md and docs/practice.md say what the code does, in English and in Korean: their examples run.

A translation has the sections, code and figures of its original, so that neither falls behind the other.
"""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("plan.md", "practice.md")

FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n)+(?=\n)")
FIGURE = re.compile(r"!\[[^\]]+\]\(([^)]+)\)|<img src=\"([^\"]+)\"( width=\"\d+\") alt=\"[^\"]+\">")


def prose(text: str) -> str:
    return FENCE.sub("", text)


def sections(text: str) -> list[tuple[str, str]]:
    """Level and number, if there is one, of every heading."""
    return re.findall(r"^(#+) (\d+\.|)", prose(text), re.MULTILINE)


def code(text: str) -> list[str]:
    """Every block: examples, which run, and formulas, which are indented."""
    return FENCE.findall(text) + INDENTED.findall(prose(text))


def figures(text: str) -> list[tuple[str, str]]:
    """File and width of every figure."""
    return [(Path(link or source).name, width) for link, source, width in FIGURE.findall(text)]


def symbols(text: str) -> dict[str, int]:
    """What stands between backticks within the text, and how often."""
    found = re.findall(r"`[^`]+`", prose(text))
    return {symbol: found.count(symbol) for symbol in sorted(set(found))}


def links(text: str) -> list[str]:
    return sorted(re.findall(r"\]\((?:\.\./|ko/)*([^)]+\.md)\)", prose(text)))


@pytest.mark.parametrize("folder", ["", "ko"])
@pytest.mark.parametrize(("page", "least"), [("plan.md", 25), ("practice.md", 25)])
def test_examples_of_the_page(page: str, least: int, folder: str) -> None:
    failed, attempted = doctest.testfile(str(DOCS / folder / page), module_relative=False, encoding="utf-8")
    assert attempted > least
    assert failed == 0


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("part", [sections, code, figures, symbols, links])
def test_the_translation_has_all_of_the_page(page: str, part: object) -> None:
    assert callable(part)
    original, translation = ((DOCS / folder / page).read_text(encoding="utf-8") for folder in ("", "ko"))
    assert part(original)
    assert part(translation) == part(original)


@pytest.mark.parametrize("folder", ["", "ko"])
@pytest.mark.parametrize("page", PAGES)
def test_every_figure_of_the_page_is_there(page: str, folder: str) -> None:
    text = (DOCS / folder / page).read_text(encoding="utf-8")
    found = [link or source for link, source, _ in FIGURE.findall(text)]
    assert len(found) == len(re.findall(r"\.svg", text)) > 1
    assert [name for name in found if not (DOCS / folder / name).is_file()] == []


def test_the_parts_are_found() -> None:
    page = (
        "# a\n\n## 1. b\n\nx `s = 2`\n\n    y = 1\n    z = 2\n\n```python\n>>> # c\n```\n\n![d](f/e.svg) [p](ko/q.md)\n"
    )
    assert sections(page) == [("#", ""), ("##", "1.")]
    assert code(page) == ["```python\n>>> # c\n```", "    y = 1\n    z = 2\n"]
    assert figures(page) == [("e.svg", "")]
    assert symbols(page) == {"`s = 2`": 1}
    assert links(page) == ["q.md"]
