"""Runs that are finished are not made again, and those that are not leave nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from trous.apps.deconvolution.runs import kept


def test_a_run_is_made_once(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"psnr": 30.25}

    first, again = (kept(tmp_path / "a" / "run.json", make) for _ in range(2))
    assert first == again
    assert first["psnr"] == 30.25
    assert first["commit"]
    assert len(made) == 1


def test_what_failed_is_tried_again(tmp_path: Path) -> None:
    def fail() -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path / "run.json", fail)
    assert not list(tmp_path.iterdir())
    assert kept(tmp_path / "run.json", lambda: {"psnr": 1.0})["psnr"] == 1.0
