"""PyTorch as it runs without being asked for more; and what trous shares with it, being called alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from trous.bench.peers.job import Job, Prepared, Refused

if TYPE_CHECKING:
    import torch

_FORMATS = {4: "channels_last", 5: "channels_last_3d"}


def prepare(job: Job, last: bool) -> Prepared:
    flat = flattened(job, last)
    return prepared(job, last, flat, torch_function(job, flat))


def flattened(job: Job, last: bool) -> bool:
    """Whether a 1-D layer is done as a 2-D one of height 1: torch has a channels-last format from two axes on only."""
    return last and job.problem.ndim == 1


def torch_function(job: Job, flat: bool) -> Callable[..., torch.Tensor]:
    """torch's own function for the layer; where it cannot pad the two ends of an axis differently, behind `pad`."""
    import torch

    axes, problem = job.axes, job.problem
    uneven = any(axis.before != axis.after for axis in axes)
    if uneven and problem.kind == "conv_transpose":
        raise Refused("PyTorch crops both ends of an axis alike")
    ones, zeros = (1,) * flat, (0,) * flat
    options: dict[str, Any] = {
        "stride": (*ones, *(axis.stride for axis in axes)),
        "padding": 0 if uneven else (*zeros, *(axis.before for axis in axes)),
        "dilation": (*ones, *(axis.dilation for axis in axes)),
        "groups": problem.spec.groups,
    }
    if problem.kind == "conv_transpose":
        options["output_padding"] = (*zeros, *(axis.output_padding for axis in axes))
    function = partial(getattr(torch.nn.functional, f"{problem.kind}{len(axes) + flat}d"), **options)
    if not uneven:
        return function
    around = [edge for axis in reversed(axes) for edge in (axis.before, axis.after)]  # pad begins with the last axis
    return lambda x, w, b: function(torch.nn.functional.pad(x, around), w, b)


def prepared(
    job: Job,
    last: bool,
    flat: bool,
    function: Callable[..., torch.Tensor],
    hold: Callable[[torch.Tensor], Any] | None = None,
) -> Prepared:
    """`function(x, w, b)` on the job's numbers; `last` brings them, and in training the gradient, into channels-last.

    Weights follow their input, as `module.to(memory_format=torch.channels_last)` has it. The function is given what
    `hold` makes of the weight once.
    """
    import torch

    dtype = getattr(torch, job.problem.dtype)

    def tensor(numbers: np.ndarray) -> torch.Tensor:
        made = torch.from_numpy(numbers).to(dtype)
        made = made.unsqueeze(2) if flat else made
        return made.contiguous(memory_format=getattr(torch, _FORMATS[made.ndim])) if last and made.ndim > 3 else made

    x, w = tensor(job.x), tensor(job.w)
    b = None if job.b is None else torch.from_numpy(job.b).to(dtype)
    if last and x.ndim == 3:
        x = _lines_last(x)
    if job.dy is None:
        held = w if hold is None else hold(w)
        return Prepared(torch.inference_mode()(partial(function, x, held, b)), lambda y: [_array(y, flat)])
    dy = _lines_last(tensor(job.dy)) if last and x.ndim == 3 else tensor(job.dy)
    leaves = [x.requires_grad_(), w.requires_grad_()]

    def step() -> Sequence[torch.Tensor]:
        y = function(x, w, b)
        return (y, *torch.autograd.grad(y, leaves, dy))

    return Prepared(step, lambda results: [_array(result, flat) for result in results])


def _lines_last(x: torch.Tensor) -> torch.Tensor:
    """`(batch, channels, positions)` with neighbouring channels adjacent, which torch has no name for."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def _array(result: torch.Tensor, flat: bool) -> np.ndarray:
    """Without the axis of `flat`, 16-bit floats as float32."""
    import torch

    if flat:
        result = result.squeeze(2)
    return result.detach().to(torch.float64 if result.dtype == torch.float64 else torch.float32).numpy()
