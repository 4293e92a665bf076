"""Reports: sizes, fields, costs and memory of networks that can be followed by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import trous
from trous.backends import loops
from trous.backends.operation import Operation
from trous.inspection import Report


def report(model: nn.Module, *shape: int) -> Report:
    return trous.inspect(model, shape)


class Counted:
    """A number that counts how often numbers of its kind are multiplied."""

    products = 0

    def __mul__(self, other: object) -> Counted:
        Counted.products += 1
        return self

    def __add__(self, other: object) -> Counted:
        return self

    __radd__ = __add__


def multiplied(layer: Any, shape: tuple[int, ...]) -> int:
    """The multiplications of the definition, counted as it runs."""
    transposed = layer.kind.startswith("ConvTranspose")
    operation = Operation(
        layer.bound, layer.spec.kernel, shape[0], *layer.channels, layer.spec.groups, weight_by_input=transposed
    )
    number, Counted.products = Counted(), 0
    x, w = (np.full(s, number, object) for s in (operation.input_shape, operation.weight_shape))
    loops.forward(operation, x, w, None, np.empty(operation.output_shape, object))
    return Counted.products


LAYERS = [
    (nn.Conv2d(2, 4, 3, padding=1), (1, 2, 7, 9)),
    (nn.Conv2d(2, 4, 3, padding=4, dilation=4, stride=2), (2, 2, 7, 9)),
    (nn.Conv2d(4, 4, 3, padding=1, groups=4), (1, 4, 6, 6)),
    (nn.Conv1d(4, 6, 5, groups=2, dilation=3), (1, 4, 20)),
    (nn.ConvTranspose2d(3, 2, 3, stride=2, padding=1, output_padding=1), (1, 3, 5, 4)),
    (nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1, groups=4), (1, 4, 5, 4)),
    (nn.ConvTranspose1d(2, 3, 3, stride=2, dilation=2, padding=2), (1, 2, 9)),
    (nn.ConvTranspose3d(1, 2, 2, stride=2), (1, 1, 3, 3, 3)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=[str(layer) for layer, _ in LAYERS])
def test_macs_are_the_multiplications_of_the_definition(layer: nn.Module, shape: tuple[int, ...]) -> None:
    inspected = report(layer, *shape)
    (node,) = [node for node in inspected.graph.nodes if node.nominal]
    assert inspected.macs == multiplied(node, shape) <= inspected.nominal_macs


def test_transposed_layers_are_not_counted_at_their_output_size() -> None:
    """Every input meets every weight once: 16 * 16 * 9 products for each pair of channels, less what is cropped away.

    Tools that take the kernel for every output report four times as many.
    """
    inspected = report(nn.ConvTranspose2d(8, 4, 3, stride=2), 1, 8, 16, 16)
    assert inspected.macs == 8 * 4 * 16 * 16 * 9
    assert inspected.macs < 8 * 4 * 33 * 33 * 9 / 4


def test_depthwise_layers_are_counted() -> None:
    """One product for each tap and channel, plain and transposed; reported as 0 elsewhere."""
    assert report(nn.Conv2d(8, 8, 3, groups=8), 1, 8, 16, 16).macs == 8 * 14 * 14 * 9
    assert report(nn.ConvTranspose2d(8, 8, 4, stride=2, groups=8), 1, 8, 16, 16).macs == 8 * 16 * 16 * 16


def test_fsrcnn_at_its_published_size() -> None:
    """12,464 weights on the small image: 2.87 / 1.28 / 0.72 GMAC for a result of 1280x720 at x2 / x3 / x4, interior."""
    from trous.bench.networks.fsrcnn import network

    for scale, published in ((2, 2.87), (4, 0.72)):
        inspected = report(network(scale), 1, 1, 720 // scale, 1280 // scale)
        assert inspected.nominal_macs / 1e9 == pytest.approx(published, rel=0.01)
        assert inspected.macs < inspected.nominal_macs


def test_sizes_fields_and_offsets_of_a_resnet_stem() -> None:
    model = nn.Sequential(nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(True), nn.MaxPool2d(3, 2, 1))
    layers = report(model, 1, 3, 224, 224).layers
    assert [layer.output_size for layer in layers] == [(112, 112)] * 3 + [(56, 56)]
    assert [layer.receptive_field for layer in layers] == [(7, 7)] * 3 + [(11, 11)]
    assert layers[-1].jump == (4, 4)
    assert layers[-1].start == (-5, -5)
    assert [layer.parameters for layer in layers] == [7 * 7 * 3 * 64 + 64, 128, 0, 0]
    assert [layer.bytes for layer in layers] == [64 * 112 * 112 * 4, 64 * 112 * 112 * 4, 0, 64 * 56 * 56 * 4 * 3]


def test_fields_do_not_end_with_the_image() -> None:
    """Four layers of dilation 8 see 65 inputs, on 16 of them too."""
    model = nn.Sequential(*(nn.Conv1d(1, 1, 3, padding=8, dilation=8) for _ in range(4)))
    inspected = report(model, 1, 1, 16)
    assert inspected.output.receptive_field == (65,)
    assert inspected.interval(3) == (range(3, 12),)


def test_intervals_know_the_border() -> None:
    inspected = report(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1)), 1, 1, 9, 12)
    assert inspected.interval((0, 5)) == (range(0, 3), range(3, 8))
    assert inspected.interval((8, 11), layer="0") == (range(7, 9), range(10, 12))


class Joined(nn.Module):
    """Two branches of dilations 1 and 4, concatenated, and a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.near, self.far = nn.Conv1d(2, 2, 3, padding=1), nn.Conv1d(2, 2, 3, padding=4, dilation=4)
        self.mix = nn.Conv1d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.mix(torch.cat([F.relu(self.near(x)), self.far(x)], dim=1))


