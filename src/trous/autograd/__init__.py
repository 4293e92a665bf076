"""The convolutions of torch tensors: derivatives of any order, compile, export, autocast, torch.func."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trous.autograd.derivatives import Differentiable, activated, run, run_finished
from trous.autograd.plain import form, is_plain, needs_grad
from trous.backends.execute import split_complex
from trous.entry import check, ready
from trous.errors import TrousError
from trous.frozen import Frozen

__all__ = ["activated", "convolve", "convolve_frozen"]


@torch.compiler.allow_in_graph  # dynamo leaves it whole; its operators are traced below, with fake tensors
def convolve(
    x: Tensor, w: Tensor, bias: Tensor | None, residual: Tensor | None, activation: Any, arguments: tuple[Any, ...]
) -> Tensor:
    """`trous.conv` and `trous.conv_transpose` of torch tensors; `arguments` are those of `trous.entry.Arguments`."""
    direct = _direct(x, w, bias, residual, activation, arguments)
    if direct is not None and not needs_grad(x, w, bias, residual):
        return direct(x, w, bias, residual)
    if torch.jit.is_tracing():  # type: ignore[attr-defined]
        raise TrousError("x", "must not come from torch.jit.trace: use torch.export or torch.compile", type(x).__name__)
    for name, tensor in (("x", x), ("w", w), ("bias", bias), ("residual", residual)):
        if tensor is None and name in ("bias", "residual"):
            continue
        if not isinstance(tensor, Tensor):
            raise TrousError(name, "must be a torch tensor, as x is", type(tensor).__name__)
        if tensor.layout is not torch.strided:
            raise TrousError(name, "must be dense, with strides", str(tensor.layout))
    x, w, bias, residual = _autocast(x, w, bias, residual)
    if residual is not None:
        arguments = (*arguments, activation, (residual.shape, residual.dtype, residual.device))
    elif activation is not None:
        arguments = (*arguments, activation)
    key = None if bias is None else (bias.shape, bias.dtype, bias.device)
    call = check((x.shape, x.dtype, x.device), (w.shape, w.dtype, w.device), key, *arguments)
    if not call.batched:
        x, residual = x.unsqueeze(0), None if residual is None else residual.unsqueeze(0)
    if x.is_complex():
        y = split_complex(lambda x, w: run(x, w, None, *call.geometry), x, w, bias)
        y = y if residual is None else y + residual
    elif call.epilogue:
        y = run_finished(x, w, bias, residual, call.epilogue, *call.geometry)
    elif direct is not None and call.batched:
        y = Differentiable.apply(x, w, bias, direct, call.geometry)
    else:
        y = run(x, w, bias, *call.geometry)
    return y if call.batched else y.squeeze(0)


def convolve_frozen(
    x: Tensor, w: Frozen, bias: Tensor | None, residual: Tensor | None, activation: Any, arguments: tuple[Any, ...]
) -> Tensor:
    """`convolve` with a weight that stays as it is: packed once where no gradient is asked for and nothing traces."""
    array = w.array
    if not torch.compiler.is_compiling():
        direct = _direct(x, array, bias, residual, activation, arguments)
        if direct is not None and not needs_grad(x, array, bias, residual):
            return w.run(direct, x, bias, residual)
    return convolve(x, array, bias, residual, activation, arguments)


def _direct(
    x: Tensor, w: Tensor, bias: Tensor | None, residual: Tensor | None, activation: Any, arguments: tuple[Any, ...]
) -> Any:
    """`Ready` where the call needs nothing of torch but its memory; else None."""
    if w is None or not is_plain(x, w, bias, residual):
        return None
    beside = None if residual is None else form(residual)
    return ready(form(x), form(w), None if bias is None else form(bias), beside, activation, *arguments)


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
