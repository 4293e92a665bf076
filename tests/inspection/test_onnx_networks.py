"""Networks exported to ONNX against the same networks in torch: the two front-ends must see the same."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import trous
from trous.bench.networks import fsrcnn, gtcrn, hifigan, meshnet, unet
from trous.inspection import onnx_trace, torch_trace
from trous.inspection.graph import Graph


def exported(model: nn.Module, x: torch.Tensor, **options: object) -> onnx.ModelProto:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), file, dynamo=False, **options)
    return onnx.load_from_string(file.getvalue())


def both(model: nn.Module, shape: tuple[int, ...], dims: list[int] | None = None) -> tuple[Graph, Graph]:
    """The graphs by both front-ends, their outputs compared."""
    model, x = model.eval(), torch.zeros(shape)
    followed = [list(range(2, len(shape))) if dims is None else dims]
    expected = torch_trace.trace(model, [x], followed)
    found = onnx_trace.trace(exported(model, x), [shape], followed)
    for a, b in zip(expected.outputs, found.outputs, strict=True):
        assert a.shape == b.shape and a.itemsize == b.itemsize and a.trails.keys() == b.trails.keys()
        for axis, trail in a.trails.items():
            trail, other = trail.settled(), b.trails[axis].settled()
            assert (trail.dim, trail.field) == (other.dim, other.field), axis
            for own, second in ((trail.low, other.low), (trail.high, other.high)):
                np.testing.assert_array_equal(np.broadcast_to(own, a.shape), np.broadcast_to(second, a.shape))
    for count in ("multiplications", "nominal"):
        assert sum(getattr(node, count) for node in expected.nodes) == sum(getattr(node, count) for node in found.nodes)
    first, second = ([n.spec for n in graph.nodes if n.nominal and n.spec is not None] for graph in (expected, found))
    assert first == second
    assert not any(node.warnings for node in found.nodes)
    return expected, found


def test_lines_have_their_parameters() -> None:
    """As the torch model's, layer by layer; what only moves elements has no line."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.PReLU(4), nn.Flatten(2), nn.Conv1d(4, 2, 3)).eval()
    shape = (1, 1, 8, 9)
    found = trous.inspect(exported(model, torch.zeros(shape)), shape)
    assert [layer.parameters for layer in found] == [40, 4, 26]
    assert sum(layer.parameters for layer in found) == found.parameters == trous.inspect(model, shape).parameters


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "FSRCNN": (lambda: fsrcnn.network(3), (1, 1, 10, 13)),
    "U-Net": (lambda: unet.UNet(2, 1, 2, widths=(4, 8, 8), dropout=0.5), (2, 1, 60, 44)),
    "U-Net, padded, 3-D": (lambda: unet.UNet(3, 1, 2, widths=(4, 8), padding=1, normed=True), (1, 1, 8, 12, 10)),
    "HiFi-GAN": (
        lambda: hifigan.Generator(lambda layer: layer, mels=4, channels=8, kernels=(16, 4), strides=(8, 2)),
        (1, 4, 12),
    ),
    "MeshNet": (meshnet.MeshNet, (1, 1, 9, 9, 12)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str) -> None:
    make, shape = NETWORKS[name]
    expected, found = both(make(), shape)
    assert all(node.weight is not None for node in found.nodes if node.spec is not None and node.nominal)
    if name in ("U-Net", "HiFi-GAN"):  # of others the export folds normalisation away, and keeps equal slopes once
        assert sum(expected.parameters.values()) == sum(found.parameters.values())
        assert expected.parameter_bytes == found.parameter_bytes


def moved_copies(x: torch.Tensor) -> torch.Tensor:
    """`gtcrn.neighbours` without the unfold that this exporter does not know."""
    wide, count = F.pad(x, (1, 1)), x.shape[3]
    return torch.stack([wide[..., k : k + count] for k in range(3)], dim=2).flatten(1, 2)


class RealGTCRN(nn.Module):
    """GTCRN without complex numbers, which ONNX does not have: magnitude and parts to the two parts of the mask."""

    def __init__(self) -> None:
        super().__init__()
        self.whole = gtcrn.GTCRN()

    def forward(self, parts: torch.Tensor) -> torch.Tensor:
        net = self.whole
        encoded = net.encoder(gtcrn.neighbours(net.erb.merge(parts)))
        return net.erb.split(net.decoder(net.dpgrnn2(net.dpgrnn1(encoded[-1])), encoded))


