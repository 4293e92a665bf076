"""Sound files: read whole or block by block, at any rate; written in one step.

Samples are float32 arrays `(channels, frames)`, full scale at 1. Files are decoded and encoded by libsndfile, rates
changed by soxr, whose filters have linear phase: what it gives lies where the sound was, no frame late.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr

from trous.errors import TrousError
from trous.files import replacing

#: Frames that are read at a time.
BLOCK = 1 << 16
#: What is written, by suffix.
FORMATS = {".wav": "WAV", ".flac": "FLAC", ".aif": "AIFF", ".aiff": "AIFF", ".caf": "CAF", ".w64": "W64"}
#: Bits of a sample in the kinds of samples that are integers.
BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_FLOATS = "FLOAT", "DOUBLE"
#: Bytes that a WAV file's header can count; longer files get the header that RF64 defines (EBU Tech 3306).
_WAV_BYTES = 0xFFFFFFFF - 1024
#: What libsndfile notes where a chunk of samples is said to be longer than the file has bytes for.
_CUT = re.compile(r"^\s*(?:data|SSND|riff)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
#: Sizes that say "until the end": written by programs that could not know it.
_UNKNOWN = 0, 0xFFFFFFFF


@dataclass(frozen=True)
class Facts:
    """What a sound file says of itself: frames a second, channels, frames; format and kind of samples."""

    path: Path
    rate: int
    channels: int
    frames: int
    format: str
    subtype: str

    @property
    def seconds(self) -> float:
        return self.frames / self.rate


def facts(path: str | Path) -> Facts:
    """What a sound file says of itself.

    Raises TrousError for a file that is not there, holds no sound, is shorter than it says, or has no samples.
    """
    with _open(Path(path)) as file:
        return _facts(Path(path), file)


def frames_at(frames: int, rate: int, wanted: int) -> int:
    """How many frames a sound has at another rate: as long in seconds, to the nearest frame."""
    return (2 * frames * wanted + rate) // (2 * rate)


def read(path: str | Path, rate: int | None = None, *, mono: bool = False) -> tuple[np.ndarray, int]:
    """The whole of a sound file, float32 `(channels, frames)`, and its rate.

    Args:
        path: the file.
        rate: frames a second to change it to; as it is, if not given.
        mono: give one channel, the mean of all.

    Raises:
        TrousError: as `facts`, and for samples that are not finite.
    """
    parts = list(blocks(path, rate=rate, mono=mono))
    return np.concatenate(parts, axis=1), rate or facts(path).rate


def blocks(
    path: str | Path, frames: int = BLOCK, *, rate: int | None = None, mono: bool = False
) -> Iterator[np.ndarray]:
    """A sound file in pieces, as `read` would give it whole: `frames` frames each as they are in the file, or fewer.

    With `rate` the pieces have what comes of these at that rate; some may be empty. Memory is for one piece.
    """
    path = Path(path)
    with _open(path) as file:
        said = _facts(path, file)
        channels = 1 if mono else said.channels
        resampler = Resampler(said.rate, rate or said.rate, channels)
        for block in _decoded(file, said, frames):
            yield resampler.push(block.mean(axis=0, keepdims=True, dtype=np.float32) if mono else block)
        yield resampler.flush()


def _open(path: Path) -> soundfile.SoundFile:
    if not path.is_file():
        raise TrousError("sound", "must be a file that is there", str(path))
    if path.stat().st_size == 0:
        raise TrousError("sound", "must be a sound file, and this one is empty", str(path))
    try:
        return soundfile.SoundFile(str(path))
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: .raw files, which do not say what they are
        rule = f"must be a sound file that is whole, such as WAV or FLAC ({_reason(error)})"
        raise TrousError("sound", rule, str(path)) from None


def _reason(error: Exception) -> str:
    return getattr(error, "error_string", "it does not say what it is").removeprefix("Error : ").rstrip(".")


def _facts(path: Path, file: soundfile.SoundFile) -> Facts:
    for said, found in _CUT.findall(file.extra_info):
        if int(said) > int(found) and int(said) not in _UNKNOWN:
            rule = f"must have all the bytes that its header says, {said}; it was cut short after {found}"
            raise TrousError("sound", rule, str(path))
    if file.frames < 1:
        raise TrousError("sound", "must have samples", str(path))
    return Facts(path, file.samplerate, file.channels, file.frames, file.format, file.subtype)


def _decoded(file: soundfile.SoundFile, said: Facts, frames: int) -> Iterator[np.ndarray]:
    done = 0
    while True:
        try:
            block = file.read(frames, dtype="float32", always_2d=True).T
        except soundfile.LibsndfileError as error:
            rule = f"must be a sound file that is whole, and at {done / said.rate:.2f} s it is not ({_reason(error)})"
            raise TrousError("sound", rule, str(said.path)) from None
        if not block.size:
            break
        if not np.isfinite(block).all():
            frame = done + int(np.argmin(np.isfinite(block).all(axis=0)))
            rule = f"must have finite samples, and frame {frame} ({frame / said.rate:.2f} s) is not"
            raise TrousError("sound", rule, str(said.path))
        done += block.shape[1]
        yield np.ascontiguousarray(block)
    if done < said.frames:
        rule = f"must have all the {said.frames} frames that it says; it was cut short after {done}"
        raise TrousError("sound", rule, str(said.path))


class Resampler:
    """Blocks of a sound to blocks of it at another rate: `push` each, `flush` at the end.

    All that it gives together has `frames_at` frames. What comes later than it was pushed is some milliseconds.
    """

    def __init__(self, rate: int, wanted: int, channels: int) -> None:
        self.rate, self.wanted, self.channels = rate, wanted, channels
        self._stream = None if rate == wanted else soxr.ResampleStream(rate, wanted, channels, "float32", "VHQ")
        self._received = self._given = 0

    def push(self, block: np.ndarray) -> np.ndarray:
        """What is known after this block, float32 `(channels, frames)`; may be empty."""
        if self._stream is None:
            return block
        self._received += block.shape[1]
        return self._out(self._stream.resample_chunk(np.ascontiguousarray(block.T)).T)

    def flush(self) -> np.ndarray:
        """The rest, the sound being over."""
        if self._stream is None:
            return np.empty((self.channels, 0), np.float32)
        rest = self._stream.resample_chunk(np.empty((0, self.channels), np.float32), last=True).T
        lacking = frames_at(self._received, self.rate, self.wanted) - self._given
        return self._out(np.pad(rest, ((0, 0), (0, max(0, lacking - rest.shape[1]))))[:, :lacking])

    def _out(self, samples: np.ndarray) -> np.ndarray:
        self._given += samples.shape[1]
        return np.ascontiguousarray(samples)


def subtype_like(source: Facts, target: str | Path) -> str:
    """The kind of samples for a file that is made of `source`: the same where the format has it, else 24 bits."""
    subtype = source.subtype if source.subtype in (*BITS, *_FLOATS) else "PCM_24"
    return subtype if soundfile.check_format(_format(Path(target)), subtype) else "PCM_24"


def _format(path: Path) -> str:
    if path.suffix.lower() not in FORMATS:
        raise TrousError("target", f"must end in {', '.join(FORMATS)}", str(path))
    return FORMATS[path.suffix.lower()]


class Writer:
    """A sound file that grows by blocks; what `writing` gives.

    Attributes:
        frames: how many were written.
        clipped: samples beyond full scale; integers cannot hold them, and get full scale.
        peak: the largest magnitude of a sample, 1 being full scale.
    """

    def __init__(self, file: soundfile.SoundFile, subtype: str) -> None:
        self._file, self._bits = file, BITS.get(subtype)
        self.frames = self.clipped = 0
        self.peak = 0.0

    def write(self, block: np.ndarray) -> None:
        """The next frames, float32 `(channels, frames)`, to the nearest of the values that the file can hold.

        Raises TrousError for samples that are not finite, and where the disk is full.
        """
        if not block.size:
            return
        magnitude = np.abs(block)
        if not np.isfinite(magnitude).all():
            raise TrousError("sound", "must have finite samples to be written", "NaN or infinity")
        self.frames += block.shape[1]
        self.peak = max(self.peak, float(magnitude.max()))
        self.clipped += int((magnitude > 1).sum())
        samples = block.T
        if self._bits:  # libsndfile rounds down, half a step on average
            full = 1 << self._bits - 1
            whole = np.clip(np.rint(samples.astype(np.float64) * full), -full, full - 1)
            samples = whole.astype(np.int32) << 32 - self._bits
        try:
            self._file.write(np.ascontiguousarray(samples))
        except (soundfile.LibsndfileError, AssertionError) as error:  # what soundfile does where the disk is full
            raise OSError(getattr(error, "error_string", "the disk is full")) from None


@contextmanager
def writing(
    path: str | Path, rate: int, channels: int, *, subtype: str = "PCM_24", frames: int | None = None
) -> Iterator[Writer]:
    """A sound file to write within the block, which takes the place of `path` in one step when that ends.

    Args:
        path: its suffix says the format: one of `FORMATS`.
        rate: frames a second.
        channels: how many.
        subtype: the kind of samples, in libsndfile's words: PCM_16, PCM_24, PCM_32, FLOAT, DOUBLE.
        frames: how many there will be, where known; WAV files above 4 GB need to.

    Raises:
        TrousError: a suffix or kind of samples that is not known, a folder that cannot be written to. After any error
            in the block, what was there is as it was.
    """
    path = Path(path)
    form = _format(path)
    if not soundfile.check_format(form, subtype):
        raise TrousError("subtype", f"must be one that {form} has", subtype)
    if form == "WAV" and (frames or 0) * channels * BITS.get(subtype, 64) // 8 > _WAV_BYTES:
        form = "RF64"
    try:
        with (
            replacing(path) as temporary,
            soundfile.SoundFile(temporary.name, "w", rate, channels, subtype, format=form) as file,
        ):
            yield Writer(file, subtype)
    except (OSError, soundfile.LibsndfileError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TrousError("target", f"must be where a file can be written ({reason})", str(path)) from None


def write(path: str | Path, samples: np.ndarray, rate: int, *, subtype: str = "PCM_24") -> None:
    """Write a whole sound, float32 `(channels, frames)` or `(frames,)`; errors as `writing`."""
    samples = np.atleast_2d(np.asarray(samples, np.float32))
    with writing(path, rate, len(samples), subtype=subtype, frames=samples.shape[1]) as file:
        file.write(samples)
