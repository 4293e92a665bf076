"""`trous.conv` and `trous.conv_transpose`: numbers, libraries, memory formats; torch's names and signatures."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
import torch

import trous
from compare import assert_close, assert_identical
from problems import HAND_PICKED, Arrays, definition, integers, operation
from trous.arrays import is_channels_last
from trous.problem import Problem, random_problems

PROBLEMS = (*HAND_PICKED, *random_problems(4, 30, dtypes=("float32", "float64")))


def call(problem: Problem, given: Arrays, **more: Any) -> Any:
    """The public function on the arrays of a problem, arguments as the spec keeps them."""
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    arguments = {name: getattr(problem.spec, name) for name in names if hasattr(problem.spec, name)}
    return getattr(trous, problem.kind)(given.x, given.w, given.bias, **(arguments | more))


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_torch_and_numpy_equal_the_definition(problem: Problem) -> None:
    given = integers(problem)
    expected = definition(operation(problem), given).y
    in_numpy = given.map(lambda array: array.numpy())
    for y in (call(problem, given), call(problem, in_numpy)):
        assert_identical(y, expected, problem, zeros=True, empty=True)
    assert isinstance(call(problem, in_numpy), np.ndarray)


@pytest.mark.parametrize("library", ["numpy", "torch"])
@pytest.mark.parametrize("text", ["conv,c3-4,x9,k3", "conv_transpose,n2,c3-4,x5x6,k3x3,s2", "conv,c3-4,x4x5x6,k2x2x2"])
def test_channels_last_comes_out_as_it_goes_in(text: str, library: str) -> None:
    for last in (False, True):
        problem = Problem.parse(text + (",last" if last else ""))
        given = integers(problem)
        if library == "numpy":
            given = given.map(lambda array: array.numpy())
        y = call(problem, given)
        assert is_channels_last(given.x) == is_channels_last(y) == last
        single = getattr(trous, problem.kind)(given.x[0], given.w, stride=problem.spec.stride)
        assert is_channels_last(single[None]) == last
        assert_identical(single, y[0])


def test_torch_s_own_channels_last() -> None:
    x = torch.rand(2, 3, 8, 9).to(memory_format=torch.channels_last)
    y = trous.conv(x, torch.rand(4, 3, 3, 3))
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", ["conv", "conv_transpose"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_channels_last_weight_gives_a_channels_last_output_as_in_torch(kind: str, channels: int) -> None:
    """Of x with one channel nothing tells the format."""
    x = torch.randint(-4, 5, (2, channels, 8, 9)).float()
    w = torch.randint(-4, 5, (4, channels, 3, 3) if kind == "conv" else (channels, 4, 3, 3)).float()
    expected = getattr(torch.nn.functional, f"{kind}2d")(x, w)
    assert getattr(trous, kind)(x, w).is_contiguous()
    last = w.to(memory_format=torch.channels_last)
    y, theirs = getattr(trous, kind)(x, last), getattr(torch.nn.functional, f"{kind}2d")(x, last)
    assert is_channels_last(theirs) and y.stride() == theirs.stride()
    assert_identical(y, expected)
    graph = torch.compile(getattr(trous, kind), fullgraph=True, backend="aot_eager")
    assert graph(x, last).stride() == y.stride()
    torch.compiler.reset()


def test_strides_of_every_kind() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(1, 5, (4, 9, 2, 10)).astype(np.float32)
    w = rng.integers(1, 5, (3, 3, 5, 4)).astype(np.float32)
    views = x.transpose(2, 0, 3, 1)[:, :, ::-1, ::2], w.transpose(2, 3, 0, 1)
    expected = trous.conv(*(np.ascontiguousarray(v) for v in views))
    assert_identical(trous.conv(*views), expected)
    spread = np.broadcast_to(x[:2, :4, :1, :1], (2, 4, 6, 7))
    assert_identical(trous.conv(spread, w.transpose(2, 3, 0, 1)), trous.conv(spread.copy(), w.transpose(2, 3, 0, 1)))


def test_byte_order_alignment_and_subclasses() -> None:
    rng = np.random.default_rng(2)
    x, w = rng.integers(1, 5, (1, 2, 9)).astype(np.float64), rng.integers(1, 5, (3, 2, 3)).astype(np.float64)
    expected = trous.conv(x, w)
    assert_identical(trous.conv(x.astype(">f8"), w.astype(">f8")), expected)
    record = np.zeros((1, 2, 9), dtype=[("tag", "i1"), ("value", "f8")])
    record["value"] = x
    assert not record["value"].flags.aligned
    assert_identical(trous.conv(record["value"], w), expected)
    assert_identical(trous.conv(x.view(np.memmap), w), expected)
    x.flags.writeable = False
    assert_identical(trous.conv(x, w), expected)


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy])
def test_complex_is_what_torch_says(library: Any) -> None:
    rng = np.random.default_rng(3)
    shapes = (2, 4, 7, 6), (6, 2, 3, 2), (6,)
    x, w, bias = (rng.standard_normal(s) + 1j * rng.standard_normal(s) for s in shapes)
    ours = trous.conv(library(x), library(w), library(bias), stride=2, padding=1, groups=2)
    theirs = torch.nn.functional.conv2d(*map(torch.from_numpy, (x, w, bias)), stride=2, padding=1, groups=2)
    assert_close(torch.view_as_real(torch.as_tensor(ours)), torch.view_as_real(theirs), terms=2 * 12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_add_up_in_float32(dtype: torch.dtype) -> None:
    x, w = torch.randint(1, 9, (2, 300, 9)).to(dtype), torch.randint(1, 9, (4, 300, 3)).to(dtype)
    expected = trous.conv(x.float(), w.float()).to(dtype)
    assert_identical(trous.conv(x, w), expected)
    if dtype == torch.float16:
        assert_identical(trous.conv(x.numpy(), w.numpy()), expected)


def test_forms_of_the_arguments() -> None:
    rng = np.random.default_rng(5)
    x, w = rng.integers(1, 5, (1, 2, 9, 8)).astype(np.float32), rng.integers(1, 5, (3, 2, 3, 3)).astype(np.float32)
    expected = trous.conv(x, w, stride=(2, 2), padding=(1, 1))
    for stride, padding in ((2, 1), ([2, 2], [1, 1]), ([2], (1,)), (np.int64(2), ((1, 1), [1, 1]))):
        assert_identical(trous.conv(x, w, stride=stride, padding=padding), expected)
    assert trous.conv(x, w, padding="same", stride=2).shape == (1, 3, 5, 4)
    assert trous.conv(x, w, padding=((2, 0), (0, 1))).shape == (1, 3, 9, 7)
    transposed = trous.conv_transpose(x, w.swapaxes(0, 1), padding="same", stride=2)
    assert transposed.shape == (1, 3, 18, 16)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1, "same", "causal", "full"])
def test_every_size_that_a_convolution_maps_back_can_be_asked_for(stride: int, padding: Any) -> None:
    """output_size reaches exactly the sizes of which the convolution makes the size of x."""
    x, w = torch.rand(1, 2, 5, dtype=torch.double), torch.rand(2, 3, 4, dtype=torch.double)
    reached = []
    for size in range(1, 40):
        try:
            y = trous.conv_transpose(x, w, stride=stride, padding=padding, output_size=size)
        except trous.TrousError as error:
            assert error.argument == "output_size"
            continue
        assert y.shape == (1, 3, size)
        reached.append(size)
    if padding != "causal":  # the causal pair is not each other's adjoint
        convolution = trous.Conv(4, stride, padding)
        smallest = {0: 4, 1: 2}.get(padding, 1)  # below, the kernel does not fit
        assert reached == [n for n in range(smallest, 40) if convolution.output_size(n) == 5]
    assert len(reached) == stride


def test_output_size_is_torch_s() -> None:
    x, w = torch.rand(2, 3, 5, 6), torch.rand(3, 4, 3, 3)
    layer = torch.nn.ConvTranspose2d(3, 4, 3, 3, 1, dilation=2, bias=False)
    layer.weight = torch.nn.Parameter(w)
    for size in ((15, 18), [16, 19], (2, 4, 17, 20), torch.Size((15, 20))):
        ours = trous.conv_transpose(x, w, stride=3, padding=1, dilation=2, output_size=size)
        assert_close(ours, layer(x, list(size)).detach(), terms=27)
        beside = trous.conv_transpose(x, w, stride=3, padding=1, output_padding=[0, 0], dilation=2, output_size=size)
        assert torch.equal(beside, ours)


class Foreign:
    """An array of a library that trous has never heard of."""

    def __init__(self, array: Any):
        self.array = array

    def __dlpack__(self, **arguments: Any) -> Any:
        return self.array.__dlpack__(**arguments)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class Standard(Foreign):
    """The same with the namespace of the array API standard."""

    def __array_namespace__(self) -> Any:
        return Standard

    @staticmethod
    def from_dlpack(array: Any) -> Standard:
        return Standard(np.from_dlpack(array))


def test_any_library_through_dlpack() -> None:
    x, w = np.arange(8.0).reshape(1, 1, 8), np.ones((1, 1, 3))
    expected = trous.conv(x, w)
    y = trous.conv(Foreign(x), Foreign(w), Foreign(np.zeros(1)))
    assert isinstance(y, np.ndarray)
    assert_identical(y, expected)
    assert_identical(trous.conv(x, Standard(w)), expected)
    y = trous.conv(Standard(x), w)
    assert isinstance(y, Standard)
    assert_identical(y.array, expected)
    assert_identical(trous.functional.conv1d(Foreign(x), Foreign(w)), expected)


NAMES = [f"conv{kind}{ndim}d" for kind in ("", "_transpose") for ndim in (1, 2, 3)]


@pytest.mark.parametrize("name", NAMES)
def test_torch_s_names_take_torch_s_arguments_in_torch_s_order(name: str) -> None:
    ours, theirs = getattr(trous.functional, name), getattr(torch.nn.functional, name)
    declared = theirs.__doc__.split("->")[0].strip().removeprefix(f"{name}(").removesuffix(")")
    order = [part.strip().split("=")[0] for part in declared.split(",")]
    assert list(inspect.signature(ours).parameters) == order
    ndim = int(name[-2])
    x, w, bias = (torch.randint(1, 9, s).float() for s in ((2, 4, *[7] * ndim), (4, 2, *[3] * ndim), (4,)))
    arguments = (2, 1, 1, 2, 3) if name.startswith("conv_t") else (2, 1, 3, 2)
    assert_identical(ours(x, w, bias, *arguments), theirs(x, w, bias, *arguments))
    lists = tuple([a] if a != 2 else a for a in arguments)
    assert_identical(ours(x, w, bias, *lists), theirs(x, w, bias, *lists))
    in_numpy = ours(x.numpy(), w.numpy(), bias.numpy(), *arguments)
    assert_identical(in_numpy, ours(x, w, bias, *arguments))


def test_nan_and_inf_reach_the_outputs_whose_taps_see_them_and_no_other() -> None:
    x = np.ones((1, 1, 12), np.float32)
    x[0, 0, 4], x[0, 0, 9] = np.nan, np.inf
    y = trous.conv(x, np.ones((1, 1, 3), np.float32), dilation=2, padding=2)[0, 0]
    assert np.isnan(y).nonzero()[0].tolist() == [2, 4, 6]
    assert np.isposinf(y).nonzero()[0].tolist() == [7, 9, 11]


def test_a_channels_last_weight_of_three_axes_decides_nothing_as_in_torch() -> None:
    x, w = torch.rand(1, 3, 6, 6, 6), torch.rand(4, 3, 3, 3, 3).to(memory_format=torch.channels_last_3d)
    assert trous.conv(x, w).is_contiguous() and torch.nn.functional.conv3d(x, w).is_contiguous()
