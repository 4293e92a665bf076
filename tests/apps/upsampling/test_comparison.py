"""The comparison from pictures to page, on small ones; a second time nothing is trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from trous.apps.upsampling import comparison
from trous.apps.upsampling.methods import METHODS
from trous.apps.upsampling.report import record


def test_from_pictures_to_page(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    for each in ("learnt", *comparison.SETS):
        (tmp_path / "images" / each).mkdir(parents=True)
        for n in range(2):
            noise = Image.fromarray(rng.integers(0, 256, (48, 48, 3), np.uint8))
            noise.filter(ImageFilter.GaussianBlur(2)).save(tmp_path / "images" / each / f"{n}.png")
    monkeypatch.setattr(
        comparison,
        "recipe",
        lambda scale, epochs: comparison.Recipe(
            scale, ("images/learnt",), epochs, held_out=1, steps=2, batch=1, patch=12, sizes=(1.0,)
        ),
    )
    monkeypatch.setenv("TROUS_DATA", str(tmp_path))
    monkeypatch.setattr(comparison, "TIMED", 32)
    monkeypatch.setattr(comparison, "SECONDS", 0.0)

    def run() -> list[comparison.Outcome]:
        return list(comparison.compare(tmp_path, tmp_path / "runs", (2,), 1, lambda items, name: items))

    first = run()
    assert [o.method for o in first] == [*comparison.INTERPOLATIONS, *METHODS]
    assert all(o.milliseconds > 0 and 15 < o.psnr["set5"] < 60 for o in first)
    assert first[0].flat == 0 and first[2].flat_before > 0.1
    step = comparison.Training.training_step
    monkeypatch.setattr(comparison.Training, "training_step", lambda *_: pytest.fail(f"{step} is called"))
    again = run()
    assert [o.psnr for o in again] == [o.psnr for o in first]
    page = record(first, 1, 2)
    assert page.picture is not None and page.picture.startswith(b"\x89PNG")
    assert len(page.tables[0][1]) == 7
