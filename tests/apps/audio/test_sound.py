"""Sound files: what is read is what is in them, at any rate; what is written is whole or not there."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile

from trous.apps.audio import sound
from trous.errors import TrousError

#: A WAV file of one channel, 48 kHz, 16 bits, and no frame.
HEADER = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\xbb\0\0\0\x77\1\0\2\0\x10\0data\0\0\0\0"


def tone(frames: int, rate: int, hertz: float = 440.0, channels: int = 1) -> np.ndarray:
    phases = 2 * np.pi * hertz * np.arange(frames) / rate
    return np.stack([0.5 * np.sin(phases + channel) for channel in range(channels)]).astype(np.float32)


@pytest.fixture
def stereo(tmp_path: Path) -> Path:
    path = tmp_path / "stereo.wav"
    soundfile.write(path, tone(5000, 44100, channels=2).T, 44100, subtype="FLOAT")
    return path


def test_what_a_file_says(stereo: Path) -> None:
    said = sound.facts(stereo)
    assert (said.rate, said.channels, said.frames, said.format, said.subtype) == (44100, 2, 5000, "WAV", "FLOAT")
    assert said.seconds == pytest.approx(5000 / 44100)


def test_a_file_is_read_whole_and_in_blocks(stereo: Path) -> None:
    whole, rate = sound.read(stereo)
    assert rate == 44100
    assert whole.dtype == np.float32 and whole.flags.c_contiguous
    assert np.array_equal(whole, tone(5000, 44100, channels=2))
    parts = list(sound.blocks(stereo, 700))
    assert {part.shape[1] for part in parts[:7]} == {700}
    assert np.array_equal(np.concatenate(parts, axis=1), whole)
    mono, _ = sound.read(stereo, mono=True)
    assert np.allclose(mono, whole.mean(axis=0, keepdims=True), atol=1e-7)


@pytest.mark.parametrize("rate", [48000, 22050, 96000, 11025])
def test_another_rate_is_the_same_sound(stereo: Path, rate: int) -> None:
    """As long, without delay: a tone becomes that tone as it is at the other rate, but for the ends."""
    got, said = sound.read(stereo, rate=rate)
    assert said == rate
    assert got.shape == (2, sound.frames_at(5000, 44100, rate))
    inside = slice(rate // 50, -(rate // 50))
    assert np.abs(got - tone(got.shape[1], rate, channels=2))[:, inside].max() < 2e-5


@pytest.mark.parametrize("frames", [1, 64, 999])
def test_blocks_of_any_size_are_resampled_alike(stereo: Path, frames: int) -> None:
    whole, _ = sound.read(stereo, rate=48000)
    parts = np.concatenate(list(sound.blocks(stereo, frames, rate=48000)), axis=1)
    assert parts.shape == whole.shape
    assert np.abs(parts - whole).max() < 1e-6


@pytest.mark.parametrize(("frames", "rate", "wanted", "expected"), [(1, 2, 1, 1), (2, 2, 1, 1), (1, 48000, 11025, 0)])
def test_very_short_sounds(frames: int, rate: int, wanted: int, expected: int) -> None:
    resampler = sound.Resampler(rate, wanted, 1)
    block = np.ones((1, frames), np.float32)
    given = resampler.push(block).shape[1] + resampler.flush().shape[1]
    assert given == expected == sound.frames_at(frames, rate, wanted)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".w64", ".caf"])
def test_integers_come_back_as_they_were(tmp_path: Path, suffix: str, subtype: str) -> None:
    full = 1 << sound.BITS[subtype] - 1
    rng = np.random.default_rng(1)
    whole = (rng.integers(-full, full, (2, 1000)) / full).astype(np.float32)
    sound.write(tmp_path / f"a{suffix}", whole, 48000, subtype=subtype)
    again, rate = sound.read(tmp_path / f"a{suffix}")
    assert rate == 48000
    assert np.array_equal(again, whole)
    assert sound.facts(tmp_path / f"a{suffix}").subtype == subtype


def test_samples_go_to_the_nearest_value(tmp_path: Path) -> None:
    steps = np.array([[0.6, -0.6, 0.4, -0.4, 32766.6, -32767.6]], np.float32)
    sound.write(tmp_path / "a.wav", steps / 32768, 8000, subtype="PCM_16")
    assert (sound.read(tmp_path / "a.wav")[0] * 32768).tolist() == [[1, -1, 0, 0, 32767, -32768]]


def test_clipping_is_counted(tmp_path: Path) -> None:
    with sound.writing(tmp_path / "a.wav", 8000, 2) as file:
        file.write(np.array([[0.5, 1.0, 2.0], [-1.0, -1.5, 0.0]], np.float32))
    assert (file.frames, file.clipped, file.peak) == (3, 2, 2.0)
    assert np.allclose(sound.read(tmp_path / "a.wav")[0], [[0.5, 1, 1], [-1, -1, 0]], atol=2e-7)


def test_the_kind_of_samples_follows_the_input(tmp_path: Path) -> None:
    def made(name: str, **options: str) -> sound.Facts:
        soundfile.write(tmp_path / name, tone(2000, 48000)[0], 48000, **options)
        return sound.facts(tmp_path / name)

    assert sound.subtype_like(made("a.wav", subtype="PCM_16"), "b.wav") == "PCM_16"
    assert sound.subtype_like(made("a.wav", subtype="FLOAT"), "b.wav") == "FLOAT"
    assert sound.subtype_like(made("a.wav", subtype="FLOAT"), "b.flac") == "PCM_24"
    assert sound.subtype_like(made("a.wav", subtype="PCM_U8"), "b.wav") == "PCM_24"
    assert sound.subtype_like(made("a.ogg"), "b.wav") == "PCM_24"


def test_what_stops_in_the_middle_leaves_what_was_there(stereo: Path) -> None:
    before = stereo.read_bytes()
    with pytest.raises(RuntimeError), sound.writing(stereo, 48000, 1) as file:
        file.write(tone(100, 48000))
        raise RuntimeError
    assert stereo.read_bytes() == before
    assert [path.name for path in stereo.parent.iterdir()] == [stereo.name]


def test_a_full_disk_is_said(stereo: Path) -> None:
    before = stereo.read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
        with pytest.raises(TrousError, match="target must be where a file can be written"):
            sound.write(stereo, tone(50_000, 48000), 48000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert stereo.read_bytes() == before
    assert len(list(stereo.parent.iterdir())) == 1


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".w64", ".flac", ".mp3"])
def test_a_file_that_was_cut(tmp_path: Path, suffix: str) -> None:
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    soundfile.write(whole, tone(48000, 48000)[0], 48000)
    assert sound.read(whole)[0].shape[1] == 48000
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.raises(TrousError, match=r"cut short|is whole"):
        sound.read(cut)


def test_a_size_that_could_not_be_known_means_all_there_is(stereo: Path) -> None:
    content = bytearray(stereo.read_bytes())
    for at in (4, content.index(b"data") + 4):
        content[at : at + 4] = b"\xff" * 4
    stereo.write_bytes(content)
    assert sound.read(stereo)[0].shape[1] == 5000


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_not_finite(tmp_path: Path, value: float) -> None:
    samples = tone(5000, 8000)[0]
    samples[4000] = value
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(TrousError, match=r"frame 4000 \(0\.50 s\) is not"):
        sound.read(tmp_path / "a.wav", rate=16000)
    with pytest.raises(TrousError, match="finite"):
        sound.write(tmp_path / "b.wav", samples, 8000)
    assert not (tmp_path / "b.wav").exists()


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("absent.wav", None, "that is there"),
        ("empty.wav", b"", "this one is empty"),
        ("text.wav", b"a letter, and no sound", "must be a sound file"),
        ("raw.raw", b"\0" * 1000, "does not say what it is"),
        (
            "header.wav",
            b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\xbb\0\0\0\x77\1\0\2\0\x10\0data\0\0\0\0",
            "samples",
        ),
    ],
)
def test_files_that_are_no_sound(tmp_path: Path, name: str, content: bytes | None, rule: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    for reader in (sound.facts, sound.read):
        with pytest.raises(TrousError, match=rule):
            reader(tmp_path / name)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg"])
def test_a_hundred_megabytes_of_noise(tmp_path: Path, suffix: str) -> None:
    with open(tmp_path / f"noise{suffix}", "wb") as file:
        file.write(os.urandom(100_000))
        file.truncate(100_000_000)
    with pytest.raises(TrousError, match="must be a sound file"):
        sound.read(tmp_path / f"noise{suffix}")


def test_targets_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(TrousError, match=r"must end in \.wav, \.flac"):
        sound.write(tmp_path / "a.mp3", tone(10, 8000), 8000)
    with pytest.raises(TrousError, match="one that FLAC has"):
        sound.write(tmp_path / "a.flac", tone(10, 8000), 8000, subtype="FLOAT")
    with pytest.raises(TrousError, match="where a file can be written"):
        sound.write(tmp_path / "none" / "a.wav", tone(10, 8000), 8000)


def test_files_above_four_gigabytes_get_a_header_that_counts_so_far(tmp_path: Path) -> None:
    for frames, form in ((None, "WAV"), (700_000_000, "WAV"), (720_000_000, "RF64")):
        with sound.writing(tmp_path / "a.wav", 48000, 2, frames=frames) as file:
            file.write(tone(10, 48000, channels=2))
        assert sound.facts(tmp_path / "a.wav").format == form
        assert sound.facts(tmp_path / "a.wav").frames == 10
