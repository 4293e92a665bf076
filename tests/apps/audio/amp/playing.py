"""Something like a guitar, and something like an amplifier, made on the spot."""

from __future__ import annotations

import numpy as np


def guitar(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Strings struck one after the other, soft and loud, `(samples,)` of float32."""
    rng = np.random.default_rng(seed)
    samples = np.zeros(round(seconds * rate))
    times = np.arange(rate // 2) / rate
    for start in range(0, len(samples), rate // 5):
        hertz, force = 80 * 2 ** rng.uniform(0, 3), 10 ** rng.uniform(-1.5, -0.3)
        note = sum(np.sin(2 * np.pi * n * hertz * times) / n for n in range(1, 12) if n * hertz < rate / 2)
        note = force * (note * 0.4 + rng.normal(0, 0.3, len(times)) * np.exp(-200 * times)) * np.exp(-6 * times)
        samples[start : start + len(note)] += note[: len(samples) - start]
    return samples.astype(np.float32)


def amplifier(played: np.ndarray, gain: float = 4.0, share: float = 0.3) -> np.ndarray:
    """A low-pass filter of a few samples, and a tanh behind it."""
    taps = share * (1 - share) ** np.arange(40)
    return (0.5 * np.tanh(gain * np.convolve(played, taps)[: len(played)])).astype(np.float32)


def late(samples: np.ndarray, delay: int) -> np.ndarray:
    """As long as before, `delay` samples later; negative is earlier."""
    shifted = np.zeros_like(samples)
    if delay >= 0:
        shifted[delay:] = samples[: len(samples) - delay]
    else:
        shifted[:delay] = samples[-delay:]
    return shifted
