"""What `trous.explain` says is what runs, and what cannot be explained is one clear error."""

from __future__ import annotations

import dataclasses
from math import prod
from typing import Any

import numpy as np
import pytest
import torch

import trous
from problems import integers, operation
from trous.backends.cpu import engine, forward_pass, run, target
from trous.backends.cpu.tables import Strides
from trous.errors import TrousError
from trous.problem import Problem

#: A problem for each family, and the families that are asked before and refuse, each with a part of its reason.
FAMILIES = {
    "conv_transpose,c30-20,x20x60,k4x4,s2,p1,bias": (
        "gemm",
        {
            "overlap": "20 output channels in a group are more than 4",
            "strips": "20 output channels in a group are more than 4",
            "stems": "30 input channels in a group are more than 8",
            "channelwise": "one group",
        },
    ),
    "conv,c40-36,x21x60,k3x3,p2,d2,g2,last,f64": (
        "gemm",
        {
            "overlap": "18 output channels",
            "strips": "18 output channels",
            "stems": "20 input channels",
            "channelwise": "18 output channels",
        },
    ),
    "conv,c1-2,x250000,k3,d120000,p120000": (
        "gemm",
        {"overlap": "1 product", "strips": "no strip", "stems": "no strip", "channelwise": "one group"},
    ),
    "conv_transpose,c4-3,x17,k50,s40": (
        "gemm",
        {"overlap": "40 phases", "strips": "40 phases", "stems": "40 phases", "channelwise": "one group"},
    ),
    "conv,n2,c7-7,x19x150,k3x3,d2,p2,g7,bias": (
        "strips",
        {"maps": "strips of rows cost less", "overlap": "3 products for each number"},
    ),
    "conv_transpose,c70-3,x9x37,k9x9,s2,p4,op1,last": ("overlap", {}),
    "conv,c3-40,x50x60,k5x5,s2,p2,bias": (
        "stems",
        {"overlap": "40 output", "strips": "40 output", "channelwise": "one group"},
    ),
    "conv,n3,c37-37,x7x7,k3x3,p1,g37,bias": ("maps", {}),
    "conv_transpose,c8-40,x20x30,k4x4,s2,p1,g2,last": (
        "stems",
        {"overlap": "20 output", "strips": "20 output", "channelwise": "20 output"},
    ),
    "conv,c70-70,x19x20,k3x3,p1,g70,last": (
        "channelwise",
        {"overlap": "no neighbours in memory", "strips": "no neighbours in memory"},
    ),
}


@pytest.fixture(autouse=True)
def _as_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TROUS_BACKEND", raising=False)


def test_layers_that_little_but_move_their_arrays_are_shared_as_well() -> None:
    text = "conv_transpose,n16,c512-512,x{size},k6,s3,p2,op1,g512"
    with run.threads(2):
        threads = {size: trous.explain(text.format(size=size)).kernel.threads for size in (2, 32)}
    assert Problem.parse(text.format(size=32)).multiplications < run.SMALL
    assert threads == {2: 1, 32: 2}


