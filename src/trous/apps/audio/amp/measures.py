"""How far a network is from the amplifier."""

from __future__ import annotations

from typing import Any


def esr(output: Any, target: Any) -> Any:
    """The error-to-signal ratio: the sum of squared errors over the sum of squares of the target.

    Wright, Damskägg, Juvela & Välimäki 2020, "Real-Time Guitar Amplifier Emulation with Deep Learning", Applied
    Sciences 10(3), equation 8, without the pre-emphasis filter that they train with. 0 is the same sound, 1 what
    silence gives. Tensors or arrays of one shape.
    """
    return ((output - target) ** 2).sum() / (target**2).sum()
