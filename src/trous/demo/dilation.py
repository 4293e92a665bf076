"""3 x 3 filters over a photograph, their taps pulled apart: a wider view for the same number of multiplications."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import trous
from trous.demo.photo import Photo
from trous.demo.race import Race, race, rounding
from trous.plan.cost import Cost, cost
from trous.plan.reach import receptive_field
from trous.problem import Problem

DILATIONS = (1, 2, 3)

FILTERS = {
    "blur": np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 16,
    "edges": np.array([[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]], np.float32) / 8,
}


@dataclass(frozen=True)
class Dilated:
    """One filter at one dilation over the whole photograph, colour by colour. `picture` is `(3, height, width)`."""

    filter: str
    problem: Problem
    weight: np.ndarray
    picture: np.ndarray

    @property
    def dilation(self) -> int:
        return self.problem.spec.axis_arguments(0)["dilation"]

    @property
    def field(self) -> int:
        """Pixels from the first to the last that one output reads, along each axis."""
        return receptive_field([self.problem.bound.plan])[0]

    @property
    def cost(self) -> Cost:
        problem = self.problem
        channels = problem.in_channels, problem.out_channels, problem.spec.groups
        return cost(problem.bound, in_channels=channels[0], out_channels=channels[1], groups=channels[2])


def look(photo: Photo, filter_name: str, dilation: int) -> Dilated:
    """Run one filter, with as many zeros around the photograph as keep its size."""
    weight = np.tile(FILTERS[filter_name], (3, 1, 1, 1))
    spec = trous.Conv(weight.shape[2:], padding="same", dilation=dilation, groups=3)
    picture = trous.conv(photo.pixels, weight, padding="same", dilation=dilation, groups=3)[0]
    return Dilated(filter_name, Problem(spec, 1, 3, 3, photo.size), weight, picture)


def race_look(photo: Photo, view: Dilated, seconds: float) -> Race:
    """One filter at one dilation against PyTorch."""
    job = f"filter, dilation {view.dilation}"
    return race(job, view.problem, photo.pixels, view.weight, view.picture[None], rounding(view.weight[0]), seconds)
