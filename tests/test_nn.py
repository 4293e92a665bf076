"""The layers are torch's in everything but the computation."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import trous
from compare import assert_close
from trous import TrousError
from trous.nn.border import fold, pad
from trous.plan.border import source_indices

NAMES = [f"Conv{kind}{ndim}d" for kind in ("", "Transpose") for ndim in (1, 2, 3)]

#: Constructor arguments that torch takes too.
ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "Conv": [
        {},
        {"stride": 2, "padding": 1, "dilation": 2, "groups": 2, "bias": False},
        {"padding": "same", "dilation": 2},
        {"padding": "valid"},
        {"padding": 2, "padding_mode": "reflect"},
        {"padding": 1, "stride": 2, "padding_mode": "replicate"},
        {"padding": "same", "padding_mode": "circular"},
        {"dtype": torch.float64},
    ],
    "ConvTranspose": [
        {},
        {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2},
        {"stride": 3, "dilation": 2, "bias": False, "dtype": torch.float64},
    ],
}
CASES = [(name, arguments) for name in NAMES for arguments in ARGUMENTS[name[:-2]]]


def identity(case: Any) -> str:
    return ",".join(f"{k}={v}" for k, v in case.items()) if isinstance(case, dict) else case


def pair(name: str, arguments: dict[str, Any], kernel: int = 3) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Our layer and torch's, built from the same seed."""
    layers = []
    for module in (trous.nn, torch.nn):
        torch.manual_seed(1)
        layers.append(getattr(module, name)(4, 6, kernel, **arguments))
    return layers[0], layers[1]


