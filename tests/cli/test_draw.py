"""`trous draw` as a user meets it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import trous
from trous.apps.deconvolution import figures
from trous.cli import main
from trous.drawing import gallery

TRANSPOSED = "conv_transpose,c1-1,x3x3,k3x3,s2,p1"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["trous", "draw", *arguments])
    with pytest.raises(SystemExit) as exit_:
        main()
    return int(exit_.value.code or 0)


def test_the_default(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(TRANSPOSED, monkeypatch=monkeypatch) == 0
    said = "Transposed convolution 3×3, stride 2, padding 1: 25 steps, wrote drawing.svg\n"
    assert capsys.readouterr().out == said
    drawing = trous.draw(trous.ConvTranspose(3, stride=2, padding=1), (3, 3))
    assert (folder / "drawing.svg").read_text(encoding="utf-8") == drawing.svg()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([TRANSPOSED, "--numbers"], {"numbers": True}),
        ([TRANSPOSED, "--view", "overlap"], {"view": "overlap"}),
        ([TRANSPOSED, "--step", "7"], {"step": 7}),
    ],
)
def test_options(
    arguments: list[str], expected: dict[str, object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*arguments, "-o", "x.svg", monkeypatch=monkeypatch) == 0
    drawing = trous.draw(trous.ConvTranspose(3, stride=2, padding=1), (3, 3), **expected)  # type: ignore[arg-type]
    assert (folder / "x.svg").read_text(encoding="utf-8") == drawing.svg()


def test_channels_are_the_word_s(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("conv,c4-6,x5,k3,g2", "--view", "channels", "-o", "x.svg", monkeypatch=monkeypatch) == 0
    drawing = trous.draw(trous.Conv(3, groups=2), 5, channels=(4, 6))
    assert (folder / "x.svg").read_text(encoding="utf-8") == drawing.svg()


def test_several_words_are_a_stack(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["conv,c1-1,x9,k3,d2", "conv_transpose,c1-1,x5,k2,s2"]
    assert run(*words, "-o", "x.svg", monkeypatch=monkeypatch) == 0
    drawing = trous.draw([trous.Conv(3, dilation=2), trous.ConvTranspose(2, stride=2)], 9)
    assert (folder / "x.svg").read_text(encoding="utf-8") == drawing.svg()


def test_gif_in_the_dark(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(TRANSPOSED, "--dark", "-o", "x.gif", monkeypatch=monkeypatch) == 0
    with Image.open(folder / "x.gif") as opened:
        assert opened.n_frames == 25  # type: ignore[attr-defined]
        assert sum(opened.convert("RGB").getpixel((1, 1))) < 100  # type: ignore[arg-type]


def test_the_gallery(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(gallery, "GALLERY", gallery.GALLERY[:1])
    assert run("--gallery", "new/figures", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "wrote 2 files into new/figures\n"
    assert sorted(os.listdir(folder / "new/figures")) == ["no_padding_no_strides.gif", "no_padding_no_strides.svg"]


def test_the_pictures_of_deconvolution(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the work behind a bar; where no data is, it says what is left out."""
    given = []

    def drawn(into: Path, pixels: np.ndarray, root: Path | None, track: Any) -> Iterator[Path]:
        given.append((into, pixels.shape, root, list(track("Noise")([1, 2]))))
        yield into / "noise.svg"

    monkeypatch.setattr(figures, "draw", drawn)
    monkeypatch.delenv("TROUS_DATA", raising=False)
    assert run("--deconvolution", "new", monkeypatch=monkeypatch) == 0
    captured = capsys.readouterr()
    assert captured.out == "wrote 1 files into new\n"
    assert "without that of the encoder" in captured.err
    monkeypatch.setenv("TROUS_DATA", str(folder))
    assert run("--deconvolution", "new", monkeypatch=monkeypatch) == 0
    assert "encoder" not in capsys.readouterr().err
    assert given == [(Path("new"), (3, 300, 451), root, [1, 2]) for root in (None, folder)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "layers must be one at least, as in: trous draw conv_transpose,"),
        (["conv,c1-1,x5,k3", "-o", "x.pdf"], "path must end in one of .svg, .png, .gif, .html, got 'x.pdf'"),
        (["conv,c1-1,x5,k3", "-o", "missing/x.svg"], "path must be where a file can be written (No such file"),
        (["conv,c1-1,x5,k3", "--view", "film"], "view must be one of taps, matrix,"),
        (["conv,c1-1,x5,k3", "--step", "3"], "step must be from 0 to 2, got 3"),
        (["conv,c1-1,x5,k9"], "kernel must fit into the padded input"),
        (["conv,c1-1,x5,k3", "conv,c1-1,x5,k3"], "size must be what conv,n1,c1-1,x5,k3 gives, (3,), got (5,)"),
        (["conv,c1-1,x5,k3", "--gallery", "x"], "gallery must be asked for without layers"),
        (["conv,c1-1,x5,k3", "--deconvolution", "x"], "deconvolution must be asked for without layers"),
    ],
)
def test_bad_input_is_one_message(
    arguments: list[str], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, monkeypatch=monkeypatch) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"trous: {said}")
    assert captured.out == ""
    assert os.listdir(folder) == []


MODEL = "trous.drawing.examples:encoder_decoder"


def test_a_model(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from trous.drawing.examples import encoder_decoder

    assert run(MODEL, "-i", "1,3,32,32", "--view", "network", "-o", "net.svg", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "UNet: 29 layers, wrote net.svg\n"
    expected = trous.draw(encoder_decoder(), (1, 3, 32, 32), view="network")
    assert (folder / "net.svg").read_text(encoding="utf-8") == expected.svg()
    assert run(MODEL, "-i", "32", "--layer", "down.1.0", "-o", "x.svg", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "UNet down.1.0: effective receptive field, wrote x.svg\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([MODEL, "--numbers", "-i", "32"], "numbers must be left out for a model"),
        ([MODEL], "input_size must be given"),
        (["nothing.onnx"], "model must be module:factory or the path of an ONNX file that is there"),
        (["trous.nothing:model", "-i", "32"], "model must name a module that can be imported"),
        ([TRANSPOSED, "-i", "32"], "input must be left out but for a model"),
    ],
)
def test_what_a_model_cannot(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, monkeypatch=monkeypatch) != 0
    assert said in capsys.readouterr().err
