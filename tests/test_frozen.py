"""A frozen weight gives the same outputs bit for bit, is packed once, and follows the changes that torch counts."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import trous
from compare import assert_close, assert_identical
from problems import INSTRUCTION_SETS, integers
from trous.backends.cpu import target
from trous.backends.cpu.run import threads
from trous.frozen import ORDERS
from trous.problem import Problem
from turns import taking_turns

#: What panels depend on: which weights are adjacent, phases in the place of channels, chunks, groups, blocks.
PROBLEMS = (
    "conv,c20-40,x9x21,k3x3,p1,bias",
    "conv,c20-40,x9x21,k3x3,p1,last",
    "conv,c1100-40,x5x9,k3x3,p1,last",
    "conv,c600-20,x30,k13,p6,bias",
    "conv,c256-300,x6x7,k5x5,p2",
    "conv,n3,c40-72,x31x33,k3x3,s2,d2,p2,g2,bias",
    "conv_transpose,c260-130,x9x11,k4x4,s2,p1,bias",
    "conv_transpose,c260-130,x9x11,k4x4,s2,p1,last",
    "conv_transpose,n2,c9-20,x50,k24,s5,p3",
    "conv_transpose,n2,c4-6,x40,k96,s32,g2,bias",
    "conv_transpose,c66-1,x12,k64,s16,p32,bias",
    "conv_transpose,c20-12,x5x6x7,k3x3x3,s2,p1,op1",
    "conv,c64-32,x9x9,k3x3,p12,d12",
    "conv,c24-24,x9x30,k3x3,p1,f64",
    "conv,c24-24,x9x30,k3x3,p1,bf16",
    "conv,c6-6,x9x40,k3x3,p2,d2,g6",  # a family that packs nothing
    "conv,c3-4,x0x8,k3x3,p2,bias",
)


def options(problem: Problem) -> dict:
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    return {name: getattr(problem.spec, name) for name in names if hasattr(problem.spec, name)}


@pytest.mark.parametrize(("problem", "instruction_sets"), taking_turns(map(Problem.parse, PROBLEMS), ("y",)))
def test_outputs_are_the_same(
    problem: Problem, instruction_sets: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In checked code too, on torch's and NumPy's arrays, and again from the panels."""
    assert_outputs_are_the_same(problem, instruction_sets, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("text", PROBLEMS)
def test_outputs_are_the_same_on_every_instruction_set(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert_outputs_are_the_same(Problem.parse(text), INSTRUCTION_SETS, monkeypatch)


def assert_outputs_are_the_same(
    problem: Problem, instruction_sets: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given, function = integers(problem), getattr(trous, problem.kind)
    for instruction_set in instruction_sets:
        with target.use(instruction_set), threads(2):
            expected = function(given.x, given.w, given.bias, activation="relu", **options(problem))
            frozen = trous.freeze(given.w)
            for check in ("", "1", ""):
                monkeypatch.setenv("TROUS_CHECK", check)
                got = function(given.x, frozen, given.bias, activation="relu", **options(problem))
                assert_identical(
                    got, expected, (problem, instruction_set, check), zeros=True, empty=not expected.numel()
                )
            if problem.dtype != "bfloat16":
                x, w, bias = (None if a is None else a.numpy() for a in given[:3])
                got = function(x, trous.freeze(w), bias, activation="relu", **options(problem))
                assert_identical(torch.from_numpy(got), expected, problem, zeros=True, empty=not expected.numel())


def panels(w: trous.frozen.Frozen) -> list[np.ndarray]:
    return list(w._panels.values())


def test_a_weight_is_packed_once_for_all_sizes(rng: np.random.Generator) -> None:
    w, bias = trous.freeze(rng.random((40, 20, 3, 3), np.float32)), rng.random(40, np.float32)
    trous.conv(rng.random((1, 20, 9, 9), np.float32), w, padding=1)
    (first,) = panels(w)
    for size in ((9, 9), (30, 17), (5, 90)):
        x = rng.random((2, 20, *size), np.float32)
        assert_identical(trous.conv(x, w, bias, padding=1), trous.conv(x, w.array, bias, padding=1))
    assert panels(w) == [first]


def test_orders_are_few(rng: np.random.Generator) -> None:
    """Each of these sizes has other live taps, and so other panels."""
    w = trous.freeze(rng.random((20, 20, 13), np.float32))
    for size in range(1, 9):
        x = rng.random((1, 20, size), np.float32)
        assert_identical(trous.conv(x, w, padding=6), trous.conv(x, w.array, padding=6))
    assert len(panels(w)) == ORDERS


def test_changes_that_torch_counts_are_obeyed() -> None:
    weight, x = nn.Parameter(torch.rand(40, 20, 3)), torch.rand(1, 20, 50)
    frozen = trous.freeze(weight)
    for change in (lambda: weight.mul_(2), lambda: weight.copy_(torch.rand(40, 20, 3)), lambda: weight[3, 2].zero_()):
        with torch.no_grad():
            trous.conv(x, frozen)
            change()
            assert_identical(trous.conv(x, frozen), trous.conv(x, weight))
    weight.data = torch.rand(40, 20, 3)  # another memory
    with torch.no_grad():
        assert_identical(trous.conv(x, frozen), trous.conv(x, weight))


def test_gradients_and_compilation_do_without_panels() -> None:
    x, frozen = torch.rand(1, 20, 50, requires_grad=True), trous.freeze(torch.rand(40, 20, 3, requires_grad=True))
    y = trous.conv(x, frozen)
    y.sum().backward()
    assert x.grad is not None
    assert frozen.array.grad is not None
    with torch.no_grad():
        assert_identical(torch.compile(lambda x: trous.conv(x, frozen), backend="eager")(x), y)
    assert not panels(frozen)


def test_what_a_frozen_weight_is() -> None:
    w = trous.freeze(np.ones((4, 2, 3), np.float32))
    assert (w.shape, w.dtype) == ((4, 2, 3), np.float32)
    assert trous.freeze(w) is w
    assert "trous.freeze(array(" in repr(w)
    trous.conv(np.ones((2, 9), np.float32), w)
    assert not panels(pickle.loads(pickle.dumps(w)))
    with pytest.raises(trous.TrousError, match="x must have the 2 channels"):
        trous.conv(np.ones((3, 9), np.float32), w)
    with pytest.raises(trous.TrousError, match="w must be an array of the library of x"):
        trous.conv(np.ones((2, 9), np.float32), trous.freeze(torch.ones(4, 2, 3)))
    with pytest.raises(trous.TrousError, match="w must be a torch tensor"):
        trous.conv(torch.ones(2, 9), w)
    y = trous.functional.conv1d(np.ones((2, 9), np.float32), w)
    assert_identical(y, np.full((4, 7), 6, np.float32))


def test_explain_knows_frozen_weights() -> None:
    x, w = np.ones((1, 64, 8, 8), np.float32), np.ones((64, 64, 3, 3), np.float32)
    plain, frozen = (trous.explain(trous.conv, x, weight, padding=1).kernel for weight in (w, trous.freeze(w)))
    assert plain is not None and frozen is not None
    assert (plain.family, frozen.family) == ("gemm", "gemm")
    assert plain.kept["weights"] > w.nbytes / 64 > frozen.kept["weights"]
    assert frozen.name != plain.name
    assert frozen.facts.estimates[0].parts["packing"] < plain.facts.estimates[0].parts["packing"]
    depthwise = np.ones((64, 1, 3, 3), np.float32)
    same = [trous.explain(trous.conv, x, w, groups=64).kernel for w in (depthwise, trous.freeze(depthwise))]
    assert same[0] == same[1]
    halves = torch.ones(1, 8, 8, 8, dtype=torch.complex64)
    assert trous.explain(trous.conv, halves, trous.freeze(torch.ones(8, 8, 3, 3, dtype=torch.complex64))).passes == 2


def network() -> nn.Sequential:
    model = nn.Sequential(
        nn.Conv2d(16, 40, 3, padding=1), nn.BatchNorm2d(40), nn.ReLU(), nn.ConvTranspose2d(40, 20, 4, 2, 1)
    )
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5 if "var" in name else -1, 1)
    return model.eval()


def test_a_frozen_model() -> None:
    """Weights are folded and packed at the first call, and what changes them afterwards is obeyed."""
    model, x = network(), torch.rand(2, 16, 9, 11)
    ours = trous.accelerate(copy.deepcopy(model), frozen=True)
    assert "frozen=True" in repr(ours)
    conv, norm, _, up = ours

    def check() -> None:
        with torch.inference_mode():
            assert_close(ours(x), model(x), terms=40 * 16)

    check()
    folded, kept = conv._folded[2], panels(up._kept)
    check()
    assert conv._folded[2] is folded
    assert conv._kept.array is folded[0]
    assert panels(up._kept)[0] is kept[0]
    for name in ("running_mean", "running_var", "weight", "bias"):
        with torch.no_grad():
            for changed in (norm, model[1]):
                getattr(changed, name).mul_(1.5)
        check()
    for changed in (ours, model):
        changed.load_state_dict({name: tensor * 0.75 for name, tensor in model.state_dict().items()})
    check()
    conv.weight = nn.Parameter(conv.weight.detach() * 2)
    model[0].weight = nn.Parameter(model[0].weight.detach() * 2)
    check()
    ours(x).sum().backward()
    assert conv.weight.grad is not None


def test_copies_of_a_frozen_model_have_panels_of_their_own() -> None:
    ours, x = trous.accelerate(network(), frozen=True), torch.rand(2, 16, 9, 11)
    with torch.inference_mode():
        expected = ours(x)
        for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
            assert other[3].frozen
            assert other[3]._kept.array is other[3].weight
            assert_identical(other(x), expected)
    assert set(ours.state_dict()) == set(network().state_dict())


def test_freezing_can_be_taken_back() -> None:
    ours, x = trous.accelerate(network(), frozen=True), torch.rand(2, 16, 9, 11)
    with torch.inference_mode():
        expected = ours(x)
        assert_close(trous.accelerate(ours)(x), expected, terms=40 * 16)  # normalised behind the layer again
    assert not any(name in vars(layer) for layer in ours for name in ("frozen", "_kept", "_folded"))


def test_a_weight_that_is_computed_anew_is_not_frozen() -> None:
    layer = parametrizations.weight_norm(nn.Conv1d(4, 8, 3))
    assert not trous.accelerate(layer, frozen=True).frozen


def test_a_frozen_model_traces_exports_and_compiles() -> None:
    model, x = network(), torch.rand(2, 16, 9, 11)
    ours = trous.accelerate(copy.deepcopy(model), frozen=True)
    with torch.no_grad():
        expected = model(x)
        assert_close(torch.compile(ours, backend="eager")(x), expected, terms=40 * 16)
        assert_close(torch.export.export(ours, (x,)).module()(x), expected, terms=40 * 16)
        assert_close(torch.fx.symbolic_trace(ours)(x), expected, terms=40 * 16)
