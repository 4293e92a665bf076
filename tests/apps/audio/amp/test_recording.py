"""What is read of two files, and what the user hears where they do not belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apps.audio.amp.playing import amplifier, guitar, late
from trous.apps.audio import sound
from trous.apps.audio.amp.recording import Recording, read_recording
from trous.errors import TrousError

RATE, CONTEXT = 8000, 400


@pytest.fixture(scope="module")
def played() -> np.ndarray:
    return guitar(32, RATE)


def read(
    folder: Path, played: np.ndarray, heard: np.ndarray, rates: tuple[int, int] = (RATE, RATE), **options: float
) -> tuple[Recording, list[str]]:
    sound.write(folder / "di.wav", played, rates[0], subtype="FLOAT")
    sound.write(folder / "amp.wav", heard, rates[1], subtype="FLOAT")
    return read_recording(folder / "di.wav", folder / "amp.wav", CONTEXT, **options)  # type: ignore[arg-type]


def test_the_two_are_aligned_and_split(tmp_path: Path, played: np.ndarray) -> None:
    recording, warnings = read(tmp_path, played, late(amplifier(played), 123))
    assert warnings == []
    shift = recording.alignment.shift
    assert 100 < shift <= 123
    assert np.array_equal(recording.input, played[: len(recording.input)])
    assert np.array_equal(recording.target, late(amplifier(played), 123)[shift:][: len(recording.target)])
    assert len(recording.input) == len(recording.target)
    assert recording.held_out - recording.learned == CONTEXT
    assert recording.seconds[1] == pytest.approx(3.2, abs=0.05)
    assert read(tmp_path, played, amplifier(played), held_out=5)[0].seconds[1] == pytest.approx(5)


def test_silence_at_the_end_is_left_out(tmp_path: Path, played: np.ndarray) -> None:
    quiet = np.pad(played, (0, 5 * RATE))
    recording, _ = read(tmp_path, quiet, amplifier(quiet))
    assert len(recording.input) < len(played) + 100


def test_channels_that_are_alike_are_one(tmp_path: Path, played: np.ndarray) -> None:
    heard = amplifier(played)
    one, _ = read(tmp_path, played, heard)
    two, _ = read(tmp_path, np.stack([played, played]), heard)
    assert np.array_equal(one.input, two.input)
    with pytest.raises(TrousError, match="target must have one channel, or several that are alike, got '2 that"):
        read(tmp_path, played, np.stack([heard, heard[::-1]]))


def test_what_is_odd_is_said(tmp_path: Path, played: np.ndarray) -> None:
    heard = amplifier(played)

    def said(played: np.ndarray, heard: np.ndarray) -> str:
        return "; ".join(read(tmp_path, played, heard)[1])

    assert said(played[: 10 * RATE], heard[: 10 * RATE]).startswith("10 s are little to learn from")
    assert "the target is clipped at " in said(played, np.clip(3 * heard, -1, 1))
    assert "the input is clipped at " in said(np.clip(9 * played, -1, 1), amplifier(np.clip(9 * played, -1, 1)))
    assert "the input goes on for 2.0 s more" in said(played, heard[: -2 * RATE])
    assert "comes 10.0 ms before the input; are the files swapped" in said(played, late(heard, -80))
    assert "amplifiers compress; are the files swapped" in said(amplifier(played, 30), played)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda di, amp: (di, amp, (RATE, 2 * RATE)), "target must have the rate of the input, 8000 Hz"),
        (lambda di, amp: (di, 0 * amp), "target must be more than silence"),
        (lambda di, amp: (1e-5 * di, amp), "input must be more than silence"),
        (lambda di, amp: (di, -0.5 * di), "target must be what came out of the amplifier, and is the input"),
        (lambda di, amp: (di, amp[::-1]), "target must be what the amplifier made of the input"),
        (lambda di, amp: (di[:4000], amp[:4000]), "input must go on for "),
    ],
)
def test_errors(tmp_path: Path, played: np.ndarray, change: object, said: str) -> None:
    with pytest.raises(TrousError, match=said):
        read(tmp_path, *change(played, amplifier(played)), crop=8000)  # type: ignore[operator]


def test_errors_of_options(tmp_path: Path, played: np.ndarray) -> None:
    heard = amplifier(played)
    with pytest.raises(TrousError, match=r"held_out must be more than 0 and less than the 3\d\.\d s"):
        read(tmp_path, played, heard, held_out=40)
    with pytest.raises(TrousError, match="latency must leave something of both recordings, got 1000000"):
        read(tmp_path, played, heard, latency=1000000)
    quiet = heard * np.r_[np.ones(20 * RATE), np.full(len(heard) - 20 * RATE, 2e-3)].astype(np.float32)
    with pytest.raises(TrousError, match="held_out must hold more than silence"):
        read(tmp_path, played, quiet)


def test_files_that_cannot_be_read_are_named_by_their_part(tmp_path: Path, played: np.ndarray) -> None:
    read(tmp_path, played, amplifier(played))
    with pytest.raises(TrousError, match="input must be a file that is there"):
        read_recording(tmp_path / "absent.wav", tmp_path / "amp.wav", CONTEXT)
    (tmp_path / "amp.wav").write_bytes(b"noise" * 1000)
    with pytest.raises(TrousError, match="target must be a sound file that is whole"):
        read_recording(tmp_path / "di.wav", tmp_path / "amp.wav", CONTEXT)
