"""Checkerboard: what each phase of an upsampling layer makes of a constant input.

A layer whose phases add up to different sums paints a constant as a pattern (Odena, Dumoulin & Olah 2016). Equal
numbers of taps do not prevent it, since learned weights of the phases need not have equal sums, nor do unequal numbers
bring it about where the weights make up for it: what counts is the sum of weights of each phase, its gain.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trous.plan import Plan


def phase_gains(plan: Plan, weight: Any) -> np.ndarray:
    """The sum of weights of every phase: `(*ups, channels, channels/groups)`, channels as in the weight's layout.

    >>> phase_gains(ConvTranspose(3, stride=2).plan(), np.ones((1, 1, 3))).ravel()
    array([2., 1.])
    """
    gains = np.asarray(weight, np.float64)
    for axis in plan.axes:  # each takes the kernel's next axis, the third, and puts its phases last
        sums = [gains[:, :, [tap.kernel for tap in taps]].sum(axis=2) for taps in axis.by_phase]
        gains = np.stack(sums, axis=-1)
    return np.moveaxis(gains, (0, 1), (-2, -1))


def unevenness(gains: np.ndarray) -> float:
    """How far phases lie from their mean, as a share of the gains' size: 0 for none, both root mean squares.

    All pairs of channels count by their energy, as for inputs that are constant in space and random in channels.
    """
    phases = gains.reshape(-1, *gains.shape[-2:])
    size = np.square(phases).mean()
    return float(np.sqrt(np.square(phases - phases.mean(axis=0)).mean() / size)) if size else 0.0


def tap_counts(plan: Plan) -> tuple[int, int]:
    """The least and the largest number of taps that a phase has."""
    fewest = most = 1
    for axis in plan.axes:
        counts = [len(taps) for taps in axis.by_phase]
        fewest, most = fewest * min(counts), most * max(counts)
    return fewest, most
