"""Interpolation as a transposed convolution: enlarging by a whole number, with weights known in closed form.

With half-pixel centres, output `o` lies at `(o + 1/2)/scale - 1/2` among the inputs. A function `f` weighs each input
by its distance, so kernel index `k`, which lands on `o = i*scale + k - padding`, carries

    w[k] = f((2*(k - padding) + 1 - scale) / (2*scale))

nearest, bilinear and bicubic (Keys 1981, with a = -3/4) are those of `torch.nn.functional.interpolate` with
`align_corners=False`. lanczos is the sinc windowed by the middle lobe of a wider one, three lobes to each side
(Turkowski 1990), each phase divided by the sum of its weights so that a constant stays constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from trous.errors import TrousError
from trous.spec import ConvTranspose, Ints, integer, integers


class Interpolant(NamedTuple):
    """A function that interpolates: `weight(distance)`, zero from `support/2` inputs on to either side."""

    support: int
    weight: Callable[[np.ndarray], np.ndarray]


def _bicubic(x: np.ndarray) -> np.ndarray:
    a, x = -0.75, np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, far)


INTERPOLANTS: dict[str, Interpolant] = {
    "nearest": Interpolant(1, np.ones_like),
    "bilinear": Interpolant(2, lambda x: 1 - np.abs(x)),
    "bicubic": Interpolant(4, _bicubic),
    "lanczos": Interpolant(6, lambda x: np.sinc(x) * np.sinc(x / 3)),
}


def interpolation_spec(name: str, scale: Ints, *, ndim: int = 2, channels: int = 1) -> ConvTranspose:
    """The layer whose weight `interpolation_kernel` gives for the same arguments: its output is `input*scale` exactly.

    Beyond the border it sees zeros. To continue the edge as torch does, pad x by 3 positions (mode "edge" of np.pad;
    enough for every name) and crop `3*scale` from each side of the result.
    """
    if name not in tuple(INTERPOLANTS):
        raise TrousError("name", f"must be one of {', '.join(INTERPOLANTS)}", name)
    given = integers("scale", scale, 1)
    scales = given if isinstance(given, tuple) else (given,) * integer("ndim", ndim, 1, 3)
    paddings = tuple(_reach(name, s) for s in scales)
    kernel = tuple(s + 2 * reach for s, reach in zip(scales, paddings, strict=True))
    channels = integer("channels", channels, 1)
    try:
        return ConvTranspose(kernel, stride=scales, padding=paddings, groups=channels)
    except TrousError as error:
        raise TrousError("scale", f"must give a kernel that {error.rule}", scale) from None


def interpolation_kernel(
    name: str, scale: Ints, *, ndim: int = 2, channels: int = 1, dtype: DTypeLike = np.float32
) -> np.ndarray:
    """Weights that enlarge by `scale`: shape `(channels, 1, *kernel)`, and the weights of every phase sum to 1.

    Args:
        name: "nearest", "bilinear", "bicubic" or "lanczos": the same function along every axis, in 1-D and 3-D too.
        scale: a whole number, or one for each axis; 1 leaves an axis as it is.
        ndim: number of axes where `scale` is one number.
        channels: each is enlarged by itself (`groups=channels`).
        dtype: a floating-point type of NumPy; the weights are computed in float64 and rounded to it.

    >>> spec = interpolation_spec("bicubic", 3, channels=3)
    >>> w = interpolation_kernel("bicubic", 3, channels=3)
    >>> y = conv_transpose(x, w, stride=spec.stride, padding=spec.padding, groups=spec.groups)
    """
    spec = interpolation_spec(name, scale, ndim=ndim, channels=channels)
    _check_floating(dtype)
    weights = np.ones(())
    for s, reach in zip(spec.stride, spec.padding, strict=True):
        weights = np.multiply.outer(weights, _axis_weights(name, s, reach))
    return np.repeat(weights[None, None], channels, axis=0).astype(dtype)


def _check_floating(dtype: Any) -> None:
    try:
        floating = np.dtype(dtype).kind in ("f", "c")
    except TypeError:
        floating = False
    if not floating:
        raise TrousError("dtype", "must be a floating-point type of NumPy", dtype)


def _reach(name: str, scale: int) -> int:
    """How many outputs an input reaches beyond its own `scale`, to either side: those closer than half the support."""
    return scale * (INTERPOLANTS[name].support - 1) // 2 if scale > 1 else 0


def _axis_weights(name: str, scale: int, reach: int) -> np.ndarray:
    k = np.arange(-reach, scale + reach)
    weights = INTERPOLANTS[name].weight((2 * k + 1 - scale) / (2 * scale))
    for phase in range(scale):
        weights[phase::scale] /= weights[phase::scale].sum()
    return weights
