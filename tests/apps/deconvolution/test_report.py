"""Gains and tables of made-up runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trous.apps.deconvolution.cases import Case
from trous.apps.deconvolution.report import gains, record

CASES = [Case(number, np.ones((3, 3)), Path(f"{name}.png")) for number in (1, 2) for name in ("a", "b")]
PSNR = {
    "scikit-image weak": [20.0, 27.0, 20.0, 20.0],
    "scikit-image strong": [24.0, 25.0, 26.0, 27.0],
    "scikit-image strong, tapered": [25.0, 25.0, 26.0, 29.0],
    "trous total_variation": [26.0, 26.0, 28.0, 30.0],
}


def runs() -> dict[str, list[dict[str, Any]]]:
    return {
        name: [{"parameter": "p", "psnr": value, "seconds": 1.0, "commit": "abc"} for value in values]
        for name, values in PSNR.items()
    }


def test_gains_are_over_the_best_in_each_case() -> None:
    found = gains(runs())
    assert list(found) == ["trous total_variation"]
    assert found["trous total_variation"] == {
        "as_they_are": 1.5,
        "as_they_are_least": -1.0,
        "tapered": 0.75,
        "tapered_least": -1.0,
    }


def test_record_has_a_row_for_each_and_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    made = record(runs(), CASES)
    (header, rows), (_, gained) = made.tables
    assert header == ["contender", "PSNR", "kernel 1", "kernel 2", "s"]
    assert rows[1] == ("scikit-image strong", "25.50", "24.50", "26.50", "1.0")
    assert gained == [("trous total_variation", "1.50", "-1.00", "0.75", "-1.00")]
    assert {path.suffix for path in made.write(tmp_path)} == {".json", ".md", ".png"}
