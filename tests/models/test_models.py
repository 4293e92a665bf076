"""Networks as people build them: swapping their layers leaves everything that they compute and learn as it was."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, weight_norm

import trous
from models import dcgan
from trous.bench.networks import convtasnet, fsrcnn, gtcrn, hifigan
from trous.bench.networks.meshnet import MeshNet
from trous.bench.networks.unet import UNet

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
SEED = 20260

#: How far float64 results may lie apart, relative to their scale: some thousand units in the last place.
TINY = 1e-12

#: Two correct float32 networks round differently, by about as much as each differs from float64. Both distances are
#: largest values over a tensor, and those scatter; a tensor of few elements can be exact by luck.
SCATTER = 4
LUCK = 16 * torch.finfo(torch.float32).eps


@dataclass(frozen=True)
class Model:
    """How to build a network, what goes in, and how many convolutions it has."""

    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    layers: int
    complex_input: bool = False

    def network(self) -> nn.Module:
        torch.manual_seed(SEED)
        return self.build()

    def example(self, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        x = torch.randn(self.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(SEED))
        if self.complex_input:
            return torch.complex(x, x.flip(-1)).to(dtype.to_complex())
        return x.to(dtype)


small_separator = partial(convtasnet.Separator, 12, 6, 10, 6, blocks=3, stacks=2)
small_hifigan = partial(hifigan.Generator, mels=10, channels=24, kernels=(16, 7), strides=(8, 3))
MODELS = {
    "unet-2d": Model(partial(UNet, 2, 1, 2, dropout=0.5), (2, 1, 92, 76), layers=13),
    "unet-3d": Model(partial(UNet, 3, 2, 3, widths=(6, 12), padding=1, normed=True), (2, 2, 8, 12, 10), layers=8),
    "dcgan": Model(dcgan.Generator, (4, 32), layers=4),
    "dcgan-5x5": Model(partial(dcgan.Generator, kernel=5), (4, 32), layers=4),
    "hifi-gan": Model(partial(small_hifigan, parametrizations.weight_norm), (2, 10, 9), layers=40),
    "fsrcnn": Model(partial(fsrcnn.network, 3, 12, 4, 2), (2, 1, 11, 13), layers=6),
    "conv-tasnet": Model(small_separator, (2, 12, 25), layers=26),
    "meshnet": Model(MeshNet, (1, 1, 9, 8, 7), layers=10),
    "gtcrn": Model(gtcrn.GTCRN, (2, gtcrn.BINS, 14), layers=22, complex_input=True),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> Model:
    return MODELS[request.param]


def convs(network: nn.Module) -> list[str]:
    return [name for name, layer in network.named_modules() if isinstance(layer, CONVS)]


def swapped(network: nn.Module) -> list[str]:
    ours = tuple(getattr(trous.nn, kind.__name__) for kind in CONVS)
    return [name for name, layer in network.named_modules() if isinstance(layer, ours)]


def accelerated(network: nn.Module) -> nn.Module:
    """A copy of the network that has every convolution swapped."""
    ours = trous.accelerate(copy.deepcopy(network))
    assert swapped(ours) == convs(network) != []
    return ours


def test_every_layer_is_swapped_in_place_and_its_state_kept(model: Model) -> None:
    network = model.network()
    names = convs(network)
    assert len(names) == model.layers and not swapped(network)
    parameters = dict(network.named_parameters())
    state = copy.deepcopy(network.state_dict())

    assert trous.accelerate(network) is network

    assert swapped(network) == names
    kept = dict(network.named_parameters())
    assert kept.keys() == parameters.keys() and all(kept[name] is parameters[name] for name in kept)
    after = network.state_dict()
    assert list(after) == list(state) and all(torch.equal(after[name], state[name]) for name in state)
    model.network().load_state_dict(after)  # and torch's own layers take it back


def results(network: nn.Module, x: torch.Tensor) -> Iterator[tuple[str, torch.Tensor, float]]:
    """What one step computes, as (name, values, scale to judge them by): output, gradients, buffers.

    A gradient's scale is the largest gradient of its layer, and for a lone number, of its block: a bias before a batch
    normalisation has no gradient but rounding, and the gradient of a slope is one sum, which may cancel. The seed gives
    every run the same dropout and the same gradient of the output.
    """
    torch.manual_seed(SEED)
    x = x.clone().requires_grad_()
    y = network(x)
    real = torch.view_as_real(y) if y.is_complex() else y
    real.backward(torch.randn(real.shape, dtype=torch.float64).to(real.dtype))
    yield "output", y.detach(), peak(y)
    yield "input gradient", x.grad, peak(x.grad)
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    for name, gradient in gradients.items():
        around = name.partition(".parametrizations.")[0] if ".parametrizations." in name else name.rpartition(".")[0]
        if gradient.numel() == 1:
            around = around.rpartition(".")[0]
        yield name, gradient, max(peak(other) for key, other in gradients.items() if key.startswith(around))
    for name, buffer in network.named_buffers():
        yield name, buffer, max(peak(buffer), 1.0)


def peak(x: torch.Tensor) -> float:
    return x.detach().abs().max().item()


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_outputs_gradients_and_statistics_stay(model: Model, training: bool) -> None:
    network = model.network().train(training)
    ours = accelerated(network)
    assert ours.training == training
    x = model.example(torch.float32)
    rounded = zip(results(ours, x), results(network, x), strict=True)
    # Fresh copies: the runs above have moved the statistics.
    network = model.network().double().train(training)
    ours = accelerated(network)
    x = model.example(torch.float64)
    for (name, fine, _), (_, exact, scale) in zip(results(ours, x), results(network, x), strict=True):
        (same, single, _), (also, torchs, _) = next(rounded)
        assert same == also == name and fine.shape == exact.shape and single.shape == torchs.shape
        assert scale > 0 and peak(exact - fine) <= TINY * scale, name
        allowed = SCATTER * peak(torchs - exact) + LUCK * scale
        assert peak(single - exact) <= allowed, name
    assert next(rounded, None) is None


def test_channels_last_stays_channels_last() -> None:
    """The format that a network was moved to comes out of it, with the same numbers, also behind one input channel."""
    model = MODELS["unet-2d"]
    network = model.network().double().eval().to(memory_format=torch.channels_last)
    x = model.example().to(memory_format=torch.channels_last)
    with torch.no_grad():
        y, expected = accelerated(network)(x), network(x)
    assert y.is_contiguous(memory_format=torch.channels_last)
    assert peak(y - expected) <= TINY * peak(expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_training_takes_the_same_course(dtype: torch.dtype) -> None:
    """Twenty steps that undo noise: every loss agrees, and the last is well below the first."""
    model = Model(partial(UNet, 2, 1, 1, widths=(8, 16), padding=1, normed=True), (4, 1, 24, 20), layers=8)
    network = model.network().to(dtype)
    clean = torch.linspace(-2, 2, 20).sin().expand(model.shape).to(dtype)
    noisy = clean + 0.3 * model.example(dtype)

    def course(network: nn.Module) -> list[float]:
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
        losses = []
        for _ in range(20):
            loss = nn.functional.mse_loss(network(noisy), clean)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    ours, torchs = course(accelerated(network)), course(network)
    # Each step multiplies the distance of the two a little: a thousand roundings, where one step allows some ten.
    assert ours == pytest.approx(torchs, rel=1000 * torch.finfo(dtype).eps)
    assert torchs[-1] < torchs[0] / 4


def test_weight_normalisation_of_the_old_kind() -> None:
    """It recomputes the weight in a hook before each call; the hook moves to the swapped layer."""
    with pytest.warns(FutureWarning, match="deprecated"):
        torch.manual_seed(SEED)
        network = small_hifigan(weight_norm).double()
    with pytest.warns(FutureWarning, match="deprecated"):
        ours = small_hifigan(weight_norm).double()
    ours.load_state_dict(network.state_dict())
    trous.accelerate(ours)
    assert swapped(ours) == convs(network)
    with torch.no_grad():  # the weight is not a number kept, so a change of its length must show
        for net in (ours, network):
            net.first.weight_g.mul_(2)
    x = MODELS["hifi-gan"].example()
    for (name, fine, _), (_, exact, scale) in zip(results(ours, x), results(network, x), strict=True):
        assert scale > 0 and peak(fine - exact) <= TINY * scale, name


def test_weight_normalisation_can_be_taken_off_afterwards() -> None:
    """What every HiFi-GAN does before it speaks."""
    model = MODELS["hifi-gan"]
    network = model.network().double().eval()
    ours = accelerated(network)
    for layer in list(ours.modules()):
        if parametrize.is_parametrized(layer):
            parametrize.remove_parametrizations(layer, "weight")
    assert len(swapped(ours)) == model.layers and not any("original" in name for name in ours.state_dict())
    x = model.example()
    with torch.no_grad():
        expected = network(x)
        assert peak(ours(x) - expected) <= TINY * peak(expected)
