"""The Wiener filter with gradients, for networks that deblur and PSFs that are learned.

At the minimum of `J(x; y, psf)` its gradient for x is 0. How the minimum moves with y and psf follows from that alone,
by one more solution of the same equations (implicit differentiation), whichever way it was found.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trous.inverse.entry import Layout
from trous.inverse.request import Task
from trous.inverse.wiener import Equations, equations


def wiener(task: Task, layout: Layout, y: Tensor, psf: Tensor) -> Tensor:
    """`trous.inverse.wiener.wiener` of tensors that require gradients. What the prior took from y is held constant."""
    system = equations(task)
    found = system.minimum()
    dtype = torch.from_numpy(task.y).dtype
    kernel = layout.inward_psf(psf).to("cpu", dtype)
    kernel = kernel / kernel.sum(tuple(range(2, kernel.ndim)), keepdim=True)
    data = layout.inward(y).to("cpu", dtype)
    if task.mask is not None:
        data = torch.where(torch.from_numpy(task.mask) > 0, data, 0)
    x = torch.from_numpy(found).requires_grad_()
    gradient = torch.autograd.grad(_loss(task, system, x, data, kernel), x, create_graph=True)[0]
    moved = x.detach() - _Solved.apply(gradient, system)
    result = system.crop(moved)  # slices, which torch reads alike
    return layout.outward(result).to(y.device, y.dtype if y.dtype.is_floating_point else dtype)


class _Solved(torch.autograd.Function):
    """The solution of the equations whose right side is 0 but for rounding: 0, and moving as the solution does."""

    @staticmethod
    def forward(ctx: Any, right: Tensor, system: Equations) -> Tensor:
        ctx.system = system
        return torch.zeros_like(right)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        solved = ctx.system.solve(gradients[0].contiguous().numpy())
        return torch.from_numpy(solved), None


def _loss(task: Task, system: Equations, x: Tensor, y: Tensor, psf: Tensor) -> Tensor:
    """Half of what is minimal at x."""
    rank = len(task.axes)
    along = tuple(range(-rank, 0))
    torus = task.torus
    latent = x
    if system.is_tied:
        for n, axis in enumerate(task.axes):
            index = torch.tensor([-1 if i is None else i for i in axis.sources])
            shape = [-1 if a == n else 1 for a in range(rank)]
            latent = latent.index_select(2 + n, index.clamp(min=0)) * (index >= 0).reshape(shape).to(x.dtype)
    places = [torch.tensor(axis.turns(n)) for axis, n in zip(task.axes, torus.size, strict=True)]
    grid = torch.meshgrid(*places, indexing="ij")
    flat = torch.zeros((), dtype=torch.long)
    for place, n in zip(grid, torus.size, strict=True):
        flat = flat * n + place
    circle = torch.zeros((*psf.shape[:2], torch.Size(torus.size).numel()), dtype=psf.dtype)
    circle = circle.index_add(2, flat.reshape(-1), psf.flatten(2)).reshape(*psf.shape[:2], *torus.size)
    spectrum = torch.fft.rfftn(latent, torus.size, dim=along) * torch.fft.rfftn(circle, dim=along)
    blurred = torus.gather(torch.fft.irfftn(spectrum, torus.size, dim=along))
    rest = blurred - y
    if task.mask is not None:
        rest = rest * torch.from_numpy(task.mask)
    rough = torch.from_numpy(system.rough)
    smooth = torch.fft.irfftn(torch.fft.rfftn(x, dim=along) * rough, system.size, dim=along)
    return (rest * rest).sum() / 2 + (x * smooth).sum() / 2
