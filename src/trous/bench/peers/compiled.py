"""torch.compile of PyTorch's function, for the sizes of the layer."""

from __future__ import annotations

from trous.bench.peers import pytorch
from trous.bench.peers.job import Job, Prepared


def prepare(job: Job, last: bool) -> Prepared:
    import torch

    torch.compiler.reset()  # or the kernels of layers that are done stay
    flat = pytorch.flattened(job, last)
    return pytorch.prepared(job, last, flat, torch.compile(pytorch.torch_function(job, flat), dynamic=False))
