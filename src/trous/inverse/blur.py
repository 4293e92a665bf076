"""What was done to the picture: convolved with the PSF, every `stride`-th datum kept, and the exact adjoint of that.

Pictures are `(pictures, colours, *size)`, PSFs `(pictures or 1, colours or 1, *kernel)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from trous.backends import Operation
from trous.inverse.product import Border, Bordered, product
from trous.inverse.space import MEMORY, Space
from trous.plan import BoundPlan
from trous.plan.circle import SURROUNDINGS, ObservedAxis

Array = np.ndarray


class Blur:
    """The map from latent pictures to observed ones.

    With unknown surroundings the latent picture has all positions that data were made of. Otherwise it is what the user
    gets, and its surroundings copy it or are 0.

    Attributes:
        axes: geometry, one for each spatial axis.
        latent_size, observed_size, result_size: sizes of the latent picture, the data, and of what the user gets.
    """

    def __init__(self, psf: Array, axes: Sequence[ObservedAxis], pictures: int, colours: int, space: Space = MEMORY):
        self.axes = tuple(axes)
        self.result_size = tuple(axis.result for axis in axes)
        self.observed_size = tuple(axis.size for axis in axes)
        is_unknown = SURROUNDINGS[axes[0].surroundings] is None
        self.latent_size = tuple(axis.extended for axis in axes) if is_unknown else self.result_size
        self._inside = tuple(slice(a.before, a.before + a.result) if is_unknown else slice(None) for a in axes)
        # One PSF for all is one channel, with all pictures in the batch; a PSF for each is a channel of its own.
        kinds = psf.shape[0] * psf.shape[1]
        every = np.broadcast_to(psf, (pictures, colours, *psf.shape[2:])) if kinds > 1 else psf
        w = np.ascontiguousarray(np.flip(every, tuple(range(2, psf.ndim))))  # the kernels cross-correlate
        channels = pictures * colours if kinds > 1 else 1
        self._shape = (pictures * colours // channels, channels)
        self._outside = (pictures, colours)
        operation = Operation(
            bound=BoundPlan.of(axis.bound for axis in axes),
            kernel=psf.shape[2:],
            batch=self._shape[0],
            in_channels=channels,
            out_channels=channels,
            groups=channels,
            weight_by_input=False,
        )
        self._product = product(operation, w.reshape(channels, 1, *psf.shape[2:]), space.most)
        if operation.bound.input_size != self.latent_size:
            borders = [Border(a.result, a.before, a.sources) for a in axes]  # type: ignore[arg-type]
            self._product = Bordered(self._product, channels, borders, space)

    def forward(self, x: Array, out: Array | None = None) -> Array:
        """`(pictures, colours, *latent_size)` to `(pictures, colours, *observed_size)`, in `out` (contiguous)."""
        return self._applied(self._product.forward, x, out, self.observed_size)

    def adjoint(self, y: Array, out: Array | None = None) -> Array:
        """Back by the transposed matrix."""
        return self._applied(self._product.adjoint, y, out, self.latent_size)

    def _applied(self, way: Callable[..., Array], x: Array, out: Array | None, size: tuple[int, ...]) -> Array:
        inner = None if out is None else out.reshape(*self._shape, *size)
        result = way(x.reshape(*self._shape, *x.shape[2:]), inner)
        return result.reshape(*self._outside, *size) if out is None else out

    def crop(self, x: Array) -> Array:
        """The part of a latent picture that the user gets."""
        return x[(..., *self._inside)]
