"""The network sees as far back as its architecture says, and nothing later."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from trous import TrousError, stream
from trous.apps.audio.wavenet.architecture import Architecture
from trous.apps.audio.wavenet.network import Conditioning, WaveNet

SMALL: dict[str, Any] = {"layers": 5, "cycle": 3, "channels": 6, "skip": 8}


@pytest.mark.parametrize(("kernel", "field"), [(2, 1 + 7 + 3), (3, 1 + 2 * (7 + 3))])
def test_the_field_is_what_the_outputs_depend_on(kernel: int, field: int) -> None:
    architecture = Architecture(**SMALL, kernel=kernel, mels=0)
    assert architecture.field == field
    net = WaveNet(architecture).double()
    levels = torch.randn(1, 60, dtype=torch.float64, requires_grad=True)
    net(levels)[0, :, 40].sum().backward()
    seen = levels.grad[0].nonzero()[:, 0]
    assert (seen.min().item(), seen.max().item()) == (40 - field + 1, 40)
    live = stream(net.core)
    live.push(torch.zeros(1, 1, 3, dtype=torch.float64))
    assert (live.delay, live.context) == (0, field - 1)


def test_the_field_of_usual_sizes() -> None:
    assert Architecture().field == 2 * 1023 + 1
    assert Architecture(layers=30).field == 3 * 1023 + 1


@pytest.mark.parametrize("strides", [(4, 4), (3, 6), (8, 8, 4)])
def test_conditions_are_as_many_as_samples_and_lie_evenly_around_their_column(strides: tuple[int, ...]) -> None:
    architecture = Architecture(**SMALL, mels=5, condition=3, strides=strides)
    conditioning = Conditioning(architecture).double()
    with torch.no_grad():
        for layer in (conditioning.first, *conditioning.up):
            layer.weight.fill_(0.1)
            layer.bias.zero_()
    mel = torch.zeros(1, 5, 9, dtype=torch.float64)
    mel[..., 4] = 1
    made = conditioning(mel)
    assert made.shape == (1, 3, 9 * architecture.hop)
    torch.testing.assert_close(made, made.flip(-1))


def test_the_network_is_the_formula() -> None:
    net = WaveNet(Architecture(layers=2, channels=4, skip=3, mels=5, condition=3)).double()
    levels, c = torch.randn(1, 8, dtype=torch.float64), torch.randn(1, 3, 8, dtype=torch.float64)
    conv, core = torch.nn.functional.conv1d, net.core
    h, sums = conv(levels[:, None], core.first.weight, core.first.bias), 0
    for layer, dilation in zip(core.layers, (1, 2), strict=True):
        padded = torch.nn.functional.pad(h, (dilation, 0))
        z = conv(padded, layer.dilated.weight, layer.dilated.bias, dilation=dilation) + conv(c, layer.condition.weight)
        a = torch.tanh(z[:, :4]) * torch.sigmoid(z[:, 4:])
        sums = sums + conv(a, layer.skip.weight, layer.skip.bias)
        h = h + conv(a, layer.residual.weight, layer.residual.bias) if layer.residual else None
    hidden = torch.relu(conv(torch.relu(sums), core.hidden.weight, core.hidden.bias))
    torch.testing.assert_close(net(levels, c), conv(hidden, core.last.weight, core.last.bias))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"output": "gaussian"}, "output must be one of mulaw, mixture, got 'gaussian'"),
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"kernel": 1}, "kernel must be at least 2, got 1"),
        ({"strides": ()}, "strides must have at least one entry"),
        ({"strides": (3, 5)}, "strides must be numbers with an even product, from 2 to 4,096"),
        ({"strides": (64, 64, 64)}, "strides must be numbers with an even product, from 2 to 4,096"),
        ({"sample_rate": 0}, "sample_rate must be at least 1000, got 0"),
    ],
)
def test_architectures_that_cannot_be(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TrousError) as caught:
        Architecture(**changes)
    assert said in str(caught.value)
