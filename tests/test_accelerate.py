"""`accelerate` changes who computes a model's convolutions and nothing else."""

from __future__ import annotations

import copy
import io
import logging
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import trous
from compare import assert_close


def left(caplog: pytest.LogCaptureFixture) -> str:
    """What was said about the layers that stay as they are; "" for nothing."""
    records = [record for record in caplog.records if record.name == "trous"]
    assert len(records) <= 1
    assert all(record.levelno == logging.WARNING for record in records)
    return "".join(record.getMessage() for record in records)


class Net(nn.Module):
    """Every kind of layer, one of them in two places, a hook, and layers that are not convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect")
        self.body = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=(2,), padding="valid"),
            nn.BatchNorm2d(4),
            self.shared,
            nn.Dropout(0.2),
            nn.ConvTranspose2d(4, 4, 4, 2, 1, output_padding=1),
            self.shared,
        )
        self.flat = nn.ModuleDict({"down": nn.Conv1d(4, 8, 5, 2, 2), "up": nn.ConvTranspose1d(8, 2, 4, 2, 1)})
        self.deep = nn.ModuleList([nn.Conv3d(1, 2, 3, padding=1, groups=1), nn.ConvTranspose3d(2, 1, 2, 2)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x).flatten(2)
        y = self.flat["up"](self.flat["down"](y).relu())
        return self.deep[1](self.deep[0](y[:, None, :, :, None].expand(-1, -1, -1, -1, 2)))


def run(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    torch.manual_seed(7)
    y = model(x)
    return [y.detach(), *torch.autograd.grad(y.square().mean(), list(model.parameters()))]


@pytest.mark.parametrize("train", [False, True])
def test_a_whole_model(train: bool, caplog: pytest.LogCaptureFixture) -> None:
    model, x = Net().double().train(train), torch.rand(2, 3, 12, 11, dtype=torch.float64)
    reference = copy.deepcopy(model)
    parameters, keys = list(model.parameters()), list(model.state_dict())
    objects, text = list(model.modules()), repr(model)
    assert trous.accelerate(model) is model
    assert left(caplog) == ""
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert all(a is b for a, b in zip(model.modules(), objects, strict=True))
    assert list(model.state_dict()) == keys
    assert repr(model) == text
    assert model.body[2] is model.body[5] is model.shared
    swapped = [m for m in model.modules() if isinstance(m, nn.modules.conv._ConvNd)]
    assert len(swapped) == 7
    assert all(type(m).__module__.startswith("trous.nn") and m.training == train for m in swapped)
    for ours, theirs in zip(run(model, x), run(reference, x), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_layer_by_itself_and_twice() -> None:
    layer = nn.ConvTranspose2d(2, 3, 3)
    assert trous.accelerate(trous.accelerate(layer)) is layer
    assert type(layer) is trous.nn.ConvTranspose2d


def test_copies_and_files() -> None:
    model, x = trous.accelerate(Net().eval()), torch.rand(1, 3, 12, 11)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(file, weights_only=False)):
        assert type(again.shared) is trous.nn.Conv2d
        assert torch.equal(again(x), model(x))
    plain = Net().eval()
    plain.load_state_dict(model.state_dict())
    assert_close(plain(x), model(x), terms=10000)


class Traced(nn.Module):
    """Calls by name, and layers with every padding mode, one of which returns to the size of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(4, 3, 3, 3))
        self.down = nn.Conv2d(4, 5, 3, 2, padding=1, padding_mode="reflect")
        self.up = trous.nn.ConvTranspose2d(5, 4, 3, 2, padding=1, padding_mode="circular")
        self.last = nn.ConvTranspose2d(4, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = trous.functional.conv2d(x, self.weight, padding="same")
        return self.last(self.up(self.up(self.down(y), output_size=y.shape).relu()[:, :1].expand(-1, 5, -1, -1)))


def test_symbolic_trace() -> None:
    model = trous.accelerate(Traced())
    graph = torch.fx.symbolic_trace(model)
    for shape in ((2, 3, 6, 7), (1, 3, 9, 8)):
        x = torch.rand(shape)
        assert torch.equal(graph(x), model(x))


def test_hooks_stay() -> None:
    layer = nn.Conv1d(1, 1, 1)
    seen = []
    layer.register_forward_pre_hook(lambda module, args: seen.append("before"))
    layer.register_forward_hook(lambda module, args, y: y + 1)
    layer.register_full_backward_hook(lambda module, dx, dy: seen.append("backward"))
    x = torch.rand(1, 1, 3, requires_grad=True)
    expected = layer(x).detach()
    trous.accelerate(layer)
    y = layer(x)
    y.sum().backward()
    assert seen == ["before", "before", "backward"]
    torch.testing.assert_close(y.detach(), expected)


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    return make()


def old_weight_norm(layer: nn.Module) -> nn.Module:
    with pytest.warns(FutureWarning, match="weight_norm"):
        return nn.utils.weight_norm(layer)


@pytest.mark.parametrize(
    "wrap",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        old_weight_norm,
        nn.utils.spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ],
    ids=["weight_norm", "spectral_norm", "old weight_norm", "old spectral_norm", "pruned"],
)
@pytest.mark.parametrize("make", [nn.Conv2d, nn.ConvTranspose2d])
def test_reparametrized_layers(
    make: Callable[..., nn.Module], wrap: Callable[[nn.Module], nn.Module], caplog: pytest.LogCaptureFixture
) -> None:
    model, reference = (nn.Sequential(seeded(lambda: wrap(make(4, 6, 3)))) for _ in range(2))
    keys, parameters = list(model.state_dict()), list(model.parameters())
    trous.accelerate(model)
    assert left(caplog) == ""
    assert isinstance(model[0], getattr(trous.nn, make.__name__))
    assert list(model.state_dict()) == keys
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    x = torch.rand(2, 4, 6, 7)
    for train in (True, True, False):  # twice: spectral norms move on at every step
        model.train(train)
        reference.train(train)
        for got, expected in zip(run(model, x), run(reference, x), strict=True):
            torch.testing.assert_close(got, expected)


