"""Tables, summaries and files say what was measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from trous.bench.layers import Result
from trous.bench.lists import Case
from trous.bench.peers import PEERS, Peer
from trous.bench.report import Report
from trous.bench.roofline import WAYS, Roofline
from trous.problem import Problem

SQUARE = Case("square", Problem.parse("conv_transpose,n1,c3-2,x5x6,k3x3,s2,p1,op1"), "a test")
LINE = Case("line", Problem.parse("conv,n1,c3-2,x9,k3,d2"), "a test")
LINE_SECONDS = {
    "trous": 0.002,
    "trous, channels last": 0.004,
    "PyTorch": 0.002,
    "PyTorch, channels last": 0.001,
    "Other": 0.016,
    "Other, channels last": 0.032,
}
#: One multiply-add takes 10 us, one byte 1 us, whatever the size.
LIMITS = Roofline(2, 2e5, "a test's", {way: {1: 1e6, 1 << 30: 1e6} for way in WAYS})
OTHER = Peer("other", "Other", "ours", ())
ABSENT = Peer("absent", "Absent", "ours", ("no_such_package",))


@pytest.fixture
def report() -> Report:
    square = {name: 2 * seconds for name, seconds in LINE_SECONDS.items() if "Other" not in name}
    out = {"Other": "over 2 s", "Other, channels last": "over 2 s"}
    results = [Result(SQUARE, False, square, out), Result(LINE, False, LINE_SECONDS)]
    return Report(results, LIMITS, [PEERS[0], OTHER, ABSENT])


def test_rows(report: Report) -> None:
    # line: 5 outputs of 3 taps, 3 channels to 2: 90 multiply-adds take 0.9 ms, (27 + 18 + 10) floats 0.22 ms.
    assert report.header() == (
        *("layer", "input", "ms", "GFLOP/s", "roof", "PyTorch", "PyTorch, channels last", "Other", "best"),
    )
    assert report.rows()[2:] == [
        ("line", "first", "2.000", "0.0", "45%", "1.00", "0.50", "8.00", "0.50"),
        ("line", "last", "4.000", "0.0", "22%", "0.50", "0.25", "4.00", "0.25"),
    ]
    assert [row[7] for row in report.rows()[:2]] == ["", ""]


def test_the_limit_is_the_longer_time() -> None:
    assert LIMITS.seconds(flops=200, moved=100) == pytest.approx(1e-3)
    assert LIMITS.seconds(flops=200, moved=3000) == pytest.approx(3e-3)
    falling = Roofline(1, 1.0, "", {way: {100: 1e6, 10000: 1e4} for way in WAYS})
    assert [falling.bandwidth(size) for size in (1, 1000, 10**6)] == pytest.approx([1e6, 1e5, 1e4])


def test_summary(report: Report) -> None:
    header, rows = report.summary()
    assert header == ["all layers", "first", "worst", "layer", "last", "worst", "layer"]
    assert rows[0] == ["over PyTorch", "1.00", "1.00", "square", "0.50", "0.50", "square"]
    assert rows[2] == ["over Other", "8.00", "8.00", "line", "4.00", "4.00", "line"]
    assert rows[3] == ["over best", "0.50", "0.50", "square", "0.25", "0.25", "square"]
    assert rows[4][4:] == [*rows[4][4:5], "22%", "line"]


def test_notes(report: Report) -> None:
    assert report.notes() == [
        "Absent: no_such_package not installed",
        "Other: over 2 s (square)",
        "Other, channels last: over 2 s (square)",
    ]


def test_a_training_step_leaves_out_who_has_no_gradients() -> None:
    report = Report([Result(LINE, True, LINE_SECONDS)], LIMITS, [PEERS[0], OTHER])
    assert "Other" not in report.header()
    assert report.notes() == ["Other: no training here"]


def test_the_files_that_are_written(report: Report, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    record = report.record("two", seconds=1)
    assert record.title == "two: 2 layers, float32, forward, 2 threads"
    paths = record.write(folder)
    assert sorted(folder.iterdir()) == sorted(paths)  # and no temporary file beside them
    assert [path.name[10:] for path in paths] == [f"-two-float32-forward.{kind}" for kind in ("json", "md", "png")]
    document, page, drawn = json.loads(paths[0].read_text()), paths[1].read_text(), paths[2].read_bytes()
    assert [r["id"] for r in document["results"]] == ["square", "line"]
    assert document["results"][1]["seconds"] == LINE_SECONDS
    assert document["results"][1]["roofline_seconds"] == pytest.approx(9e-4)
    assert {"cpu", "cores", "torch", "commit"} <= document["machine"].keys()
    assert "| line | first | 2.000 | 0.0 | 45% | 1.00 | 0.50 | 8.00 | 0.50 |" in page
    assert "| line | 2.000 | 4.000 | 2.000 | 1.000 | 16.000 | 32.000 |" in page
    assert f"]({paths[2].name})" in page
    assert drawn.startswith(b"\x89PNG")


def test_frozen_weights_are_said_to_be_frozen(report: Report) -> None:
    record = replace(report, frozen=True).record("two", seconds=1)
    assert record.title.endswith("2 threads, frozen weights")
    assert record.name == "two-float32-forward-frozen"
    assert record.document["frozen"]
    assert any(fact.startswith("frozen weights: trous and torch.compile") for fact in record.facts)


def test_without_matplotlib_there_is_no_plot(report: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("trous.bench.report.find_spec", lambda _: None)
    record = report.record("two", seconds=1)
    assert record.facts[-1] == "no plot: matplotlib is not installed"
    assert [path.suffix for path in record.write(tmp_path)] == [".json", ".md"]
