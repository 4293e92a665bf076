"""Sound files as pieces: what is in them, what is left out, and what is said of folders that hold none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trous import TrousError
from trous.apps.audio.sound import write
from trous.apps.audio.wavenet.architecture import Architecture
from trous.apps.audio.wavenet.clips import SCALE, Pieces, files_in, read_clip, read_clips

SMALL: dict[str, Any] = {"layers": 3, "channels": 4, "skip": 4, "mels": 4, "strides": (4, 4), "sample_rate": 8000}
ARCHITECTURE = Architecture(**SMALL)


def noise(path: Path, seconds: float, rng: np.random.Generator, rate: int = 8000, channels: int = 1) -> np.ndarray:
    samples = rng.uniform(-0.5, 0.5, (channels, round(seconds * rate))).astype(np.float32)
    write(path, samples, rate)
    return samples


def read_all(folder: Path, columns: int, held_out: int = 1) -> Any:
    return read_clips(folder, ARCHITECTURE, columns, held_out, lambda n, total: None)


def test_a_clip_is_the_sound_between_silence(tmp_path: Path, rng: np.random.Generator) -> None:
    sound = noise(tmp_path / "a.wav", 0.1, rng, channels=2)
    clip = read_clip(tmp_path / "a.wav", ARCHITECTURE)
    assert clip.frames == 800
    np.testing.assert_allclose(clip.sound, sound.mean(0), atol=1 / SCALE)
    assert not clip.samples[: clip.begin].any() and clip.begin >= ARCHITECTURE.field
    assert len(clip.samples) == clip.begin + 800 + ARCHITECTURE.around * 16


def test_other_rates_are_resampled_and_the_last_column_is_whole(tmp_path: Path, rng: np.random.Generator) -> None:
    noise(tmp_path / "a.wav", 0.1, rng, rate=44100)
    assert read_clip(tmp_path / "a.wav", ARCHITECTURE).frames == 800
    noise(tmp_path / "a.wav", 0.0999, rng)
    assert read_clip(tmp_path / "a.wav", ARCHITECTURE).frames == 784


def test_files_are_split(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "deep").mkdir()
    for n in range(20):
        noise(tmp_path / ("deep" if n % 2 else "") / f"{n:02}.WAV".lower(), 0.05 if n else 0.001, rng)
    (tmp_path / "words.txt").write_text("none")
    told: list[tuple[int, int]] = []
    found = read_clips(tmp_path, ARCHITECTURE, 2, 5, lambda n, total: told.append((n, total)))
    assert told[-1] == (20, 20)
    assert (len(found.learnt), len(found.held_out), [path.name for path in found.short]) == (18, 1, ["00.wav"])
    assert not {clip.path for clip in found.learnt} & {clip.path for clip in found.held_out}


def test_pieces_have_what_the_middle_depends_on(tmp_path: Path, rng: np.random.Generator) -> None:
    noise(tmp_path / "a.wav", 0.1, rng)
    noise(tmp_path / "b.wav", 0.05, rng)
    clips = [read_clip(tmp_path / name, ARCHITECTURE) for name in ("a.wav", "b.wav")]
    silence, behind = ARCHITECTURE.silence, ARCHITECTURE.around * 16
    whole = Pieces(clips, ARCHITECTURE, 8)
    assert len(whole) == 800 // 128 + 400 // 128
    middles = np.concatenate([whole[n][silence : len(whole[n]) - behind] for n in range(6)])
    np.testing.assert_array_equal(middles, clips[0].sound[:768])
    np.testing.assert_array_equal(whole[7][silence:][:128], clips[1].sound[128:256])
    some = Pieces(clips, ARCHITECTURE, 8, 50, (3, 1))
    assert len(some) == 50 and {len(some[n]) for n in range(50)} == {silence + 128 + behind}
    np.testing.assert_array_equal(some[7], Pieces(clips, ARCHITECTURE, 8, 50, (3, 1))[7])
    assert (some[7] != Pieces(clips, ARCHITECTURE, 8, 50, (3, 2))[7]).any()


def test_folders_without_sound(tmp_path: Path, rng: np.random.Generator) -> None:
    with pytest.raises(TrousError, match=r"folder must hold \.wav files, and it is empty"):
        files_in(tmp_path)
    for name in ("a.mp3", "b.mp3", "notes.txt"):
        (tmp_path / name).write_text("")
    with pytest.raises(TrousError, match=r"and it has 3 of \.mp3, \.txt"):
        files_in(tmp_path)
    noise(tmp_path / "a.wav", 0.1, rng)
    noise(tmp_path / "b.wav", 0.01, rng)
    with pytest.raises(TrousError, match=r"must hold two \.wav files of 0\.10 s at least.* got '1 of 2 in"):
        read_all(tmp_path, 50)


def test_files_that_are_broken(tmp_path: Path, rng: np.random.Generator) -> None:
    noise(tmp_path / "a.wav", 0.1, rng)
    whole = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrousError, match=r"b\.wav"):
        read_all(tmp_path, 2)
    (tmp_path / "b.wav").write_text("no sound")
    with pytest.raises(TrousError, match=r"sound must be a sound file.*b\.wav"):
        read_all(tmp_path, 2)
