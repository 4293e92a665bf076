"""What a network learns from: pieces of sound files, each with as much before it as it can depend on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trous.apps.audio.sound import read
from trous.apps.audio.wavenet.architecture import Architecture
from trous.errors import TrousError

#: Full scale of the integers that sounds are kept as.
SCALE = 32768


@dataclass(frozen=True)
class Clip:
    """A sound file at the network's rate, int16 `(n,)`, between silence: `frames` from `begin` on are the sound, a
    multiple of the hop."""

    path: Path
    samples: np.ndarray
    begin: int
    frames: int

    @property
    def sound(self) -> np.ndarray:
        """Without the silence, float32 `(frames,)` from -1 to 1."""
        return _scaled(self.samples[self.begin : self.begin + self.frames])


@dataclass(frozen=True)
class Clips:
    """Of a folder: what is learnt from, what is held out, and the files too short for a piece."""

    learnt: list[Clip]
    held_out: list[Clip]
    short: list[Path]


def files_in(folder: Path) -> list[Path]:
    """Every .wav file in the folder and the folders in it, in an order that depends on names alone.

    Raises TrousError where there are none, and says what there is.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = [path for path in files if path.suffix.lower() == ".wav"]
    if not found:
        others = sorted({path.suffix.lower() or path.name for path in files})
        there = f"it has {len(files):,} of {', '.join(others[:5])}" if files else "it is empty"
        raise TrousError("folder", f"must hold .wav files, and {there}", str(folder))
    return found


def read_clip(path: Path, architecture: Architecture) -> Clip:
    """A sound file, resampled, its channels averaged, silence around. Raises TrousError where it cannot be read."""
    sound = read(path, architecture.sample_rate, mono=True)[0][0]
    hop = architecture.hop
    samples = np.rint(sound.clip(-1, 1) * SCALE).clip(-SCALE, SCALE - 1).astype(np.int16)
    frames = len(samples) // hop * hop
    around = architecture.silence, architecture.around * hop
    return Clip(path, np.pad(samples[:frames], around), around[0], frames)


def _scaled(samples: np.ndarray) -> np.ndarray:
    return samples.astype(np.float32) / np.float32(SCALE)


def read_clips(
    folder: Path, architecture: Architecture, columns: int, held_out: int, done: Callable[[int, int], None]
) -> Clips:
    """The folder's files; those of fewer than `columns` columns are left out.

    Of the others at most `held_out`, and at most a tenth, but one, are held out. `done(n, total)` is called after each
    file. Raises TrousError where fewer than two are left.
    """
    paths = files_in(folder)
    clips, short = [], []
    for number, path in enumerate(paths):
        clip = read_clip(path, architecture)
        if clip.frames < columns * architecture.hop:
            short.append(path)
        else:
            clips.append(clip)
        done(number + 1, len(paths))
    if len(clips) < 2:
        seconds = columns * architecture.hop / architecture.sample_rate
        rule = f"must hold two .wav files of {seconds:.2f} s at least, one to learn from and one to measure"
        raise TrousError("folder", rule, f"{len(clips)} of {len(paths)} in {folder}")
    count = min(held_out, max(1, len(clips) // 10))
    apart = {round((n + 0.5) * len(clips) / count - 0.5) for n in range(count)}
    return Clips([clip for n, clip in enumerate(clips) if n not in apart], [clips[n] for n in sorted(apart)], short)


class Pieces(torch.utils.data.Dataset):
    """Pieces of clips, float32 `(silence + columns*hop + around*hop,)`: the middle is what is predicted.

    With a `seed` there are `count`, from anywhere, each decided by seed and number alone. Without there are all that
    lie one behind the other, from the first sample on.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        architecture: Architecture,
        columns: int,
        count: int | None = None,
        seed: Sequence[int] = (),
    ):
        self.clips, self.hop, self.seed = clips, architecture.hop, tuple(seed)
        self.step = columns if count is None else 1
        self.size = architecture.silence + (columns + architecture.around) * self.hop
        self._until = np.cumsum([(clip.frames // self.hop - columns) // self.step + 1 for clip in clips])
        self.count = int(self._until[-1]) if count is None else count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        if self.seed:
            index = int(np.random.default_rng((*self.seed, index)).integers(self._until[-1]))
        number = int(np.searchsorted(self._until, index, side="right"))
        at = (index - int(self._until[number - 1] if number else 0)) * self.step * self.hop
        return _scaled(self.clips[number].samples[at : at + self.size])
