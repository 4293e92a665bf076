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
from trous.apps.audio.wavenet.recipe import Recipe
from trous.apps.audio.wavenet.synthesis import recut, sounds
from trous.apps.audio.wavenet.training import Training

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


def test_what_is_generated_is_the_likeliest_as_training_counts_it(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without temperature every sample is the level that the outputs in training, on the same sound, have highest."""
    recipe = Recipe(folder="", segment=64, **SMALL)
    module, n = Training(recipe).eval(), 64
    with torch.no_grad():  # grown, so that it goes by what it is told
        for name, parameter in module.network.named_parameters():
            parameter.mul_(0 if name.endswith("bias") else 4)
    speech = rng.uniform(-1, 1, (1, n)).astype(np.float32)
    made = torch.from_numpy(next(sounds(module.network, n, temperature=0.0, speech=[speech])))
    around = recipe.silence, recipe.around * recipe.hop

    conditions = module.network.conditions(torch.nn.functional.pad(torch.from_numpy(speech)[None], around))
    monkeypatch.setattr(module.network.conditions[1], "forward", lambda _: conditions)  # of speech, and not of made
    monkeypatch.setattr(module.network.output, "bits", lambda outputs, levels: outputs)
    with torch.no_grad():
        outputs = module.bits(torch.nn.functional.pad(made, around))
    likeliest = module.network.output.decode(outputs.argmax(1) * (2 / 255) - 1)
    torch.testing.assert_close(made, likeliest)
    assert len(made.unique()) > 3


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
