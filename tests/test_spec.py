"""Specs: what they keep, when they are equal, the sizes they give, what they refuse."""

from __future__ import annotations

import dataclasses
from random import Random

import numpy as np
import pytest
import torch

from trous.errors import TrousError
from trous.plan import Plan, conv_axis, transposed_axis
from trous.spec import Conv, ConvTranspose

FUNCTIONAL = torch.nn.functional


def test_arguments_keep_the_form_they_were_given_in() -> None:
    spec = ConvTranspose((3, 5), 2, (1, 0), 1, (1, 1), 2)
    assert (spec.kernel, spec.stride, spec.padding, spec.output_padding) == ((3, 5), 2, (1, 0), 1)
    assert (spec.groups, spec.dilation) == (2, (1, 1))
    spec = Conv([3, 5], padding=[[1, 2], [0, 0]])
    assert (spec.kernel, spec.padding) == ((3, 5), ((1, 2), (0, 0)))
    assert Conv(3, padding="same").padding == "same"
    assert Conv(np.int64(3)).kernel == 3


def test_order_of_arguments() -> None:
    assert [f.name for f in dataclasses.fields(Conv)] == ["kernel", "stride", "padding", "dilation", "groups"]
    assert [f.name for f in dataclasses.fields(ConvTranspose)] == [
        "kernel", "stride", "padding", "output_padding", "dilation", "groups"
    ]  # fmt: skip


def test_equal_specs_are_equal_however_they_are_written() -> None:
    same = [
        Conv((3, 3), stride=2, padding=1),
        Conv(3, stride=(2, 2), padding=1),
        Conv((3, 3), stride=(2, 2), padding=((1, 1), (1, 1))),
        Conv([3, 3], stride=[2, 2], padding=[1, 1], dilation=[1, 1]),
    ]
    assert len(set(same)) == 1
    different = [
        Conv(3), Conv((3,)), Conv((3, 3)), Conv(3, groups=2), Conv(3, padding=1), Conv(3, dilation=2),
        Conv(3, stride=2), Conv(3, padding="valid"),
        Conv((3, 3), padding=((1, 1), (1, 0))), ConvTranspose(3), ConvTranspose((3, 3)), ConvTranspose(3, dilation=2),
        ConvTranspose(3, stride=2), ConvTranspose(3, stride=2, output_padding=1), ConvTranspose(3, groups=2),
    ]  # fmt: skip
    assert len(set(different)) == len(different)
    assert Conv(3) != 3
    assert Conv(3).plan() == Conv((3,)).plan() == Conv(3, padding="valid").plan()


def test_specs_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Conv(3).kernel = 5


def test_plan_has_an_axis_for_each() -> None:
    assert Conv(3).ndim is None and Conv(3, stride=(2,)).ndim == 1 and Conv(3, padding=((0, 1), (1, 0))).ndim == 2
    assert Conv(3, padding=1).plan() == Plan((conv_axis(3, 1, 1, 1, 1),))
    assert Conv(3, padding=1).plan(3) == Plan((conv_axis(3, 1, 1, 1, 1),) * 3)
    spec = ConvTranspose((3, 4), stride=(2, 1), padding=((1, 0), (2, 3)), output_padding=(1, 0), dilation=(1, 2))
    assert spec.plan() == Plan((transposed_axis(3, 2, 1, 0, 1, 1), transposed_axis(4, 1, 2, 3, 0, 2)))
    assert spec.plan() is spec.plan()


def random_arguments(random: Random, ndim: int) -> dict[str, tuple[int, ...]]:
    least = {"kernel": (1, 5), "stride": (1, 4), "padding": (0, 4), "dilation": (1, 3)}
    return {name: tuple(random.randint(*limits) for _ in range(ndim)) for name, limits in least.items()}


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_sizes_and_refusals_of_a_convolution_are_torchs(ndim: int) -> None:
    random, refused = Random(ndim), 0
    function = getattr(FUNCTIONAL, f"conv{ndim}d")
    for _ in range(300):
        arguments = random_arguments(random, ndim)
        size = tuple(random.randint(1, 12) for _ in range(ndim))
        spec, kernel = Conv(**arguments), arguments.pop("kernel")
        x, w = torch.empty(1, 1, *size, device="meta"), torch.empty(1, 1, *kernel, device="meta")
        try:
            expected = function(x, w, **arguments).shape[2:]
        except RuntimeError:
            with pytest.raises(TrousError):
                spec.output_size(size)
            refused += 1
        else:
            assert spec.output_size(size) == tuple(expected), (spec, size)
    assert 15 < refused < 250


@pytest.mark.parametrize("ndim", [1, 2, 3])
def test_sizes_and_refusals_of_a_transposed_convolution_are_torchs(ndim: int) -> None:
    random, refused = Random(ndim), 0
    function = getattr(FUNCTIONAL, f"conv_transpose{ndim}d")
    for _ in range(300):
        arguments = random_arguments(random, ndim)
        arguments["output_padding"] = tuple(random.randint(0, 3) for _ in range(ndim))
        size = tuple(random.randint(1, 5) for _ in range(ndim))
        x, w = torch.zeros(1, 1, *size), torch.zeros(1, 1, *arguments["kernel"])
        try:
            expected = function(x, w, **{name: value for name, value in arguments.items() if name != "kernel"}).shape[
                2:
            ]
        except RuntimeError:
            expected = (0,)
        if 0 in expected:  # some of torch's kernels return nothing where others refuse to
            with pytest.raises(TrousError):
                ConvTranspose(**arguments).output_size(size)
            refused += 1
        else:
            assert ConvTranspose(**arguments).output_size(size) == tuple(expected), (arguments, size)
    assert 15 < refused < 280


