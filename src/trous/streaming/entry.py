"""The public function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from trous.errors import TrousError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from trous.streaming.fused.stream import FusedStream
    from trous.streaming.live import Stream


@overload
def stream(module: nn.Module, *, dim: int = -1, fused: Literal[False] = False) -> Stream: ...


@overload
def stream(
    module: nn.Module, *, dim: int = -1, fused: Literal[True], weights: torch.dtype | None = None
) -> FusedStream: ...


def stream(
    module: nn.Module, *, dim: int = -1, fused: bool = False, weights: torch.dtype | None = None
) -> Stream | FusedStream:
    """A module to be fed block by block, with the outputs that the whole signal gives, each as early as can be.

    Args:
        module: a network of convolutions of any kind, pooling, interpolation, recurrent layers, normalisation by stored
            statistics, pointwise and linear layers, in branches and joins of any form; it is taken in eval mode. It is
            not changed, and what it learns afterwards is used.
        dim: the dimension that samples lie along, in what the module takes.
        fused: compile the whole network into one call a block, on the CPU, for networks of convolutions of stride 1
            and pointwise functions (docs/fused.md). Weights are then those of the first block.
        weights: of a fused stream, `torch.bfloat16` or `torch.float16` to keep them in half the memory, rounded.

    Returns:
        A `Stream`: `push(block)`, `flush()`, `reset()`, `delay`, `context`, `again()`, `state_dict()`,
        `load_state_dict(saved)`.

    Raises:
        TrousError: no torch module; `weights` without `fused`. What cannot be streamed is said at the first block,
            which tells the sizes.

    >>> import torch
    >>> live = stream(torch.nn.Conv1d(1, 1, 3, padding=1))
    >>> [live.push(torch.ones(1, 1, n)).shape[-1] for n in (1, 1, 4)], live.flush().shape[-1], live.delay
    ([0, 1, 4], 1, 1)
    """
    import torch

    from trous.streaming.live import Stream

    if not isinstance(module, torch.nn.Module):
        raise TrousError("module", "must be a torch.nn.Module", type(module).__name__)
    if fused:
        from trous.streaming.fused.stream import FusedStream

        return FusedStream(module, dim, weights)
    if weights is not None:
        raise TrousError("weights", "must be None unless the stream is fused", weights)
    return Stream(module, dim)
