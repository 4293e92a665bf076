"""Delays are found through distortion and filters, whatever the polarity."""

from __future__ import annotations

import numpy as np
import pytest

from apps.audio.amp.playing import amplifier, guitar, late
from trous.apps.audio.amp.alignment import align
from trous.errors import TrousError

RATE = 8000
#: Samples before the delay from where the target may be taken: 2.25 ms.
MOST = 18


@pytest.fixture(scope="module")
def played() -> np.ndarray:
    return guitar(8, RATE)


@pytest.mark.parametrize("delay", [0, 1, 77, 2000, 7900, -40])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_distorted_target_is_found_to_the_sample(played: np.ndarray, delay: int, sign: int) -> None:
    found = align(played, late(sign * np.tanh(20 * played), delay), RATE)
    assert (found.delay, found.inverted) == (delay, sign < 0)
    assert delay - MOST <= found.shift < delay


@pytest.mark.parametrize("gain", [0.1, 4, 100])
def test_a_filter_is_never_taken_to_be_earlier_than_it_is(played: np.ndarray, gain: float) -> None:
    found = align(played, late(amplifier(played, gain), 100), RATE)
    assert 100 - MOST <= found.shift <= 100 <= found.delay <= 103


def test_noise_does_not_hide_it(played: np.ndarray) -> None:
    noise = np.random.default_rng(2).normal(0, 0.3 * played.std(), len(played)).astype(np.float32)
    assert align(played, late(played, 55) + noise, RATE).delay == 55


def test_another_recording_is_refused(played: np.ndarray) -> None:
    with pytest.raises(TrousError, match="target must be what the amplifier made of the input"):
        align(played, guitar(8, RATE, seed=1), RATE)


def test_a_delay_that_is_given_is_taken(played: np.ndarray) -> None:
    found = align(played, late(-amplifier(played), 90), RATE, 88)
    assert (found.delay, found.shift, found.inverted) == (88, 88, True)
    assert align(played, played[:100], RATE, 5000).delay == 5000


def test_it_is_told(played: np.ndarray) -> None:
    told = align(played, late(-played, 80), RATE).told(RATE)
    assert told.startswith("the target comes 80 samples (10.00 ms) after the input and is taken ")
    assert told.endswith("before that, its polarity inverted")
    assert align(played, played, RATE, -8).told(RATE) == "the target comes 8 samples (1.00 ms) before the input"
