"""Contenders are checked before they are timed, each in its own process, and one that is out says why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

from spawned import Crash, Sleeper, Slip
from trous.bench.layers import Result, measure, measure_all
from trous.bench.lineup import Contender, Out, lineup
from trous.bench.lists import Case, chosen, packaged, read_cases
from trous.bench.numbers import difference, expected, job_of, rounded
from trous.bench.peers import OURS, PEERS, Peer
from trous.errors import TrousError
from trous.problem import Problem

SMALL = Case("small", Problem.parse("conv_transpose,n1,c6-4,x5x6,k3x3,s2,p1,op1,d2,g2,bias"), "a test")
LINE = Case("line", Problem.parse("conv,n2,c3-2,x9,k3,s2,p2,d2"), "a test")
CAUSAL = Case("causal", Problem.parse("conv,n1,c3-2,x9x8,k3x2,pcausal"), "a test")
UNEVEN = Case("uneven", Problem.parse("conv_transpose,n1,c3-2,x9,k3,pcausal"), "a test")
INSTALLED = [peer for peer in PEERS if peer.missing() is None]
TORCH = PEERS[0]


def like_ours(kind: type[Peer], name: str) -> Peer:
    return kind(name, name, "ours", (), layouts=(False,), trains=True)


@pytest.fixture(scope="module")
def contenders() -> Iterator[list[Contender]]:
    with lineup([OURS, *INSTALLED], threads=1, limit=120) as started:
        yield started


def test_the_packaged_lists() -> None:
    assert packaged() == ["held_out", "shapes"]
    shapes, held_out = read_cases("shapes"), read_cases("held_out")
    assert len(shapes) == len({case.id for case in shapes}) == 36
    assert len(held_out) == len({case.id for case in held_out}) >= 20
    for cases in (shapes, held_out):
        assert {case.problem.ndim for case in cases} == {1, 2, 3}
    assert not {str(case.problem) for case in shapes} & {str(case.problem) for case in held_out}


@pytest.mark.parametrize("text", ["{", '{"id": 1}', '[{"id": "a"}]'])
def test_a_list_of_another_form(text: str, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(text)
    with pytest.raises(TrousError, match="must hold JSON objects of id, problem and why"):
        read_cases(str(path))


def test_a_list_or_layer_that_is_not_there() -> None:
    with pytest.raises(TrousError, match="list must be a JSON file or one of held_out, shapes, got 'missing'"):
        read_cases("missing")
    with pytest.raises(TrousError, match="id must be in the list shapes, got 'none'"):
        chosen(read_cases("shapes"), ["dw_d2", "none"], "shapes")


@pytest.mark.parametrize("training", [False, True], ids=["forward", "train"])
@pytest.mark.parametrize("case", [SMALL, LINE, CAUSAL], ids=lambda case: case.id)
def test_every_layout_of_everyone_is_right(case: Case, training: bool, contenders: list[Contender]) -> None:
    able = [c for c in contenders if c.peer.trains or not training]
    result = measure(case, able, training, seconds=0.2)
    assert result.out == {}
    assert set(result.seconds) == {c.name for c in able}
    assert min(result.seconds.values()) > 0
    assert result.best_peer() in TORCH.contenders + [name for peer in INSTALLED for name in peer.contenders]


def test_frozen_weights(contenders: list[Contender]) -> None:
    result = measure(SMALL, contenders, False, seconds=0.1, frozen=True)
    assert result.out == {}
    assert set(result.seconds) == {c.name for c in contenders}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sixteen_bits(dtype: str, contenders: list[Contender]) -> None:
    case = replace(LINE, problem=replace(LINE.problem, dtype=dtype))
    result = measure(case, contenders, False, seconds=0)
    # Nobody may be wrong, but ONNX Runtime has no bfloat16 on CPUs.
    assert {name: reason for name, reason in result.out.items() if "NOT_IMPLEMENTED" not in reason} == {}


def test_what_a_peer_cannot_do_does_not_stop_the_others(contenders: list[Contender]) -> None:
    result = measure(UNEVEN, [c for c in contenders if c.peer in (OURS, TORCH)], False, seconds=0)
    assert result.out == dict.fromkeys(TORCH.contenders, "PyTorch crops both ends of an axis alike")
    assert set(result.seconds) == set(OURS.contenders)


@pytest.mark.parametrize(
    ("kind", "limit", "reason"),
    [
        (Slip, 60, "wrong: output is off by up to 1"),
        (Sleeper, 2, "over 2 s"),
        (Crash, 60, "its process ended with exit code -11"),
    ],
)
def test_a_contender_that_is_out_says_why(kind: type[Peer], limit: float, reason: str) -> None:
    before = active_children()
    with lineup([like_ours(kind, "other")], threads=1, limit=limit) as (other,):
        for _ in range(2):  # and is there again for the next layer
            assert measure(LINE, [other], False, seconds=0) == Result(LINE, False, {}, {"other": reason})
    assert set(active_children()) == set(before)


@pytest.mark.slow
def test_trous_must_not_be_out(monkeypatch: pytest.MonkeyPatch) -> None:
    before, slip = active_children(), replace(like_ours(Slip, "trous"), key=OURS.key)
    monkeypatch.setattr("trous.bench.layers.OURS", slip)
    with pytest.raises(ArithmeticError, match=r"trous on line \(conv,n2.*\): wrong: output is off by up to 1"):
        measure_all([LINE], [], threads=1, seconds=0, limit=60)
    assert set(active_children()) == set(before)


def test_contenders_are_stopped_while_it_is_not_their_turn(contenders: list[Contender]) -> None:
    def state(contender: Contender) -> str:
        return Path(f"/proc/{contender._process.pid}/stat").read_text().rpartition(") ")[2][0]

    assert {state(contender) for contender in contenders if contender._process} == {"T"}


def test_a_library_that_is_not_installed() -> None:
    absent = Peer("absent", "Absent", "ours", ("numpy", "no_such_package"))
    assert absent.missing() == "no_such_package not installed"
    result = measure_all([LINE], [absent], threads=1, seconds=0, limit=60)
    assert [set(r.seconds) for r in result] == [set(OURS.contenders)]
    with pytest.raises(Out, match="ended with exit code 1"), lineup([absent], threads=1, limit=60):
        pass


def test_expected_results_are_torchs() -> None:
    import torch

    job = job_of(SMALL.problem, training=True, threads=1)
    assert job.b is not None and job.dy is not None
    x, w, b, dy = (torch.from_numpy(a).double() for a in (job.x, job.w, job.b, job.dy))
    leaves = [x.requires_grad_(), w.requires_grad_()]
    y = torch.nn.functional.conv_transpose2d(x, w, b, 2, 1, 1, 2, 2)
    right = [r.detach().float().numpy() for r in (y, *torch.autograd.grad(y, leaves, dy))]
    exact = expected(job)
    assert difference(exact, right) is None
    assert all(np.count_nonzero(r) > r.size / 2 for r in exact)
    assert difference(exact[:1], right) == "1 results, not 3"
    exact[2][0, 0, 0, 0] += 2
    assert difference(exact, right) == "weight gradient is off by up to 2"
    assert difference([exact[0][:, :1]], right[:1]) == "output has shape (1, 1, 12, 14), not (1, 4, 12, 14)"


def test_rounding_to_bfloat16_is_torchs() -> None:
    import torch

    exact = np.concatenate([np.arange(-700.0, 700), [2**24 + 2**16, 3.0e38]])
    assert np.array_equal(rounded(exact, "bfloat16"), torch.from_numpy(exact).bfloat16().float().numpy())


def test_cost_of_a_layer() -> None:
    # 5 outputs (9 + 4 - 5) // 2 + 1, of which the outer two miss one tap of three: 13 taps, 3 channels to 2, batch 2.
    forward = Result(LINE, False, {"trous": 1})
    assert forward.flops == 2 * 13 * 3 * 2 * 2
    assert forward.bytes == 4 * (2 * 3 * 9 + 2 * 3 * 3 + 2 * 2 * 5)
    training = Result(LINE, True, {"trous": 1})
    assert (training.flops, training.bytes) == (3 * forward.flops, 3 * forward.bytes)
