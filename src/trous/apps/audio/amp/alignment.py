"""How much later a recording comes than the signal that it was made of.

The linear part of what an amplifier does is estimated as in system identification: the cross spectrum of the two over
the power spectrum of the first (Bendat & Piersol 2010, section 6.1), averaged over segments. Back in time it is a short
response at the delay. Distortion leaves its place as it is: what a nonlinearity without memory makes of a signal
correlates with the signal as the signal itself does (Bussgang 1952), but for a factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trous.errors import TrousError

#: Seconds that a recording may come late, or early.
FARTHEST = 1.0
#: Of the largest value of the response: from where on it has begun.
_BEGUN = 0.3
#: Seconds before its largest value within which it begins; what is farther ahead is noise.
_RISE = 0.002
#: Seconds that a network is given on top, 12 samples at 48 kHz. No guitar has all frequencies, so that the response is
#: smeared; a network that would have to hear the future learns worse, one that waits a little does not.
_SPARE = 0.00025
#: Of the largest power at any frequency: added everywhere, so that what was hardly played does not count.
_FLOOR = 1e-3
#: How much the response must stand out of what surrounds it.
_CLEAR = 8.0


@dataclass(frozen=True)
class Alignment:
    """Where the target lies beside the input.

    Args:
        delay: samples that the target comes later than the input; negative if earlier.
        shift: samples of its beginning that are cut off for the training: fewer, so that nothing of what the
            amplifier does comes before the input.
        inverted: whether the target mostly falls where the input rises.
        clarity: the largest value of the response, in root mean squares of all of it. Below 8 nothing stands out.
    """

    delay: int
    shift: int
    inverted: bool
    clarity: float

    def told(self, rate: int) -> str:
        """In words, for samples at `rate` a second."""
        late = "after" if self.delay >= 0 else "before"
        milliseconds = 1000 * abs(self.delay) / rate
        text = f"the target comes {abs(self.delay)} samples ({milliseconds:.2f} ms) {late} the input"
        if self.shift != self.delay:
            text += f" and is taken {self.delay - self.shift} before that"
        return text + (", its polarity inverted" if self.inverted else "")


def align(input: np.ndarray, target: np.ndarray, rate: int, latency: int | None = None) -> Alignment:
    """Find how much later `target` comes than `input`, both `(samples,)` at `rate` samples a second.

    With `latency` this is the delay, and only the polarity is found. Raises TrousError where the two have nothing in
    common within `FARTHEST` seconds.
    """
    farthest = round(FARTHEST * rate)
    response = _response(input, target, farthest)
    size = np.abs(response)
    if latency is not None:
        near = slice(max(0, farthest + latency - rate // 500), max(1, farthest + latency + rate // 500))
        peak = near.start + int(np.argmax(size[near])) if size[near].size else int(np.argmax(size))
        return Alignment(latency, latency, bool(response[peak] < 0), _clarity(response, peak))
    peak = int(np.argmax(size))
    clarity = _clarity(response, peak)
    if clarity < _CLEAR:
        rule = f"must be what the amplifier made of the input, not more than {FARTHEST:g} s later; none of it is found"
        raise TrousError("target", f"{rule} (should it be, give its latency)", f"a clarity of {clarity:.1f}")
    before = size[max(0, peak - round(_RISE * rate)) : peak]
    quiet = np.flatnonzero(before < _BEGUN * size[peak])
    rise = len(before) - 1 - int(quiet[-1]) if len(quiet) else len(before)
    delay = peak - farthest
    return Alignment(delay, delay - rise - round(_SPARE * rate), bool(response[peak] < 0), clarity)


def _clarity(response: np.ndarray, place: int) -> float:
    return float(abs(response[place]) / (np.sqrt(np.mean(response**2)) + 1e-30))


def _response(input: np.ndarray, target: np.ndarray, farthest: int) -> np.ndarray:
    """The response from `-farthest` to `farthest` samples, by segments of the input with more of the target around."""
    length = 1 << (4 * farthest - 1).bit_length()
    around = length // 4
    segment = length - 2 * around
    count = min(len(input), len(target))
    x, y = (np.pad(samples[:count], length) for samples in (input, target))
    window = np.hanning(segment)
    cross, power = np.zeros(length // 2 + 1, complex), np.zeros(length // 2 + 1)
    for start in range(length - segment // 2, length + count, segment // 2):
        part = np.fft.rfft(x[start : start + segment] * window, length)
        cross += part.conj() * np.fft.rfft(y[start - around : start - around + length], length)
        power += np.abs(part) ** 2
    response = np.fft.irfft(cross / (power + _FLOOR * power.max() + 1e-30), length)
    return response[around - farthest : around + farthest + 1]
