"""What is learned from: a signal, what an amplifier made of it, and which part of both is held out to measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trous.apps.audio import sound
from trous.apps.audio.amp.alignment import Alignment, align
from trous.errors import TrousError

#: Of the recording, at its end, and seconds that this is at least and at most.
HELD_OUT, FEWEST, MOST = 0.1, 3.0, 30.0
#: Below this, relative to full scale, is silence (-80 dB).
SILENT = 1e-4
#: Seconds below which the result may be poor.
_SHORT = 30.0
#: Samples in a row at full scale, or at one largest value near it, that are no coincidence.
_RUN = 3
#: How many times more than the input's the level of a target may vary; an amplifier compresses.
_EXPANDED = 1.4


@dataclass(frozen=True)
class Recording:
    """Two signals of one length, `(samples,)` of float32, at `rate` samples a second.

    What is learned is `[:learned]`, what is held out `[held_out:]`. Between the two lie as many samples as an output
    depends on.
    """

    input: np.ndarray
    target: np.ndarray
    rate: int
    alignment: Alignment
    learned: int
    held_out: int

    @property
    def seconds(self) -> tuple[float, float]:
        """Of what is learned, and of what is held out."""
        return self.learned / self.rate, (len(self.input) - self.held_out) / self.rate


def read_recording(
    input: Path, target: Path, context: int, *, crop: int = 1, latency: int | None = None, held_out: float | None = None
) -> tuple[Recording, list[str]]:
    """Read, align and check the two files; also gives what the user should hear of.

    Args:
        input: what went into the amplifier, one channel (or several that are alike).
        target: what came out, at the same rate.
        context: samples before its own that an output depends on.
        crop: outputs that are learned at a time; there must be as many.
        latency: samples that the target comes later; found, if not given.
        held_out: seconds at the end to measure by; a tenth of all, but 3 to 30 s, if not given.

    Raises:
        TrousError: a file that cannot be read, other rates, several channels, silence, a target that is the input or
            has nothing to do with it, too little of both.
    """
    (played, rate), (heard, target_rate) = _one_channel("input", input), _one_channel("target", target)
    if rate != target_rate:
        rule = f"must have the rate of the input, {rate} Hz; resample one of them"
        raise TrousError("target", rule, f"{target_rate} Hz")
    warnings = [*_clipping("input", played, rate), *_clipping("target", heard, rate)]
    for name, samples, path in (("input", played, input), ("target", heard, target)):
        if np.abs(samples).max() < SILENT:
            raise TrousError(name, "must be more than silence (-80 dB of full scale)", str(path))
    count = min(len(played), len(heard))
    if _same(played[:count], heard[:count]):
        raise TrousError("target", "must be what came out of the amplifier, and is the input", str(target))
    alignment = align(played, heard, rate, latency)
    warnings += _doubts(alignment, played, heard, rate)
    apart = abs(len(played) - len(heard)) / rate
    if apart > 1:
        longer = "input" if len(played) > len(heard) else "target"
        warnings.append(f"the {longer} goes on for {apart:.1f} s more than the other file; that is left out")
    played, heard = _shifted(played, heard, alignment.shift)
    if not len(heard):
        raise TrousError("latency", "must leave something of both recordings", latency)
    recording = _split(played, heard, rate, alignment, context, crop, held_out)
    if sum(recording.seconds) < _SHORT:
        warnings.append(f"{sum(recording.seconds):.0f} s are little to learn from; a minute or more is better")
    return recording, warnings


def _one_channel(name: str, path: Path) -> tuple[np.ndarray, int]:
    try:
        samples, rate = sound.read(path)
    except TrousError as error:
        raise TrousError(name, error.rule, error.value) from None
    if not all(np.array_equal(samples[0], other) for other in samples[1:]):
        raise TrousError(name, "must have one channel, or several that are alike", f"{len(samples)} that are not")
    return samples[0], rate


def _clipping(name: str, samples: np.ndarray, rate: int) -> Iterator[str]:
    """Where samples stay at the largest value that there is, near full scale."""
    size = np.abs(samples)
    largest = size.max()
    if largest < 0.97:
        return
    flat = np.convolve(size >= largest * 0.9999, np.ones(_RUN, int), "valid") == _RUN
    if flat.any():
        first = int(np.argmax(flat)) / rate
        again = "record it again, quieter" if name == "target" else "use one with room above"
        yield f"the {name} is clipped at {int(flat.sum())} places, the first at {first:.2f} s; {again}"


def _same(played: np.ndarray, heard: np.ndarray) -> bool:
    """Whether one is the other, but for a factor."""
    power = float(np.dot(played, played))
    factor = float(np.dot(played, heard)) / power if power else 0.0
    rest = heard - np.float32(factor) * played
    return float(np.dot(rest, rest)) < 1e-8 * float(np.dot(heard, heard))


def _doubts(alignment: Alignment, played: np.ndarray, heard: np.ndarray, rate: int) -> Iterator[str]:
    """Signs that the files are swapped, or wrongly cut."""
    if alignment.delay < -rate // 1000:
        milliseconds = -1000 * alignment.delay / rate
        yield f"the target comes {milliseconds:.1f} ms before the input; are the files swapped, or cut differently?"
    elif _spread(heard, rate) > _EXPANDED * _spread(played, rate):
        yield "the target's level varies more than the input's, and amplifiers compress; are the files swapped?"


def _spread(samples: np.ndarray, rate: int) -> float:
    """Standard deviation of the level of 50 ms at a time, in dB, of those within 30 dB of the loudest."""
    length = max(1, rate // 20)
    whole = samples[: len(samples) // length * length].reshape(-1, length)
    levels = 10 * np.log10(np.mean(whole.astype(np.float64) ** 2, axis=1) + 1e-12)
    return float(levels[levels > levels.max() - 30].std()) if len(levels) else 0.0


def _shifted(played: np.ndarray, heard: np.ndarray, shift: int) -> tuple[np.ndarray, np.ndarray]:
    """Both from where the target belongs to the input, as long as both are there."""
    played, heard = played[max(0, -shift) :], heard[max(0, shift) :]
    count = min(len(played), len(heard))
    return played[:count], heard[:count]


def _split(
    played: np.ndarray,
    heard: np.ndarray,
    rate: int,
    alignment: Alignment,
    context: int,
    crop: int,
    wanted: float | None,
) -> Recording:
    """Leave out silence at the end of the recording, and hold out what is before it."""
    loud = np.flatnonzero(np.abs(heard) > max(SILENT, 1e-3 * float(np.abs(heard).max(initial=0.0))))
    count = int(loud[-1]) + 1 if len(loud) else 0
    seconds = count / rate
    if wanted is None:
        wanted = min(max(FEWEST, HELD_OUT * seconds), MOST, seconds / 3)
    if not 0 < wanted < seconds:
        raise TrousError("held_out", f"must be more than 0 and less than the {seconds:.1f} s that there are", wanted)
    held_out = count - max(1, round(wanted * rate))
    learned = held_out - context
    if learned < context + crop:
        rule = f"must go on for {(2 * context + crop) / rate + wanted:.1f} s at least, together with the target"
        raise TrousError("input", rule, f"{seconds:.1f} s")
    recording = Recording(played[:count], heard[:count], rate, alignment, learned, held_out)
    if not np.abs(heard[held_out:count]).max() > 0.01 * np.abs(heard).max():
        raise TrousError("held_out", "must hold more than silence; hold out more", f"the last {wanted:.1f} s")
    return recording
