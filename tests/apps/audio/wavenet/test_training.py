"""A run learns, goes on where it was stopped, and leaves weights that generate."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trous import TrousError
from trous.apps.audio.sound import facts, write
from trous.apps.audio.wavenet import training
from trous.apps.audio.wavenet.files import load, save
from trous.apps.audio.wavenet.network import WaveNet
from trous.apps.audio.wavenet.recipe import RECIPES, Recipe
from trous.apps.audio.wavenet.training import Training, prepared, train, write_example
from trous.apps.fitting import Machines
from trous.apps.recipes import read_recipe

SMALL: dict[str, Any] = {
    "layers": 3, "channels": 4, "skip": 4, "mels": 4, "condition": 3, "strides": (4, 4), "sample_rate": 8000,
    "steps": 4, "batch": 2, "segment": 64, "components": 2,
}  # fmt: skip
ONE = Machines("cpu", 1)


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four sines that swell."""
    monkeypatch.setenv("TROUS_DATA", str(tmp_path))
    (tmp_path / "tones").mkdir()
    times = np.arange(1600) / 8000
    for n in range(4):
        sound = 0.5 * np.sin(2 * math.pi * (300 + 100 * n) * times) * np.sin(2 * math.pi * 5 * times)
        write(tmp_path / "tones" / f"{n}.wav", sound, 8000)
    return tmp_path


def recipe(**changes: Any) -> Recipe:
    return Recipe(**{"folder": "tones", "epochs": 3, **SMALL, **changes})


def test_a_stopped_run_goes_on_as_if_it_had_not_been(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = recipe()
    whole = train(asked, prepared(asked), folder / "whole", ONE)
    step, seen = Training.training_step, []

    def stopped(self: Any, *args: Any) -> Any:
        seen.append(self.global_step)
        if len(seen) == 10:  # in the third epoch
            raise KeyboardInterrupt
        return step(self, *args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Training, "training_step", stopped)
        train(asked, prepared(asked), folder / "parts", ONE)
    assert not (folder / "parts" / "weights.safetensors").exists()
    parts = train(asked, prepared(asked), folder / "parts", ONE)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    for name, value in load(folder / "parts").state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


@pytest.mark.parametrize("changes", [{}, {"output": "mixture", "mels": 0}], ids=["mulaw", "mixture"])
def test_it_learns_and_writes_down_how(changes: dict[str, Any], folder: Path) -> None:
    asked = recipe(epochs=2, steps=40, rate=0.02, **changes)
    clips = prepared(asked)
    network = train(asked, clips, folder / "run", ONE)
    with open(folder / "run" / "logs" / "version_0" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    bits, held_out = ([float(row[name]) for row in rows if row[name]] for name in ("bits", "held_out_bits"))
    assert bits[1] < bits[0] - 0.2 and len(held_out) == 2
    assert list((folder / "run" / "logs" / "version_0").glob("events.*"))
    told: list[tuple[int, int]] = []
    write_example(network, clips, folder / "run", 0.005, lambda n, total: told.append((n, total)))
    assert told[-1] == (40, 40) and facts(folder / "run" / "example.wav").frames == 40


def test_only_the_segment_counts_and_all_it_depends_on_is_there(folder: Path) -> None:
    """What a sample costs in a piece is what it costs in the whole clip."""
    asked = recipe(layers=6, segment=48)
    module = Training(asked).eval()
    clip = prepared(asked).learnt[0]
    with torch.no_grad():
        sound = torch.from_numpy(clip.samples.astype(np.float32) / 32768)[None]
        conditions = module.network.conditions(sound[:, None])
        levels = module.network.output.encode(sound)
        whole = module.network.output.bits(module.network(levels[:, :-1], conditions[..., 1:]), levels[:, 1:])
        at = 5 * asked.hop
        piece = sound[:, at : at + asked.silence + 48 + asked.around * asked.hop]
        got = module.bits(piece)
    assert got.shape == (1, 48)
    begin = at + asked.silence - 1
    torch.testing.assert_close(got, whole[:, begin : begin + 48], rtol=1e-4, atol=1e-4)


def test_spectrograms_keep_their_digits_in_mixed_precision(folder: Path) -> None:
    asked = recipe(precision="bf16-mixed")
    module, seen = Training(asked).eval(), []
    module.network.conditions[1].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    sound = torch.from_numpy(prepared(asked).learnt[0].samples[: asked.silence + 64 + asked.around * 16]) / 32768
    for mixed in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed), torch.no_grad():
            module.bits(sound[None])
    assert torch.equal(*seen)


def test_half_the_bytes(folder: Path) -> None:
    asked = recipe(stored="float16")
    network = WaveNet(asked.architecture)
    save(network, asked, folder / "half.safetensors")
    loaded = load(folder / "half.safetensors")
    assert loaded.architecture == asked.architecture
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value.half().float())


def test_weights_that_are_none(folder: Path) -> None:
    asked = recipe()
    path = folder / "w.safetensors"
    with pytest.raises(TrousError, match="weights must be a file that can be read"):
        load(path)
    path.write_bytes(b"no weights")
    with pytest.raises(TrousError, match="weights must be a file of `trous train wavenet`"):
        load(path)
    save(WaveNet(replace(asked, layers=4).architecture), asked, path)
    with pytest.raises(TrousError, match="weights must be a file of `trous train wavenet`"):
        load(path)
    network = WaveNet(asked.architecture)
    with torch.no_grad():
        network.core.first.bias[0] = math.nan
    save(network, asked, path)
    with pytest.raises(TrousError, match=r"weights must be finite, and core\.first\.bias is not"):
        load(path)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_recipes_that_ship(path: Path) -> None:
    assert read_recipe(Recipe, path).folder.startswith("audio/")


def test_a_run_is_of_one_recipe(folder: Path) -> None:
    asked = recipe(epochs=1, steps=1)
    train(asked, prepared(asked), folder / "run", ONE)
    with pytest.raises(TrousError, match="out must be a new folder, or that of a run with the same layers"):
        train(replace(asked, layers=2), prepared(asked), folder / "run", ONE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"rate": 0.0}, "rate must be a number above 0"),
        ({"output": "mixture", "precision": "bf16-mixed"}, "precision must be 32-true for a mixture"),
        ({"stored": "int8"}, "stored must be float32 or float16"),
        ({"channels": 0}, "channels must be at least 1, got 0"),
    ],
)
def test_recipes_that_cannot_be(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TrousError) as caught:
        recipe(**changes)
    assert said in str(caught.value)
