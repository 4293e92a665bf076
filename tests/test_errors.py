"""Bad input: one error that names the argument, the rule, the value and the whole call."""

from __future__ import annotations

import operator
import pickle
from typing import Any

import numpy as np
import pytest
import torch

import trous
from trous import TrousError


def array(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.zeros(shape, dtype)


def huge(*shape: int) -> np.ndarray:
    """An array that large without the memory: every element is the same one."""
    return np.broadcast_to(np.float32(1), shape)


X, W = array(1, 4, 8, 8), array(6, 4, 3, 3)

#: name, x, w, arguments, argument at fault, a part of the message.
CASES: list[tuple[str, Any, Any, dict[str, Any], str, str]] = [
    ("conv", X, W, {"stride": 0}, "stride", "must be at least 1, got 0"),
    ("conv", X, W, {"stride": (2, -1)}, "stride", "must be at least 1"),
    ("conv", X, W, {"stride": 1.5}, "stride", "must be an integer"),
    ("conv", X, W, {"stride": "2"}, "stride", "must be an integer"),
    ("conv", X, W, {"stride": True}, "stride", "must be an integer"),
    ("conv", X, W, {"stride": ()}, "stride", "at least one entry"),
    ("conv", X, W, {"stride": 2**40}, "stride", "must be at most"),
    ("conv", X, W, {"stride": (1, 1, 1)}, "per-axis arguments", "same number of axes"),
    ("conv", X, W, {"stride": np.array([1, 1])}, "stride", "must be an integer"),
    ("conv", X, W, {"dilation": 0}, "dilation", "must be at least 1"),
    ("conv", X, W, {"groups": 0}, "groups", "must be at least 1, got 0"),
    ("conv", X, W, {"groups": -1}, "groups", "must be at least 1"),
    ("conv", X, W, {"groups": 4}, "groups", "must divide the 6 output channels of w, got 4"),
    ("conv", X, W, {"groups": 2}, "x", "must have the 8 channels that w reads"),
    ("conv", X, W, {"groups": (1, 1)}, "groups", "must be one integer"),
    ("conv", X, W, {"padding": -1}, "padding", "must be at least 0"),
    ("conv", X, W, {"padding": "some"}, "padding", "must be one of valid, same, causal, full"),
    ("conv", X, W, {"padding": ((1, 1), 2)}, "padding", "pair for every axis"),
    ("conv", X, W, {"padding": ((1, 1, 1), (1, 1, 1))}, "padding", "pair for every axis"),
    ("conv", X, W, {"bias": array(5)}, "bias", "must have one number for each of the 6 output channels"),
    ("conv", X, W, {"bias": array(1)}, "bias", "must have one number"),
    ("conv", X, W, {"bias": array(6, 1)}, "bias", "must have one number"),
    ("conv", X, W, {"bias": array(6, dtype="float64")}, "bias", "must have the dtype of x, float32, got 'float64'"),
    ("conv", X, W.astype("float64"), {}, "w", "must have the dtype of x, float32, got 'float64'"),
    ("conv", X, array(6, 3, 3, 3), {}, "x", "must have the 3 channels that w reads"),
    ("conv", X, array(6, 4), {}, "w", "must have 3, 4 or 5 axes"),
    ("conv", X, array(6, 4, 1, 1, 1, 1), {}, "w", "must have 3, 4 or 5 axes"),
    ("conv", array(4, 8), W, {}, "x", "must have the 2 spatial axes of w"),
    ("conv", array(1, 1, 4, 8, 8), W, {}, "x", "must have the 2 spatial axes of w"),
    ("conv", X, array(6, 4, 0, 3), {}, "kernel", "must be at least 1"),
    ("conv", X, array(6, 4, 9, 3), {}, "kernel", "must fit into the padded input"),
    ("conv", X, W, {"dilation": 4}, "kernel", "must fit into the padded input"),
    ("conv", array(1, 4, 0, 8), W, {}, "kernel", "must fit into the padded input"),
    ("conv", X.astype("int32"), W.astype("int32"), {}, "x", "convert it, for instance to float32"),
    ("conv", X.astype("bool"), W.astype("bool"), {}, "x", "convert it, for instance to float32"),
    ("conv", X.astype("longdouble"), W.astype("longdouble"), {}, "x", "must have one of the dtypes"),
    ("conv", X.astype("object"), W.astype("object"), {}, "x", "must have one of the dtypes"),
    ("conv", X.tolist(), W, {}, "x", "must be an array"),
    ("conv", X, None, {}, "w", "must be an array"),
    ("conv", X, torch.zeros(6, 4, 3, 3), {}, "w", "must be an array of the library of x"),
    ("conv", np.ma.masked_equal(X, 0), W, {}, "x", "must not be masked"),
    ("conv", huge(2**20, 1, 2**20, 2**20), array(2, 1, 1, 1), {}, "the output", "must stay below 2**63 bytes"),
    ("conv", huge(1, 1, 8, 8), array(1, 1, 1, 1), {"padding": 2**31 - 1}, "the output", "must stay below 2**63 bytes"),
    ("conv", X, W, {"activation": "swish"}, "activation", "must be None, one of relu, leaky_relu, tanh, sigmoid, or"),
    ("conv", X, W, {"activation": 1}, "activation", "must be None, one of relu"),
    ("conv", X, W, {"activation": ("relu", 0.1)}, "activation", 'must be a name, or ("leaky_relu", slope)'),
    ("conv", X, W, {"activation": ("leaky_relu", float("nan"))}, "activation", "with a finite number"),
    ("conv", X, W, {"activation": ["leaky_relu", "0.1"]}, "activation", "with a finite number"),
    ("conv", X, W, {"activation": ("leaky_relu", 0.1, 0.2)}, "activation", "with a finite number"),
    ("conv", X.astype("complex64"), W.astype("complex64"), {"activation": "tanh"}, "activation", "for complex numbers"),
    (
        "conv",
        X,
        W,
        {"residual": array(6, 6)},
        "residual",
        "must have the shape of the output, (1, 6, 6, 6), got (6, 6)",
    ),
    ("conv", X[0], W, {"residual": array(1, 6, 6, 6)}, "residual", "shape of the output, (6, 6, 6)"),
    ("conv", X, W, {"residual": array(1, 6, 6, 6, dtype="float64")}, "residual", "must have the dtype of x, float32"),
    ("conv_transpose", array(1, 6, 8, 8), W, {"output_padding": 1}, "output_padding", "smaller than stride (1)"),
    ("conv_transpose", array(1, 6, 8, 8), W, {"output_padding": -1}, "output_padding", "must be at least 0"),
    (
        "conv_transpose",
        array(1, 6, 8, 8),
        W,
        {"stride": 2, "padding": "same", "output_padding": 1},
        "output_padding",
        'must be 0 beside padding "same"',
    ),
    ("conv_transpose", X, W, {}, "x", "must have the 6 channels that w reads"),
    ("conv_transpose", array(1, 6, 8, 8), W, {"groups": 4}, "groups", "must divide the 6 input channels of w"),
    ("conv_transpose", array(1, 6, 2, 2), W, {"padding": 2}, "padding", "must leave an output"),
    (
        "conv_transpose",
        array(1, 6, 8, 8),
        W,
        {"stride": 2, "output_size": 19},
        "output_size",
        "must be reachable, which is 17 to 18 x 17 to 18 from an input of size (8, 8), got 19",
    ),
    ("conv_transpose", array(1, 6, 8, 8), W, {"output_size": (10, 9)}, "output_size", "must be reachable"),
    ("conv_transpose", array(1, 6, 8, 8), W, {"output_size": (10,)}, "output_size", "one entry for each of 2 axes"),
    ("conv_transpose", array(1, 6, 8, 8), W, {"output_size": 10.0}, "output_size", "must be an integer"),
    ("conv_transpose", array(1, 6, 8, 8), W, {"output_size": np.array([10, 10])}, "output_size", "must be an integer"),
    ("conv_transpose", array(1, 2, 1), array(2, 1, 1), {"output_size": True}, "output_size", "must be an integer"),
    (
        "conv_transpose",
        array(1, 6, 8, 8),
        W,
        {"stride": 2, "output_padding": 1, "output_size": 18},
        "output_padding",
        "must be left at 0 beside output_size",
    ),
    (
        "conv_transpose",
        huge(1, 1, 2**20, 2**20),
        array(1, 1, 1, 1),
        {"stride": 2**20},
        "the output",
        "must stay below 2**63 bytes",
    ),
]


def identity(case: tuple[Any, ...]) -> str:
    name, _, _, arguments, argument, _ = case
    return f"{name}-{argument}-{','.join(arguments)}"


def as_torch(a: Any) -> Any:
    if not isinstance(a, np.ndarray):
        return a
    dtype = getattr(torch, str(a.dtype))
    return torch.ones((), dtype=dtype).expand(a.shape) if 0 in a.strides else torch.zeros(a.shape, dtype=dtype)


def in_torch(case: tuple[Any, ...]) -> bool:
    """Whether torch has the case at all: its dtypes, and arrays that are its own."""
    _, x, w, *_ = case
    return all(type(a) is np.ndarray and hasattr(torch, str(a.dtype)) for a in (x, w))


def refusal(name: str, x: Any, w: Any, arguments: dict[str, Any]) -> TrousError:
    with pytest.raises(TrousError) as caught:
        getattr(trous, name)(x, w, **arguments)
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=identity)
def test_numpy(case: tuple[Any, ...]) -> None:
    name, x, w, arguments, argument, message = case
    error = refusal(name, x, w, arguments)
    assert error.argument == argument
    assert message in str(error)
    if type(x) is type(w) is np.ndarray:
        assert str(error).count(f"\n  in trous.{name}: x {x.shape} {x.dtype}, w {w.shape}") == 1
        assert all(f"{key}=" in str(error) or key in ("bias", "residual") for key in arguments)


