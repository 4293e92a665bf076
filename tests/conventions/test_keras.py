"""Keras runs what we write, and we read what it runs.

Which back-end of Keras runs it is KERAS_BACKEND's choice, torch unless it says otherwise; all follow TensorFlow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conventions.running import KINDS, MORE, SOME, arrays, assert_same, by_hand, cases, library, run, sweep
from trous import Conv, ConvTranspose, TrousError
from trous.conventions import Operator, from_keras, to_keras, weight_from_keras, weight_to_keras
from trous.problem import Problem


@pytest.mark.parametrize("count", MORE)
@pytest.mark.parametrize("kind", KINDS)
def test_random_specs(kind: str, count: int, seed: int, rng: np.random.Generator) -> None:
    """Keras can say few of them, and all of them with what the errors advise around a layer."""
    ways = sweep("keras", cases(kind, count, seed), rng)
    advised = {"advice: padding", "advice: stride", "advice: groups"}
    assert ways.keys() == {"said", *(advised if kind == "conv_transpose" else advised - {"advice: groups"})}


def draw(rng: np.random.Generator) -> tuple[str, dict[str, Any], tuple[int, ...]]:
    """A layer and a size."""
    ndim = int(rng.integers(1, 4))

    def numbers(least: int, most: int) -> tuple[int, ...]:
        return tuple(rng.integers(least, most + 1, ndim).tolist())

    transposed = bool(rng.integers(2))
    attributes: dict[str, Any] = {"kernel_size": numbers(1, 5), "padding": ("valid", "same")[rng.integers(2)]}
    rate = ("strides", "dilation_rate")[int(rng.random() < 0.3)]
    attributes[rate] = numbers(1, 4)
    if transposed and rng.random() < 0.5:
        attributes["output_padding"] = tuple(int(rng.integers(0, s)) for s in attributes.get("strides", (1,) * ndim))
    if not transposed and ndim == 1 and rng.random() < 0.4:
        attributes["padding"] = "causal"
    if not transposed and rng.random() < 0.3:
        attributes["groups"] = 2
    return f"Conv{ndim}D{'Transpose' if transposed else ''}", attributes, numbers(4, 8)


def refused(name: str, attributes: dict[str, Any]) -> bool:
    """TensorFlow refuses a "same" of `(n-1)*stride` outputs, from which no convolution comes back to n."""
    if library("keras").backend.backend() != "tensorflow" or attributes["padding"] != "same":
        return False
    ones = (1,) * len(attributes["kernel_size"])
    axes = zip(attributes["kernel_size"], attributes.get("dilation_rate", ones), strict=True)
    windows = [dilation * (kernel - 1) + 1 for kernel, dilation in axes]
    extra = attributes.get("output_padding", ones)
    return any(window % 2 == 0 and not more for window, more in zip(windows, extra, strict=True))


@pytest.mark.parametrize("count", SOME)
def test_layers_of_keras(count: int, rng: np.random.Generator) -> None:
    """All of them can be read, give the numbers that Keras gives, and are written as they were read, or as a layer
    that gives the same."""
    compared = 0
    while compared < count:
        name, attributes, size = draw(rng)
        spec = from_keras(name, attributes, size=size)
        try:
            problem = Problem(spec, 1, 2, 4, size)
            assert problem.output_shape
        except TrousError:  # no outputs
            continue
        x, w = arrays(problem, rng)
        if refused(name, attributes):
            with pytest.raises(Exception, match=r"Conv\dDTranspose.call"):
                run("keras", Operator(name, attributes), x, w, spec)
            continue
        assert_same(run("keras", Operator(name, attributes), x, w, spec), problem, x, w, attributes)
        again = to_keras(spec, size=size)
        assert again.name == name
        back = from_keras(*again, size=size)
        assert [axis.taps for axis in back.plan().axes] == [axis.taps for axis in spec.plan().axes]
        assert back.output_size(size) == problem.output_size
        compared += 1


@pytest.mark.parametrize("spec", [Conv((3, 2), dilation=2, padding="same", groups=2), ConvTranspose((4, 4), 2, 1)])
def test_a_layer_takes_the_attributes_and_gives_them_back(spec: Conv | ConvTranspose, rng: np.random.Generator) -> None:
    """In `get_config`, which says more; and the weight has the shape that the layer made for itself."""
    name, attributes = to_keras(spec)
    layer = getattr(library("keras").layers, name)(6, **attributes)
    layer.build((1, 9, 9, 4))
    assert from_keras(name, layer.get_config()).plan() == spec.plan()
    shape = (
        (4, 6 // spec.groups, *spec.kernel) if isinstance(spec, ConvTranspose) else (6, 4 // spec.groups, *spec.kernel)
    )
    w = rng.standard_normal(shape)
    assert weight_to_keras(w, spec).shape == tuple(layer.kernel.shape)
    assert np.array_equal(weight_from_keras(weight_to_keras(w, spec), spec), w)


def test_same_moves_with_the_size() -> None:
    """3 wide at stride 2: one zero on either side of an odd size, and only the one behind of an even size."""
    same = {"kernel_size": 3, "strides": 2, "padding": "same"}
    assert from_keras("Conv1D", same, size=9) == Conv((3,), 2, 1)
    assert from_keras("Conv1D", same, size=8) == Conv((3,), 2, ((0, 1),))
    assert to_keras(Conv(3, 2, 1), size=9).attributes["padding"] == "same"
    for size in (8, None):
        with pytest.raises(TrousError, match=r"pad the input by \(\(1, 1\),\) first \(ZeroPadding1D\)"):
            to_keras(Conv(3, 2, 1), 1, size=size)


def test_output_padding_stays_below_the_stride(rng: np.random.Generator) -> None:
    """torch lets it go as far as the dilation; in Keras the outputs beyond are appended."""
    spec = ConvTranspose((3,), dilation=3, output_padding=1)
    with pytest.raises(
        TrousError, match=r"crop the output by \(\(0, -1\),\) .* where a negative number appends outputs"
    ):
        to_keras(spec)
    problem = Problem(spec, 1, 2, 3, (5,))
    x, w = arrays(problem, rng)
    assert_same(by_hand("keras", spec, x, w), problem, x, w)


def test_causal_with_a_stride_is_not_ours() -> None:
    """Keras pads the whole reach in front; ours comes `stride - 1` inputs earlier and gives as many outputs."""
    theirs = from_keras("Conv1D", {"kernel_size": 4, "strides": 2, "padding": "causal"})
    ours = Conv(4, 2, "causal")
    assert theirs == Conv((4,), 2, ((3, 0),))
    assert [theirs.output_size(n) for n in range(1, 9)] == [ours.output_size(n) for n in range(1, 9)]
    with pytest.raises(TrousError, match=r"pad the input by \(\(2, 1\),\) first"):
        to_keras(ours, 1)
    assert to_keras(Conv(4, padding="causal"), 1).attributes["padding"] == "causal"


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("Conv2d", {}, "name must be one of Conv1D"),
        ("Conv1D", {}, "kernel must be given where the attributes do not say it"),
        ("Conv2D", {"kernel_size": 3, "padding": "causal"}, "padding must be one of valid, same for Conv2D"),
        ("Conv1D", {"kernel_size": 3, "padding": 1}, "padding must be one of valid, same, causal for Conv1D"),
        ("Conv1D", {"kernel_size": 3, "stride": 2}, "attributes of Conv1D must be among kernel_size, strides"),
        ("Conv1DTranspose", {"kernel_size": 3, "groups": 2}, "attributes of Conv1DTranspose must be among"),
        ("Conv1D", {"kernel_size": 3, "strides": 2, "padding": "same"}, "size must be given: how much"),
        ("Conv2D", {"kernel_size": 3, "strides": (2, 2, 2)}, "strides must have one entry for each of 2 axes"),
    ],
)
def test_what_is_no_layer(name: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrousError, match=message):
        from_keras(name, attributes)
