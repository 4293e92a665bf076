"""Padding modes of tensors: copies in front of a convolution, and their adjoint behind a transposed one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trous.plan.border import check_border, source_indices

Pairs = Sequence[tuple[int, int]]


def pad(x: Tensor, pairs: Pairs, mode: str) -> Tensor:
    """`x`, `(..., *size)`, with `(before, after)` on each of its last axes filled by `mode`; negative numbers crop."""
    for size, (before, after) in zip(x.shape[-len(pairs) :], pairs, strict=True):
        check_border(mode, size, before, after)
    amounts = [n for pair in reversed(pairs) for n in pair]
    if min(amounts) < 0:
        x = torch.nn.functional.pad(x, [min(n, 0) for n in amounts])
        amounts = [max(n, 0) for n in amounts]
    return torch.nn.functional.pad(x, amounts, mode=mode)


def fold(y: Tensor, pairs: Pairs, mode: str) -> Tensor:
    """The adjoint of `pad`: every position in the border is added back to the one it would have been copied from."""
    for axis, (before, after) in enumerate(pairs, start=y.ndim - len(pairs)):
        size = y.shape[axis] - before - after
        sources = torch.tensor(source_indices(mode, size, before, after), device=y.device)
        y = y.new_zeros((*y.shape[:axis], size, *y.shape[axis + 1 :])).index_add(axis, sources, y)
    return y