@pytest.mark.parametrize("case", [c for c in CASES if in_torch(c)], ids=identity)
def test_torch_is_refused_in_the_same_words(case: tuple[Any, ...]) -> None:
    name, x, w, arguments, argument, message = case
    error = refusal(name, as_torch(x), as_torch(w), {key: as_torch(value) for key, value in arguments.items()})
    assert error.argument == argument
    assert message in str(error)
    assert f"in trous.{name}: x {x.shape} {x.dtype}, w {w.shape}" in str(error)


def test_most_cases_were_put_to_torch() -> None:
    assert sum(map(in_torch, CASES)) > 40


def test_a_good_call_before_does_not_hide_a_bad_one() -> None:
    """True and 1.0 equal 1, and what was checked for 1 is kept."""
    trous.conv(X, W, stride=1)
    assert refusal("conv", X, W, {"stride": True}).argument == "stride"
    assert refusal("conv", X, W, {"stride": 1.0}).argument == "stride"


def test_torch_and_numpy_do_not_mix() -> None:
    x, w = torch.zeros(1, 4, 8, 8), torch.zeros(6, 4, 3, 3)
    assert "must be a torch tensor, as x is, got 'ndarray'" in str(refusal("conv", x, w.numpy(), {}))
    assert "must be a torch tensor, as x is, got 'list'" in str(refusal("conv", x, w, {"bias": [0.0] * 6}))
    assert "must be a torch tensor, as x is, got 'float'" in str(refusal("conv", x, w, {"residual": 1.0}))
    assert "residual must be an array: NumPy's, torch's" in str(refusal("conv", X, W, {"residual": 1.0}))
    assert "must be an array of the library of x, got 'Tensor'" in str(refusal("conv", x.numpy(), w, {}))


