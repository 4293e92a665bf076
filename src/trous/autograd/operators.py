"""The torch operators that every convolution and derivative is made of, and what runs them.

`trous::run` computes a convolution or the adjoint of one, `trous::weight_grad` the gradient of its weight; beside the
implementation each has a fake one (shapes only, for compile and export) and a rule for vmap. `trous::run_finished` is
`trous::run` with residual and activation in the same pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trous.arrays import empty, gives_channels_last
from trous.backends.epilogue import Epilogue
from trous.backends.execute import execute, execute_weight_grad, operation

#: stride, before, dilation, groups: what the two operators share; see `trous.entry.Geometry`.
_SHARED = "int[] stride, int[] before, int[] dilation, SymInt groups"

torch.library.define(
    "trous::run",
    f"(Tensor x, Tensor w, Tensor? bias, SymInt[] output_size, {_SHARED}, bool transposed) -> Tensor",
    tags=torch.Tag.pt2_compliant_tag,
)
torch.library.define(
    "trous::weight_grad",
    f"(Tensor x, Tensor dy, SymInt[] kernel, {_SHARED}) -> Tensor",
    tags=torch.Tag.pt2_compliant_tag,
)
torch.library.define(
    "trous::run_finished",
    "(Tensor x, Tensor w, Tensor? bias, Tensor? residual, str? activation, float slope, SymInt[] output_size, "
    f"{_SHARED}, bool transposed) -> Tensor",
    tags=torch.Tag.pt2_compliant_tag,
)


def _run(x: Tensor, w: Tensor, bias: Tensor | None, output_size: list[int], *shared: Any) -> Tensor:
    return execute(operation(x.shape, w.shape, tuple(output_size), *hashable(shared)), x, w, bias)


def _run_fake(x, w, bias, output_size, stride, before, dilation, groups, transposed):  # type: ignore[no-untyped-def]
    out_channels = w.shape[1] * groups if transposed else w.shape[0]
    return empty((x.shape[0], out_channels, *output_size), x, gives_channels_last(x, w))


def _run_finished(
    x: Tensor,
    w: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    activation: str | None,
    slope: float,
    output_size: list[int],
    *shared: Any,
) -> Tensor:
    what = operation(x.shape, w.shape, tuple(output_size), *hashable(shared))
    return execute(what, x, w, bias, Epilogue(activation, slope, residual is not None), residual)


def _run_finished_fake(x, w, bias, residual, activation, slope, *geometry):  # type: ignore[no-untyped-def]
    return _run_fake(x, w, bias, *geometry)


def weight_grad(x: Tensor, dy: Tensor, kernel: list[int], *shared: Any) -> Tensor:
    w_shape = (dy.shape[1], x.shape[1] // shared[-1], *kernel)
    return execute_weight_grad(operation(x.shape, w_shape, tuple(dy.shape[2:]), *hashable(shared), False), x, dy)


def _weight_grad_fake(x, dy, kernel, stride, before, dilation, groups):  # type: ignore[no-untyped-def]
    return empty((dy.shape[1], x.shape[1] // groups, *kernel), x)


def hashable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)


def _run_vmap(info, in_dims, x, w, bias, *geometry):  # type: ignore[no-untyped-def]
    """Many inputs of one layer are one batch; many layers are the groups of one."""
    count, (x_dim, w_dim, bias_dim) = info.batch_size, in_dims[:3]
    if w_dim is None and bias_dim is None:
        x = x.movedim(x_dim, 0)
        return torch.ops.trous.run(x.flatten(0, 1), w, bias, *geometry).unflatten(0, x.shape[:2]), 0
    *rest, groups, transposed = geometry
    bias = None if bias is None else _side_by_side(bias, bias_dim, 0, count)
    x, w = _side_by_side(x, x_dim, 1, count), _side_by_side(w, w_dim, 0, count)
    y = torch.ops.trous.run(x, w, bias, *rest, groups * count, transposed)
    return y.unflatten(1, (count, y.shape[1] // count)), 1


def _weight_grad_vmap(info, in_dims, x, dy, *rest):  # type: ignore[no-untyped-def]
    count, (x_dim, dy_dim) = info.batch_size, in_dims[:2]
    *shared, groups = rest
    x, dy = _side_by_side(x, x_dim, 1, count), _side_by_side(dy, dy_dim, 1, count)
    dw = torch.ops.trous.weight_grad(x, dy, *shared, groups * count)
    return dw.unflatten(0, (count, dw.shape[0] // count)), 0


def _side_by_side(tensor: Tensor, dim: int | None, axis: int, count: int) -> Tensor:
    """The `count` members of a batched tensor, or copies of one, one after the other along `axis`."""
    if dim is None:
        return torch.cat([tensor] * count, axis)
    return tensor.movedim(dim, axis).flatten(axis, axis + 1)


torch.library.impl("trous::run", "CompositeExplicitAutograd", _run)
torch.library.impl("trous::run_finished", "CompositeExplicitAutograd", _run_finished)
torch.library.impl("trous::weight_grad", "CompositeExplicitAutograd", weight_grad)
torch.library.register_fake("trous::run", _run_fake)
torch.library.register_fake("trous::run_finished", _run_finished_fake)
torch.library.register_fake("trous::weight_grad", _weight_grad_fake)
torch.library.register_vmap("trous::run", _run_vmap)
torch.library.register_vmap("trous::weight_grad", _weight_grad_vmap)
