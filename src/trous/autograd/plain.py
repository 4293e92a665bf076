"""When a call needs nothing of torch but its memory.

A call through torch's dispatcher to an operator written in Python takes tens of microseconds. What the dispatcher is
there for stands in the keys that it goes by: those of each tensor (its device, a subclass, a transformation that wraps
it, a negative or conjugate view) and those of the thread (autocast, tracing, modes, transformations). Where they are
the keys of plain tensors, it would do nothing but call the kernel.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter

_Key, _KeySet = torch._C.DispatchKey, torch._C.DispatchKeySet
_of_tensor = torch._C._dispatch_keys
_included, _excluded = torch._C._dispatch_tls_local_include_set, torch._C._dispatch_tls_local_exclude_set
_function_modes, _is_profiled = torch._C._len_torch_function_stack, torch._C._autograd._profiler_enabled

_AUTOCAST = _KeySet(_Key.AutocastCPU)
#: What is not among the keys of a dense tensor on the CPU, as it is in inference mode or out of it.
_FOREIGN = ~(_KeySet(_Key.CPU) | _KeySet(_Key.AutogradCPU) | _KeySet(_Key.ADInplaceOrView) | _AUTOCAST).raw_repr()
#: What a thread that is in no mode does not add.
_UNUSUAL = ~(_KeySet(_Key.BackendSelect) | _KeySet(_Key.ADInplaceOrView)).raw_repr()
_NO_AUTOCAST = _AUTOCAST.raw_repr()


def is_plain(*tensors: Tensor | None) -> bool:
    """Whether the arguments of a call, None for absent ones, are plain tensors, and nothing has to know of the call."""
    for tensor in tensors:
        if tensor is not None:
            if type(tensor) is not Tensor and type(tensor) is not Parameter:
                return False
            if _of_tensor(tensor).raw_repr() & _FOREIGN:
                return False
    return not (
        _included().raw_repr() & _UNUSUAL
        or not _excluded().raw_repr() & _NO_AUTOCAST
        or _function_modes()
        or _is_profiled()
        or forward_ad._current_level >= 0
    )


def needs_grad(*tensors: Tensor | None) -> bool:
    """Whether autograd has to know of a call with these arguments."""
    return torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in tensors)


def form(tensor: Tensor) -> tuple[Any, ...]:
    """The fields of `trous.backends.execute.Form`."""
    return tensor.shape, tensor.stride(), tensor.dtype