@pytest.mark.parametrize("name", ["conv", "conv_transpose", "functional.conv1d", "functional.conv_transpose1d"])
def test_what_is_no_array_is_refused(name: str) -> None:
    function = operator.attrgetter(name)(trous)
    x, w = array(1, 2, 5), array(2, 2, 3)
    for what in (None, [[[1.0, 2.0]]], 3.0):
        with pytest.raises(TrousError, match=r"^x must be an array"):
            function(what, w)
        with pytest.raises(TrousError, match=r"^w must be an array"):
            function(x, what)
        with pytest.raises(TrousError, match=r"^w must be an array|^w must be a torch tensor"):
            function(as_torch(x), what)


def test_devices_and_layouts_of_torch() -> None:
    x, w = torch.zeros(1, 4, 8), torch.zeros(6, 4, 3)
    assert "w must be on the device of x, cpu, got 'meta'" in str(refusal("conv", x, w.to("meta"), {}))
    assert "x must be dense, with strides, got 'torch.sparse_coo'" in str(refusal("conv", x.to_sparse(), w, {}))
    assert trous.conv(x.to("meta"), w.to("meta")).shape == (1, 6, 6)


def test_same_with_a_stride_is_refused_where_torch_refuses_it() -> None:
    for stride in (2, (2,), [1, 2]):
        with pytest.raises(TrousError, match="needs stride 1, as in torch"):
            trous.functional.conv2d(X, W, None, stride, "same")
    assert trous.functional.conv2d(X, W, None, [1, 1], "same").shape == (1, 6, 8, 8)


@pytest.mark.parametrize("name", ["conv1d", "conv3d", "conv_transpose1d", "conv_transpose3d"])
def test_names_say_the_number_of_axes(name: str) -> None:
    with pytest.raises(TrousError, match=r"weight must have \d axes, got"):
        getattr(trous.functional, name)(X, W)


class NoMemory:
    def __dlpack__(self, **arguments: Any) -> Any:
        raise BufferError("on another planet")

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


def test_an_array_that_cannot_be_read() -> None:
    assert "on another planet" in str(refusal("conv", NoMemory(), W, {}))


def test_errors_survive_a_process_boundary() -> None:
    error = refusal("conv", X, W, {"stride": 0})
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert isinstance(again, ValueError)
