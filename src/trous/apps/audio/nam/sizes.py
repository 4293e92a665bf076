"""The usual sizes of networks, as Neural Amp Modeler's trainer names them."""

from __future__ import annotations

from typing import Any

from trous.apps.audio.nam.wavenet import WaveNet
from trous.errors import TrousError

_ONCE = [1 << i for i in range(10)]
#: Channels of the two arrays, and the dilations of each.
_SIZES = {
    "standard": ((16, 8), (_ONCE, _ONCE)),
    "lite": ((12, 6), (_ONCE[:7], [*_ONCE[7:], *_ONCE])),
    "feather": ((8, 4), (_ONCE[:7], [*_ONCE[7:], *_ONCE])),
    "nano": ((4, 2), (_ONCE[:7], [*_ONCE[7:], *_ONCE])),
}
SIZES = tuple(_SIZES)


def config(size: str) -> dict[str, Any]:
    """The `config` of a WaveNet of this size: standard, lite, feather or nano.

    13,802, 6,554, 3,026 and 842 weights; each depends on 4,093 samples.
    """
    if size not in _SIZES:
        raise TrousError("size", f"must be one of {', '.join(SIZES)}", size)
    (first, second), dilations = _SIZES[size]
    common = {"condition_size": 1, "kernel_size": 3, "activation": "Tanh", "gated": False}
    return {
        "layers": [
            {"input_size": 1, "head_size": second, "channels": first, "dilations": dilations[0], "head_bias": False}
            | common,
            {"input_size": first, "head_size": 1, "channels": second, "dilations": dilations[1], "head_bias": True}
            | common,
        ],
        "head": None,
        "head_scale": 0.02,
    }


def fresh(size: str = "standard") -> WaveNet:
    """A network of this size that has learned nothing; its weights are random, by torch's generator.

    >>> network = fresh("nano")
    >>> len(network.weights()), network.receptive_field
    (842, 4093)
    """
    return WaveNet(config(size))
