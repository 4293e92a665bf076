"""The judge, on cases worked out by hand and on what no judge may say of the networks themselves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from inspection.gradients import Hull, dependence, every, sample


class Apply(nn.Module):
    """A module from a function and the modules that it calls."""

    def __init__(self, function: Callable[..., torch.Tensor], *modules: nn.Module):
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, *self.parts)


def hulls(network: nn.Module, *size: int, channels: int = 1, **options: str) -> list[Hull]:
    """Of all positions of the network's output, in order."""
    (output,) = dependence(network, (1, channels, *size), modules=[""], positions=every, **options)[""]
    return list(output.hulls.values())


def line(network: nn.Module, size: int, **options: str) -> list[tuple[int, int] | None]:
    """First and last input of every output along one axis."""
    return [hull and hull[0] for hull in hulls(network, size, **options)]


def conv(kernel: int, channels: int = 1, **options: int) -> nn.Conv1d:
    return nn.Conv1d(channels, channels, kernel, **options)


ONE_LAYER = [
    (conv(3), 5, [(0, 2), (1, 3), (2, 4)]),
    (conv(3, padding=1), 3, [(0, 1), (0, 2), (1, 2)]),
    (conv(3, padding=2, dilation=2), 5, [(0, 2), (1, 3), (0, 4), (1, 3), (2, 4)]),
    # The middle of three taps is the only one that lands on the input.
    (conv(3, padding=9, dilation=9), 2, [(0, 0), (1, 1)]),
    (conv(3, stride=2, padding=1), 6, [(0, 1), (1, 3), (3, 5)]),
    (conv(2, stride=3), 8, [(0, 1), (3, 4), (6, 7)]),
    (conv(1, padding=1), 2, [None, (0, 0), (1, 1), None]),
    # o = 2i - 1 + k with k below 4.
    (nn.ConvTranspose1d(1, 1, 4, 2, 1), 3, [(0, 0), (0, 1), (0, 1), (1, 2), (1, 2), (2, 2)]),
    (nn.ConvTranspose1d(1, 1, 3, 2, 1, output_padding=1), 3, [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2), (2, 2)]),
    (nn.ConvTranspose1d(1, 1, 1, 2, output_padding=1), 2, [(0, 0), None, (1, 1), None]),
    (nn.MaxPool1d(2), 5, [(0, 1), (2, 3)]),
    (nn.MaxPool1d(3, stride=2, padding=1), 5, [(0, 1), (1, 3), (3, 4)]),
    (nn.MaxPool1d(2, ceil_mode=True), 5, [(0, 1), (2, 3), (4, 4)]),
    (nn.MaxPool1d(3, stride=1, dilation=2), 6, [(0, 4), (1, 5)]),
    (nn.AvgPool1d(3, stride=2, padding=1), 5, [(0, 1), (1, 3), (3, 4)]),
    (nn.AdaptiveMaxPool1d(2), 5, [(0, 2), (2, 4)]),
    (nn.AdaptiveAvgPool1d(1), 4, [(0, 3)]),
    # Centres of outputs at (o + 1/2) / 2 - 1/2: -1/4, 1/4, 3/4, ...
    (nn.Upsample(scale_factor=2, mode="linear"), 3, [(0, 0), (0, 1), (0, 1), (1, 2), (1, 2), (2, 2)]),
    # A third of the positions falls onto an input, whose neighbours have the weight zero.
    (nn.Upsample(scale_factor=3, mode="linear"), 2, [(0, 0), (0, 0), (0, 1), (0, 1), (1, 1), (1, 1)]),
    (nn.Upsample(size=4, mode="linear", align_corners=True), 2, [(0, 0), (0, 1), (0, 1), (1, 1)]),
    (nn.Upsample(scale_factor=2), 2, [(0, 0), (0, 0), (1, 1), (1, 1)]),
    (nn.ReflectionPad1d(1), 3, [(1, 1), (0, 0), (1, 1), (2, 2), (1, 1)]),
    (nn.CircularPad1d(1), 3, [(2, 2), (0, 0), (1, 1), (2, 2), (0, 0)]),
]


@pytest.mark.parametrize(("layer", "size", "expected"), ONE_LAYER, ids=lambda value: str(value)[:60])
def test_one_layer(layer: nn.Module, size: int, expected: list[tuple[int, int] | None]) -> None:
    assert line(layer, size) == expected


