"""Sound files through a model: any rate, one channel or more, any length in the memory of a block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from trous.apps.audio import sound
from trous.apps.audio.nam.amp import Amp
from trous.errors import TrousError

#: Frames that are read and pass through the model at a time.
BLOCK = 8192
#: Told how many frames of the input are done, and how many there are.
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Rendered:
    """What was written.

    Attributes:
        source: what the input said of itself; the output has as many frames and channels, at the same rate.
        rate: the model's, through which it went.
        subtype: the kind of samples in the output.
        gain: the factor behind the model, normalisation included.
        peak: the largest magnitude of a sample, 1 being full scale.
        clipped: samples that were beyond full scale; the formats of integers cannot hold them.
    """

    source: sound.Facts
    rate: int
    subtype: str
    gain: float
    peak: float
    clipped: int

    @property
    def resampled(self) -> bool:
        return self.source.rate != self.rate


def render(
    amp: Amp,
    source: str | Path,
    target: str | Path,
    *,
    block: int = BLOCK,
    gain_before: float = 1.0,
    gain_after: float = 1.0,
    progress: Progress = lambda done, whole: None,
) -> Rendered:
    """Play a sound file through a model, and write what comes out.

    The model runs at its own rate; a file of another is brought there and back, without delay. Each channel passes
    through the model by itself. OUT has the frames, channels, rate and, where its format has them, bits of IN.

    Args:
        amp: the model, of one channel.
        source: the sound to play.
        target: where to write; its suffix says the format.
        block: frames at a time.
        gain_before: a factor in front of the model, which drives it harder.
        gain_after: a factor behind it.
        progress: called after every block.

    Raises:
        TrousError: as `trous.apps.audio.sound` for either file, for a target that is the source, and for a model of
            several channels.
    """
    network = amp.network
    if (network.in_channels, network.out_channels) != (1, 1):
        raise TrousError("model", "must take and give one channel", f"{network.in_channels}, {network.out_channels}")
    said = sound.facts(source)
    if Path(target).exists() and Path(target).samefile(source):
        raise TrousError("target", "must be another file than the source", str(target))
    subtype = sound.subtype_like(said, target)
    with sound.writing(target, said.rate, said.channels, subtype=subtype, frames=said.frames) as file:
        back = sound.Resampler(amp.rate, said.rate, said.channels)
        for played in _played(amp, said, block, gain_before):
            out = back.push(gain_after * played)
            file.write(out[:, : said.frames - file.frames])
            progress(file.frames, said.frames)
        file.write(back.flush()[:, : said.frames - file.frames])
    return Rendered(said, amp.rate, subtype, gain_after, file.peak, file.clipped)


def _played(amp: Amp, said: sound.Facts, block: int, gain: float) -> Iterator[np.ndarray]:
    """What the model makes of the file, at its rate; where that is another, with some silence behind it to cut off."""
    live = amp.stream(said.channels)

    def through(samples: np.ndarray) -> np.ndarray:
        return live.push(gain * torch.from_numpy(samples)[:, None])[:, 0].numpy()

    for samples in sound.blocks(said.path, block, rate=amp.rate):
        yield through(samples)
    if said.rate != amp.rate:
        yield through(np.zeros((said.channels, amp.rate // 100), np.float32))
