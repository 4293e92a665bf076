"""The weight gradient in every form, copied in every way, on all instruction sets; its windows, its order of sums."""

from __future__ import annotations

import pytest
import torch

from compare import assert_identical
from problems import Arrays, integers, operation, real, torch_results
from trous.backends import cpu
from trous.backends.cpu import panels, run, target, weight_pass
from trous.backends.cpu.tables import Strides
from trous.backends.cpu.weight_forms import Form
from trous.backends.cpu.weight_tiles import Tiling, evenly, window
from trous.problem import Problem

CASES = (
    "conv,n2,c20-36,x19x21,k3x3,d2,p2",
    "conv,n2,c20-36,x19x21,k3x3,d2,p2,last",
    "conv,n3,c40-72,x31x33,k3x3,s2,d2,p2,g2",  # stride and dilation share a factor
    "conv,n3,c64-64,x31x33,k3x3,s2,d2,p2,g2,last",
    "conv,c64-128,x3000,k2,d512,p256",  # taps far apart: a window of two segments
    "conv,c32-32,x20x300,k1x3,d1x100,p0x100",
    "conv,n2,c32-32,x9x10x12,k3x3x3,d2,p2",
    "conv_transpose,c33-18,x5x6x7,k4x4x4,s2,p1",
    "conv_transpose,c20-37,x9x11,k4x4,s3x2,p1",
    "conv_transpose,c20-37,x9x11,k4x4,s2,p1,last",
    "conv_transpose,c20-20,x9x11,k3x3,s2,p2,d2,op1",  # phases without taps
    "conv,n5,c130-150,x7x8,k3x3,p1",  # several images in a tile
    "conv,c300-40,x9x8,k5x5,p2",  # several blocks of channels
    "conv,c600-20,x30,k13,p6",
    "conv,c20-24,x5x7,k3x3,p12,d12",  # live taps alone
    "conv,c3-16,x30x33,k5x5,p2,d2",
    "conv,c18-40,x30x33,k5x5,p2,d2,last",
    "conv,n3,c40-72,x31x33,k3x3,s2,d2,p2,g2,last",  # a few more channels than a vector
    "conv,c3-16,x30x33,k7x7,p3,s2",
    "conv,c20-50,x30x33,k7x1,p3x0,last",
    "conv,c1-2,x3000,k2001,p1000",
    "conv_transpose,c70-1,x9x20,k9x9,s3,p4,op2",
    "conv_transpose,c70-1,x9x20,k9x9,s3,p4,op2,last",
    "conv_transpose,n2,c4-6,x40,k96,s32,g2",
    "conv_transpose,n2,c36-1,x40,k96,s32",
    "conv_transpose,c64-1,x9x10x8,k3x3x3,s2,p1,op1",
    "conv,n2,c70-70,x19x20,k3x3,d2,p2,g70",
    "conv,n2,c70-70,x19x20,k3x3,d2,p2,g70,last",
    "conv,c40-80,x9x20,k3x3,p1,g40",
    "conv,c80-40,x9x20,k3x3,s2,p1,g40,last",
    "conv_transpose,c70-70,x9x20,k4x4,s2,p1,g70",
    "conv_transpose,n3,c40-40,x9,k6,s3,p2,op1,g40,last",
)


def tiling(text: str, given: Arrays) -> Tiling:
    strides = Strides.of(given.x, given.w, given.dy)
    return weight_pass.tiling_for(operation(Problem.parse(text)), strides, "float32", target.current())


def name(form: Form) -> str:
    return "columns" if form.columns else "lanewise" if form.lanewise else "outer"


def gradient(text: str, given: Arrays, like: torch.Tensor | None = None) -> torch.Tensor:
    """Into an array filled with NaN."""
    dw = torch.full_like(given.w if like is None else like, torch.nan)
    cpu.weight_grad(operation(Problem.parse(text)), given.x, given.dy, dw)
    return dw


def expected(text: str, given: Arrays) -> torch.Tensor:
    return torch_results(Problem.parse(text), given.map(lambda a: a.double())).dw.float()


@pytest.fixture(autouse=True)
def _no_work_is_too_small_for_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trous.backends.cpu.run.SMALL", 0)


@pytest.mark.parametrize("instruction_set", target.available())
@pytest.mark.parametrize("text", CASES)
def test_equals_torch_on_integers(text: str, instruction_set: str) -> None:
    given = integers(Problem.parse(text))
    with target.use(instruction_set), run.threads(2):
        assert_identical(gradient(text, given), expected(text, given), f"{text} on {instruction_set}", zeros=True)


