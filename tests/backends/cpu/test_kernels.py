"""Each kernel family beyond one tile: long reductions, many blocks, every interleave, all instruction sets."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from compare import assert_identical
from problems import INSTRUCTION_SETS, assert_all_identical, integers, operation, run, torch_results
from trous.backends import cpu
from trous.backends.cpu import dense, forward_pass, rows, strip_plan, target
from trous.backends.cpu.run import threads
from trous.backends.cpu.tables import Strides
from trous.backends.epilogue import NOTHING, Epilogue
from trous.problem import Problem
from turns import taking_turns

#: Problems by the family that their forward pass takes on the widest instruction set, channels-first and last.
FAMILIES = {
    "gemm": (
        "conv,c600-20,x30,k13,p6,bias",  # a reduction summed in several chunks of taps
        "conv,c1100-9,x5x40,k3x3,p1",  # and of channels
        "conv,c1100-40,x5x9,k3x3,p1,last",
        "conv,c256-300,x6x7,k5x5,p2",  # weights in several blocks
        "conv,c256-300,x6x7,k5x5,p2,last",
        "conv_transpose,c260-130,x9x11,k4x4,s2,p1,bias",
        "conv_transpose,c260-130,x9x11,k4x4,s2,p1,last",
        *(f"conv_transpose,n2,c9-20,x50,k24,s{s},p3,bias" for s in (3, 4, 5, 6, 7, 8, 9)),
        "conv_transpose,c20-5,x50,k24,s3,p3,last",
        "conv_transpose,n2,c4-6,x40,k96,s32,g2,bias",  # phases in the place of channels
        "conv_transpose,c4-6,x5x9,k64x40,s32x20,p16x10,g2",
        "conv_transpose,c3-2,x17,k50,s40",  # fewer taps than phases
        "conv,n3,c40-72,x31x33,k3x3,s2,d2,p2,g2,bias",
        "conv,n3,c40-72,x31x33,k3x3,s2,d2,p2,g2,last",
        "conv,n70,c9-30,x3,k3,p1",  # many rows in one tile
        "conv,c1-2,x250000,k3,d120000,p120000",  # no strip of inputs fits the cache
    ),
    "overlap": (
        "conv_transpose,c70-1,x9x100,k9x9,s3,p4,op2",
        "conv_transpose,c70-4,x9x100,k9x9,s2,p4,op1,bias",
        "conv_transpose,c20-1,x9x7x20,k3x3x3,s2,p1,op1,bias",
        "conv_transpose,c70-1,x9x100,k9x9,s3,p4,op2,last",  # staged from the other memory format
        "conv_transpose,c70-3,x9x37,k9x9,s2,p4,op1,last,bias",
        "conv,c20-2,x9x37x20,k3x3x3,p1,last,bias",
        "conv,c21-2,x9x137,k5x5,s3,p1,last,bias",
        "conv,c3-2,x9x37,k5x5,s4,p1,last,bias",
        "conv,c30-3,x40x37,k5x3,s2x4,p1,bias",  # rows of every fourth column
        "conv,c30-3,x40x37,k5x3,s2x7,p1,bias",  # too far apart to be read as they lie
        "conv,n3,c90-1,x70x300,k3x3,p1",  # strips cut along every axis
        "conv,n3,c90-1,x70x300,k3x3,p1,last",
        "conv,c64-1,x11x45,k1x1,bias",
        "conv,c64-1,x11x45,k1x1,bias,last",
        "conv,c40-2,x30x20000,k3x7,d1x9,p1x27",  # strips that share halos
        "conv,c48-12,x30x21,k3x3,p1,g4,bias",
        "conv_transpose,c24-2,x30x17,k5x3,s7x2,p1,bias",  # phases without taps
    ),
    "strips": (
        "conv_transpose,c20-20,x101x136,k4x4,s2,p1,g20",  # an output written past the caches where lines are whole
        "conv,n2,c7-7,x19x150,k3x3,d2,p2,g7,bias",
        "conv,c7-21,x5x6x90,k3x3x3,p1,g7",
        "conv_transpose,c9-9,x20x70,k4x8,s2x4,p1x2,g9",
        "conv,c5-5,x20x161,k3x4,s2x3,p2,d3,g5,bias",
        "conv,c1-2,x3000,k701,p350",
        "conv,c1-2,x3000,k2001,p1000",
        "conv,c3-3,x40x37,k11x31,p5x15,g3,bias",  # rows of every kind of class
        "conv_transpose,c2-2,x30x17,k5x3,s7x2,p1,bias",  # phases without taps
        "conv_transpose,c2-1,x9x100,k9x9,s3,p4,op2",
        "conv_transpose,c8-4,x9x100,k3x9,s3x2,p1x4,bias",
        "conv_transpose,c7-1,x9x100,k3x9,s3,p1x4,op2,last",  # staged from the other memory format
        "conv_transpose,c3-3,x9x37,k5x9,s2,p2x4,op1,last,bias",
        "conv,c2-2,x9x37x20,k1x3x3,p1,last,bias",
        "conv,c3-2,x9x137,k3x5,s3,p1,last,bias",
        "conv,c5-2,x9x37,k2x5,s4,p1,last,bias",
        "conv,n3,c3-1,x70x3000,k3x3,p1",  # strips cut along every axis
    ),
    "stems": (
        "conv,n2,c3-64,x21x45,k7x7,s2,p3,bias",
        "conv,n2,c3-64,x21x45,k7x7,s2,p3,bias,last",
        "conv,c1-17,x300,k3,d5,p5",  # a channel more than a vector, or a tile, holds
        "conv,c1-17,x300,k3,d5,p5,last",
        "conv,c1-8,x3x700x30,k3x3x3,p1,bias",  # strips cut along every axis
        "conv,c6-40,x70x300,k5x3,s1x3,p1,last",  # blocks of channels transposed on the way
        "conv_transpose,c2-20,x9x70,k5x8,s3x2,p1,bias",
        "conv_transpose,c2-20,x9x70,k5x8,s3x2,p1,bias,last",
        "conv_transpose,c3-10,x9x37,k6x4,s2x4,p1",  # four phases side by side
        "conv_transpose,c3-24,x9x37,k3x9,s5x11,p1,last",  # phases without taps, more than registers interleave
        "conv_transpose,c16-48,x11x21,k4x4,s2,p1,g4,bias",
        "conv_transpose,c16-48,x11x21,k4x4,s2,p1,g4,bias,last",
        "conv,c1-1026,x900,k300,s60",  # weights in several blocks
        "conv,c1-1026,x900,k300,s60,last",
        "conv,n3,c4-600,x3,k3,p1,last,bias",
        "conv,c2-96,x130x260,k3x3,p1",  # an output written past the caches
        "conv,c2-96,x130x260,k3x3,p1,last,bias",
    ),
    "maps": (
        "conv,n3,c37-37,x7x7,k3x3,p1,g37,bias",
        "conv,n2,c33-33,x5x6x7,k3x3x3,p2,d2,g33",
        "conv,c40-40,x9x11,k7x9,p12,d4,g40,bias",  # every step is missed by some tap
        "conv,c38-38,x13x15,k2x3,s3x2,g38",
        "conv,c40-40,x30,k2,s5,pcausal,g40",  # inputs that no tap reads
        "conv_transpose,n2,c40-40,x4x5,k2x2,s3x3,p1,g40,bias",  # phases without taps, or one step short
        "conv_transpose,n16,c70-70,x9,k6,s3,p2,op1,g70",
        "conv,n3,c64-64,x7x7,k5x5,p2,g64,last,bias",
        "conv,c60-60,x9x11,k7x9,p6x8,d2,g60,last",
        "conv,n2,c33-33,x5x6x7,k3x5x5,p1x2x2,g33,last",
        "conv,c40-40,x5x33,k1x11,p0x5,g40,bias",  # runs of taps, and a tap more
    ),
    "channelwise": (
        "conv,n2,c70-70,x19x20,k3x3,d2,p2,g70,last,bias",
        "conv,c40-80,x9x20,k3x3,p1,g40,last",
        "conv,c80-40,x9x20,k3x3,s2,p1,g40,last",
        "conv_transpose,c70-70,x9x20,k4x4,s2,p1,g70,last,bias",
        "conv_transpose,c40-40,x90,k6,s3,p2,op1,g40,last",
        "conv,n2,c64-64,x300,k3,d7,p7,g64,last,bias",  # whole blocks, rows in pieces
        "conv,c48-48,x20x70x9,k3x3x3,p1,g48,last",
        "conv,c300-300,x7x9x90,k3x3x3,p1,g300,last",
        "conv,c64-64,x131x130,k3x3,p1,g64,last",  # an output written past the caches
        "conv_transpose,c72-72,x80x50,k4x4,s2,p1,g72,last",  # as large, and of lines that are not whole
        "conv_transpose,n2,c20-20,x6x11,k2x3,s3x5,p1,g20,last,bias",  # phases without taps, or one step short
        "conv,c70-70,x40x400,k1x5,p0x300,d150,g70,last",  # every step is missed by some tap
        "conv,c70-70,x40x330,k2x11,p0x5,g70,last,bias",  # runs of taps, and a tap more
    ),
}


@pytest.fixture(autouse=True)
def _no_work_is_too_small_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trous.backends.cpu.run.SMALL", 0)


CASES = [(family, text) for family, texts in FAMILIES.items() for text in texts]
PROBLEMS = [Problem.parse(text) for _, text in CASES]


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize(("family", "text"), CASES, ids=lambda part: part)
def test_forward_equals_torch_on_integers(family: str, text: str, instruction_set: str) -> None:
    problem = Problem.parse(text)
    op, given = operation(problem), integers(problem)
    y = torch.full_like(given.dy, torch.nan)
    with target.use(instruction_set), threads(2):
        kernel = forward_pass.kernel_for(op, Strides.of(given.x, given.w, given.dy), "float32")
        cpu.forward(op, given.x, given.w, given.bias, y)
    assert kernel.startswith(family)
    assert_identical(y, torch_results(problem, given).y, f"{text} on {instruction_set}", zeros=True)


@pytest.mark.parametrize(("problem", "instruction_sets"), taking_turns(PROBLEMS))
def test_all_results_equal_torch_on_integers(problem: Problem, instruction_sets: Sequence[str]) -> None:
    for instruction_set in instruction_sets:
        assert_all_equal_torch(problem, instruction_set)


@pytest.mark.slow
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_all_results_equal_torch_on_every_instruction_set(problem: Problem, instruction_set: str) -> None:
    assert_all_equal_torch(problem, instruction_set)


def assert_all_equal_torch(problem: Problem, instruction_set: str) -> None:
    """Forward, both gradients, and the forward pass finished in one."""
    op, given = operation(problem), integers(problem)
    expected = torch_results(problem, given)  # of integers, whose sums are exact in float32 too
    with target.use(instruction_set), threads(2):
        got = run(cpu, op, given)
    assert_all_identical(got, expected, op, f"{problem} on {instruction_set}")
    # The residual turns the sign of every other sum.
    residual = torch.where(torch.arange(got.y.numel()).reshape(got.y.shape) % 2 == 0, -2 * got.y, 0).to(got.y)
    residual = torch.empty_strided(got.y.shape, got.y.stride()).copy_(residual)
    finished = torch.nn.functional.leaky_relu(expected.y + residual, 0.5)
    epilogue = Epilogue("leaky_relu", slope=0.5, residual=True)
    with target.use(instruction_set), threads(2):
        y = torch.empty_strided(got.y.shape, got.y.stride()).fill_(torch.nan)
        cpu.forward(op, given.x, given.w, given.bias, y, epilogue, residual)
    assert_identical(y, finished, f"{problem} on {instruction_set}, finished", zeros=True)


def test_the_cases_reach_what_they_name() -> None:
    def bound(text: str) -> dict[str, int]:
        problem = Problem.parse(text)
        op, given = operation(problem), integers(problem)
        with target.use(target.available()[-1]):
            _, kernel = dense.bind(op, Strides.of(given.x, given.w, given.dy), "float32", target.current(), False)
        names = dense.gemm.FIELDS.place
        return {name: int(kernel.header[at]) for name, at in names.items()}

    texts = FAMILIES["gemm"]
    assert bound(texts[0])["chunks"] > 1 and bound(texts[1])["chunks"] > 1 and bound(texts[2])["chunks"] > 1
    assert bound(texts[3])["channel_blocks"] > 1 and bound(texts[4])["channel_blocks"] > 1
    assert bound("conv_transpose,n2,c4-6,x40,k96,s32,g2,bias")["lane_extent"] == 1


def test_large_outputs_of_whole_lines_go_past_the_caches() -> None:
    large = {}
    for text in FAMILIES["channelwise"]:
        op, given = operation(Problem.parse(text)), integers(Problem.parse(text))
        strides = Strides.of(given.x, given.w, given.dy)
        with target.use(target.available()[-1]):
            _, kernel = rows.bind_channelwise(op, strides, "float32", target.current(), False, NOTHING)
        large[text] = kernel.number("large")
    assert [text for text, number in large.items() if number] == ["conv,c64-64,x131x130,k3x3,p1,g64,last"]


def test_strips_need_outputs_that_are_neighbours_along_a_row() -> None:
    problem = Problem.parse("conv,c4-4,x9x20,k3x3,g4")
    op, given = operation(problem), integers(problem)
    turned = given.dy.transpose(2, 3).contiguous().transpose(2, 3)
    for y, fits in ((given.dy, True), (turned, False)):
        reason = strip_plan.why_not(op, Strides.of(given.x, given.w, y), "float32", target.current())
        assert reason == (None if fits else "outputs of a row are no neighbours in memory")
