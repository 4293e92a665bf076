"""The convolutions as torch operators: forward, gradients of any order, compile, export, autocast.

Two operators suffice, since the tap plan is closed under the adjoint. `trous::run` computes a convolution or the
adjoint of one; its gradient for x is itself with `transposed` turned round, at the size of x. `trous::weight_grad` is
linear in x and in dy, and both its gradients are `trous::run` again. So derivatives of every order stay within the two.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trous.arrays import empty, is_channels_last
from trous.backends.execute import execute, execute_weight_grad, operation, split_complex
from trous.entry import check
from trous.errors import TrousError

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


def _run(x: Tensor, w: Tensor, bias: Tensor | None, output_size: list[int], *shared: Any) -> Tensor:
    return execute(operation(x.shape, w.shape, tuple(output_size), *_hashable(shared)), x, w, bias)


def _run_fake(x, w, bias, output_size, stride, before, dilation, groups, transposed):  # type: ignore[no-untyped-def]
    out_channels = w.shape[1] * groups if transposed else w.shape[0]
    return empty((x.shape[0], out_channels, *output_size), x, is_channels_last(x))


def _weight_grad(x: Tensor, dy: Tensor, kernel: list[int], *shared: Any) -> Tensor:
    w_shape = (dy.shape[1], x.shape[1] // shared[-1], *kernel)
    return execute_weight_grad(operation(x.shape, w_shape, tuple(dy.shape[2:]), *_hashable(shared), False), x, dy)


def _weight_grad_fake(x, dy, kernel, stride, before, dilation, groups):  # type: ignore[no-untyped-def]
    return empty((dy.shape[1], x.shape[1] // groups, *kernel), x)


def _hashable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(tuple(value) if isinstance(value, list) else value for value in values)


def _keep(ctx: Any, first: Tensor, second: Tensor) -> None:
    """Keep of two factors each that the other's gradient needs, and their sizes, which cost nothing."""
    needs_first, needs_second, *_ = ctx.needs_input_grad
    ctx.save_for_backward(first if needs_second else None, second if needs_first else None)
    ctx.sizes = first.shape[2:], second.shape[2:]


def _run_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, w, _, _, *ctx.shared, ctx.transposed = inputs
    _keep(ctx, x, w)


def _run_backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, w = ctx.saved_tensors
    size, kernel = ctx.sizes
    dx = dw = dbias = None
    if ctx.needs_input_grad[0]:
        dx = torch.ops.trous.run(dy, w, None, size, *ctx.shared, not ctx.transposed)
    if ctx.needs_input_grad[1]:
        pair = (dy, x) if ctx.transposed else (x, dy)
        dw = torch.ops.trous.weight_grad(*pair, kernel, *ctx.shared)
    if ctx.needs_input_grad[2]:
        dbias = dy.sum((0, *range(2, dy.ndim)))
    return dx, dw, dbias, None, None, None, None, None, None


def _weight_grad_setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, dy, _, *ctx.shared = inputs
    _keep(ctx, x, dy)


def _weight_grad_backward(ctx: Any, ddw: Tensor) -> tuple[Tensor | None, ...]:
    x, dy = ctx.saved_tensors
    size, output_size = ctx.sizes
    dx = ddy = None
    if ctx.needs_input_grad[0]:
        dx = torch.ops.trous.run(dy, ddw, None, size, *ctx.shared, True)
    if ctx.needs_input_grad[1]:
        ddy = torch.ops.trous.run(x, ddw, None, output_size, *ctx.shared, False)
    return dx, ddy, None, None, None, None, None


torch.library.impl("trous::run", "CompositeExplicitAutograd", _run)
torch.library.register_fake("trous::run", _run_fake)
torch.library.register_autograd("trous::run", _run_backward, setup_context=_run_setup)
torch.library.impl("trous::weight_grad", "CompositeExplicitAutograd", _weight_grad)
torch.library.register_fake("trous::weight_grad", _weight_grad_fake)
torch.library.register_autograd("trous::weight_grad", _weight_grad_backward, setup_context=_weight_grad_setup)


@torch.compiler.allow_in_graph  # dynamo leaves it whole; its operators are traced below, with fake tensors
def convolve(x: Tensor, w: Tensor, bias: Tensor | None, arguments: tuple[Any, ...]) -> Tensor:
    """`trous.conv` and `trous.conv_transpose` of torch tensors; `arguments` are those of `trous.entry.Arguments`."""
    for name, tensor in (("x", x), ("w", w), ("bias", bias)):
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TrousError(name, "must be a torch tensor, as x is", type(tensor).__name__)
        if tensor is not None and tensor.layout is not torch.strided:
            raise TrousError(name, "must be dense, with strides", str(tensor.layout))
    x, w, bias = _autocast(x, w, bias)
    key = None if bias is None else (bias.shape, bias.dtype, bias.device)
    call = check((x.shape, x.dtype, x.device), (w.shape, w.dtype, w.device), key, *arguments)
    batch = x if call.batched else x.unsqueeze(0)
    if x.is_complex():
        y = split_complex(lambda x, w: torch.ops.trous.run(x, w, None, *call.geometry), batch, w, bias)
    else:
        y = torch.ops.trous.run(batch, w, bias, *call.geometry)
    return y if call.batched else y.squeeze(0)


def _autocast(x: Tensor, *others: Tensor | None) -> tuple[Any, ...]:
    """Under torch.autocast what torch's own convolutions do: floats below float64 go to autocast's dtype."""
    device = x.device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return x, *others
    dtype = torch.get_autocast_dtype(device)

    def cast(tensor: Tensor | None) -> Tensor | None:
        if tensor is None or not tensor.is_floating_point() or tensor.dtype == torch.float64:
            return tensor
        return tensor.to(dtype) if tensor.device.type == device else tensor

    return tuple(map(cast, (x, *others)))
