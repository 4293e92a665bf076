"""Problems as text, and the generator of random ones."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from math import gcd

import pytest

from trous.errors import TrousError
from trous.problem import Problem, parse_spec, random_problems
from trous.spec import Conv, ConvTranspose

THOUSAND = tuple(random_problems(7, 1000, dtypes=("float32", "float64", "bfloat16", "float16")))


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(Conv(3), 1, 8, 16, (32,)), "conv,n1,c8-16,x32,k3"),
        (Problem(Conv(3, padding="same"), 1, 8, 8, (32, 32)), "conv,n1,c8-8,x32x32,k3x3,psame"),
        (
            Problem(
                ConvTranspose(3, stride=2, padding=1, output_padding=1, dilation=1),
                batch=2,
                in_channels=64,
                out_channels=32,
                size=(128, 128),
                channels_last=True,
            ),
            "conv_transpose,n2,c64-32,x128x128,k3x3,s2,p1,op1,last",
        ),
        (
            Problem(
                Conv((3, 5, 1), stride=(1, 2, 3), padding=((1, 2), (0, 0), (4, 4)), dilation=(2, 1, 1), groups=4),
                batch=0,
                in_channels=4,
                out_channels=8,
                size=(9, 8, 7),
                dtype="bfloat16",
                channels_last=True,
                bias=True,
            ),
            "conv,n0,c4-8,x9x8x7,k3x5x1,s1x2x3,p1:2x0:0x4:4,d2x1x1,g4,bf16,last,bias",
        ),
        (Problem(Conv(1, padding=((0, 2),)), 1, 1, 1, (5,), "float64"), "conv,n1,c1-1,x5,k1,p0:2,f64"),
        (Problem(Conv((1, 1), padding=((2, 2), (1, 1))), 1, 1, 1, (5, 5)), "conv,n1,c1-1,x5x5,k1x1,p2x1"),
    ],
)
def test_text_of_a_problem(problem: Problem, text: str) -> None:
    assert str(problem) == text
    assert Problem.parse(text) == problem


def test_parsing_returns_the_problem() -> None:
    for problem in THOUSAND:
        text = str(problem)
        again = Problem.parse(text)
        assert again == problem and hash(again) == hash(problem) and str(again) == text
        assert not set(text) & set(" \t'\"()[]")


def test_order_and_defaults_do_not_matter() -> None:
    full = "conv_transpose,n1,c64-32,x16x16,k3x3,s2,p1,op1,d1,g1,f32,last"
    brief = "conv_transpose,last,op1,p1x1,s2x2,k3,x16x16,c64-32"
    assert Problem.parse(full) == Problem.parse(brief)
    assert str(Problem.parse(brief)) == "conv_transpose,n1,c64-32,x16x16,k3x3,s2,p1,op1,last"


def test_shapes() -> None:
    conv = Problem.parse("conv,n2,c12-8,x9x10,k3x5,s2,g4")
    assert (conv.input_shape, conv.weight_shape, conv.output_shape) == ((2, 12, 9, 10), (8, 3, 3, 5), (2, 8, 4, 3))
    back = Problem.parse("conv_transpose,n2,c8-12,x4x3,k3x5,s2,g4")
    assert (back.input_shape, back.weight_shape, back.output_shape) == ((2, 8, 4, 3), (8, 3, 3, 5), (2, 12, 9, 9))
    assert (conv.kind, back.kind, conv.ndim) == ("conv", "conv_transpose", 2)
    assert conv.multiplications == 2 * 12 * 8 // 4 * (4 * 3) * (3 * 5)
    assert conv.bound.output_size == conv.output_size == (4, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "problem must begin with conv or conv_transpose, got ''"),
        ("conv2d,c1-1,x4,k3", "problem must begin with conv or conv_transpose, got 'conv2d,c1-1,x4,k3'"),
        ("conv,x4,k3", "problem must state channels (c), got 'conv,x4,k3'"),
        ("conv,c1-1,k3", "problem must state size (x), got 'conv,c1-1,k3'"),
        ("conv,c1-1,x4", "problem must state kernel (k), got 'conv,c1-1,x4'"),
        (
            "conv,c1-1,x4,k3,op1",
            "problem must have output_padding (op) for conv_transpose only, got 'conv,c1-1,x4,k3,op1'",
        ),
        (
            "conv,c1-1,x4,k3,q2",
            "problem field must begin with or be one of n, c, x, k, s, p, op, d, g, f32, f64, bf16, f16, last, bias, "
            "got 'q2'\n  in conv,c1-1,x4,k3,q2",
        ),
        ("conv,c1-1,x4,k3,s2,s2", "problem field stride must be stated once, got 's2'\n  in conv,c1-1,x4,k3,s2,s2"),
        ("conv,c1,x4,k3", "problem field channels (c) must be two integers, in-out, got 'c1'\n  in conv,c1,x4,k3"),
        (
            "conv,c1-1,x4y4,k3",
            "problem field size (x) must be integers joined by x, got 'x4y4'\n  in conv,c1-1,x4y4,k3",
        ),
        ("conv,c1-1,x4,k-3", "problem field kernel (k) must be integers joined by x, got 'k-3'\n  in conv,c1-1,x4,k-3"),
        ("conv,n1_0,c1-1,x4,k3", "problem field batch (n) must be an integer, got 'n1_0'\n  in conv,n1_0,c1-1,x4,k3"),
        ("conv,c1-1,x4,k3,g", "problem field groups (g) must be an integer, got 'g'\n  in conv,c1-1,x4,k3,g"),
        (
            "conv,c1-1,x4x4,k3x3,p1:2x1",
            "problem field padding (p) must be integers or before:after pairs joined by x, or valid, same, causal, full"
            ", got 'p1:2x1'\n  in conv,c1-1,x4x4,k3x3,p1:2x1",
        ),
        ("conv,c1-1,x4,k3,s0", "stride must be at least 1, got 0\n  in conv,c1-1,x4,k3,s0"),
        ("conv,c3-2,x4,k3,g2", "in_channels must be divisible by groups (2), got 3\n  in conv,c3-2,x4,k3,g2"),
        ("conv,c2-3,x4,k3,g2", "out_channels must be divisible by groups (2), got 3\n  in conv,c2-3,x4,k3,g2"),
        ("conv,c1-1,x4,k3x3", "size must have one entry for each of 2 axes, got (4,)\n  in conv,c1-1,x4,k3x3"),
        (
            "conv,c1-1,x4,k5",
            "kernel must fit into the padded input of size (4,), dilation counted, got (5,)\n  in conv,c1-1,x4,k5",
        ),
    ],
)
def test_rubbish_is_refused_by_field(text: str, message: str) -> None:
    with pytest.raises(TrousError) as error:
        Problem.parse(text)
    assert str(error.value) == message


@pytest.mark.parametrize("text", ["conv,c1-1,x4,k3,", "conv, c1-1,x4,k3", "conv,c1-1,x4,k3,s2 ", "conv,c1-1,x4,k³"])
def test_no_field_is_guessed(text: str) -> None:
    with pytest.raises(TrousError, match=r"^problem field"):
        Problem.parse(text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Conv(3), -1, 1, 1, (4,)), "batch must not be negative, got -1"),
        ((Conv(3), 1, 0, 1, (4,)), "in_channels must be at least 1, got 0"),
        ((Conv(3), 1, 1, 1, ()), "size must have 1, 2 or 3 axes, got ()"),
        ((Conv(3), 1, 1, 1, (4, -2)), "size must not be negative, got (4, -2)"),
        ((Conv(3), 1, 1, 1, (4,), "int8"), "dtype must be one of float32, float64, bfloat16, float16, got 'int8'"),
    ],
)
def test_problem_that_cannot_be(arguments: tuple, message: str) -> None:
    with pytest.raises(TrousError) as error:
        Problem(*arguments)
    assert str(error.value) == message


def test_random_problems_are_the_same_for_the_same_seed() -> None:
    again = random_problems(7, 1000, dtypes=("float32", "float64", "bfloat16", "float16"))
    assert tuple(again) == THOUSAND
    assert list(random_problems(8, 20)) != list(random_problems(9, 20))
    assert list(random_problems(8, 20)) == list(islice(random_problems(8, 400), 20))


def test_random_problems_keep_to_what_was_asked() -> None:
    problems = list(random_problems(1, 100, ndims=(2,), kinds=("conv",), dtypes=("float64",), most_work=2000))
    assert {(p.ndim, p.kind, p.dtype) for p in problems} == {(2, "conv", "float64")}
    assert max(p.multiplications for p in problems) <= 2000


def test_a_spec_alone() -> None:
    """Without channels and size, or with them."""
    assert parse_spec("conv,k3x2,s2,psame") == (Conv((3, 2), 2, "same"), None)
    assert parse_spec("conv_transpose,n2,c4-6,x9,k3,op1,s2,g2,bias") == (ConvTranspose(3, 2, 0, 1, groups=2), (9,))
    for text, message in (
        ("conv,s2", r"problem must state kernel \(k\), got"),
        ("conv,k0", "kernel must be at least 1, got 0\n  in conv,k0"),
        ("conv,x8,k3x3", "size must have one entry for each of 2 axes"),
    ):
        with pytest.raises(TrousError, match=message):
            parse_spec(text)


def features(problem: Problem) -> set[str]:
    """What is special about a problem."""
    spec, axes = problem.spec, [problem.spec.axis_arguments(axis) for axis in range(problem.ndim)]
    inner = (problem.in_channels // spec.groups, problem.out_channels // spec.groups)
    found = {
        f"{problem.ndim}-D {problem.kind}": True,
        f"{problem.dtype}": True,
        f"batch {problem.batch}": True,
        f"padding {spec.padding}": isinstance(spec.padding, str),
        "uneven padding": any(len(set(a["padding"])) > 1 for a in axes if isinstance(a["padding"], tuple)),
        "output_padding": any(a.get("output_padding") for a in axes),
        "stride": any(a["stride"] > 1 for a in axes),
        "stride above kernel": any(a["stride"] > a["kernel"] for a in axes),
        "dilation": any(a["dilation"] > 1 for a in axes),
        "shared factor": any(gcd(a["stride"], a["dilation"]) > 1 for a in axes),
        "groups": spec.groups > 1 and inner[0] > 1,
        "depthwise": spec.groups > 1 and inner == (1, 1),
        "channel multiplier": spec.groups > 1 and inner[0] == 1 and inner[1] > 1,
        "axis of size 1": 1 in problem.size,
        "beyond a vector": problem.size[-1] >= 40,
        "many input channels": problem.in_channels > 16,
        "many output channels": problem.out_channels > 16,
        "channels last": problem.channels_last,
        "channels first": not problem.channels_last,
        "bias": problem.bias,
        "dead taps": any(len(axis.live_taps) < len(axis.plan.taps) for axis in problem.bound.axes),
        "empty phases": any(not all(axis.plan.by_phase) for axis in problem.bound.axes),
    }
    return {name for name, present in found.items() if present}


def test_random_problems_cover_what_is_special() -> None:
    counts = Counter(name for problem in THOUSAND for name in features(problem))
    assert len(counts) == 6 + 4 + 4 + 4 + 18
    assert min(counts.values()) >= 25, counts


def test_random_problems_are_quick_for_plain_loops() -> None:
    work = sorted(problem.multiplications for problem in THOUSAND)
    assert work[-1] <= 100_000
    assert sum(work) / len(work) < 10_000
    assert sum(n > 0 for n in work) > 850
