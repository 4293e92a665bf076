"""Sequences in an accelerated model: what can run together does, and nobody can tell but by the clock."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations
from torch.utils._python_dispatch import TorchDispatchMode

import trous
from trous.nn import sequence

KNOWN = ("run", "run_finished", "relu", "leaky_relu", "tanh", "sigmoid")


class Calls(TorchDispatchMode):
    """The operators that run, by name."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.append(str(function).partition(".")[2].partition(".")[0])
        return function(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def _no_input_is_too_small_to_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence, "SMALL", 0)


def names(model: nn.Module, x: torch.Tensor) -> list[str]:
    """Operators of one call, those of this project and those that a fusion shall save."""
    with Calls() as calls:
        model(x)
    found = [name.strip("_") for name in calls.names]
    return [name for name in found if name in KNOWN or "batch_norm" in name]


class Block(nn.Sequential):
    """A sequence with a constructor of its own, as networks are made of."""

    def __init__(self, ins: int, outs: int) -> None:
        super().__init__(nn.Conv2d(ins, outs, 3, padding=1, bias=False), nn.BatchNorm2d(outs), nn.ReLU(inplace=True))


def network() -> nn.Sequential:
    torch.manual_seed(5)
    model = nn.Sequential(
        Block(3, 6),
        nn.Conv2d(6, 6, 3, groups=2),
        nn.LeakyReLU(0.2),
        nn.ConvTranspose2d(6, 4, 4, 2, groups=2),
        nn.BatchNorm2d(4, affine=False),
        nn.Tanh(),
        nn.Dropout(0.3),
        nn.ConvTranspose2d(4, 4, 3),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 2, 1),
        nn.Sigmoid(),
        nn.Conv2d(2, 2, 1),
    )
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 2)
                nn.init.uniform_(module.bias, -1, 1)
    return model.double()


def pair() -> tuple[nn.Sequential, nn.Sequential]:
    return trous.accelerate(network()), network()


def example() -> torch.Tensor:
    return torch.randn(2, 3, 12, 11, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_what_runs_together() -> None:
    model, _ = pair()
    x = example()
    together = ["run_finished", "run_finished", "run_finished", "run", "run_finished", "run"]
    with torch.no_grad():
        assert names(model.eval(), x) == together
    learning = [name if name in KNOWN else "norm" for name in names(model, x)]
    expected = "run norm relu run leaky_relu run norm tanh run norm run_finished run"
    assert learning == expected.split()


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_outputs_gradients_and_statistics_stay(training: bool, grad: bool) -> None:
    ours, theirs = pair()
    for model in (ours, theirs):
        model.train(training).requires_grad_(grad)
    results = []
    for model in (ours, theirs):
        torch.manual_seed(2)
        y = model(example())
        found = [y.detach(), *model.buffers()]
        if grad:
            found += torch.autograd.grad(y.square().sum(), list(model.parameters()))
        results.append(found)
    torch.testing.assert_close(*results)


def test_the_model_looks_as_before() -> None:
    ours, theirs = pair()
    modules = [m for m in ours.modules()]
    assert trous.accelerate(ours) is ours
    assert [m for m in ours.modules()] == modules
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert isinstance(ours, nn.Sequential) and isinstance(ours[0], Block) and type(ours[0]).__name__ == "Block"
    assert ours[2].negative_slope == 0.2 and ours[0][2].inplace
    theirs.load_state_dict(ours.state_dict())


def test_copies_and_files() -> None:
    model, x = pair()[0].eval(), example()
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    with torch.no_grad():
        expected, kinds = model(x), names(model, x)
        for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(file, weights_only=False)):
            assert isinstance(again[0], Block)
            assert torch.equal(again(x), expected) and names(again, x) == kinds


def test_parts_and_changes_of_a_sequence() -> None:
    model, _ = pair()
    model.eval().requires_grad_(False)
    x = example()
    assert torch.equal(model[1:](model[:1](x)), model(x))
    half = model(x)
    model.append(nn.ReLU())
    assert torch.equal(model(x), half.relu())
    assert names(model, x)[-1] == "run_finished"
    model[2] = nn.Identity()
    assert not torch.equal(model(x), half.relu())
    assert names(model, x)[:2] == ["run_finished", "run"]


def test_no_convolution_no_change() -> None:
    model = nn.Sequential(nn.ReLU(), nn.Conv2d(1, 1, 1), nn.Flatten(), nn.Linear(4, 4), nn.ReLU())
    assert type(trous.accelerate(model)) is nn.Sequential


