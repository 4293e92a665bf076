"""`trous audio latency` as a user meets it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

from trous.apps.audio import nam
from trous.apps.audio.latency.measure import NATIVE, PLAIN, PUSH, Latency, Timing, measure
from trous.apps.audio.latency.picture import picture
from trous.apps.audio.latency.subject import Facts, Subject, facts, of_module
from trous.apps.audio.nam.sizes import config
from trous.apps.audio.wavenet.architecture import Architecture
from trous.apps.audio.wavenet.files import save
from trous.apps.audio.wavenet.network import WaveNet
from trous.apps.audio.wavenet.recipe import Recipe
from trous.cli import main

MODULE = """
import torch
from torch import nn
import trous

def centred():
    return nn.Sequential(nn.Conv1d(2, 4, 5, padding=4, dilation=2), nn.Tanh(), nn.Conv1d(4, 1, 1))

class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(1, 3, batch_first=True)

    def forward(self, x):
        return self.layer(x.transpose(1, 2))[0].transpose(1, 2)

def strided():
    return nn.Conv1d(1, 4, 6, stride=2)

def whole():
    return nn.Sequential(nn.Conv1d(1, 4, 3), nn.GroupNorm(1, 4))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "some_sounds.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.delitem(sys.modules, "some_sounds", raising=False)
    return tmp_path


def trous(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", "audio", "latency", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


QUICK = ["--block", "1", "--block", "48", "--seconds", "0.01"]


def said(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    assert trous([*words, *QUICK, "--json"], monkeypatch) == 0
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_an_amp(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small = config("nano")
    for array in small["layers"]:
        array["dilations"] = [1, 4]
    network = nam.WaveNet(small)
    nam.save(nam.Amp(network, rate=48000), here / "a.nam")
    found = said(["a.nam"], monkeypatch, capsys)
    timings = found.pop("timings")
    assert found == {
        "model": "a.nam",
        "sample_rate": 48000,
        "receptive_field": 21,
        "receptive_field_ms": 0.4375,
        "delay": 0,
        "delay_ms": 0.0,
        "context": 20,
        "context_ms": 0.4167,
        "parameters": network.count - 1,  # the file has one weight more, the scale of the head
        "multiplications": found["multiplications"],
        "refused": None,
    }
    # Of every parameter but biases there is a multiplication a sample.
    assert isinstance(found["multiplications"], float)
    assert 0.8 * network.count < found["multiplications"] < network.count
    assert isinstance(timings, list)
    assert [(t["engine"], t["block"], t["blocks"]) for t in timings] == [
        (engine, block, count) for engine in (NATIVE, PUSH) for block, count in ((1, 480), (48, 20))
    ]
    for timing in timings:
        assert 0 < timing["median"] <= timing["high"] <= timing["worst"]
        lasts = timing["block"] / 48000
        assert timing["real_time"] == pytest.approx(lasts / timing["median"])
        assert timing["used"] == pytest.approx(timing["worst"] / lasts)


def test_a_wavenet_is_its_core(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    architecture = Architecture(layers=4, cycle=2, channels=4, skip=4, mels=0, sample_rate=16000)
    (here / "run").mkdir()
    save(
        WaveNet(architecture),
        Recipe(folder="x", layers=4, cycle=2, channels=4, skip=4, mels=0),
        here / "run/weights.safetensors",
    )
    found = said(["run", "--rate", "8000"], monkeypatch, capsys)
    assert (found["sample_rate"], found["receptive_field"], found["delay"]) == (8000, 7, 0)
    assert found["receptive_field_ms"] == 7 / 8
    assert found["refused"] is None


def test_a_module(here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    found = said(["some_sounds:centred"], monkeypatch, capsys)
    assert (found["receptive_field"], found["delay"], found["context"]) == (9, 4, 4)
    assert (found["parameters"], found["multiplications"]) == (2 * 4 * 5 + 4 + 5, 44.0)
    assert trous(["some_sounds:centred", *QUICK, "-o", "plot.svg"], monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "some_sounds:centred at 48,000 Hz" in printed
    assert "delay                     4 samples, 0.0833 ms" in printed
    assert "fused, native" in printed and "wrote plot.svg" in printed
    assert (here / "plot.svg").read_text().startswith("<?xml")


def test_what_the_fused_engine_refuses_is_timed_without(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = said(["some_sounds:Recurrent", "--channels", "1"], monkeypatch, capsys)
    assert (found["receptive_field"], found["context"]) == (None, None)
    assert "recurrent" in str(found["refused"]) and "\n" not in str(found["refused"])
    assert isinstance(found["timings"], list)
    assert {t["engine"] for t in found["timings"]} == {PLAIN}
    assert trous(["some_sounds:Recurrent", *QUICK], monkeypatch) == 0
    printed = capsys.readouterr().out
    assert "not fused: recurrent" in printed and "all that came before" in printed


def test_strides_are_counted_for_a_sample_of_the_input(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = facts(of_module("strided", torch.nn.Conv1d(1, 4, 6, stride=2)))[1]
    assert (found.receptive_field, found.multiplications) == (6, 12.0)


def test_seconds_are_of_sound_and_otherwise_of_the_wall() -> None:
    subject = Subject("one", torch.nn.Conv1d(1, 1, 3), 1)
    assert [t.blocks for t in measure(subject, [10], 0.1).timings] == [480, 480]
    assert all(t.blocks >= 1000 for t in measure(subject, [1]).timings)
    assert [t.block for t in measure(subject, [4, 2, 4], 0.001).timings] == [4, 2, 4, 2]


def test_the_picture_has_every_engine() -> None:
    times = [(engine, block) for engine in (NATIVE, PUSH) for block in (1, 8)]
    timings = [Timing(engine, n, 20, 1e-6 * n, 2e-6 * n, 3e-6 * n, 20, 0.1) for engine, n in times]
    found = Latency("x", 48000, Facts(1, 0, 0, 1, 1.0), None, tuple(timings))
    assert picture(found).startswith(b"\x89PNG")
    assert picture(found, ".svg") == picture(found, ".svg")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["absent.nam"], "absent.nam"),
        (["absent"], "model must be a .nam file, weights of trous train wavenet, or module:factory, got 'absent'"),
        (["some_sounds.py"], "must be a file of `trous train wavenet`"),
        (["some_sounds:absent"], "model must name what the module has"),
        (["some_sounds:whole"], "module cannot be streamed"),
        (["some_sounds:centred", "--block", "0"], "block must be from 1 to 65,536 samples, got 0"),
        (["some_sounds:centred", "--seconds", "0"], "seconds must be above 0, and 300 at most, got 0.0"),
        (["some_sounds:centred", "-o", "plot.pdf"], "output must end in .svg or .png, got 'plot.pdf'"),
        (["some_sounds:centred", *QUICK, "-o", "absent/plot.png"], "output must be in a folder that is there"),
        (["some_sounds.py", "--channels", "2"], "channels must be left out for a file, which says them, got 2"),
        (["some_sounds:centred", "--channels", "7"], "trous: "),
    ],
)
def test_errors_are_one_line(
    here: Path, words: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trous(words, monkeypatch) == 2
    lines = [
        line for line in capsys.readouterr().err.splitlines() if line and "mind:" not in line and line[:5] != "  in "
    ]
    assert len(lines) == 1 and told in lines[0]
