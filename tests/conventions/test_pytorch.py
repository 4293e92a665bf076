"""PyTorch says a spec as we say it says it: round trips by plan, values by the definition, advice by following it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from conventions.running import KINDS, MANY, cases, sweep
from trous import Conv, ConvTranspose, TrousError
from trous.conventions import from_pytorch, to_pytorch


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("kind", KINDS)
def test_random_specs(kind: str, count: int, seed: int, rng: np.random.Generator) -> None:
    ways = sweep("pytorch", cases(kind, count, seed), rng)
    assert ways.keys() == {"said", "advice: padding"}
    assert ways["said"] > count / 2


@pytest.mark.parametrize("spec", [Conv((3, 4), dilation=(1, 2), padding="same"), ConvTranspose((3, 4), 2, (1, 2), 1)])
def test_a_layer_takes_the_attributes_and_gives_them_back(spec: Conv | ConvTranspose) -> None:
    name, attributes = to_pytorch(spec)
    layer = getattr(torch.nn, name)(4, 6, **attributes)
    known = {word: getattr(layer, word) for word in (*attributes, "padding_mode")}
    assert from_pytorch(name, known).plan() == spec.plan()
    assert {word: known[word] for word in attributes} == attributes


def test_same_under_an_even_window() -> None:
    """The odd element lies behind, as in torch; a word stays a word only at stride 1."""
    assert to_pytorch(Conv(4, padding="same"), 1).attributes["padding"] == "same"
    assert to_pytorch(Conv(3, padding="same"), 1).attributes["padding"] == (1,)
    assert from_pytorch("Conv1d", {"kernel_size": 4, "padding": "same"}) == Conv((4,), padding=((1, 2),))
    with pytest.raises(TrousError, match=r"padding must be numbers above stride 1, .* got 'same'"):
        from_pytorch("Conv1d", {"kernel_size": 4, "padding": "same", "stride": 2})


def test_a_size_lets_more_through() -> None:
    """The second window of 4 inputs ends one position before an even padding would."""
    spec = Conv(3, stride=2, padding=((1, 0),))
    assert to_pytorch(spec, size=4).attributes["padding"] == (1,)
    for size in (None, 5):
        with pytest.raises(TrousError, match=r"pad the input by \(\(1, 0\),\) first, torch.nn.functional.pad"):
            to_pytorch(spec, size=size)


def test_pad_is_written_as_torch_wants_it() -> None:
    """The last axis first."""
    x = torch.ones(1, 1, 5, 7)
    with pytest.raises(TrousError) as caught:
        to_pytorch(Conv((2, 3), padding="causal"))
    flat = str(caught.value).split("pad(x, ")[1].split(")")[0] + ")"
    assert flat == "(2, 0, 1, 0)"
    assert torch.nn.functional.pad(x, (2, 0, 1, 0)).shape == (1, 1, 6, 9)


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("Conv4d", {}, "name must be one of Conv1d"),
        ("Conv1d", {}, "kernel must be given where the attributes do not say it"),
        ("Conv1d", {"kernel_size": 3, "strides": 2}, "attributes of Conv1d must be among kernel_size, stride"),
        ("Conv1d", {"kernel_size": 3, "output_padding": 1}, "attributes of Conv1d must be among"),
        ("Conv2d", {"kernel_size": (3, 3, 3)}, "kernel_size must have one entry for each of 2 axes"),
        ("Conv2d", {"kernel_size": 3, "padding_mode": "reflect"}, 'padding_mode must be "zeros": pad the input first'),
        ("Conv2d", {"kernel_size": 3, "padding": "full"}, "padding must be one integer"),
        ("Conv2d", {"kernel_size": 3, "stride": 0}, "stride must be at least 1"),
        ("Conv1d", {"kernel_size": 3, "padding": -1}, "padding must be at least 0"),
        ("ConvTranspose1d", {"kernel_size": 3, "padding": "same"}, "padding must be one integer"),
        (
            "ConvTranspose1d",
            {"kernel_size": 3, "output_padding": 1},
            "output_padding must stay below stride or dilation",
        ),
    ],
)
def test_what_is_no_layer(name: str, attributes: dict[str, object], message: str) -> None:
    with pytest.raises(TrousError, match=message):
        from_pytorch(name, attributes)
