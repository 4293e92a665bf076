"""`torch.nn.Sequential` that runs a convolution, a batch normalisation in eval mode and an activation as one pass.

The modules stay what and where they are. At each call the sequence looks which neighbours can run together, and runs
all others as torch does. A convolution of trous takes along

- the ReLU, Tanh or Sigmoid behind it, and where no gradient is asked for a LeakyReLU or a PReLU of one slope; that of
  a slope for each channel is applied in place;
- where no gradient is asked for, in float32 and float64, a BatchNorm of its dimensions right behind it that is in eval
  mode and has statistics: they are folded into the weight and bias of the call. That is a product for each element of
  the weight in the place of one for each output, and a handful of small operators. A weight with more elements than the
  output stays as it is, and so does one before an output so small that the normalisation takes no longer than these;
  the weight of a frozen layer is folded once.

Whoever looks between two modules sees what there was to see: a module with a hook, or whose forward was replaced, or
that is compiled by itself, runs by itself.
"""

from __future__ import annotations

import copyreg
from functools import lru_cache
from itertools import pairwise
from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.modules import module as globally
from torch.nn.utils import parametrize

from trous import settings
from trous.autograd.plain import is_plain
from trous.backends import cpu, name_of
from trous.frozen import version
from trous.functional import Activation
from trous.nn import layers

_LAYERS = {getattr(layers, f"Conv{kind}{ndim}d"): ndim for kind in ("", "Transpose") for ndim in (1, 2, 3)}
_NORMS = {torch.nn.BatchNorm1d: 1, torch.nn.BatchNorm2d: 2, torch.nn.BatchNorm3d: 3}
_NAMES = {
    torch.nn.ReLU: "relu",
    torch.nn.LeakyReLU: "leaky_relu",
    torch.nn.PReLU: "prelu",
    torch.nn.Tanh: "tanh",
    torch.nn.Sigmoid: "sigmoid",
}
_FOLLOWERS = _NORMS.keys() | _NAMES.keys()

#: Elements of an output up to which folding costs as much as it saves, some 30 microseconds.
SMALL = 1 << 16


class Fused(torch.nn.Sequential):
    """The forward that stands in front of a class of sequences."""

    def forward(self, input: Any) -> Any:
        modules: tuple[Any, ...] = (*self._modules.values(), None, None)
        at = 0
        while at < len(modules) - 2:
            layer = modules[at]
            at += 1
            if type(modules[at]) not in _FOLLOWERS or not _extends(layer):
                input = layer(input)
                continue
            weight, bias = layer.weight, layer.bias  # read once, as a call does: a parametrization may keep count
            if _folds(modules[at], layer, weight, bias, input):
                once = layer.frozen and not torch.compiler.is_compiling()
                weight, bias = (_folded_once if once else _folded)(modules[at], layer, weight, bias)
                at += 1
            activation = _activation(modules[at], weight, bias, input)
            at += activation is not None
            input = layer.convolve(input, weight, bias, activation)
            if activation is None and _has_slopes(modules[at], layer, input):
                cpu.prelu(input, modules[at].weight)
                at += 1
        return input

    def __reduce_ex__(self, protocol: Any) -> Any:
        """A class that was made here cannot be found by its name: what is written down is the class under it."""
        reduced: Any = super().__reduce_ex__(protocol)
        make, arguments, *state = reduced
        if make is copyreg.__newobj__ and arguments[0] is type(self) is not Sequential:  # type: ignore[attr-defined]
            return _new, (type(self).__bases__[1], *arguments[1:]), *state
        return reduced


class Sequential(Fused):
    """torch.nn.Sequential as it stands in a model."""


def fuse(module: Module) -> None:
    """Let a sequence with torch's own forward run together what can, if it has a convolution that something follows."""
    cls: Any = type(module)
    if not isinstance(module, torch.nn.Sequential) or "forward" in vars(module):
        return
    followed = ((a, type(b)) for a, b in pairwise(module._modules.values()))
    begins = any(isinstance(layer, layers.Layer) and behind in _FOLLOWERS for layer, behind in followed)
    if begins and cls.forward is torch.nn.Sequential.forward:
        module.__class__ = _fused(cls)


@lru_cache(maxsize=256)
def _fused(cls: type) -> type:
    if cls is torch.nn.Sequential:
        return Sequential
    return type(cls.__name__, (Fused, cls), {"__module__": cls.__module__, "__qualname__": cls.__qualname__})


def _new(cls: type, *arguments: Any) -> Any:
    return (made := _fused(cls)).__new__(made, *arguments)


def _extends(layer: Module) -> bool:
    """Whether a module is a convolution of ours that could do more than it says."""
    return (
        isinstance(layer, layers.Layer)
        and layer.activation is None
        and (type(layer) in _LAYERS or parametrize.type_before_parametrizations(layer) in _LAYERS)
        and "_conv_forward" not in vars(layer)
        and _unseen(layer)
    )


