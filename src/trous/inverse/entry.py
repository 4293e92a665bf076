"""`deconvolve`: the arguments checked, arrays brought into one form, and the answer brought back."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import isfinite, prod
from typing import Any

import numpy as np

from trous.arrays import is_torch
from trous.errors import TrousError
from trous.inverse.given import check_numbers, laid, mask_of, real, written
from trous.inverse.request import State, Task
from trous.inverse.space import MEMORY, Files
from trous.plan.circle import SURROUNDINGS, ObservedAxis

Array = np.ndarray[Any, Any]

#: Each is a function of its name in the module of its name.
METHODS = ("wiener", "richardson_lucy", "least_squares", "total_variation")
#: Beyond it squares of float32 may overflow, below its inverse they vanish.
LARGE = 1e15


def deconvolve(
    y: Any,
    psf: Any,
    *,
    method: str = "total_variation",
    boundary: str = "unknown",
    stride: int = 1,
    noise: float | None = None,
    weight: float | None = None,
    iterations: int | None = None,
    nonnegative: bool = False,
    mask: Any = None,
    axes: Sequence[int] | int | None = None,
    channel_axis: int | None = None,
    callback: Callable[[State], Any] | None = None,
    out: Array | None = None,
) -> Any:
    """The picture that was blurred by `psf` into `y`, as well as it can be known.

    The model is `y = (psf * x)[::stride] + noise`: a true convolution, in which the PSF is flipped, its centre at index
    `size//2` of every axis. This is the inverse problem and not a transposed convolution, which has the shape of the
    answer and is the adjoint. One to three axes are blurred; all others are pictures of their own.

    Args:
        y: the data, a NumPy array or a torch tensor of real numbers. Integers are taken as they are, in float32
            (64 bits: float64).
        psf: what a point became; of the axes that are blurred alone, or with all axes of y, where 1 stands for any
            number. Only its shape counts: it is divided by its sum, which must be positive.
        method: "total_variation" (best for most pictures: few edges, Rudin, Osher and Fatemi 1992), "wiener" (linear
            and quick), "richardson_lucy" (for counts of light, never negative), "least_squares" (nothing assumed;
            stopped when the noise is reached).
        boundary: what surrounds the picture. "unknown": it is estimated along and cropped, so that only what was
            really seen counts; "reflect" (the border not repeated), "periodic", "zero".
        stride: every how manieth datum was kept, on every axis. The estimate is so many times larger than y.
        noise: standard deviation of the noise in units of y; estimated from y where it is not given.
        weight: how much smoothness counts against the data; found from the noise where it is not given. Of
            `|A x - y|^2 / 2 + weight * TV(x)` (total_variation), `|A x - y|^2 + weight * |grad x|^2` (wiener),
            `|A x - y|^2 + weight * |x|^2` (least_squares, none unless given), and richardson_lucy's total variation
            (Dey et al. 2006; none unless given).
        iterations: how many; found where they are not given. None for wiener, which does not iterate.
        nonnegative: whether the estimate must not be below 0 (not for wiener; richardson_lucy never is).
        mask: where y counts, True or False, of the shape of y or of one that is broadcast to it. Pixels that are
            saturated, dead or NaN are False; what stood there is estimated from the others.
        axes: those of y that are blurred; by default the last `psf.ndim` ones without `channel_axis`.
        channel_axis: the axis of colours, if y has one. total_variation then looks for edges in all colours at once.
        callback: called with a `State` after every iteration; stops the run by returning True. Not for wiener.
        out: an array that the estimate is written to, of its shape and dtype. Where it is a memory-mapped file, as
            `np.lib.format.open_memmap` makes, richardson_lucy needs memory for a few tiles only: y may be memory-mapped
            too, or whatever has a shape and a dtype and can be sliced (HDF5 and Zarr's arrays), and what is kept from
            one iteration to the next lies in temporary files beside `out`, five to seven times as large as the
            estimate. The other methods work in memory.

    Returns:
        `out` if given, else the estimate in the library of y, float32 or float64, `stride` times the size of y along
        the blurred axes.
        wiener is differentiable in torch, in y and psf; the others refuse tensors that require gradients.

    Raises:
        TrousError: an argument that cannot be; NaN or infinity in y where the mask counts it, negative numbers for
            richardson_lucy among them.
        OSError: there is no room for the temporary files beside a memory-mapped `out`.

    >>> x = np.zeros(9)
    >>> x[4] = 1.0
    >>> blurred = np.convolve(x, [0.25, 0.5, 0.25], "same")
    >>> found = deconvolve(blurred, np.array([0.25, 0.5, 0.25]), method="least_squares", boundary="zero", noise=0)
    >>> np.abs(found).round(3)
    array([0., 0., 0., 0., 1., 0., 0., 0., 0.])
    """
    if method not in METHODS:
        raise TrousError("method", f"must be one of {', '.join(METHODS)}", method)
    if boundary not in SURROUNDINGS:
        raise TrousError("boundary", f"must be one of {', '.join(SURROUNDINGS)}", boundary)
    is_mapped = isinstance(out, np.memmap) and method == "richardson_lucy"
    space = Files(out) if is_mapped else MEMORY  # type: ignore[arg-type]
    data, kernel = real("y", y, space), real("psf", psf)
    layout = Layout.of(data.shape, kernel.ndim, axes, channel_axis)
    shown = mask_of(mask, data)
    peak = check_numbers(method, data, kernel, shown)
    if method == "wiener":
        for name, value in (("iterations", iterations), ("callback", callback)):
            if value is not None:
                raise TrousError(name, "must be None for wiener, which does not iterate", value)
        if nonnegative:
            raise TrousError("nonnegative", "must be False for wiener, which is linear", nonnegative)
    stride = _integer("stride", stride)
    given = dict(noise=_number("noise", noise), weight=_number("weight", weight))
    if iterations is not None:
        iterations = _integer("iterations", iterations)

    dtype = (
        np.float64 if data.dtype.itemsize > 4 or (data.dtype.kind in "iu" and data.dtype.itemsize > 2) else np.float32
    )
    worked = np.dtype(np.float64 if peak > LARGE or 0 < peak < 1 / LARGE else dtype)
    geometry = tuple(
        ObservedAxis(k, stride, n, boundary) for k, n in zip(layout.kernel(kernel), layout.size, strict=True)
    )
    for axis in geometry:
        axis.check()
    _check_out(out, layout.outward_shape(geometry), np.dtype(dtype), is_torch(y) or is_torch(psf))
    task = Task(
        y=laid(layout, data, worked, space, shown),
        psf=_normalised(layout.inward_psf(kernel)).astype(worked),
        mask=None if shown is None else laid(layout, shown, worked, space),
        axes=geometry,
        told=given["noise"],
        weight=given["weight"],
        iterations=iterations,
        nonnegative=nonnegative,
        watch=_watch(callback, layout, dtype),
        space=space,
    )
    if needs_gradient := [n for n, a in (("y", y), ("psf", psf)) if is_torch(a) and a.requires_grad]:
        if method != "wiener":
            raise TrousError(needs_gradient[0], "must not require gradients but for wiener", method)
        differentiable: Any = import_module("trous.inverse.differentiable")
        return differentiable.wiener(task, layout, y, psf)
    estimate: Array = getattr(import_module(f"trous.inverse.{method}"), method)(task)
    result = np.empty(layout.outward_shape(geometry), dtype) if out is None else out
    if not written(layout, estimate, result):
        raise TrousError("y", f"must be within the range of numbers that {method} can work on", peak)
    return _like(result, y)


@dataclass(frozen=True)
class Layout:
    """Where the axes of y stand: `order` brings it to pictures, colours and spatial axes."""

    order: tuple[int, ...]
    pictures: tuple[int, ...]
    colours: int
    size: tuple[int, ...]

    @staticmethod
    def of(shape: tuple[int, ...], psf_rank: int, axes: Any, channel_axis: Any) -> Layout:
        rank = len(shape)
        if channel_axis is not None:
            channel_axis = _axis("channel_axis", channel_axis, rank)
        if axes is None:
            free = [axis for axis in range(rank) if axis != channel_axis]
            count = psf_rank if psf_rank <= len(free) else len(free)
            spatial = free[len(free) - count :]
        else:
            spatial = [_axis("axes", axis, rank) for axis in (axes if isinstance(axes, Sequence) else (axes,))]
        if not 1 <= len(spatial) <= 3 or len(set(spatial)) < len(spatial) or channel_axis in spatial:
            rule = "must be one to three axes of y, each once, and not that of colours"
            raise TrousError("axes", rule, tuple(spatial) if axes is None else axes)
        if psf_rank not in (len(spatial), rank):
            raise TrousError("psf", f"must have the {len(spatial)} axes that are blurred or all {rank} of y", psf_rank)
        others = [axis for axis in range(rank) if axis not in spatial and axis != channel_axis]
        return Layout(
            (*others, *([] if channel_axis is None else [channel_axis]), *spatial),
            tuple(shape[axis] for axis in others),
            1 if channel_axis is None else shape[channel_axis],
            tuple(shape[axis] for axis in spatial),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Of y as `(pictures, colours, *size)`."""
        return (prod(self.pictures), self.colours, *self.size)

    def outward_shape(self, axes: Sequence[ObservedAxis]) -> tuple[int, ...]:
        """Of the estimate with its axes where y has them."""
        turned = (*self._front, *(axis.result for axis in axes))
        return tuple(turned[self.order.index(axis)] for axis in range(len(turned)))

    @property
    def _front(self) -> tuple[int, ...]:
        """Of all axes but the spatial ones."""
        has_colours = len(self.order) > len(self.pictures) + len(self.size)
        return (*self.pictures, self.colours) if has_colours else self.pictures

    def turned(self, x: Array) -> Array:
        """An estimate as `(pictures, colours, *result)` with one axis for each of y, spatial ones last; a view."""
        return x.reshape(*self._front, *x.shape[2:])

    def kernel(self, psf: Any) -> tuple[int, ...]:
        """Sizes of the PSF along the spatial axes."""
        rank = len(self.size)
        return tuple(psf.shape) if psf.ndim == rank else tuple(psf.shape[axis] for axis in self.order[-rank:])

    def inward(self, x: Any) -> Any:
        """An array as y, NumPy's or torch's, as `(pictures, colours, *size)`."""
        x = x.permute(self.order) if is_torch(x) else np.transpose(x, self.order)
        return x.reshape(prod(self.pictures), self.colours, *x.shape[x.ndim - len(self.size) :])

    def inward_psf(self, psf: Any) -> Any:
        """PSFs as `(pictures or 1, colours or 1, *kernel)`."""
        rank = len(self.size)
        kernel = self.kernel(psf)
        if psf.ndim == rank:
            return psf.reshape(1, 1, *kernel)
        psf = psf.permute(self.order) if is_torch(psf) else np.transpose(psf, self.order)
        others, along = psf.shape[: len(self.pictures)], psf.shape[len(self.pictures) :]
        colours = along[0] if len(along) > rank else 1
        if any(
            n not in (1, wanted) for n, wanted in zip((*others, colours), (*self.pictures, self.colours), strict=True)
        ):
            rule = f"must have 1 or as many entries as y along the other axes, {(*self.pictures, self.colours)}"
            raise TrousError("psf", rule, (*others, colours))
        if prod(others) > 1:
            wanted = (*self.pictures, *along)
            psf = psf.expand(wanted) if is_torch(psf) else np.broadcast_to(psf, wanted)
            return psf.reshape(prod(self.pictures), colours, *kernel)
        return psf.reshape(1, colours, *kernel)

    def outward(self, x: Any) -> Any:
        """An estimate with its axes where y has them."""
        x = self.turned(x)
        back = tuple(int(i) for i in np.argsort(self.order))
        return x.permute(back) if is_torch(x) else np.ascontiguousarray(np.transpose(x, back))


def _normalised(psf: Array) -> Array:
    """PSFs `(pictures or 1, colours or 1, *kernel)`, each divided by its sum."""
    axes = tuple(range(2, psf.ndim))
    sums = psf.sum(axes, dtype=np.float64, keepdims=True)
    if (sums <= 1e-6 * np.abs(psf).sum(axes, dtype=np.float64, keepdims=True)).any():
        raise TrousError("psf", "must have a positive sum: it says how the light of a point spreads", float(sums.min()))
    return psf / sums


def _check_out(out: Any, shape: tuple[int, ...], dtype: Any, has_tensors: bool) -> None:
    if out is None:
        return
    if has_tensors:
        raise TrousError("out", "must be None where y or psf is a tensor", type(out).__name__)
    if not isinstance(out, np.ndarray) or not out.flags.writeable:
        raise TrousError("out", "must be a NumPy array that can be written to", type(out).__name__)
    if out.shape != shape or out.dtype != dtype:
        raise TrousError(
            "out", f"must have the estimate's shape {shape} and dtype {dtype}", (out.shape, out.dtype.name)
        )


def _integer(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise TrousError(name, "must be an integer of at least 1", value)
    return number


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("nan")
    if not (isfinite(number) and number >= 0):
        raise TrousError(name, "must be a finite number, not negative", value)
    return number


def _axis(name: str, value: Any, rank: int) -> int:
    try:
        axis = operator.index(value)
    except TypeError:
        axis = rank
    if not -rank <= axis < rank:
        raise TrousError(name, f"must be an axis of y, -{rank} to {rank - 1}", value)
    return axis % rank


def _watch(callback: Any, layout: Layout, dtype: Any) -> Any:
    if callback is None:
        return lambda *_: False

    def watch(iteration: int, iterations: int, residual: float, estimate: Callable[[], Array]) -> bool:
        state = State(iteration, iterations, residual, lambda: layout.outward(estimate()).astype(dtype))
        return callback(state) is True

    return watch


def _like(result: Array, y: Any) -> Any:
    if not is_torch(y):
        return result
    import torch

    return torch.from_numpy(result).to(y.device)