def test_copies_of_parametrized_layers() -> None:
    """torch makes one class for a parametrized layer, which its copies share."""
    original = parametrizations.weight_norm(nn.Conv2d(4, 6, 3))
    twin, x = copy.deepcopy(original), torch.rand(1, 4, 5, 5)
    trous.accelerate(original)
    assert isinstance(original, trous.nn.Conv2d)
    assert not isinstance(twin, trous.nn.Conv2d)
    again = copy.deepcopy(original)
    assert isinstance(again, trous.nn.Conv2d)
    assert torch.equal(again(x), original(x))
    torch.testing.assert_close(twin(x), original(x))


def test_a_parametrization_comes_off_again() -> None:
    layer = trous.accelerate(parametrizations.weight_norm(nn.Conv2d(4, 6, 3)))
    x = torch.rand(1, 4, 5, 5)
    expected = layer(x)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is trous.nn.Conv2d
    torch.testing.assert_close(layer(x), expected)


class Scaled(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


def test_a_subclass_is_left_and_named(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Sequential(nn.Conv2d(3, 3, 1), Scaled(3, 3, 1))
    trous.accelerate(model)
    assert [type(m) for m in model] == [trous.nn.Conv2d, Scaled]
    assert left(caplog) == "accelerate left as they are: 1 (Scaled is a subclass)"


def test_a_lazy_layer_is_left_until_it_has_weights(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Sequential(nn.LazyConv2d(3, 1))
    trous.accelerate(model)
    assert left(caplog) == "accelerate left as they are: 0 (LazyConv2d has no weights before its first call)"
    model(torch.rand(1, 2, 4, 4))
    trous.accelerate(model)
    assert type(model[0]) is trous.nn.Conv2d


def test_a_replaced_forward_is_left(caplog: pytest.LogCaptureFixture) -> None:
    layer = nn.Conv2d(3, 3, 1)
    layer.forward = lambda x: x + 1  # type: ignore[method-assign]
    trous.accelerate(layer)
    assert type(layer) is nn.Conv2d
    assert left(caplog) == "accelerate left as they are: the model itself (its forward was replaced on the object)"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # torch, of its own quantization
def test_quantized_and_scripted_layers_are_left(caplog: pytest.LogCaptureFixture) -> None:
    quantized = torch.ao.nn.quantized.Conv2d(3, 3, 1)
    scripted = torch.jit.trace(nn.Sequential(nn.Conv2d(3, 3, 1)), torch.rand(1, 3, 4, 4))
    trous.accelerate(nn.ModuleDict({"quantized": quantized, "scripted": scripted}))
    assert left(caplog) == (
        "accelerate left as they are: quantized (Conv2d is quantized), scripted.0 (a scripted Conv2d)"
    )


@pytest.mark.parametrize("what", [None, nn.Conv2d, torch.ones(1)])
def test_what_is_no_model_is_refused(what: object) -> None:
    with pytest.raises(trous.TrousError, match=r"model must be a torch\.nn\.Module"):
        trous.accelerate(what)  # type: ignore[arg-type]


def test_a_model_without_convolutions_is_not_mentioned(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.MaxPool2d(2))
    assert trous.accelerate(model) is model
    assert left(caplog) == ""


def test_optimisers_go_on() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    before = model[0].weight.detach().clone()
    trous.accelerate(model)
    model(torch.ones(1, 1, 5, 5)).sum().backward()
    nn.init.ones_(model[0].weight.grad)
    optimiser.step()
    assert_close(model[0].weight.detach(), before - 0.1, terms=1)
