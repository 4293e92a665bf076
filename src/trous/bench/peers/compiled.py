"""torch.compile of PyTorch's function, for the sizes of the layer; where the weight stays, of a frozen module of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trous.bench.peers import pytorch
from trous.bench.peers.job import Job, Prepared

if TYPE_CHECKING:
    import torch


def prepare(job: Job, last: bool) -> Prepared:
    import torch

    torch.compiler.reset()  # or the kernels of layers that are done stay
    flat = pytorch.flattened(job, last)
    function = pytorch.torch_function(job, flat)
    if not job.frozen:
        return pytorch.prepared(job, last, flat, torch.compile(function, dynamic=False))
    freeze(True)

    class Layer(torch.nn.Module):
        def __init__(self, w: torch.Tensor):
            super().__init__()
            self.weight = torch.nn.Parameter(w)

        def forward(self, x: torch.Tensor, b: torch.Tensor | None) -> torch.Tensor:
            return function(x, self.weight, b)

    def hold(w: torch.Tensor) -> Any:
        return torch.compile(Layer(w), dynamic=False)

    return pytorch.prepared(job, last, flat, lambda x, layer, b: layer(x, b), hold)


def freeze(frozen: bool) -> None:
    """Whether torch.compile takes parameters for constants, from the next compilation on."""
    import torch._inductor.config as config

    config.freezing = frozen
