"""Sound generated through a stream is what running the whole network for every sample gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from problems import INSTRUCTION_SETS
from trous import TrousError, stream
from trous.apps.audio.wavenet.architecture import Architecture
from trous.apps.audio.wavenet.generation import Generator
from trous.apps.audio.wavenet.network import WaveNet
from trous.backends.cpu import target
from trous.streaming.fused.drawing import Draw, Drawing

SMALL: dict[str, Any] = {"layers": 3, "cycle": 2, "channels": 6, "skip": 8, "components": 2, "strides": (4, 4)}
FORMS: list[dict[str, Any]] = [
    {"output": "mulaw", "mels": 0},
    {"output": "mixture", "mels": 0, "kernel": 3},
    {"output": "mulaw", "mels": 5, "condition": 3},
    {"output": "mixture", "mels": 5, "condition": 3},
]


def network(form: dict[str, Any]) -> WaveNet:
    """Its weights grown, so that what is drawn depends on what was."""
    net = WaveNet(Architecture(**SMALL | form)).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.5)
    return net


def setting(net: WaveNet, rng: np.random.Generator, batch: int, start: int, n: int) -> tuple[torch.Tensor, ...]:
    """Levels to begin with, conditions, uniform numbers."""
    levels = net.output.encode(torch.from_numpy(rng.uniform(-0.5, 0.5, (batch, start)).astype(np.float32)))
    conditions = torch.from_numpy(rng.normal(size=(batch, net.architecture.conditions, start + n)).astype(np.float32))
    uniforms = torch.from_numpy(rng.random((n, batch, net.output.uniforms)))
    return levels, conditions, uniforms


@torch.no_grad()
def naive(net: WaveNet, levels: torch.Tensor, conditions: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """Every sample by the whole network on all before it."""
    start = levels.shape[1]
    for numbers in uniforms:
        n = levels.shape[1]
        said = net.core(torch.cat([levels[:, None], conditions[..., 1 : n + 1]], 1))[..., -1]
        levels = torch.cat([levels, net.output.sample(said, numbers)[:, None]], 1)
    return levels[:, start:]


@pytest.mark.parametrize(("number", "start"), [(0, 1), (0, 20), (1, 20), (2, 20), (3, 1)])
def test_a_stream_generates_what_the_whole_network_does(number: int, start: int, rng: np.random.Generator) -> None:
    net, n = network(FORMS[number]), 20
    levels, conditions, uniforms = setting(net, rng, 2, start, n)
    wanted = naive(net, levels, conditions, uniforms)
    going = Generator(net, levels, conditions[..., 1:start])
    parts, at = [], 0
    for size in (1, 7, 0, 12):
        rows = slice(at, at + size)
        parts.append(going.block(conditions[..., start:][..., rows], uniforms[rows]))
        at += size
    got = torch.cat(parts, 1)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-4)
    assert got.std() > 0.05
    other = Generator(net, levels, conditions[..., 1:start])
    assert torch.equal(other.block(conditions[..., start:], uniforms), got)


@pytest.mark.parametrize("form", FORMS[1:3], ids=lambda form: form["output"])
def test_bits_of_what_was_generated_are_those_it_was_drawn_by(form: dict[str, Any], rng: np.random.Generator) -> None:
    """The likelihood of the whole, each sample told those before it, against that by outputs of a stream."""
    net, n, start = network(form), 15, 8
    levels, conditions, uniforms = setting(net, rng, 1, start, n)
    made = Generator(net, levels, conditions[..., 1:start]).block(conditions[..., start:], uniforms)
    seen = torch.cat([torch.cat([levels, made], 1)[:, None, :-1], conditions[..., 1:]], 1)
    live = stream(net.core, fused=True)
    said = torch.cat([live.push(sample) for sample in seen.split(1, -1)], -1)[..., start - 1 :]
    with torch.no_grad():
        wanted = net.output.bits(net.core(seen)[..., start - 1 :], made)
    torch.testing.assert_close(net.output.bits(said, made), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("number", "temperature"), [(0, 0.0), (0, 0.3), (1, 0.0), (1, 2.5)])
def test_temperature(number: int, temperature: float, rng: np.random.Generator) -> None:
    """Compiled code draws as the definition of the output does, the same class every time."""
    net = network(FORMS[number]).double()
    levels, conditions, uniforms = setting(net, rng, 2, 5, 40)
    levels, conditions = levels.double(), conditions.double()
    got = Generator(net, levels, conditions[..., 1:5], temperature).block(conditions[..., 5:], uniforms)
    for numbers in uniforms:
        with torch.no_grad():
            said = net.core(torch.cat([levels[:, None], conditions[..., : levels.shape[1]]], 1))[..., -1]
        levels = torch.cat([levels, net.output.sample(said, numbers, temperature)[:, None]], 1)
    torch.testing.assert_close(got, levels[:, 5:], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("instruction_set", "form"),
    [
        pytest.param(name, form, marks=[pytest.mark.slow] * (number != turn), id=f"{name}-{form['output']}")
        for number, name in enumerate(INSTRUCTION_SETS)
        for turn, form in enumerate(FORMS[:2])
    ],
)
def test_on_every_instruction_set_and_within_its_arrays(
    form: dict[str, Any], instruction_set: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(form)
    levels, conditions, uniforms = setting(net, rng, 1, 3, 10)
    monkeypatch.setenv("TROUS_CHECK", "1")
    with target.use(instruction_set):
        got = Generator(net, levels, conditions[..., 1:3]).block(conditions[..., 3:], uniforms)
    torch.testing.assert_close(got, naive(net, levels, conditions, uniforms), rtol=0, atol=1e-4)


def test_networks_that_cannot_go_round() -> None:
    levels, conditions = torch.zeros(1, 4), torch.zeros(1, 0, 3)
    for core in (torch.nn.Conv1d(1, 7, 1), torch.nn.Conv1d(1, 256, 3, padding=1)):
        with pytest.raises(TrousError, match="module must give 256 outputs of one layer, and none late"):
            Drawing(core, Draw(256), levels, conditions)
