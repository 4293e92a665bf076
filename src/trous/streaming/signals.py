"""Where the samples of a signal lie in a tensor, and pieces of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from trous.streaming.tracing import Shape


@dataclass(frozen=True)
class Place:
    """The samples lie along dimension `dim`, which may also hold, merged by a reshape, `outer` signals, each with
    `inner` numbers a sample."""

    dim: int
    outer: int = 1
    inner: int = 1

    @property
    def alone(self) -> bool:
        return self.outer == self.inner == 1

    def length(self, tensor: Tensor) -> int:
        return tensor.shape[self.dim] // (self.outer * self.inner)

    def cut(self, tensor: Tensor, start: int, stop: int) -> Tensor:
        """Samples `start` to `stop`."""
        if self.outer == 1:
            return tensor.narrow(self.dim, start * self.inner, (stop - start) * self.inner)
        apart = tensor.unflatten(self.dim, (self.outer, -1))
        return apart.narrow(self.dim + 1, start * self.inner, (stop - start) * self.inner).flatten(
            self.dim, self.dim + 1
        )

    def joined(self, first: Tensor, second: Tensor) -> Tensor:
        """The samples of one behind those of the other."""
        if self.outer == 1:
            return torch.cat([first, second], self.dim)
        apart = [tensor.unflatten(self.dim, (self.outer, -1)) for tensor in (first, second)]
        return torch.cat(apart, self.dim + 1).flatten(self.dim, self.dim + 1)

    def reshaped(self, old: Shape, new: Shape, length: int) -> Place | None:
        """Where the samples lie after a reshape; None where it takes them apart."""
        outer = prod(old[: self.dim]) * self.outer
        before = 1
        for dim, size in enumerate(new):
            if outer % before == 0 and size % (outer // before * length) == 0:
                inside = outer // before
                return Place(dim, inside, size // (inside * length))
            before *= size
        return None


#: Length of a value as a function of the length of the signal that the network is given.
Length = Callable[[int], int]


@dataclass(frozen=True)
class Signal:
    """A value that changes along the signal.

    Args:
        length: its samples; `lengths` are those for the two traced signals.
        shape: of the tensor, for the first of them.
    """

    place: Place
    length: Length
    lengths: tuple[int, int]
    shape: Shape
    dtype: torch.dtype
    device: torch.device

    def empty(self) -> Tensor:
        """No samples of it."""
        return self._empty

    @cached_property
    def _empty(self) -> Tensor:
        return torch.empty(self._shape(0), dtype=self.dtype, device=self.device)

    def like(self, count: int) -> Tensor:
        """The form of so many samples, without data."""
        return torch.empty(self._shape(count), dtype=self.dtype, device="meta")

    def _shape(self, count: int) -> list[int]:
        size = count * self.place.outer * self.place.inner
        return [size if dim == self.place.dim else other for dim, other in enumerate(self.shape)]


def found(shapes: tuple[Shape, Shape], like: Signal) -> Place | None:
    """The one dimension that follows the length as that of `like` does; None where there is no such one."""
    differ = [dim for dim, (a, b) in enumerate(zip(*shapes, strict=True)) if a != b]
    if len(differ) != 1:
        return None
    place = replace(like.place, dim=differ[0])
    return place if shapes[0][place.dim] == like.shape[like.place.dim] else None
