"""Two numbers that `.nam` files tell of a network, as Neural Amp Modeler's trainer defines them.

It measures them on a recording of its own; here it is the input that is held out. So plug-ins that bring models to one
loudness do so for playing as loud as that.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import Tensor

#: Louder and louder: the factors that the input is played with.
_FACTORS = np.linspace(0, 1, 11)


def levels(play: Callable[[Tensor], Tensor], signal: Tensor) -> dict[str, float]:
    """`loudness`: root mean square of the output, in dB of full scale. `gain`: how much the output is compressed.

    The gain is 0 where the output grows with the input, and 1 where it is as loud whatever the input.
    """
    sizes = np.array([float(play(signal * factor).double().square().mean().sqrt()) for factor in _FACTORS])
    largest = max(float(sizes[-1]), 1e-12)
    gain = 2 * float(sizes.sum()) / (largest * len(sizes)) - 1
    return {"loudness": 20 * float(np.log10(largest)), "gain": min(1.0, max(0.0, gain))}
