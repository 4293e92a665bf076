"""Channels split by group, as views: what the back-ends that work on whole arrays share."""

from __future__ import annotations

from typing import Any

from trous.backends.operation import Operation


def split_channels(operation: Operation, x: Any) -> Any:
    """`(batch, channels, *size)` as `(batch, groups, channels/groups, *size)`."""
    batch, channels, *size = x.shape
    return x.reshape((batch, operation.groups, channels // operation.groups, *size))


def split_weight(operation: Operation, w: Any) -> Any:
    """A weight of either layout as `(groups, out_channels/groups, in_channels/groups, *kernel)`."""
    first, second, *kernel = w.shape
    w = w.reshape((operation.groups, first // operation.groups, second, *kernel))
    return w.swapaxes(1, 2) if operation.weight_by_input else w