@pytest.mark.parametrize("text", CASES)
def test_stays_inside_its_arrays(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_CHECK", "1")
    given = integers(Problem.parse(text))
    assert_identical(gradient(text, given), expected(text, given), text, zeros=True)


@pytest.mark.parametrize("text", CASES)
def test_does_not_depend_on_threads_and_cores(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = real(Problem.parse(text))
    results = []
    for cores in (1, 2, 7):
        monkeypatch.setattr(run, "items_wanted", lambda each, cores=cores: each * cores)
        weight_pass._ready.cache_clear()
        with run.threads(cores):
            results.append(gradient(text, given))
    weight_pass._ready.cache_clear()
    assert all(torch.equal(results[0], result) for result in results[1:]), text


@pytest.mark.parametrize("text", ["conv,n2,c20-36,x19x21,k3x3,p1", "conv,n2,c34-34,x19x21,k3x3,p1,g34"])
def test_any_memory_format(text: str) -> None:
    """Neither channels nor positions adjacent, and a gradient whose channels are."""
    given = integers(Problem.parse(text))
    turned = given.map(lambda a: a.transpose(2, 3).contiguous().transpose(2, 3))
    last = given.w.contiguous(memory_format=torch.channels_last)
    assert_identical(gradient(text, turned), expected(text, given), text)
    assert_identical(gradient(text, given, like=last), expected(text, given), text)


@pytest.mark.parametrize("text", ["conv,c5-18,x9x11,k3x3,p1", "conv,c35-35,x9x11,k3x3,p1,g35", "conv,c2-18,x9x11,k3x3"])
def test_what_is_not_finite_stays_in_its_channel(text: str) -> None:
    given = integers(Problem.parse(text))
    for channel in (0, given.dy.shape[1] - 1):
        dy = given.dy.clone()
        dy[:, channel] = torch.inf
        dw = gradient(text, given._replace(dy=dy))
        others = [c for c in range(dw.shape[0]) if c != channel]
        assert torch.isinf(dw[channel]).all()
        assert_identical(dw[others], expected(text, given)[others], text)


def test_the_cases_reach_every_form() -> None:
    forms = [tiling(text, integers(Problem.parse(text))).form for text in CASES]
    assert {name(form) for form in forms} == {"outer", "columns", "lanewise"}
    ways = {(name(form), form.left.mode, form.right.mode) for form in forms}
    both = (panels.POSITIONS, panels.CHANNELS)
    assert ways >= {(form, mode, mode) for form in ("outer", "columns", "lanewise") for mode in both}
    assert {form.right.name for form in forms if form.columns} == {"x", "y"}
    assert max(form.rows for form in forms) > 8 and max(form.vectors for form in forms) > 2


def test_parts_are_added_where_channels_are_few() -> None:
    text = "conv,c8-8,x50x60,k3x3,p1"
    assert tiling(text, integers(Problem.parse(text))).parts > 1


@pytest.mark.parametrize(
    "text",
    [
        "conv,c64-64,x128x128,k3x3,d16,p16",
        "conv,c512-256,x33x33,k3x3,d12,p12",
        "conv,c512-512,x2048,k3,d5,p5,n8",
        "conv_transpose,c1026-1,x224,k1024,s256",
        "conv_transpose,c64-32,x32x32x32,k4x4x4,s2,p1",
        "conv,c64-64,x20x20x20,k7x7x7,p3",
    ],
)
@pytest.mark.parametrize("last", ["", ",last"])
def test_memory_stays_small(text: str, last: str) -> None:
    """Two megabytes for a thread, and as much for copies of the gradient."""
    problem = Problem.parse(text.replace(",n8", "") + last)
    given = integers(problem)
    pieces = tiling(str(problem), given)
    weight_pass._ready.cache_clear()
    cpu.weight_grad(operation(problem), given.x, given.dy, given.w.clone())
    ready = weight_pass._ready(
        operation(problem), Strides.of(given.x, given.w, given.dy), "float32", target.current(), False
    )
    assert ready.run.bound.scratch <= 2 << 20
    assert pieces.parts == 1 or pieces.parts * given.w.numel() * 4 <= 2 << 20


@pytest.mark.parametrize("adjacent", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3, 5])
@pytest.mark.parametrize("places", [(0,), (-2, 0, 2), (-256, 256), (0, 1, 2, 3), (-3, 4, 5, 20), (0, 2, 1, 7, 7)])
@pytest.mark.parametrize("steps", [1, 4, 17])
def test_windows_hold_what_taps_read(places, step: int, steps: int, adjacent: bool) -> None:
    found = window(places, step, steps, adjacent)
    positions = found.positions
    assert len(positions) == found.length == len(set(positions))
    read = {place + step * m for place in places for m in range(steps)}
    assert read <= set(positions) and (adjacent or read == set(positions))
    move = step if adjacent else 1
    for place in places:
        assert [positions[found.places[place] + move * m] for m in range(steps)] == [
            place + step * m for m in range(steps)
        ]


@pytest.mark.parametrize(
    ("count", "most", "unit", "length"), [(100, 30, 1, 25), (100, 100, 16, 64), (5, 30, 16, 16), (33, 1, 4, 4)]
)
def test_even_pieces(count: int, most: int, unit: int, length: int) -> None:
    assert evenly(count, most, unit) == length
