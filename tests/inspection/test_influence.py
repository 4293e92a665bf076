"""Derivatives of the central output: against fields that can be computed by hand, and inside the exact interval."""

from __future__ import annotations

from functools import reduce

import numpy as np
import pytest
import torch
from torch import nn

import trous
from inspection.networks import NETWORKS
from trous import TrousError
from trous.drawing.examples import boxes, dilated, ones
from trous.inspection.influence import influence


@pytest.mark.parametrize("depth", [1, 3, 6])
def test_boxes_in_sequence_are_boxes_convolved(depth: int) -> None:
    found = influence(boxes(depth), (1, 1, 19, 21))
    line = reduce(np.convolve, [np.ones(3)] * depth)
    expected = np.zeros((19, 21))
    expected[9 - depth : 10 + depth, 10 - depth : 11 + depth] = np.outer(line, line)
    assert found.position == (9, 10)
    assert found.field == (range(9 - depth, 10 + depth), range(10 - depth, 11 + depth))
    assert (found.strength == found.strength.max() / expected.max() * expected).all()
    assert (found.strength[9, 10] * 9 == expected[9, 10] * 8 * 9).all()  # the sum of eight draws


def test_the_effective_interval() -> None:
    line = reduce(np.convolve, [np.ones(3)] * 6)
    left = int((line.cumsum() <= 0.025 * line.sum()).sum())
    assert left == 2
    found = influence(boxes(6), (1, 1, 19, 21))
    assert found.effective == (range(3 + left, 16 - left), range(4 + left, 17 - left))


def test_channels_do_not_cancel() -> None:
    """The two output channels are opposite; so are the two of the input."""
    layer = nn.Conv1d(2, 2, 3, padding=1, bias=False)
    layer.weight.data[:] = torch.tensor([[1.0], [-1.0]])[:, None] * torch.tensor([[1.0], [-1.0]])
    strength = influence(layer, (1, 2, 9)).strength
    assert (strength[3:6] > 0).all()
    assert strength[3:6].sum() == strength.sum()


LOCAL = ["unet", "wavenet", "hifi-gan", "fsrcnn", "meshnet", "espcn", "unet-3d", "se-net", "gtcrn", "vit"]


@pytest.mark.parametrize("name", LOCAL)
def test_nothing_acts_from_outside_the_exact_interval(name: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name]
    kind = torch.complex64 if network.complex_input else torch.float32
    model = network.build()
    if name == "meshnet":  # its two channels of random weights die behind so many ReLUs
        for parameter in model.parameters():
            parameter.data.abs_()
    found = influence(model, torch.randn(network.shape, dtype=kind))
    outside = found.strength.copy()
    outside[tuple(slice(axis.start, axis.stop) for axis in found.field)] = 0
    assert found.strength.any()
    assert not outside.any()
    for effective, field in zip(found.effective, found.field, strict=True):
        assert field.start <= effective.start < effective.stop <= field.stop


def test_an_inner_layer() -> None:
    model = boxes(4)
    assert influence(model, (1, 1, 19, 21), "1").field == (range(7, 12), range(8, 13))
    assert influence(model, (1, 1, 19, 21), "1").layer.name == "1"


def test_accelerated_models_have_the_same_derivatives() -> None:
    torch.manual_seed(0)
    model = NETWORKS["fsrcnn"].build()
    expected = influence(model, (1, 1, 12, 14)).strength
    np.testing.assert_allclose(influence(trous.accelerate(model), (1, 1, 12, 14)).strength, expected, rtol=1e-4)


def test_the_model_and_the_random_numbers_stay_as_they_were() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Dropout(), nn.Conv1d(2, 1, 3)).train()
    model[1].eval()
    model[3].weight.requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    with torch.no_grad():
        first = influence(model, (1, 1, 16)).strength
    assert (first == influence(model, (1, 1, 16)).strength).all()
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in model] == [True, False, True, True]
    assert [p.requires_grad for p in model.parameters()] == [True] * 4 + [False, True]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


class Detached(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x.detach()


class Function(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x)


@pytest.mark.parametrize(
    ("model", "layer", "said"),
    [
        (Detached(), None, "model must be differentiable by its input"),
        (nn.Sequential(ones(nn.Conv1d(1, 1, 3)), nn.Threshold(1e9, 0.0)), None, "model must have an output with a der"),
        (dilated(2), "5", "layer must be one of 0, 1, got '5'"),
        (Function(), "add", "layer must be a module of the model, not a function, got 'add'"),
    ],
)
def test_what_has_no_derivative(model: nn.Module, layer: str | None, said: str) -> None:
    with pytest.raises(TrousError) as raised:
        influence(model, (1, 1, 9), layer)
    assert str(raised.value).startswith(said)


def test_integers_have_no_derivative() -> None:
    model = nn.Embedding(5, 3)
    with pytest.raises(TrousError, match="size must be of real or complex numbers"):
        influence(model, torch.zeros(1, 4, dtype=torch.long))