@pytest.mark.slow  # torch alone takes seconds for it
def test_gtcrn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recurrent layers, channel shuffles by reshapes, slices whose ends are computed."""
    x = torch.randn(1, 3, 4, 33)
    assert torch.equal(moved_copies(x), gtcrn.neighbours(x))
    monkeypatch.setattr(gtcrn, "neighbours", moved_copies)
    both(RealGTCRN(), (1, 3, 6, gtcrn.BINS))


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "group norm": (lambda: nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.GroupNorm(4, 8)), (1, 4, 9, 8)),
    "layer norm": (lambda: nn.LayerNorm(8), (1, 3, 5, 8)),
    "pixel shuffle": (lambda: nn.Sequential(nn.Conv2d(2, 8, 3), nn.PixelShuffle(2), nn.Conv2d(2, 1, 3)), (1, 2, 9, 8)),
    "pixel unshuffle": (lambda: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(8, 8, 3, padding=1)), (1, 2, 10, 8)),
    "bilinear": (lambda: nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear"), nn.ReLU()), (1, 2, 9, 8)),
    "corners": (lambda: nn.Upsample(size=(17, 20), mode="bilinear", align_corners=True), (1, 2, 9, 8)),
    "bicubic": (lambda: nn.Upsample(scale_factor=1.5, mode="bicubic"), (1, 2, 10, 8)),
    "nearest": (lambda: nn.Upsample(scale_factor=(2, 3)), (1, 2, 9, 8)),
    "pools": (
        lambda: nn.Sequential(nn.MaxPool2d(3, 2, 1, ceil_mode=True), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1)),
        (1, 2, 19, 18),
    ),
    "reflection": (lambda: nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(2, 3, 5)), (1, 2, 9, 8)),
    "causal": (lambda: nn.Sequential(nn.ConstantPad1d((4, 0), 0.0), nn.Conv1d(2, 2, 3, dilation=2)), (1, 2, 19)),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(4, 4, 3, 2, 1, output_padding=1, groups=2), nn.GELU()),
        (1, 4, 9, 8),
    ),
    "gated": (lambda: nn.Sequential(nn.Conv1d(2, 8, 3), nn.GLU(1)), (1, 2, 19)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers(name: str) -> None:
    make, shape = LAYERS[name]
    both(make(), shape)


class Recurrent(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.head = nn.Linear(10, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x.transpose(1, 2))[0]).transpose(1, 2)


@pytest.mark.parametrize("layer", [nn.GRU, nn.LSTM])
def test_recurrent_layers(layer: type[nn.Module]) -> None:
    both(Recurrent(layer(4, 5, num_layers=2, batch_first=True, bidirectional=True)), (1, 4, 7))
    both(Recurrent(layer(4, 10, batch_first=True)), (1, 4, 7))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(8, 24)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        query, key, value = self.project(x).reshape(batch, length, 3, 2, 4).permute(2, 0, 3, 1, 4)
        return x + F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


def test_attention() -> None:
    for graph in both(Attention(), (1, 7, 8), [1]):
        (trail,) = graph.outputs[0].trails.values()
        assert trail.everywhere and trail.field is not None


def test_pieces_put_together() -> None:
    """Circular padding is written as a concatenation, of which the pieces have no one pattern."""
    model = nn.Conv1d(2, 3, 5, padding=4, dilation=2, padding_mode="circular")
    expected = torch_trace.trace(model, [torch.zeros(1, 2, 19)], [[2]]).outputs[0]
    found = onnx_trace.trace(exported(model, torch.zeros(1, 2, 19)), [(1, 2, 19)], [[2]]).outputs[0]
    assert [expected.depends(axis, (0, 0, o)) for axis in expected.trails for o in range(19)] == [
        found.depends(axis, (0, 0, o)) for axis in found.trails for o in range(19)
    ]


def test_other_sizes_than_those_of_the_export() -> None:
    """Sizes left open in the file follow the input; reshapes and pads are computed from it."""
    model = unet.UNet(2, 1, 2, widths=(4, 8), padding=1).eval()
    axes = {2: "height", 3: "width"}
    proto = exported(model, torch.zeros(1, 1, 16, 16), input_names=["x"], dynamic_axes={"x": axes})
    graph = onnx_trace.trace(proto, [(1, 1, 20, 24)], [[2, 3]])
    expected = torch_trace.trace(model, [torch.zeros(1, 1, 20, 24)], [[2, 3]])
    assert graph.outputs[0].shape == expected.outputs[0].shape == (1, 2, 20, 24)
    (width,) = (trail for axis, trail in graph.outputs[0].trails.items() if axis.dim == 3)
    (wanted,) = (trail for axis, trail in expected.outputs[0].trails.items() if axis.dim == 3)
    assert width.field == wanted.field
