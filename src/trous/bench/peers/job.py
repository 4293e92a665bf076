"""What a peer is asked to do, and what it answers with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from trous.problem import Problem


class Refused(Exception):
    """A peer cannot do a layer; the message is the reason."""


class Axis(NamedTuple):
    """One axis of a layer in plain numbers, padding words resolved."""

    kernel: int
    stride: int
    before: int
    after: int
    output_padding: int
    dilation: int


@dataclass(frozen=True)
class Job:
    """A layer with its numbers, float32 or float64 and channels-first; a peer brings them into its dtype and layout.

    `dy`, the gradient of the output, is there when the job is a training step: the output and the gradients for input
    and weight. With `frozen` the weight stays as it is, so that a library may bring it into an order of its own before
    the calls; those that load models, ONNX Runtime and OpenVINO, always do.
    """

    problem: Problem
    x: np.ndarray
    w: np.ndarray
    b: np.ndarray | None = None
    dy: np.ndarray | None = None
    threads: int = 1
    frozen: bool = False

    @property
    def axes(self) -> list[Axis]:
        spec = self.problem.spec
        axes = []
        for number in range(self.problem.ndim):
            a = spec.axis_arguments(number)
            before, after, output_padding = (*spec.axis_padding(number), 0)[:3]
            axes.append(Axis(a["kernel"], a["stride"], before, after, output_padding, a["dilation"]))
        return axes


class Prepared(NamedTuple):
    """`call()` does the job once; `read` makes arrays, channels-first and without the dtype's rounding, of its result.

    The arrays are the output, and after a training step also the gradients for input and weight.
    """

    call: Callable[[], Any]
    read: Callable[[Any], Sequence[np.ndarray]]
