"""ONNX Runtime runs what we write, and we read what it runs: pads, auto_pad and output_shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from conventions.running import KINDS, MANY, arrays, assert_same, cases, library, run, sweep
from trous import Conv, ConvTranspose, TrousError
from trous.conventions import Operator, from_onnx, to_onnx
from trous.problem import Problem


def refused(problem: Problem, operator: Operator) -> bool:
    """ONNX Runtime wants output_padding below the stride; the standard, like torch, below stride or dilation."""
    at = operator.attributes
    return any(extra >= stride for extra, stride in zip(at.get("output_padding", ()), at["strides"], strict=False))


refused.message = "output_padding .* may be too large for stride"  # type: ignore[attr-defined]


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("kind", KINDS)
def test_random_specs(kind: str, count: int, seed: int, rng: np.random.Generator) -> None:
    ways = sweep("onnx", cases(kind, count, seed), rng, refused)
    assert ways.keys() == {"said", "advice: pads" if kind == "conv" else "refused"}
    assert ways["said"] > 0.9 * count


def draw(rng: np.random.Generator) -> tuple[str, dict[str, Any], tuple[int, ...]]:
    """A node that leaves padding to the runtime, and a size."""
    ndim = int(rng.integers(1, 4))

    def numbers(least: int, most: int) -> list[int]:
        return rng.integers(least, most + 1, ndim).tolist()

    name = ("Conv", "ConvTranspose")[rng.integers(2)]
    attributes = {"kernel_shape": numbers(1, 4), "strides": numbers(1, 4), "dilations": numbers(1, 3)}
    attributes["auto_pad"] = ("VALID", "SAME_UPPER", "SAME_LOWER", "NOTSET")[rng.integers(4)]
    if name == "ConvTranspose":
        if rng.random() < 0.5:
            attributes["output_padding"] = [int(rng.integers(0, s)) for s in attributes["strides"]]
        if attributes["auto_pad"] != "VALID" and rng.random() < 0.5:
            attributes["output_shape"] = numbers(3, 14)
    return name, attributes, tuple(numbers(3, 7))


@pytest.mark.parametrize("count", MANY)
def test_padding_that_is_left_to_the_runtime(count: int, rng: np.random.Generator) -> None:
    compared = odd = dilated = 0
    for _ in range(count):
        name, attributes, size = draw(rng)
        try:
            problem = Problem(from_onnx(name, attributes, size=size), 1, 2, 3, size)
            assert problem.output_shape
        except TrousError as error:  # an output_shape out of reach, no outputs, or the two sides below
            assert error.argument in ("padding", "output_padding", "kernel", "auto_pad")
            continue
        x, w = arrays(problem, rng)
        if name == "Conv" and attributes["auto_pad"].startswith("SAME") and max(attributes["dilations"]) > 1:
            with pytest.raises(Exception, match="Dilation not supported for AutoPadType::SAME_UPPER"):
                run("onnx", Operator(name, attributes), x, w, problem.spec)
            dilated += 1
            continue
        if refused(problem, to_onnx(problem.spec)):
            with pytest.raises(Exception, match=r"output_shape is inconsistent|too large for stride"):
                run("onnx", Operator(name, attributes), x, w, problem.spec)
            continue
        assert_same(run("onnx", Operator(name, attributes), x, w, problem.spec), problem, x, w, attributes)
        compared += 1
        pairs = map(problem.spec.axis_padding, range(problem.ndim))
        odd += any(before != after - sum(extra) for before, after, *extra in pairs)
    assert compared > count / 2
    assert odd > count / 8
    assert 0 < dilated < count / 4


def test_auto_pad_where_the_standard_and_the_runtime_part() -> None:
    """A window below the stride: n*stride outputs by the standard, fewer from ONNX Runtime."""
    attributes = {"kernel_shape": [1], "strides": [3], "auto_pad": "SAME_UPPER"}
    x, w = np.ones((1, 1, 5), np.float32), np.ones((1, 1, 1), np.float32)
    spec = ConvTranspose((1,), stride=3)
    assert run("onnx", Operator("ConvTranspose", attributes), x, w, spec).shape == (1, 1, 13)
    with pytest.raises(TrousError, match=r"auto_pad must be NOTSET where stride \(3\) is above the window"):
        from_onnx("ConvTranspose", attributes, size=5)
    instead = attributes | {"auto_pad": "NOTSET", "output_padding": [2]}
    assert from_onnx("ConvTranspose", instead).output_size(5) == 15
    assert run("onnx", Operator("ConvTranspose", instead), x, w, spec).shape == (1, 1, 15)


def test_a_node_is_read_as_onnx_gives_it() -> None:
    """Strings are bytes there."""
    helper = library("onnx.helper")
    attributes = {"kernel_shape": [4, 4], "strides": [2, 2], "auto_pad": "SAME_LOWER", "group": 2}
    node = helper.make_node("Conv", ["x", "w"], ["y"], **attributes)
    read = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    assert read["auto_pad"] == b"SAME_LOWER"
    assert from_onnx(node.op_type, read, size=7) == Conv((4, 4), 2, ((2, 1), (2, 1)), 1, 2)


def test_a_node_that_says_little() -> None:
    assert from_onnx("Conv", {}, kernel=(3, 2)) == Conv((3, 2))
    assert from_onnx("ConvTranspose", {"strides": [2, 2]}, kernel=3) == ConvTranspose((3, 3), stride=2)
    assert to_onnx(Conv(3), 2).attributes["pads"] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("name", "attributes", "message"),
    [
        ("ConvInteger", {}, "name must be one of Conv, ConvTranspose"),
        ("Conv", {}, "kernel must be given where the attributes do not say it"),
        ("Conv", {"kernel_shape": [3], "stride": [2]}, "attributes of Conv must be among auto_pad, dilations, group"),
        ("Conv", {"kernel_shape": [3], "output_padding": [1]}, "attributes of Conv must be among"),
        ("Conv", {"kernel_shape": [3, 3], "pads": [1, 1]}, "pads must have 4 entries for 2 axes, all begins before"),
        ("Conv", {"kernel_shape": [3], "pads": [-1, 0]}, "pads must be at least 0"),
        ("Conv", {"kernel_shape": [3], "auto_pad": "SAME"}, "auto_pad must be one of NOTSET, VALID"),
        ("Conv", {"kernel_shape": [3], "auto_pad": "VALID", "pads": [1, 1]}, "pads must be left out beside auto_pad"),
        ("Conv", {"kernel_shape": [3], "strides": [2], "auto_pad": "SAME_UPPER"}, "size must be given: how much"),
        ("ConvTranspose", {"kernel_shape": [3], "output_shape": [7]}, "size must be given: what output_shape crops"),
    ],
)
def test_what_is_no_node(name: str, attributes: dict[str, Any], message: str) -> None:
    with pytest.raises(TrousError, match=message):
        from_onnx(name, attributes)