class Twice(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(super().forward(x))


def test_a_sequence_with_a_forward_of_its_own_keeps_it() -> None:
    model = trous.accelerate(Twice(nn.Conv2d(2, 2, 1), nn.ReLU()))
    assert type(model) is Twice
    replaced = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU())
    replaced.forward = lambda x: x  # type: ignore[method-assign]
    assert type(trous.accelerate(replaced)) is nn.Sequential


HOOKS: dict[str, Callable[[nn.Module, Callable[..., None]], Any]] = {
    "forward": lambda module, note: module.register_forward_hook(lambda m, args, y: note(args[0], y)),
    "forward_pre": lambda module, note: module.register_forward_pre_hook(lambda m, args: note(args[0])),
    "backward": lambda module, note: module.register_full_backward_hook(lambda m, dx, dy: note(dx[0], dy[0])),
    "backward_pre": lambda module, note: module.register_full_backward_pre_hook(lambda m, dy: note(dy[0])),
}


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("kind", HOOKS)
def test_hooks_see_what_there_was_to_see(kind: str, at: int) -> None:
    seen: list[list[torch.Tensor]] = []
    results = []
    for model in pair():
        block = model[0].eval()
        block[2].inplace = False  # backward hooks do not go with it
        noted: list[torch.Tensor] = []
        HOOKS[kind](block[at], lambda *values, noted=noted: noted.extend(v.detach().clone() for v in values))
        x = example().requires_grad_()
        if kind.startswith("forward"):
            with torch.no_grad():
                results.append([block(x)])
        else:
            y = block(x)
            results.append([y, *torch.autograd.grad(y.square().sum(), x)])
        seen.append(noted)
    assert seen[0]
    torch.testing.assert_close(*seen)
    torch.testing.assert_close(*results)


def test_global_hooks_see_every_module() -> None:
    model, _ = pair()
    seen = []
    with nn.modules.module.register_module_forward_hook(lambda m, args, y: seen.append(type(m).__name__)):
        model[0].eval()(example())
    assert seen == ["Conv2d", "BatchNorm2d", "ReLU", "Block"]


def test_replaced_and_compiled_modules_run_by_themselves() -> None:
    model, _ = pair()
    block = model[0].eval().requires_grad_(False)
    block[2].forward = lambda x: x + 1  # type: ignore[method-assign]
    torch.testing.assert_close(block(example()), block[1](block[0](example())) + 1)
    block = pair()[0][0].eval().requires_grad_(False)
    block[1].compile(backend="eager")
    assert "run" in names(block, example())
    torch.compiler.reset()


def test_a_module_in_two_places() -> None:
    torch.manual_seed(0)
    shared, act = nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()
    model = nn.Sequential(shared, act, shared, nn.Sequential(shared, act))
    x = torch.randn(1, 3, 6, 7)
    expected = model(x)
    trous.accelerate(model)
    assert names(model, x) == ["run_finished", "run", "run_finished"]
    torch.testing.assert_close(model(x), expected)
    assert model[0] is model[2] is model[3][0]


def test_weights_may_change_behind_our_back() -> None:
    """Nothing folded is kept: a weight or statistic written through `.data` counts at once."""
    ours, theirs = (model[0].eval().requires_grad_(False) for model in pair())
    x = example()
    ours(x)
    for block in (ours, theirs):
        block[0].weight.data.mul_(2)
        block[1].running_mean.data.add_(1)
    torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(
    ("norm", "dtype"),
    [
        (lambda: nn.BatchNorm1d(4, track_running_stats=False).eval(), torch.float32),
        (lambda: nn.BatchNorm1d(4), torch.float32),
        (lambda: nn.BatchNorm1d(4).eval(), torch.bfloat16),
        (lambda: nn.InstanceNorm1d(4).eval(), torch.float32),
    ],
    ids=["without statistics", "in training", "of another dtype", "of another kind"],
)
def test_what_is_not_folded(norm: Callable[[], nn.Module], dtype: torch.dtype) -> None:
    layers = nn.Sequential(nn.Conv1d(4, 4, 3, dtype=dtype), norm(), nn.ReLU()).requires_grad_(False)
    x = torch.randn(2, 4, 30).to(dtype)
    expected = copy.deepcopy(layers)(x)
    ours = trous.accelerate(copy.deepcopy(layers))
    assert names(ours, x)[0] == "run"
    torch.testing.assert_close(trous.accelerate(layers)(x), expected)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid])
