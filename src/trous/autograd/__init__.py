"""The convolutions of torch tensors: derivatives of any order, compile, export, autocast, torch.func."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from trous.autograd.derivatives import run
from trous.backends.execute import split_complex
from trous.entry import check
from trous.errors import TrousError

__all__ = ["convolve"]


@torch.compiler.allow_in_graph  # dynamo leaves it whole; its operators are traced below, with fake tensors
def convolve(x: Tensor, w: Tensor, bias: Tensor | None, arguments: tuple[Any, ...]) -> Tensor:
    """`trous.conv` and `trous.conv_transpose` of torch tensors; `arguments` are those of `trous.entry.Arguments`."""
    if torch.jit.is_tracing():  # type: ignore[attr-defined]
        raise TrousError("x", "must not come from torch.jit.trace: use torch.export or torch.compile", type(x).__name__)
    arrays = (("x", x), ("w", w)) if bias is None else (("x", x), ("w", w), ("bias", bias))
    for name, tensor in arrays:
        if not isinstance(tensor, Tensor):
            raise TrousError(name, "must be a torch tensor, as x is", type(tensor).__name__)
        if tensor.layout is not torch.strided:
            raise TrousError(name, "must be dense, with strides", str(tensor.layout))
    x, w, bias = _autocast(x, w, bias)
    key = None if bias is None else (bias.shape, bias.dtype, bias.device)
    call = check((x.shape, x.dtype, x.device), (w.shape, w.dtype, w.device), key, *arguments)
    batch = x if call.batched else x.unsqueeze(0)
    if x.is_complex():
        y = split_complex(lambda x, w: run(x, w, None, *call.geometry), batch, w, bias)
    else:
        y = run(batch, w, bias, *call.geometry)
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
