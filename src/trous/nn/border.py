"""Padding modes of tensors: copies in front of a convolution, and their adjoint behind a transposed one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from trous.errors import TrousError
from trous.plan.border import check_border

Pairs = Sequence[tuple[int, int]]


def check_rank(x: Tensor, ndim: int) -> None:
    if x.ndim not in (ndim + 1, ndim + 2):
        rule = f"must have {ndim} spatial axes, (batch, channels, *size) or without batch"
        raise TrousError("input", rule, tuple(x.shape))


def pad(x: Tensor, pairs: Pairs, mode: str) -> Tensor:
    """`x`, `(..., *size)`, with `(before, after)` on each of its last axes filled by `mode`; negative numbers crop."""
    check_rank(x, len(pairs))
    for size, (before, after) in zip(x.shape[-len(pairs) :], pairs, strict=True):
        check_border(mode, size, before, after)
    amounts = [n for pair in reversed(pairs) for n in pair]
    x = torch.nn.functional.pad(x, [max(n, 0) for n in amounts], mode=mode)
    return torch.nn.functional.pad(x, [min(n, 0) for n in amounts]) if min(amounts) < 0 else x


def fold(y: Tensor, pairs: Pairs, mode: str) -> Tensor:
    """The adjoint of `pad`, for numbers that do not crop: every position in the border is added back to its source."""
    for axis, (before, after) in enumerate(pairs, start=y.ndim - len(pairs)):
        size = y.shape[axis] - before - after
        if size < 0:
            raise TrousError("padding", "must leave an output", (before, after))
        check_border(mode, size, before, after)
        if before or after:
            y = _fold_axis(y, axis, size, before, after, mode)
    return y


def _fold_axis(y: Tensor, axis: int, size: int, before: int, after: int, mode: str) -> Tensor:
    """Slices and not indices, so that a compiled graph serves every size; see `trous.plan.border.source_indices`."""
    head, inside, tail = y.split_with_sizes([before, size, after], axis)
    match mode:
        case "reflect":
            borders = (1, head.flip(axis)), (size - 1 - after, tail.flip(axis))
        case "replicate":
            borders = (0, head.sum(axis, keepdim=True)), (size - 1, tail.sum(axis, keepdim=True))
        case _:
            borders = (size - before, head), (0, tail)
    result = inside.clone()
    for start, border in borders:
        result.narrow(axis, start, border.shape[axis]).add_(border)
    return result