def test_an_output_may_be_written_over_where_torch_allows_it(activation: type[nn.Module]) -> None:
    layers = nn.Sequential(nn.Conv1d(3, 4, 3), activation())
    x = torch.randn(2, 3, 9)

    def gradient(model: nn.Module) -> torch.Tensor | None:
        y = model(x)
        y += 1
        try:
            return torch.autograd.grad(y.square().sum(), model[0].weight)[0]
        except RuntimeError:
            return None

    expected = gradient(layers)
    got = gradient(trous.accelerate(layers))
    assert (got is None) == (expected is None) == (activation is not nn.LeakyReLU)
    if got is not None:
        torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("slopes", [1, 4])
@pytest.mark.parametrize("grad", [False, True])
def test_prelu(grad: bool, slopes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without gradients it is a leaky_relu, or with several slopes a pass in place; they are read at each call."""
    layers = (
        nn.Sequential(nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), nn.PReLU(slopes, init=0.3)).eval().requires_grad_(grad)
    )
    reference, x = copy.deepcopy(layers), torch.randn(2, 3, 30)
    trous.accelerate(layers)
    for model in (layers, reference):
        model[2].weight.data.copy_(torch.linspace(-0.5, 2, slopes))
    called = []
    by_torch = torch.nn.functional.prelu
    monkeypatch.setattr(torch.nn.functional, "prelu", lambda *arrays: (called.append(1), by_torch(*arrays))[1])
    for batch in (x, torch.randn(2, 50, 3).mT):  # channels first and last
        torch.testing.assert_close(layers(batch), reference(batch))
    assert len(called) == (4 if grad else 2)
    monkeypatch.undo()
    torch.testing.assert_close(torch.func.vmap(layers)(x[:, None])[:, 0], reference(x))
    compiled = torch.compile(layers, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), reference(x))
    torch.compiler.reset()


def test_a_large_weight_and_a_small_output_are_not_folded(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)).eval().requires_grad_(False)
    trous.accelerate(layers)
    small, large = torch.randn(1, 16, 4, 4), torch.randn(1, 16, 16, 16)
    assert len(names(layers, small)) == 2 and names(layers, large) == ["run"]
    monkeypatch.undo()
    assert len(names(layers, large)) == 2 and names(layers, torch.randn(1, 16, 64, 65)) == ["run"]
    wider = trous.accelerate(nn.Sequential(nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32)).eval().requires_grad_(False))
    assert names(wider, torch.randn(1, 1, 46, 46)) == ["run"]


def test_one_dimension_without_a_batch_is_torch_s_error_or_torch_s_answer() -> None:
    """(channels, length) is (batch, channels) to BatchNorm1d."""
    layers = nn.Sequential(nn.Conv1d(4, 30, 3), nn.BatchNorm1d(28)).eval().requires_grad_(False)
    x = torch.randn(4, 30)
    expected = layers(x)
    torch.testing.assert_close(trous.accelerate(layers)(x), expected)


def test_parametrized_layers() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(parametrizations.weight_norm(nn.Conv1d(4, 6, 3)), nn.BatchNorm1d(6), nn.LeakyReLU(0.1)).eval()
    x = torch.randn(2, 4, 40)
    with torch.no_grad():
        expected = model(x)
        trous.accelerate(model)
        assert "run_finished" in names(model, x) and "leaky_relu" not in names(model, x)
        torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.PReLU])
def test_a_parametrization_runs_once_for_each_call(activation: type[nn.Module], grad: bool) -> None:
    """In training a spectral norm moves on whenever the weight is read."""
    model = nn.Sequential(parametrizations.spectral_norm(nn.Conv1d(4, 6, 3)), activation()).requires_grad_(grad)
    reference, x = copy.deepcopy(model), torch.randn(2, 4, 40)
    trous.accelerate(model)
    for _ in range(2):
        torch.testing.assert_close(model(x), reference(x))
    torch.testing.assert_close(model.state_dict(), reference.state_dict())


def test_autocast() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6), nn.ReLU()).eval().requires_grad_(False)
    x = torch.randn(2, 4, 40)
    with torch.autocast("cpu", torch.bfloat16):
        expected = model(x)
        y = trous.accelerate(model)(x)
    assert y.dtype == expected.dtype
    torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("grad", [False, True])
def test_compile_and_export(grad: bool) -> None:
    model = pair()[0].eval().requires_grad_(grad)
    x = example()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), model(x))
    torch.compiler.reset()
    program = torch.export.export(model, (x,))
    torch.testing.assert_close(program.module()(x), model(x))


def test_symbolic_trace() -> None:
    model = pair()[0].eval().requires_grad_(False)
    graph = torch.fx.symbolic_trace(model)
    torch.testing.assert_close(graph(example()), model(example()))
