"""`accelerate`: the convolution layers of a torch model computed by trous, the model otherwise untouched."""

from __future__ import annotations

import logging

import torch
from torch.nn import Module
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils import parametrize

from trous.errors import TrousError
from trous.nn import layers
from trous.nn.sequence import fuse

logger = logging.getLogger("trous")

#: torch's class: ours, which adds no state to it.
SWAPS: dict[type, type] = {
    getattr(torch.nn, name): getattr(layers, name)
    for name in ("Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d")
}


def accelerate(model: Module, *, frozen: bool = False) -> Module:
    """Swap every torch convolution layer of `model` (or `model` itself) to trous, in place, and return the model.

    A layer stays the same object with the same parameters and changes its class only, so that weights, hooks,
    parametrizations, train/eval state, sharing between places, optimisers and state_dict are as before. What cannot
    be swapped is left as it is and named, with the reason, in one line of the logger "trous" (level WARNING, so that it
    is seen unless logging is told otherwise): lazy, quantized and scripted layers, subclasses, layers whose forward was
    replaced. Convolutions that a model calls as functions are not layers: see `trous.functional`.

    A torch.nn.Sequential, or a subclass without a forward of its own, runs a convolution, a BatchNorm in eval mode and
    an activation that follow each other in one pass where nobody looks between them; it changes its class only, too.
    The rules are in docs/epilogues.md.

    With `frozen` the weights are taken to stay as they are, as they do once a model is deployed: where no gradient is
    asked for, each is brought once into the order that machine code multiplies in, and a BatchNorm of such a sequence
    is folded into it once, where otherwise every call does both. That takes memory for a second copy of the weights.
    Changes that torch counts (optimisers, `load_state_dict`, `copy_`) are noticed all the same; those through `.data`
    or NumPy are not: call `accelerate` again after them. `accelerate(model)` takes it back.

    torch.compile and torch.export take swapped layers. torch.jit and torch.ao.quantization, which look a layer up by
    its exact class, do not: quantize a model before.

    >>> model = accelerate(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU()))
    >>> type(model[0])
    <class 'trous.nn.layers.Conv2d'>
    """
    if not isinstance(model, Module):
        raise TrousError("model", "must be a torch.nn.Module", model)
    left = []
    for name, module in model.named_modules():
        reason = _why_not(module)
        if reason is not None:
            left.append(f"{name or 'the model itself'} ({reason})")
        elif _layer_class(module) in SWAPS:
            _swap(module)
    for module in model.modules():
        fuse(module)
        if isinstance(module, layers.Layer):
            module.freeze(frozen)
    if left:
        logger.warning("accelerate left as they are: %s", ", ".join(left))
    return model


def _layer_class(module: Module) -> type:
    """The class that was written down, under the one that a parametrization makes for each of its modules."""
    return parametrize.type_before_parametrizations(module)


def _why_not(module: Module) -> str | None:
    """Why a convolution cannot be swapped; None for one that can, one that has been, and for every other module."""
    cls = _layer_class(module)
    if cls in SWAPS:
        replaced = [name for name in ("forward", "_conv_forward") if name in vars(module)]
        return f"its {replaced[0]} was replaced on the object" if replaced else None
    if isinstance(module, layers.Layer):
        return None
    if isinstance(module, torch.jit.ScriptModule):
        name = getattr(module, "original_name", "")
        return f"a scripted {name}" if name in {swapped.__name__ for swapped in SWAPS} else None
    if issubclass(cls, _ConvNd):
        lazy = issubclass(cls, LazyModuleMixin)
        return f"{cls.__name__} {'has no weights before its first call' if lazy else 'is a subclass'}"
    quantized = cls.__module__.startswith("torch.ao.nn") and "Conv" in cls.__name__ and hasattr(module, "kernel_size")
    return f"{cls.__name__} is quantized" if quantized else None


def _swap(module: Module) -> None:
    cls = type(module)
    if cls in SWAPS:
        module.__class__ = SWAPS[cls]
        return
    # A parametrization gave the module a class of its own, with properties for the parameters: the same over ours.
    members = {name: value for name, value in vars(cls).items() if name not in ("__dict__", "__weakref__")}
    module.__class__ = type(cls.__name__, (SWAPS[_layer_class(module)],), members)