def test_branches_are_united_holes_and_all() -> None:
    inspected = report(Joined(), 1, 2, 32)
    assert inspected["far"].seen == (3 / 9,)
    assert inspected["cat"].receptive_field == (9,)
    assert inspected["cat"].seen == (5 / 9,)
    assert inspected["add"].receptive_field == (9,)
    assert [layer.kind for layer in inspected] == ["Conv1d", "Conv1d", "cat", "Conv1d", "add"]


class Gate(nn.Module):
    """Squeeze and excitation: channels weighted by what the whole image holds (Hu, Shen & Sun 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool, self.weigh = nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return x * torch.sigmoid(self.weigh(self.pool(x)))


def test_global_layers_are_said_to_be_global() -> None:
    inspected = report(Gate(), 1, 3, 20, 20)
    assert inspected["conv"].everywhere == ()
    assert inspected["weigh"].everywhere == ("pool (AdaptiveAvgPool2d)",)
    assert inspected.output.receptive_field == (3, 3)
    assert inspected.output.everywhere == ("pool (AdaptiveAvgPool2d)",)
    assert inspected.interval((0, 0)) == (range(20), range(20))


def test_attention_is_global_and_counted() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    inspected = trous.inspect(layer, (2, 10, 16), axes=(1,))
    assert any("attention" in name for name in inspected.output.everywhere)
    assert inspected.interval(3) == (range(10),)
    projections, scores, mlp = 4 * 16 * 16, 2 * 10 * 16, 2 * 16 * 32
    assert inspected.macs == 2 * 10 * (projections + scores + mlp)


def test_recurrent_layers_look_back() -> None:
    one = trous.inspect(nn.GRU(4, 6, batch_first=True), (1, 12, 4), axes=(1,))
    assert one.interval(5) == (range(6),)
    both = trous.inspect(nn.LSTM(4, 6, bidirectional=True), (12, 1, 4), axes=(0,))
    assert both.interval(5) == (range(12),)
    assert one.macs == 12 * 3 * 6 * (4 + 6)


class Linears(nn.Module):
    """Channels last through linear layers, as ConvNeXt has them (Liu et al. 2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.wide = nn.Conv2d(4, 4, 7, padding=3, groups=4), nn.LayerNorm(4), nn.Linear(4, 16)
        self.narrow = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.conv(x).permute(0, 2, 3, 1))
        return x + self.narrow(F.gelu(self.wide(y))).permute(0, 3, 1, 2)


