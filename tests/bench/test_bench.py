"""The benchmark checks before it times, counts what the plan counts, and writes what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import trous
from trous.bench import report
from trous.bench.compare import OURS, OURS_LAST, THEIRS, THEIRS_LAST, Case, Result, compare, read_cases
from trous.problem import Problem

LIST = Path(__file__).parents[2] / "benchmarks" / "shapes.json"
SMALL = Case("small", Problem.parse("conv_transpose,n1,c3-2,x5x6,k3x3,s2,p1,op1,bias"), "a test")
LINE = Case("line", Problem.parse("conv,n1,c3-2,x9,k3,d2"), "a test")

RESULTS = [
    Result(SMALL, {OURS: 0.002, OURS_LAST: 0.001, THEIRS: 0.008, THEIRS_LAST: 0.004}),
    Result(LINE, {OURS: 0.002, THEIRS: 0.002}),
]


def test_the_list_of_layers() -> None:
    cases = read_cases(LIST)
    assert len(cases) == len({case.id for case in cases}) == 36
    assert {case.problem.ndim for case in cases} == {1, 2, 3}
    assert all(str(Problem.parse(str(case.problem))) == str(case.problem) for case in cases)


@pytest.mark.parametrize(("case", "layouts"), [(SMALL, 4), (LINE, 2)], ids=["2d", "1d"])
def test_every_layout_is_checked_and_timed(case: Case, layouts: int) -> None:
    result = compare(case, seconds=0)
    assert len(result.seconds) == layouts
    assert min(result.seconds.values()) > 0


def test_a_wrong_result_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    right = trous.conv

    def wrong(*arguments, **options):
        y = right(*arguments, **options)
        y[0, 1, 4] += 1
        return y

    monkeypatch.setattr(trous, "conv", wrong)
    with pytest.raises(ArithmeticError, match=r"trous differs from float64 on line \(conv,n1,c3-2,x9,k3,d2\)"):
        compare(LINE, seconds=0)


def test_ratios_and_rates() -> None:
    square, line = RESULTS
    assert (square.ratio, square.best_ratio) == (4, 4)
    assert (line.ratio, line.best_ratio) == (1, 1)
    # 5 outputs of 3 taps, 3 channels to 2: 90 multiplications in 2 ms.
    assert line.gflops(OURS) == pytest.approx(2 * 90 / 0.002 / 1e9)


def test_summary() -> None:
    ratio, best = report.summary(RESULTS)
    assert ratio == "ratio: geometric mean 2.00, worst 1.00 (line)"
    assert best == "best: geometric mean 2.00, worst 1.00 (line)"


def test_the_files_that_are_written(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    paths = report.write(RESULTS, folder, "make bench")
    assert sorted(folder.iterdir()) == sorted(paths)  # and no temporary file beside them
    document, page = json.loads(paths[0].read_text()), paths[1].read_text()
    assert [r["id"] for r in document["results"]] == ["small", "line"]
    assert document["results"][0]["seconds"] == RESULTS[0].seconds
    assert {"cpu", "cores", "threads", "torch", "commit"} <= document["machine"].keys()
    assert "| small | 2.000 | 1.000 | 8.000 | 4.000 |" in page
    assert "| line | 2.000 |  | 2.000 |  |" in page
    assert "`make bench`" in page