def attributes(layer: torch.nn.Module) -> dict[str, Any]:
    """Everything but the parameters; torch keeps one tuple as a list where padding is a word."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in vars(layer).items()
        if name not in ("_parameters", "_buffers", "_modules")
    }


def data(name: str, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(2, 4, *(7, 6, 5)[: int(name[-2])], dtype=dtype)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=identity)
def test_same_layer_same_numbers(name: str, arguments: dict[str, Any]) -> None:
    ours, theirs = pair(name, arguments)
    assert isinstance(ours, type(theirs))
    assert repr(ours) == repr(theirs)
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    assert attributes(ours) == attributes(theirs)
    x = data(name, arguments.get("dtype", torch.float32))
    for batch in (x, x[0]):
        assert_close(ours(batch), theirs(batch), terms=4 * 27)


def test_constructors_take_arguments_in_torch_s_order() -> None:
    assert repr(trous.nn.Conv2d(4, 6, 3, 2, 1, 2, 2, False, "reflect")) == repr(
        torch.nn.Conv2d(4, 6, 3, 2, 1, 2, 2, False, "reflect")
    )
    assert repr(trous.nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, False, 3)) == repr(
        torch.nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, False, 3)
    )


def test_weights_load_both_ways() -> None:
    ours, theirs = trous.nn.Conv2d(4, 6, 3), torch.nn.Conv2d(4, 6, 3)
    theirs.load_state_dict(ours.state_dict())
    assert torch.equal(ours.weight, theirs.weight)
    ours.load_state_dict(torch.nn.Conv2d(4, 6, 3).state_dict())
    again = pickle.loads(pickle.dumps(copy.deepcopy(ours)))
    assert type(again) is trous.nn.Conv2d
    x = data("Conv2d")
    assert torch.equal(again(x), ours(x))


@pytest.mark.parametrize("name", NAMES[3:])
def test_output_size_is_torch_s(name: str) -> None:
    ours, theirs = pair(name, {"stride": 3, "padding": 1, "output_padding": 2})
    x = data(name)
    smallest = [3 * n - 2 for n in x.shape[2:]]
    for size in (smallest, [n + 2 for n in smallest], [2, 6, *smallest]):
        assert_close(ours(x, output_size=size), theirs(x, output_size=size), terms=4 * 27)
    with pytest.raises(ValueError, match="requested an output size"):
        theirs(x, output_size=[n + 3 for n in smallest])
    with pytest.raises(TrousError, match="output_size must be reachable"):
        ours(x, output_size=[n + 3 for n in smallest])


@pytest.mark.parametrize("mode", ["zeros", "circular"])
@pytest.mark.parametrize("name", NAMES)
def test_an_activation_is_part_of_the_layer_and_not_of_its_state(name: str, mode: str) -> None:
    plain = getattr(trous.nn, name)(4, 6, 3, padding=1, padding_mode=mode)
    layer = getattr(trous.nn, name)(4, 6, 3, padding=1, padding_mode=mode, activation=["leaky_relu", 0.5])
    layer.load_state_dict(plain.state_dict())
    assert repr(layer) == repr(plain)[:-1] + ", activation=('leaky_relu', 0.5))"
    x, function = data(name), torch.nn.functional.leaky_relu
    assert torch.equal(layer(x), function(plain(x), 0.5))
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert torch.equal(again(x), layer(x))


@pytest.mark.parametrize("padding", ["same", "causal", "full", ((0, 2), (3, 1))], ids=str)
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_every_padding_with_every_mode(padding: Any, mode: str) -> None:
    """Convolution: equal to padding first. Transposed: its adjoint, by the dot product test."""
    kernel, stride = (3, 2), (2, 1)
    arguments = {"stride": stride, "padding": padding, "bias": False, "dtype": torch.float64}
    forward = trous.nn.Conv2d(4, 6, kernel, padding_mode=mode, **arguments)
    x = data("Conv2d", torch.float64)
    y = forward(x)
    pairs = [trous.Conv(kernel, stride, padding).axis_padding(axis) for axis in (0, 1)]
    mode_of_numpy = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    padded = torch.from_numpy(np.pad(x.numpy(), [(0, 0), (0, 0), *pairs], mode=mode_of_numpy))
    assert_close(y, torch.nn.functional.conv2d(padded, forward.weight, stride=stride), terms=4 * 6)
    if padding == "causal":  # its transposed twin crops other elements, so that no output sees ahead
        return
    back = trous.nn.ConvTranspose2d(6, 4, kernel, padding_mode=mode, **arguments)
    back.weight = forward.weight
    dy = torch.randn_like(y)
    x_back = back(dy, output_size=x.shape[2:])
    assert_close((x_back * x).sum()[None], (dy * y).sum()[None], terms=10000)


BORDERS = [
    (size, before, after)
    for size in (1, 2, 5)
    for before in range(-1, 5)
    for after in range(-1, 5)
    if max(before, after) <= size - 1 and size + before + after > 0
]


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_borders_copy_and_fold_as_the_plan_says(mode: str) -> None:
    """`plan.border.source_indices` is the definition: what padding copies, and where its adjoint adds it back."""
    for size, before, after in BORDERS:
        sources = torch.tensor(source_indices(mode, size, before, after))
        x = torch.arange(1.0, 3 * size + 1).reshape(1, 3, size)
        assert torch.equal(pad(x, [(before, after)], mode), x[..., sources])
        if min(before, after) >= 0:
            y = torch.arange(1.0, 3 * len(sources) + 1).reshape(1, 3, -1)
            expected = torch.zeros(1, 3, size).index_add(2, sources, y)
            assert torch.equal(fold(y, [(before, after)], mode), expected)
            assert torch.equal(fold(y.mT, [(before, after), (0, 0)], mode), expected.mT)


def test_padding_of_transposed_layers_adds_the_bias_once() -> None:
    layer = trous.nn.ConvTranspose1d(1, 1, 3, padding=1, padding_mode="circular")
    torch.nn.init.ones_(layer.weight)
    torch.nn.init.constant_(layer.bias, 100)
    assert layer(torch.ones(1, 1, 5)).tolist() == [[[103.0] * 5]]
    assert layer(torch.ones(1, 5)).tolist() == [[103.0] * 5]


@pytest.mark.parametrize(("stride", "padding"), [(2, "same"), (3, "causal"), (4, "same"), (4, "causal")])
def test_words_give_whole_multiples_with_a_padding_mode(stride: int, padding: str) -> None:
    layer = trous.nn.ConvTranspose1d(2, 3, 3, stride, padding, padding_mode="replicate")
    assert layer(torch.rand(1, 2, 5)).shape == (1, 3, 5 * stride)
    assert f"padding={padding}" in repr(layer)


@pytest.mark.parametrize(
    ("name", "arguments", "argument"),
    [
        ("Conv2d", {"padding": "some"}, "padding"),
        ("Conv2d", {"stride": 0}, "stride"),
        ("Conv2d", {"padding_mode": "mirror"}, "padding_mode"),
        ("Conv2d", {"activation": "swish"}, "activation"),
        ("ConvTranspose2d", {"activation": ("relu", 1)}, "activation"),
        ("ConvTranspose2d", {"output_padding": 1}, "output_padding"),
        ("ConvTranspose2d", {"padding_mode": "mirror"}, "padding_mode"),
    ],
)
def test_bad_arguments_are_refused_when_the_layer_is_made(name: str, arguments: dict[str, Any], argument: str) -> None:
    with pytest.raises(TrousError) as caught:
        getattr(trous.nn, name)(4, 6, 3, **arguments)
    assert caught.value.argument == argument


def test_output_size_with_a_padding_mode() -> None:
    layer = trous.nn.ConvTranspose2d(4, 6, 3, 2, 1, padding_mode="circular")
    x = data("ConvTranspose2d")
    for size in ([14, 11], torch.Size((2, 6, 14, 11)), (np.int64(14), np.int64(11))):
        assert layer(x, output_size=size).shape == (2, 6, 14, 11)
    assert layer(x[..., :1, :1], output_size=np.int64(2)).shape == (2, 6, 2, 2)
    for size in (19, [14], "14", 14.0, (14, None)):
        with pytest.raises(TrousError, match=r"^output_size must .*, got") as caught:
            layer(x, output_size=size)
        assert caught.value.value == size  # what was asked for, not what it becomes with its border


def test_a_border_larger_than_the_input_is_refused() -> None:
    for name in ("Conv1d", "ConvTranspose1d"):
        layer = getattr(trous.nn, name)(4, 6, 9, padding=4, padding_mode="reflect", bias=False)
        with pytest.raises(TrousError, match="smaller than the axis"):
            layer(torch.rand(1, 4, 4))


@pytest.mark.parametrize("name", NAMES)
def test_an_input_of_another_rank_is_refused(name: str) -> None:
    layer = getattr(trous.nn, name)(4, 6, 3, padding=1, padding_mode="circular")
    for shape in ((), (4,), (2, 2, 4, *data(name).shape[2:])):
        with pytest.raises(TrousError, match=r"^(input|x) must have"):
            layer(torch.rand(shape))


def test_padding_that_leaves_nothing_of_a_transposed_layer() -> None:
    layer = trous.nn.ConvTranspose1d(4, 6, 3, padding=3, padding_mode="circular")
    with pytest.raises(TrousError, match=r"padding must leave an output, got \(3, 3\)"):
        layer(torch.rand(1, 4, 2))


@pytest.mark.parametrize("name", ["Conv1d", "ConvTranspose1d"])
def test_autocast_with_a_padding_mode(name: str) -> None:
    layer = getattr(trous.nn, name)(4, 6, 3, padding=1, padding_mode="reflect")
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.rand(1, 4, 7)).dtype == torch.bfloat16