def test_output_size_has_the_form_of_the_size() -> None:
    assert Conv(3).output_size(9) == 7
    assert Conv((3,)).output_size(9) == 7
    assert Conv(3).output_size((9,)) == (7,)
    assert Conv(3).output_size([9, 8]) == (7, 6)
    assert ConvTranspose(4, stride=2, padding=1).output_size((5, 6, 7)) == (10, 12, 14)
    assert Conv(3).output_size(2**40) == 2**40 - 2


def test_sizes_of_padding_words() -> None:
    for word, conv, transposed in (("valid", 4, 31), ("same", 5, 30), ("causal", 5, 30), ("full", 7, 25)):
        assert Conv(4, stride=2, padding=word).output_size(10) == conv
        assert ConvTranspose(4, stride=3, padding=word).output_size(10) == transposed
    assert ConvTranspose(2, stride=5, padding="causal").output_size(3) == 15


def test_zero_size() -> None:
    assert ConvTranspose(5, stride=2).output_size(0) == 3
    assert Conv(3, padding=2).output_size(0) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv(0), "kernel must be at least 1, got 0"),
        (lambda: Conv((3, 0)), "kernel must be at least 1, got (3, 0)"),
        (lambda: Conv(3.0), "kernel must be an integer or one integer per axis, got 3.0"),
        (lambda: Conv("3"), "kernel must be an integer or one integer per axis, got '3'"),
        (lambda: Conv(()), "kernel must have at least one entry, got ()"),
        (lambda: Conv((3, 3, 3, 3)), "kernel must have 1, 2 or 3 axes, got (3, 3, 3, 3)"),
        (lambda: Conv(3, stride=0), "stride must be at least 1, got 0"),
        (lambda: Conv(3, stride=-1), "stride must be at least 1, got -1"),
        (lambda: Conv(3, stride=True), "stride must be an integer or one integer per axis, got True"),
        (lambda: Conv(3, stride=2**31), "stride must be at most 2147483647, got 2147483648"),
        (lambda: Conv(3, padding=-1), "padding must be at least 0, got -1"),
        (lambda: Conv(3, padding=((1, 2), (0, -1))), "padding must be at least 0, got (0, -1)"),
        (
            lambda: Conv(3, padding=((1, 2), 0)),
            "padding must be a (before, after) pair for every axis once it is for one, got ((1, 2), 0)",
        ),
        (lambda: Conv(3, padding="Same"), "padding must be one of valid, same, causal, full, or numbers, got 'Same'"),
        (lambda: Conv(3, dilation=0), "dilation must be at least 1, got 0"),
        (lambda: Conv(3, groups=0), "groups must be at least 1, got 0"),
        (lambda: Conv(3, groups=(1, 1)), "groups must be one integer, got (1, 1)"),
        (
            lambda: Conv((3, 3), stride=(1, 2, 3)),
            "per-axis arguments must name the same number of axes, got {'kernel': 2, 'stride': 3}",
        ),
        (
            lambda: ConvTranspose(3, stride=2, output_padding=2),
            "output_padding must be smaller than stride (2) or dilation (1), got 2",
        ),
        (
            lambda: ConvTranspose((3, 3), stride=(3, 1), output_padding=2),
            "output_padding must be smaller than stride (1) or dilation (1), got 2",
        ),
        (lambda: ConvTranspose(3, output_padding=-1), "output_padding must be at least 0, got -1"),
        (
            lambda: ConvTranspose(3, stride=2, padding="same", output_padding=1),
            'output_padding must be 0 beside padding "same", got 1',
        ),
        (lambda: Conv(5).output_size(4), "kernel must fit into the padded input of size 4, dilation counted, got 5"),
        (lambda: Conv(3).output_size(-1), "size must be at least 0, got -1"),
        (lambda: Conv((3, 3)).output_size(9), "size must have one entry for each of 2 axes, got 9"),
        (lambda: Conv((3, 3)).output_size((9, 9, 9)), "size must have one entry for each of 2 axes, got (9, 9, 9)"),
        (
            lambda: ConvTranspose(2, padding=3).output_size(4),
            "padding must leave an output; an input of size 4 gives size -1, got 3",
        ),
        (lambda: Conv((3, 3)).plan(3), "ndim must be the 2 that the spec names, got 3"),
        (lambda: Conv(3).plan(0), "ndim must be at least 1, got 0"),
        (lambda: Conv(3).plan(4), "ndim must be at most 3, got 4"),
        (lambda: Conv(3).plan("2"), "ndim must be one integer, got '2'"),
        (lambda: Conv(3).output_size((9, 9, 9, 9)), "ndim must be at most 3, got 4"),
        (lambda: Conv(2**31 - 1), "kernel must be at most 1048576, got 2147483647"),
        (lambda: ConvTranspose((1, 2**20 + 1)), "kernel must be at most 1048576, got (1, 1048577)"),
        (lambda: Conv(3, torch.tensor(2)), "stride must be an integer or one integer per axis, got tensor(2)"),
        (lambda: Conv(3, groups=1.5), "groups must be one integer, got 1.5"),
    ],
)
def test_what_cannot_be_is_refused_in_words(make: object, message: str) -> None:
    with pytest.raises(TrousError) as error:
        make()
    assert str(error.value) == message


def test_an_error_takes_the_problem_once() -> None:
    error = TrousError("stride", "must be at least 1", 0)
    assert (error.argument, error.rule, error.value, error.problem) == ("stride", "must be at least 1", 0, None)
    whole = error.within("conv,c1-1,x4,k3")
    assert str(whole) == "stride must be at least 1, got 0\n  in conv,c1-1,x4,k3"
    assert whole.within("another") is whole
    assert isinstance(error, ValueError)
