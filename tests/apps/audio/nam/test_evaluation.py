"""What networks give is what the file's description gives, evaluated sample by sample."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from apps.audio.nam.evaluation import evaluate
from apps.audio.nam.models import first_kind, later_kind, smaller
from trous.apps.audio import nam

DATA = Path(os.environ.get("TROUS_DATA", "absent")) / "audio"
FILES = sorted([*DATA.glob("nam_core/example_models/*.nam"), *DATA.glob("nam_tone3000/models/*.nam")])


def difference(document: dict[str, Any], path: Path, frames: int, blocks: bool) -> float:
    """The largest, as a share of the peak, of the whole at once, of the file written again, and of blocks."""
    path.write_text(json.dumps(document))
    amp = nam.load(path)
    signal = (0.3 * np.random.default_rng(1).standard_normal(frames)).astype(np.float32)
    expected = evaluate(document, signal)
    scale = max(1.0, float(np.abs(expected).max()))
    tensor = torch.from_numpy(signal)[None, None]
    got = [amp(tensor)]
    nam.save(amp, path)
    got.append(nam.load(path)(tensor))
    if blocks:
        live = amp.stream()
        got.append(torch.cat([live.push(block) for block in tensor.split([1, 7, 0, frames - 8], dim=-1)], dim=-1))
    return max(float(np.abs(each[0].numpy() - expected).max()) for each in got) / scale


@pytest.mark.parametrize("seed", range(6))
def test_the_first_kind(tmp_path: Path, seed: int) -> None:
    assert difference(first_kind(seed), tmp_path / "a.nam", 40, seed % 4 == 0) < 2e-6


@pytest.mark.parametrize("seed", range(6))
def test_the_later_kind(tmp_path: Path, seed: int) -> None:
    assert difference(later_kind(seed), tmp_path / "a.nam", 40, seed % 4 == 0) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6, 200))
def test_more_of_the_later_kind(tmp_path: Path, seed: int) -> None:
    assert difference(later_kind(seed), tmp_path / "a.nam", 40, True) < 1e-5


@pytest.mark.parametrize("seed", range(9))
def test_the_smaller_architectures(tmp_path: Path, seed: int) -> None:
    document = smaller(seed)
    document["sample_rate"] = 400  # half a second of silence is long otherwise
    assert difference(document, tmp_path / "a.nam", 60, True) < 2e-6


@pytest.mark.skipif(not FILES, reason="TROUS_DATA has no Neural Amp Modeler files")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_files_of_others(tmp_path: Path, path: Path) -> None:
    document = json.loads(path.read_text())
    assert difference(document, tmp_path / "a.nam", 40, path.stem in ("dumble", "lstm", "wavenet_a2_max")) < 2e-6
