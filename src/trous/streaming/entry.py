"""The public function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trous.errors import TrousError

if TYPE_CHECKING:
    from torch import nn

    from trous.streaming.live import Stream


def stream(module: nn.Module, *, dim: int = -1) -> Stream:
    """A module to be fed block by block, with the outputs that the whole signal gives, each as early as can be.

    Args:
        module: a network of convolutions of any kind, pooling, interpolation, recurrent layers, normalisation by stored
            statistics, pointwise and linear layers, in branches and joins of any form; it is taken in eval mode. It is
            not changed, and what it learns afterwards is used.
        dim: the dimension that samples lie along, in what the module takes.

    Returns:
        A `Stream`: `push(block)`, `flush()`, `reset()`, `delay`, `context`, `again()`, `state_dict()`,
        `load_state_dict(saved)`.

    Raises:
        TrousError: no torch module. What cannot be streamed is said at the first block, which tells the sizes.

    >>> import torch
    >>> live = stream(torch.nn.Conv1d(1, 1, 3, padding=1))
    >>> [live.push(torch.ones(1, 1, n)).shape[-1] for n in (1, 1, 4)], live.flush().shape[-1], live.delay
    ([0, 1, 4], 1, 1)
    """
    import torch

    from trous.streaming.live import Stream

    if not isinstance(module, torch.nn.Module):
        raise TrousError("module", "must be a torch.nn.Module", type(module).__name__)
    return Stream(module, dim)