@pytest.mark.parametrize("text", FAMILIES)
def test_the_facts_of_every_family(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family, refusing = FAMILIES[text]
    problem = Problem.parse(text)
    with target.use("avx2"), run.threads(3):
        shapes = (problem.input_shape, problem.weight_shape, (problem.out_channels,), problem.output_shape)
        work = run.work_of(problem.multiplications, shapes)
        monkeypatch.setattr(run, "SMALL", work - 1)
        told = trous.explain(text)
        monkeypatch.setattr(run, "SMALL", work)
        assert trous.explain(text).kernel.threads == 1
        arrays = integers(problem)
        name = forward_pass.kernel_for(operation(problem), Strides.of(arrays.x, arrays.w, arrays.dy), problem.dtype)
    assert (told.backend, told.refusals, told.dtype) == ("cpu", (), problem.dtype)
    kernel = told.kernel
    assert (kernel.family, kernel.name) == (family, name)
    reasons = dict(refusal.split(": ", 1) for refusal in kernel.refusals)
    assert reasons.keys() == {"amx_dense", "maps"} - {family} | refusing.keys()
    assert "is not bfloat16" in reasons["amx_dense"]
    assert all(part in reasons[name] for name, part in refusing.items())
    assert (kernel.instruction_set, kernel.sums_in) == ("avx2", problem.dtype)
    assert kernel.threads == min(3, kernel.items)
    assert told.output_shape == problem.output_shape
    assert told.multiplications == problem.multiplications <= told.nominal
    assert told.share == told.multiplications / told.nominal
    shapes = (problem.input_shape, problem.weight_shape, problem.output_shape)
    itemsize = {"float32": 4, "float64": 8}[problem.dtype]
    assert told.bytes == itemsize * (sum(map(prod, shapes)) + problem.bias * problem.out_channels)
    for fact in (family, name, *kernel.refusals, kernel.facts.register_tile, f"{told.multiplications:,}"):
        assert fact in str(told)


@pytest.mark.parametrize("text", FAMILIES)
def test_what_is_kept_is_what_a_thread_is_asked_for(text: str) -> None:
    problem = Problem.parse(text)
    arrays = integers(problem)
    ready = forward_pass.prepare(
        operation(problem),
        *(a.stride() for a in (arrays.x, arrays.w, arrays.dy)),
        problem.dtype,
        trous.explanation.NOTHING,
        None,
    )
    kernel = trous.explain(text).kernel
    assert (kernel.kept_bytes, kernel.items) == (ready.bound.scratch, ready.bound.items)
    assert all(size > 0 for size in kernel.kept.values())


@pytest.mark.parametrize("text", FAMILIES)
def test_the_way_taken_is_the_cheapest_and_its_parts_add_up(text: str) -> None:
    facts = trous.explain(text).kernel.facts
    costs = [estimate.cost for estimate in facts.estimates]
    if FAMILIES[text][0] == "strips":  # whose tile is the best for large sizes, and the same for all
        assert facts.register_tile.startswith(facts.estimates[0].way.partition(",")[0])
    else:
        assert costs == sorted(costs)
    assert bool(costs) == bool(facts.unit) == (FAMILIES[text][0] != "channelwise")
    for estimate in facts.estimates:
        assert sum(estimate.parts.values()) == pytest.approx(estimate.cost)
        assert all(part > 0 for part in estimate.parts.values())


def test_the_box_that_is_told_is_the_one_that_is_bound() -> None:
    text = "conv,c256-300,x16x70,k5x5,p2"
    problem = Problem.parse(text)
    arrays = integers(problem)
    bound = forward_pass._choice(
        operation(problem),
        Strides.of(arrays.x, arrays.w, arrays.dy),
        "float32",
        target.current(),
        False,
        trous.explanation.NOTHING,
    ).bound
    cut = trous.explain(text).kernel.facts.cut
    assert cut["box"] == tuple(bound.number(f"tile_{axis}") for axis in "nzyx")
    assert cut["boxes"] == bound.number("items_per_block")
    assert cut["boxes"] * cut["channel_blocks"] == bound.items
    assert cut["chunks"] == bound.number("chunks") > 1


def arrays_of(problem: Problem, library: str) -> tuple[Any, Any]:
    if library == "numpy":
        return np.zeros(problem.input_shape, np.float32), np.zeros(problem.weight_shape, np.float32)
    device = "meta" if library == "meta" else "cpu"
    return tuple(torch.zeros(shape, device=device) for shape in (problem.input_shape, problem.weight_shape))


@pytest.mark.parametrize("library", ["numpy", "torch", "meta"])
def test_a_call_and_the_problem_are_explained_alike(library: str) -> None:
    problem = Problem.parse("conv_transpose,n2,c6-8,x9x20,k4x3,s2,p1,op1,g2")
    x, w = arrays_of(problem, library)
    given = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}
    told = trous.explain(trous.conv_transpose, x, w, **given)
    assert dataclasses.replace(told, call=str(problem)) == trous.explain(str(problem))
    assert told.call == (
        "trous.conv_transpose: x (2, 6, 9, 20) float32, w (6, 4, 4, 3) float32, "
        "stride=2, padding=1, output_padding=1, groups=2"
    )
    assert trous.explain(trous.functional.conv_transpose2d, x, w, None, 2, 1, 1, 2) == told
    assert trous.explain(trous.functional.conv_transpose2d, weight=w, input=x, **given) == told
    without = trous.explain(trous.conv_transpose, x[0], w, **given)
    assert without.output_shape == told.output_shape[1:]
    assert without.multiplications * 2 == told.multiplications


def test_channels_last_is_seen_in_strides_said_by_word_and_by_keyword() -> None:
    text = "conv,c60-60,x20x20,k3x3,p1"
    x, w = arrays_of(Problem.parse(text), "torch")
    seen = trous.explain(trous.conv, x.to(memory_format=torch.channels_last), w, padding=1)
    by_word, by_keyword = trous.explain(text + ",last"), trous.explain(text, channels_last=True)
    assert seen.kernel == by_word.kernel == by_keyword.kernel
    assert seen.kernel.name.startswith("gemm_channels")
    assert trous.explain(text).kernel.name.startswith("gemm_positions")


def test_sixteen_bits() -> None:
    text = "conv,c128-128,x40x40,k3x3,p1,bf16"
    with target.use("avx2"):
        told = trous.explain(text)
    assert told.kernel.family == "gemm"
    assert told.kernel.refusals[0] == "amx_dense: avx2 has no matrix tiles"
    assert (told.dtype, told.kernel.sums_in) == ("bfloat16", "float32")
    assert told.bytes == 2 * (2 * 128 * 40 * 40 + 128 * 128 * 9)


