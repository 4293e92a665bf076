"""Enlarging as a transposed convolution: the well-known interpolations are nothing but choices of its weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import trous
from trous.demo.photo import Photo
from trous.demo.race import Race, Rival, largest_difference, race, rounding
from trous.interpolation import INTERPOLANTS, interpolation_kernel, interpolation_spec
from trous.plan.bind import BoundAxis
from trous.plan.reach import reads
from trous.problem import Problem

KERNELS = tuple(INTERPOLANTS)
SCALES = (2, 3)
INTERPOLATE = "PyTorch's interpolate"


@dataclass(frozen=True)
class Enlargement:
    """`picture` is `(3, scale*height, scale*width)`, float32.

    `difference` is the largest one to what `reference` makes of the photograph, in float64, over the `compared` outputs
    (a range per axis): those that read nothing from beyond the edge, where the two continue the photograph differently.
    """

    kernel: str
    scale: int
    problem: Problem
    weight: np.ndarray
    picture: np.ndarray
    compared: tuple[range, ...]
    reference: str
    difference: float

    @property
    def phases(self) -> list[np.ndarray]:
        """The weights that one output sees, for each position that an output can have between the inputs."""
        axes = self.problem.bound.plan.axes
        rows, columns = ([[tap.kernel for tap in taps] for taps in axis.by_phase] for axis in axes)
        return [self.weight[0, 0][np.ix_(row, column)] for row in rows for column in columns]

    @property
    def tolerance(self) -> float:
        """What rounding to float32 explains."""
        return max(map(rounding, self.phases))

    @property
    def agrees(self) -> bool:
        return self.difference <= self.tolerance


def enlarge(photo: Photo, kernel: str, scale: int) -> Enlargement:
    """Enlarge every colour by itself, and compare."""
    spec = interpolation_spec(kernel, scale, channels=3)
    weight = interpolation_kernel(kernel, scale, channels=3)
    problem = Problem(spec, 1, 3, 3, photo.size)
    picture = trous.conv_transpose(photo.pixels, weight, stride=spec.stride, padding=spec.padding, groups=3)[0]
    compared = tuple(interior(axis) for axis in problem.bound.axes)
    rows, columns = (slice(inside.start, inside.stop) for inside in compared)
    reference, expected = _reference(photo, kernel, scale)
    difference = largest_difference(picture[:, rows, columns], expected[:, rows, columns])
    return Enlargement(kernel, scale, problem, weight, picture, compared, reference, difference)


def interior(axis: BoundAxis) -> range:
    """The outputs whose taps all land inside the input."""
    inside = [
        o
        for o in range(axis.output_size)
        if (read := reads(axis.plan, range(o, o + 1))).start >= 0 and read.stop <= axis.input_size
    ]
    return range(inside[0], inside[-1] + 1) if inside else range(0)


def race_enlargement(photo: Photo, result: Enlargement, seconds: float) -> Race:
    """Against the same layer in PyTorch, and against its `interpolate`, which can do nothing else.

    In float32 that one rounds the coordinates at which it reads, up to `eps * size` of a pixel; a picture between 0
    and 1 changes by no more than a few times that.
    """
    import torch

    inside = (..., *(slice(axis.start, axis.stop) for axis in result.compared))
    coarse = result.tolerance + 4 * float(np.finfo(np.float32).eps) * sum(photo.size)
    first = torch.from_numpy(photo.pixels)
    layouts = {"": first, ", channels last": first.contiguous(memory_format=torch.channels_last)}
    rivals = [
        Rival("interpolate" + layout, partial(_interpolate, x, result.kernel, result.scale), inside, coarse)
        for layout, x in layouts.items()
        if result.reference == INTERPOLATE
    ]
    job = f"{result.kernel} × {result.scale}"
    expected = result.picture[None]
    return race(job, result.problem, photo.pixels, result.weight, expected, result.tolerance, seconds, rivals)


def _reference(photo: Photo, kernel: str, scale: int) -> tuple[str, np.ndarray]:
    """Whose interpolation it is, and its `(3, ...)` result in float64, free of the rounding said above."""
    import torch

    try:
        return INTERPOLATE, _interpolate(torch.from_numpy(photo.pixels).double(), kernel, scale)[0].numpy()
    except (NotImplementedError, ValueError):
        if kernel != "lanczos":
            raise
    return "Pillow's resize", _pillow(photo, scale)  # torch came to Lanczos late


def _interpolate(x: Any, kernel: str, scale: int) -> Any:
    import torch

    options: dict[str, Any] = {"align_corners": False} if kernel in ("bilinear", "bicubic") else {}
    if kernel == "lanczos":
        options["antialias"] = True  # it has no other; enlarging has nothing to smooth
    return torch.nn.functional.interpolate(x, scale_factor=scale, mode=kernel, **options)


def _pillow(photo: Photo, scale: int) -> np.ndarray:
    from PIL import Image

    height, width = photo.size
    size = scale * width, scale * height
    planes = [Image.fromarray(plane).resize(size, Image.Resampling.LANCZOS) for plane in photo.pixels[0]]
    return np.stack([np.asarray(plane, np.float64) for plane in planes])
