"""`trous solve` and `trous stack` as a user meets them."""

from __future__ import annotations

import json
import sys

import pytest

import trous
from trous.cli import main


def run(text: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", *text.split()])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


@pytest.mark.parametrize("command", ["solve", "stack"])
def test_help(command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"{command} --help", monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "Examples:\n" in printed and f"  trous {command} " in printed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("solve 64 256", ["64 -> 256: 59 specs, best first", "4*input", "and 47 more (--limit, --all)"]),
        ("solve 64x48 128x96 --kernel 4 --dilation 1 --stride 2", ["64 -> 128, 48 -> 96: 1 spec"]),
        ("solve 32-256 --factor 2 --kernel 1,3-4 --limit 2", ["n = 32..256 -> 2*n", "more (--limit"]),
        ("solve --factor 1/2 --kind conv --kernel 3", ["n -> n/2"]),
        ("solve 8 8 --kernel 4 --dilation 1 --asymmetric", ["1:2"]),
        ("solve --factor 2x1/2", ["no spec within", "not all of them by one kind"]),
        ("stack 22050 --kernel 3 --channels 2", ["10 layers of kernel 3 see 22,051 inputs", "dilation 1", "stride 2"]),
        ("stack 100 --kernel 2-8 --objective multiplications", ["one kernel"]),
    ],
)
def test_what_is_printed(
    text: str, said: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(text, monkeypatch) == ("no spec within" in said)
    printed = capsys.readouterr().out
    assert all(part in printed for part in said)


def test_all_of_them(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("solve 64 256 --all", monkeypatch) == 0
    assert capsys.readouterr().out.count("ConvTranspose") == len(trous.solve(64, 256)) == 59


def test_nothing_found(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("solve 64 128 --kernel 3 --stride 2 --output-padding 0", monkeypatch) == 1
    assert "nearest outputs of 64 within the ranges: 127 and 129" in capsys.readouterr().out


def test_json(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("solve 64 256 --json --limit 3", monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["count"] == 59 and len(told["specs"]) == 3 and told["advice"] == []
    assert told["specs"][0]["kernel"] == 4 and told["specs"][0]["overlap"] == "even"
    assert run("stack 16000 --json", monkeypatch) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layers"] == 14 and sum(told["dilations"]) == 15999
    assert [each["layers"] for each in told["designs"]] == [14, 15999, 1, 14]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("solve 64 a", "output_size must be a size, or one such as 64x48 or 32-256, got 'a'"),
        ("solve 64 8-4", "output_size must be a size"),
        ("solve 64", "output_size or factor must be given"),
        ("solve 64 8 --kernel 3..4", "kernel must be a number, a range such as 1-8, or several joined by commas"),
        ("solve 64 --factor half", "factor must be a number above 0"),
        ("solve 64 8 --kind pool", "kind must be one of conv, transposed"),
        ("stack 0", "receptive_field must be at least 1"),
        ("stack 9 --kernel 1", "kernel must be 2 to"),
    ],
)
def test_bad_input_is_one_line(
    text: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(text, monkeypatch) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"trous: {said}") and captured.out == ""