def test_positions_come_back_from_a_reshape() -> None:
    inspected = report(Linears(), 1, 4, 14, 10)
    assert inspected.output.receptive_field == (7, 7)
    assert inspected.output.everywhere == ()
    assert inspected.output.jump == (1, 1)
    assert inspected.macs == report(Linears().conv, 1, 4, 14, 10).macs + 2 * 14 * 10 * 4 * 16


def test_pixel_shuffle_by_hand_is_pixel_shuffle() -> None:
    class ByHand(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            n, c, h, w = x.shape
            return x.view(n, c // 4, 2, 2, h, w).permute(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w)

    fields = [
        report(nn.Sequential(nn.Conv2d(3, 8, 3), shuffle, nn.Conv2d(2, 1, 3)), 1, 3, 12, 12).output
        for shuffle in (ByHand(), nn.PixelShuffle(2))
    ]
    assert fields[0].receptive_field == fields[1].receptive_field == (4, 4)
    assert fields[0].jump == fields[1].jump
    assert fields[0].start == fields[1].start


def test_windows_are_local_and_attention_in_them_too() -> None:
    class Windows(nn.Module):
        """Softmax within windows of four, as in Swin (Liu et al. 2021)."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            n, c, t = x.shape
            return x.view(n, c, t // 4, 4).softmax(dim=-1).view(n, c, t)

    inspected = report(nn.Sequential(nn.Conv1d(1, 1, 3, padding=1), Windows()), 1, 1, 16)
    assert inspected.output.receptive_field == (6,)
    assert inspected.output.everywhere == ()
    assert inspected.interval(5) == (range(3, 9),)


def test_writing_into_slices_is_followed() -> None:
    class Written(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.zeros(1, 1, 14)
            y[..., 2:12] = x
            y[..., :2] = x[..., -2:]
            return y

    inspected = report(Written(), 1, 1, 10)
    assert [inspected.interval(p)[0] for p in (0, 2, 11, 12)] == [range(8, 9), range(1), range(9, 10), range(0)]


def test_constant_indices_are_followed() -> None:
    class Picked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 3, padding=1)
            self.register_buffer("order", torch.tensor([7, 0, 3]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x)[..., self.order]

    inspected = report(Picked(), 1, 1, 9)
    assert [inspected.interval(p)[0] for p in range(3)] == [range(6, 9), range(2), range(2, 5)]
    assert inspected.warnings == ()


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_modes_read_inputs_again(mode: str) -> None:
    inspected = report(nn.Conv1d(1, 1, 5, padding=2, padding_mode=mode), 1, 1, 8)
    first = {"zeros": range(3), "reflect": range(3), "replicate": range(3), "circular": range(8)}[mode]
    assert inspected.interval(0) == (first,)
    assert inspected.output.receptive_field == (5,)


def test_trous_layers_and_accelerated_models_are_seen_alike() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(4, 2, 4, 2, 1))
    plain = report(model, 1, 3, 12, 12)
    swapped = report(trous.accelerate(model), 1, 3, 12, 12)
    assert swapped.macs == plain.macs
    assert swapped.output.receptive_field == plain.output.receptive_field
    causal = trous.nn.Conv1d(1, 1, 3, padding="causal", dilation=2)
    assert report(causal, 1, 1, 20).interval(10) == (range(6, 11),)


def test_sizes_alone_are_enough() -> None:
    model = nn.Conv2d(3, 4, 3)
    for size in (32, (32,), (32, 32), (3, 32, 32), (1, 3, 32, 32), torch.zeros(1, 3, 32, 32)):
        assert trous.inspect(model, size).graph.inputs[0].shape == (1, 3, 32, 32)


def test_several_inputs_have_fields_of_their_own() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 3, padding=1)

        def forward(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
            return self.conv(x) + z

    inspected = trous.inspect(Two(), [(1, 1, 9), (1, 1, 9)])
    assert inspected.interval(4) == (range(3, 6), range(4, 5))
    assert inspected.output.receptive_field == (3, 1)
    assert "receptive field of the output on the first of 2 inputs: 3" in str(inspected)


def test_a_path_that_depends_on_values_runs_on_zeros() -> None:
    class Branching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x) if x.sum() == 0 else x

    assert report(Branching(), 1, 1, 9).output.receptive_field == (3,)


def test_the_model_is_left_as_it_was() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Dropout(0.5)).train()
    model[2].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    report(model, 4, 1, 9)
    assert [module.training for module in model] == [True, True, False]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model)


def test_specs_need_no_torch() -> None:
    inspected = trous.inspect([trous.Conv(3, dilation=d) for d in (1, 2, 4)], 32)
    assert inspected.output.receptive_field == (15,)
    assert inspected.output.output_size == (18,)
    assert inspected.macs == 3 * (30 + 26 + 18)


def test_peak_memory_is_what_lives_at_one_time() -> None:
    """A residual keeps its input; what nobody needs any more is freed."""
    plain = report(nn.Sequential(*(nn.Conv1d(4, 4, 1) for _ in range(5))), 1, 4, 100)
    assert plain.peak_bytes == 2 * 1600
    assert plain.activation_bytes == 5 * 1600

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(*(nn.Conv1d(4, 4, 1) for _ in range(5)))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.body(x)

    assert report(Residual(), 1, 4, 100).peak_bytes == 3 * 1600


@pytest.mark.parametrize("model", [nn.Sequential(), nn.Flatten(), nn.ReLU()])
def test_a_network_without_products_has_a_report(model: nn.Module) -> None:
    assert "0 parameters, 0 multiply-adds" in str(trous.inspect(model, (1, 3, 8, 8)))


def test_the_report_as_data_and_as_text() -> None:
    inspected = report(Joined(), 1, 2, 32)
    data = json.loads(json.dumps(inspected.to_dict()))
    assert {"output_size", "receptive_field", "macs", "warnings"} <= set(data["layers"][0])
    assert data["layers"][0]["output_size"] == [32]
    assert data["macs"] == sum(layer["macs"] for layer in data["layers"])
    lines = str(inspected).splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "field", "jump", "seen", "parameters", "MACs", "memory"]
    assert lines[2].split()[:4] == ["far", "Conv1d", "2x32", "9"]


@pytest.mark.parametrize(
    ("model", "size", "message"),
    [
        (nn.Conv2d(3, 4, 9), (1, 3, 4, 4), "input_size must be what the model accepts"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)), (1, 3, 9, 9), "of layer '1' failed"),
        (nn.Conv2d(3, 4, 3), None, "input_size must be given"),
        (nn.Conv2d(3, 4, 3), (1, 3, 0, 4), "input_size must be at least 1"),
        (nn.Conv2d(3, 4, 3), "big", "input_size must be integers"),
        (nn.Conv2d(3, 4, 3), (1, 3, 8, 8, 8), "input_size must be what the model accepts"),
        (torch.relu, (1, 3, 8, 8), "model must be a torch.nn.Module"),
        ([], 8, "model must be a torch.nn.Module"),
    ],
)
def test_bad_input_is_one_clear_error(model: Any, size: Any, message: str) -> None:
    with pytest.raises(trous.TrousError, match=message):
        trous.inspect(model, size)


@pytest.mark.parametrize("position", [99, -1, (1, 2, 3, 4), ()])
def test_positions_must_be_inside(position: Any) -> None:
    with pytest.raises(trous.TrousError, match="position must"):
        report(Joined(), 1, 2, 32).interval(position)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_scripted_models_are_refused() -> None:
    with pytest.raises(trous.TrousError, match="not by TorchScript"):
        trous.inspect(torch.jit.script(nn.ReLU()), (1, 3, 8, 8))


def test_an_unknown_layer_is_named_with_those_there_are() -> None:
    with pytest.raises(trous.TrousError, match="layer must be one of near, far, cat, mix, add, got 'conv'"):
        report(Joined(), 1, 2, 32)["conv"]