def test_an_interpolation_has_no_weights_from_rounding() -> None:
    """Five times: output o stands at (o - 2) / 5, every fifth on an input, though not all of them in floating point."""
    expected = [(max(0, (o - 2) // 5), min(3, -((2 - o) // 5))) for o in range(20)]
    assert line(nn.Upsample(scale_factor=5, mode="linear"), 4) == expected


COMPOSED = [
    # 3 then 3 with stride 2: the field is 5 with stride 2.
    (nn.Sequential(conv(3), conv(3, stride=2)), 9, [(0, 4), (2, 6), (4, 8)]),
    # Down and up again; output 2i and 2i + 1 come from the pair i.
    (nn.Sequential(conv(2, stride=2), nn.ConvTranspose1d(1, 1, 2, 2)), 4, [(0, 1), (0, 1), (2, 3), (2, 3)]),
    # Residual: the way round brings nothing beyond the branch.
    (Apply(lambda x, f: x + f(x), conv(3, padding=1)), 4, [(0, 1), (0, 2), (1, 3), (2, 3)]),
    # A shifted way round does: the branch ends at o, the other at o + 2.
    (Apply(lambda x, f: f(x[..., :-2]) + x[..., 2:], conv(1)), 4, [(0, 2), (1, 3)]),
    # Concatenation with a crop, as in a U-Net without padding.
    (Apply(lambda x, f: torch.cat([x[..., 2:-2], f(x)], dim=1), conv(5)), 6, [(0, 4), (1, 5)]),
    # Concatenation along the axis itself.
    (Apply(lambda x, f: torch.cat([x, f(x)], dim=2), conv(2, stride=2)), 3, [(0, 0), (1, 1), (2, 2), (0, 1)]),
]


@pytest.mark.parametrize(("network", "size", "expected"), COMPOSED)
def test_layers_together(network: nn.Module, size: int, expected: list[tuple[int, int] | None]) -> None:
    assert line(network, size) == expected


def test_what_is_changed_in_place_reads_both() -> None:
    def network(x: torch.Tensor, f: nn.Module) -> torch.Tensor:
        y = f(x[..., :-2])
        y.sub_(x[..., 2:])
        return y

    assert line(Apply(network, conv(1)), 4) == [(0, 2), (1, 3)]


def test_axes_are_judged_apart() -> None:
    layer = nn.Conv2d(2, 3, (3, 2), stride=(2, 1), dilation=(1, 3))
    assert hulls(layer, 5, 5, channels=2) == [((a, a + 2), (b, b + 3)) for a in (0, 2) for b in (0, 1)]


@pytest.mark.parametrize(
    "network",
    [
        Apply(lambda x, f: F.relu(f(x)), conv(3)),
        Apply(lambda x, f: F.relu_(f(x)), conv(3)),
        Apply(lambda x, f: f(x).relu(), conv(3)),
        Apply(lambda x, f: f(x).clamp(min=0), conv(3)),
        nn.Sequential(conv(3), nn.ReLU(inplace=True)),
        nn.Sequential(conv(3), nn.Hardswish()),
        nn.Sequential(conv(3), nn.ReLU6(), nn.Hardsigmoid()),
        nn.Sequential(conv(3), nn.Threshold(0, 0)),
        nn.Sequential(nn.BatchNorm1d(1), conv(3), nn.BatchNorm1d(1), nn.ReLU()),
        Apply(lambda x, f: F.dropout(f(x), 1.0), conv(3)),
        Apply(lambda x, f: torch.maximum(f(x), x[..., 1:-1] + 1e9), conv(3)),
        Apply(lambda x, f: f(x) * F.relu(-x[..., 1:-1]), conv(3)),
        Apply(lambda x, f: torch.sigmoid(-1e5 * f(x)), conv(3)),
        Apply(lambda x, f: F.max_pool1d(f(x), 3), conv(1)),
        Apply(lambda x, f: f(x).unfold(-1, 3, 3).amax(-1), conv(1)),
        Apply(lambda x, f: f(x).unfold(-1, 3, 3).max(-1).values, conv(1)),
    ],
)
def test_what_is_off_counts_all_the_same(network: nn.Module) -> None:
    """As it stands the network has outputs without derivatives: it is made to, and naive judging misses inputs."""
    for parameter in network.parameters():
        nn.init.constant_(parameter, -1)
    x = torch.arange(3.0).reshape(1, 1, 3).requires_grad_()
    (naive,) = torch.autograd.grad(network.eval()(x).sum(), x)
    assert (naive == 0).any()
    assert line(network, 3) == [(0, 2)]


@pytest.mark.parametrize(
    "function",
    [
        lambda x, f: f(x) - f(x),
        lambda x, f: f(x) + F.conv1d(x, -f.weight),
        lambda x, f: twice(f(x), lambda y: y / y),
        lambda x, f: twice(f(x), lambda y: y - F.elu(y)),
        lambda x, f: twice(f(x), lambda y: y + -1 * y),
        lambda x, f: twice(f(x), lambda y: y + y / -1),
        lambda x, f: twice(f(x), lambda y: y + (1 - y)),
        lambda x, f: twice(f(x), lambda y: y + -y),
        lambda x, f: twice(f(x), lambda y: F.layer_norm(y, (1,))),
        lambda x, f: twice(f(x), lambda y: F.normalize(y, dim=1)),
        lambda x, f: twice(f(x), lambda y: y.var(dim=1, keepdim=True, correction=0)),
    ],
)
def test_terms_that_cancel_count_all_the_same(function: Callable[..., torch.Tensor]) -> None:
    network = Apply(function, conv(3, bias=False))
    nn.init.ones_(network.parts[0].weight)
    x = torch.arange(1.0, 4).reshape(1, 1, 3).requires_grad_()
    (naive,) = torch.autograd.grad(network(x).sum(), x)
    assert naive.abs().max() < 1e-6
    assert line(network, 3) == [(0, 2)]


def twice(y: torch.Tensor, function: Callable[[torch.Tensor], torch.Tensor]) -> torch.Tensor:
    """Uses one tensor more than once."""
    return function(y)


@pytest.mark.parametrize("value", [0, -1])
def test_parameters_count_whatever_they_are(value: int) -> None:
    """Zero too: what is learned starts there in many residual branches."""
    network = Apply(lambda x, f: F.conv1d(x, f.weight) + F.conv1d(x, abs(f.weight)), conv(3))
    nn.init.constant_(network.parts[0].weight, value)
    assert line(network, 3) == [(0, 2)]


def test_a_mask_is_structure() -> None:
    """A constant that is zero stays zero: a causal kernel made by a mask reads no future."""
    mask = torch.tensor([1.0, 1, 0])
    causal = Apply(lambda x, f: F.conv1d(x, f.weight * mask, padding=1), conv(3))
    assert line(causal, 4) == [(0, 0), (0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("norm", [nn.GroupNorm(1, 2), nn.GroupNorm(2, 2), nn.InstanceNorm1d(2), nn.LayerNorm(4)])
def test_statistics_see_everything_unless_they_are_held(norm: nn.Module) -> None:
    network = nn.Sequential(conv(1, channels=2), norm, conv(2, channels=2))
    assert line(network, 4, channels=2) == [(0, 3)] * 3
    assert line(network, 4, channels=2, statistics="held") == [(0, 1), (1, 2), (2, 3)]


def test_a_layer_norm_over_channels_stays_in_place() -> None:
    """And joins the channels: the second half of them comes from the neighbour."""

    def network(x: torch.Tensor, norm: nn.Module) -> torch.Tensor:
        both = torch.cat([x[..., :-1], x[..., 1:]], dim=1)
        return norm(both.transpose(1, 2)).transpose(1, 2)[:, :1]

    assert line(Apply(network, nn.LayerNorm(2)), 3) == [(0, 1), (1, 2)]
    assert line(Apply(network, nn.LayerNorm(2)), 3, statistics="held") == [(0, 0), (1, 1)]


def test_a_deep_stack_neither_underflows_nor_overflows() -> None:
    """The outermost input of 400 layers has 9**-400 of the weight; the values grow to 9**400."""
    depth = 400
    layers = [Apply(lambda x, f: 8 * x + f(x), conv(9, padding=4)) for _ in range(depth)]
    size = 8 * depth + 3

    def positions(size: tuple[int, ...]) -> list[tuple[int, ...]]:
        return [(4 * depth + 1,), (0,)]

    (output,) = dependence(nn.Sequential(*layers), (1, 1, size), modules=[""], positions=positions)[""]
    assert list(output.hulls.values()) == [((1, size - 2),), ((0, 4 * depth),)]


def test_every_module_and_call_has_its_own_outputs() -> None:
    shared = conv(3)
    network = nn.Sequential(shared, nn.ReLU(inplace=True), shared, Apply(lambda x: x[..., :1]))
    judged = dependence(network, (1, 1, 6), positions=every)
    assert [list(output.hulls.values()) for output in judged["0"]] == [
        [((i, i + 2),) for i in range(4)],
        [((i, i + 4),) for i in range(2)],
    ]
    assert [output.shape for output in judged["1"]] == [(1, 1, 4)]
    assert judged["3"] == judged[""]
    assert list(judged) == ["0", "1", "3", ""]


def test_channels_may_stand_last_and_outputs_may_be_several() -> None:
    gru = nn.GRU(2, 3, batch_first=True)
    network = Apply(lambda x, f, g: f(g(x).transpose(1, 2))[0], gru, conv(1, channels=2, stride=2))
    outputs = dependence(network, (1, 2, 5), modules=["parts.0"], channels_last=["parts.0"], positions=every)["parts.0"]
    assert outputs[0].hulls == {(t,): ((0, 2 * t),) for t in range(3)}
    # The last state is (layers, batch, features).
    assert [output.shape for output in outputs] == [(1, 3, 3), (1, 1, 3)]


def test_the_network_is_left_as_it_is() -> None:
    network = nn.Sequential(conv(3), nn.BatchNorm1d(1), nn.ReLU(inplace=True))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    dependence(network, (1, 1, 6))
    assert network.training and all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(not module._forward_hooks for module in network.modules())


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="choice by value"):
        dependence(nn.MaxPool1d(2, return_indices=True), (1, 1, 4))
    with pytest.raises(KeyError, match="no modules"):
        dependence(conv(3), (1, 1, 4), modules=["0"])


def test_positions_are_corners_borders_and_more() -> None:
    chosen = sample((5, 7))
    assert {(0, 0), (0, 6), (4, 0), (4, 6), (2, 3), (0, 3), (2, 6)} <= set(chosen)
    assert len(chosen) == len(set(chosen)) <= 13
    assert sample(()) == [()]
