"""Crops: all of what is learned, each epoch otherwise, the same whenever it is asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from trous.apps.audio.amp.alignment import Alignment
from trous.apps.audio.amp.crops import Crops, Data
from trous.apps.audio.amp.recipe import Recipe
from trous.apps.audio.amp.recording import Recording
from trous.errors import TrousError

CONTEXT, LEARNED, LENGTH = 30, 1000, 1300
RECORDING = Recording(
    np.arange(LENGTH, dtype=np.float32),
    -np.arange(LENGTH, dtype=np.float32),
    8000,
    Alignment(0, 0, False, 100.0),
    LEARNED,
    LEARNED + CONTEXT,
)


def recipe(**changes: int) -> Recipe:
    return Recipe("di.wav", "amp.wav", **{"batch": 3, "crop": 64, **changes})  # type: ignore[arg-type]


def test_every_sample_is_learned_in_every_epoch_and_none_of_the_others() -> None:
    for epoch in range(5):
        crops = Crops(RECORDING, CONTEXT, recipe(), epoch)
        batches = [crops[n] for n in range(len(crops))]
        for seen, wanted in batches:
            assert seen.shape == (3, CONTEXT + 64) and wanted.shape == (3, 64)
            assert torch.equal(seen[:, CONTEXT:], -wanted)
        wanted = -torch.cat([wanted.flatten() for _, wanted in batches])
        assert set(wanted.int().tolist()) == set(range(CONTEXT, LEARNED))
        assert len(batches) == pytest.approx((LEARNED - CONTEXT) / 64 / 3, abs=1)


def test_they_follow_from_the_seed_and_the_epoch() -> None:
    first, again, other = (Crops(RECORDING, CONTEXT, recipe(), epoch) for epoch in (3, 3, 4))
    assert np.array_equal(first.starts, again.starts)
    assert not np.array_equal(first.starts[:10], other.starts[:10])
    assert not np.array_equal(first.starts[:10], Crops(RECORDING, CONTEXT, recipe(seed=1), 3).starts[:10])


def test_the_held_out_clip_is_whole() -> None:
    ((seen, wanted),) = Data(RECORDING, CONTEXT, recipe()).val_dataloader()
    assert seen.tolist() == list(range(LEARNED, LENGTH))
    assert wanted.tolist() == [-n for n in range(LEARNED + CONTEXT, LENGTH)]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"size": "huge"}, "size must be one of standard, lite, feather, nano, got 'huge'"),
        ({"crop": 0}, "crop must be at least 1"),
        ({"minutes": -1.0}, "minutes must be a number from 0"),
        ({"rate": 0.0}, "rate must be a number above 0"),
        ({"latency": 2.5}, "latency must be one integer"),
    ],
)
def test_errors(said: dict[str, object], message: str) -> None:
    with pytest.raises(TrousError, match=message):
        Recipe("di.wav", "amp.wav", **said)  # type: ignore[arg-type]