@pytest.mark.skipif("amx" not in target.available(), reason="a processor without AMX")
def test_matrix_tiles_are_compared_with_vectors() -> None:
    told = trous.explain("conv,c128-128,x40x40,k3x3,p1,bf16")
    assert (told.kernel.family, told.kernel.refusals) == ("amx_dense", ())
    *tiles, vectors = told.kernel.facts.estimates
    assert [e.cost for e in tiles] == sorted(e.cost for e in tiles)
    assert (vectors.way, tiles[0].cost < vectors.cost) == ("vectors instead of tiles", True)
    few = trous.explain("conv,c2-16,x40x40,k3x3,p1,bf16").kernel
    assert few.family == "stems"
    assert few.refusals[0].startswith("amx_dense: tiles would take")


def test_complex_numbers_are_two_passes() -> None:
    x, w = np.zeros((1, 3, 30), np.complex64), np.zeros((4, 3, 5), np.complex64)
    told, real = (trous.explain(trous.conv, a, b) for a, b in ((x, w), (x.real, w.real)))
    assert (told.passes, real.passes) == (2, 1)
    assert told.multiplications == 4 * real.multiplications
    assert told.bytes == 2 * real.bytes
    assert told.kernel.sums_in == "float32"
    assert ", 2 passes" in str(told)


def test_where_activation_and_residual_are_worked_in() -> None:
    x, w = torch.zeros(1, 8, 20, 20), torch.zeros(8, 8, 3, 3)
    plain = trous.explain(trous.conv, x, w, padding=1)
    alike = trous.explain(trous.conv, x, w, padding=1, activation="relu", residual=x)
    turned = trous.explain(trous.conv, x, w, padding=1, activation="relu", residual=x.transpose(2, 3))
    assert plain.kernel.epilogue == ""
    assert alike.kernel.epilogue == "in the same pass"
    assert alike.kernel.name.endswith("_relu_residual")
    assert turned.kernel.epilogue.startswith("a pass of its own")
    assert turned.kernel.name == plain.kernel.name
    assert alike.bytes == plain.bytes + 4 * prod(x.shape)


def test_a_back_end_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TROUS_BACKEND", "tensors")
    told = trous.explain("conv,c8-8,x9,k3")
    assert (told.backend, told.kernel) == ("tensors", None)
    assert str(told).splitlines()[-1].split() == ["back-end", "tensors"]


def test_refusals_of_back_ends_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trous.backends.cpu.why_not", lambda operation, x: f"of {x.dtype}")
    told = trous.explain("conv,c8-8,x9,k3")
    assert (told.backend, told.refusals) == ("tensors", ("cpu: of float32",))
    assert "cpu: of float32" in str(told)


def test_no_output_is_no_work() -> None:
    told = trous.explain("conv,n0,c3-4,x8x8,k3x3")
    assert (told.kernel, told.multiplications, told.share) == (None, 0, 1.0)


def test_nothing_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError(f"compiled {arguments}")

    monkeypatch.setattr(engine, "function", refuse)
    trous.explain("conv,c13-13,x17x19,k5x3,p1,f64")
    with pytest.raises(AssertionError, match="compiled"):  # so it would have been seen
        trous.conv(np.zeros((1, 13, 17, 19)), np.zeros((13, 13, 4, 3)), padding=1)


X, W = np.zeros((1, 3, 9, 9), np.float32), np.zeros((3, 3, 3, 3), np.float32)


@pytest.mark.parametrize(
    ("arguments", "named", "said"),
    [
        ((np.convolve, X, W), {}, "function must be a problem as a string or one of conv, conv1d"),
        ((torch.nn.functional.conv2d, X, W), {}, "function must be"),
        (([], X, W), {}, "function must be"),
        (("conv,c3-3,x9",), {}, r"problem must state kernel \(k\), got 'conv,c3-3,x9'"),
        (("convolution",), {}, "problem must begin with conv or conv_transpose"),
        (("conv,c3-3,x9,k3", X), {}, "arguments must be left out behind a problem"),
        ((trous.conv, X, W), {"channels_last": True}, "channels_last must be left out"),
        ((trous.conv, X, W), {"stride": 0}, "stride must be at least 1(.|\n)*in trous.conv: x"),
        ((trous.conv, X, W[:, :2]), {}, "x must have the 2 channels"),
        ((trous.functional.conv1d, X, W), {}, "weight must have 3 axes"),
        ((trous.functional.conv2d, X, W), {"padding": "same", "stride": 2}, '"same" needs stride 1'),
        ((trous.conv, torch.zeros(1, 3, 9, 9), W), {}, "w must be a torch tensor"),
        ((trous.conv, X, torch.zeros(3, 3, 3, 3)), {}, "w must be an array of the library of x"),
        ((trous.conv, X, None), {}, "w must be an array"),
    ],
)
def test_what_cannot_be_explained(arguments: tuple, named: dict[str, Any], said: str) -> None:
    with pytest.raises(TrousError, match=said):
        trous.explain(*arguments, **named)