def _unseen(module: Any) -> bool:
    """Whether nobody looks at what goes in or comes out, and a call is a call of the class's forward."""
    return not (
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or module._compiled_call_impl is not None
        or "forward" in vars(module)
        or globally._has_any_global_hook()
    )


def _activation(module: Any, weight: Any, bias: Any, input: Any) -> Activation:
    """The activation that the module behind a layer is, as `trous.conv` takes it; None for every other module."""
    name = _NAMES.get(type(module))
    if name is None or not _unseen(module):
        return None
    if name == "leaky_relu":
        # The gradient of the pass needs its output. So does that of torch's relu, tanh and sigmoid; its leaky_relu's
        # needs the input, and the output may be written over.
        slope = None if _learns(input, weight, bias) else module.negative_slope
    elif name == "prelu":
        slope = float(module.weight) if module.weight.numel() == 1 and _is_readable(module.weight, input) else None
    else:
        return name
    return ("leaky_relu", slope) if isinstance(slope, (int, float)) and isfinite(slope) else None


def _has_slopes(module: Any, layer: Any, y: Any) -> bool:
    """Whether a module is a PReLU whose slopes can be applied to `y`, the layer's output, where it lies."""
    return (
        type(module) is torch.nn.PReLU
        and _unseen(module)
        and _is_readable(module.weight, y)
        and y.ndim == len(layer.kernel_size) + 2
        and y.shape[1] == module.weight.numel()
        and settings.get(settings.BACKEND) in (None, name_of(cpu))
    )


def _is_readable(slopes: Tensor, beside: Any) -> bool:
    """Whether the slopes of a PReLU may be read now: not while torch traces, maps, casts or learns."""
    return (
        isinstance(beside, Tensor)
        and beside.dtype == slopes.dtype
        and not torch.compiler.is_compiling()
        and is_plain(beside, slopes)
        and not _learns(beside, slopes)
    )


def _learns(*tensors: Any) -> bool:
    """Whether a gradient is asked for one of the tensors; what stands for a tensor in torch.fx may want one."""
    if not torch.is_grad_enabled():
        return False
    return any(t is not None and (not isinstance(t, Tensor) or t.requires_grad) for t in tensors)


def _folds(norm: Any, layer: Any, weight: Any, bias: Any, input: Any) -> bool:
    """Whether a module is a normalisation that can be folded into the weight of the layer before it, for this input."""
    if type(norm) not in _NORMS or norm.training or norm.running_mean is None or not _unseen(norm):
        return False
    if not isinstance(input, Tensor):
        return False
    outputs = input.numel() // layer.in_channels * layer.out_channels  # were there no stride
    if not layer.frozen and (outputs <= SMALL or outputs < weight.numel()):
        return False
    tensors = [weight, norm.running_mean, norm.running_var]
    tensors += [tensor for tensor in (bias, norm.weight, norm.bias) if tensor is not None]
    return (
        _NORMS[type(norm)] == len(layer.kernel_size) == input.ndim - 2
        and norm.num_features == layer.out_channels
        and weight.dtype in (torch.float32, torch.float64)
        and all(tensor.dtype == weight.dtype for tensor in tensors)
        and not _learns(input, *tensors)
        and not torch.is_autocast_enabled(weight.device.type)
    )


def _folded_once(norm: Any, layer: Any, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """`_folded`, the same as at the last call of a frozen layer while torch counts no change."""
    sources = weight, bias, norm.running_mean, norm.running_var, norm.weight, norm.bias
    state = norm.eps, *(None if tensor is None else version(tensor) for tensor in sources)
    before = layer._folded
    if before is None or before[1] != state or any(a is not b for a, b in zip(before[0], sources, strict=True)):
        before = layer._folded = sources, state, _folded(norm, layer, weight, bias)
    found: tuple[Tensor, Tensor] = before[2]
    return found


def _folded(norm: Any, layer: Any, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor]:
    """Weight and bias of the layer and the normalisation in one: `(y - mean)/sqrt(var + eps)*gamma + beta`."""
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -norm.running_mean if bias is None else bias - norm.running_mean
    shift = shift * scale if norm.bias is None else torch.addcmul(norm.bias, shift, scale)
    if isinstance(layer, torch.nn.modules.conv._ConvTransposeNd):  # (in, out/groups, *kernel), group by group
        grouped = weight.unflatten(0, (layer.groups, -1)) * scale.reshape(layer.groups, 1, -1, *[1] * (weight.ndim - 2))
        return grouped.flatten(0, 1), shift
    return weight * scale.reshape(-1, *[1] * (weight.ndim - 1)), shift
