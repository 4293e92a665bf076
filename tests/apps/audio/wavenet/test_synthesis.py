"""Whole sounds: blocks of any size, conditions as in training, the same for the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from trous import TrousError
from trous.apps.audio.wavenet import synthesis
from trous.apps.audio.wavenet.architecture import Architecture
from trous.apps.audio.wavenet.network import WaveNet
from trous.apps.audio.wavenet.synthesis import recut, sounds

SMALL: dict[str, Any] = {
    "layers": 2, "channels": 4, "skip": 4, "mels": 4, "condition": 3, "strides": (4, 4), "sample_rate": 8000
}  # fmt: skip


def conditioned() -> WaveNet:
    return WaveNet(Architecture(**SMALL)).eval()


def test_conditions_are_those_of_the_whole_sound_between_silence(rng: np.random.Generator) -> None:
    net = conditioned()
    speech = rng.uniform(-1, 1, (1, 150)).astype(np.float32)
    blocks = np.split(speech, [1, 40, 40, 111], axis=1)
    got = torch.cat(list(synthesis._conditions(net, blocks)), -1)
    silence, behind = net.architecture.silence, net.architecture.around * 16 + 10
    padded = torch.from_numpy(np.pad(speech, ((0, 0), (silence, behind))))[None]
    with torch.no_grad():
        torch.testing.assert_close(got, net.conditions(padded), rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_sound(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    net = conditioned()
    speech = rng.uniform(-1, 1, (1, 100)).astype(np.float32)

    def made(seed: int, block: int, **options: Any) -> np.ndarray:
        monkeypatch.setattr(synthesis, "BLOCK", block)
        return np.concatenate(list(sounds(net, 30, seed, speech=[speech], **options)), 1)

    first = made(3, 1024)
    assert first.shape == (1, 30) and first.dtype == np.float32 and np.abs(first).max() <= 1
    np.testing.assert_array_equal(first, made(3, 17))
    assert (first != made(4, 1024)).any()
    np.testing.assert_array_equal(made(3, 30, temperature=0.0), made(4, 30, temperature=0.0))


def test_what_is_generated_has_the_probability_that_training_gives_it(rng: np.random.Generator) -> None:
    """A sound drawn at the likeliest costs no more bits, as training counts them, than any change of a sample."""
    from trous.apps.audio.wavenet.recipe import Recipe
    from trous.apps.audio.wavenet.training import Training

    recipe = Recipe(folder="", segment=64, **SMALL)
    module = Training(recipe).eval()
    speech = rng.uniform(-1, 1, (1, 64)).astype(np.float32)
    made = next(sounds(module.network, 64, temperature=0.0, speech=[speech]))[0]
    silence, behind = recipe.silence, recipe.around * recipe.hop

    def bits(level: np.ndarray) -> np.ndarray:
        """Conditions of the speech, and the samples that were generated."""
        sound = torch.from_numpy(np.pad(level, (silence, behind)))[None]
        front = torch.from_numpy(np.pad(speech, ((0, 0), (silence, behind))))[None]
        conditions = module.network.conditions(front)
        with pytest.MonkeyPatch.context() as patch, torch.no_grad():
            patch.setattr(module.network.conditions, "forward", lambda _: conditions)
            return module.bits(sound)[0].numpy()

    cheapest = bits(made)
    for n in (0, 1, 30, 63):
        other = made.copy()
        other[n] = made[n] + 0.3 if made[n] < 0 else made[n] - 0.3
        assert bits(other)[n] > cheapest[n]


def test_without_conditions() -> None:
    net = WaveNet(Architecture(**SMALL | {"mels": 0, "output": "mixture"})).eval()
    assert sum(block.shape[1] for block in sounds(net, 30)) == 30


def test_pieces_are_cut_anew() -> None:
    pieces = iter(torch.arange(10).split([3, 0, 5, 2]))
    assert [p.tolist() for p in recut(pieces, [4, 1, 4, 4, 4])] == [[0, 1, 2, 3], [4], [5, 6, 7, 8], [9]]


def test_errors(rng: np.random.Generator) -> None:
    with pytest.raises(TrousError, match="speech must be given to a network that is conditioned on it"):
        next(sounds(conditioned(), 10))
    plain = WaveNet(Architecture(**SMALL | {"mels": 0})).eval()
    with pytest.raises(TrousError, match="speech must be given to a network that is conditioned on it, and to no"):
        next(sounds(plain, 10, speech=[]))
    with pytest.raises(TrousError, match="temperature must be a number from 0"):
        next(sounds(plain, 10, temperature=-1))
