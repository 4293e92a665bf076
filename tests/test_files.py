"""Files are complete or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trous.files import replace_file


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    replace_file(path, "één")
    replace_file(path, "two")
    assert path.read_text(encoding="utf-8") == "two"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["page.html"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("page.html")
    replace_file(link, "text")
    assert link.is_symlink()
    assert (tmp_path / "page.html").read_text() == "text"


def test_failing_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    replace_file(path, "old")
    with pytest.raises(UnicodeEncodeError):
        replace_file(path, "\ud800")
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path, "text")
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "missing" / "page.html", "text")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["page.html"]
