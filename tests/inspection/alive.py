"""Functions that could hide an input from a derivative, and what stands in for them.

Each substitute is positive and linear and reads the same inputs: `x + 1` for an activation, a mean over the window for
a maximum, `x + mean of the group` for a normalisation, a sum for a difference or a quotient. Products, softmax,
attention and recurrences stay as they are: their derivatives vanish nowhere at numbers of ordinary size. Functions
that choose by value (`where`, `topk`, pooling with indices) are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

Statistics = Literal["exact", "held"]

#: One input and one output an element; without a sign, a kink or a flat part they are all the same.
# fmt: off
ELEMENTWISE = frozenset({
    "relu", "relu6", "leaky_relu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus",
    "softsign", "softshrink", "hardshrink", "tanhshrink", "logsigmoid", "log_sigmoid", "hardtanh", "hardsigmoid",
    "hardswish", "threshold", "sigmoid", "tanh", "clamp", "clamp_min", "clamp_max", "clip", "dropout", "dropout1d",
    "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "abs", "neg", "negative", "exp", "expm1",
    "log", "log1p", "log2", "log10", "sqrt", "rsqrt", "square", "sin", "cos", "erf", "reciprocal", "rtruediv",
    "rdiv",
})
# fmt: on

#: Of two elements one output with opposite signs, or one of the two: both count.
OPPOSED = frozenset({"sub", "subtract", "isub", "rsub", "maximum", "minimum"})
#: The same, unless one of the two is a constant; then only its sign is taken off, since it may be a mask.
QUOTIENTS = frozenset({"div", "divide", "true_divide", "truediv", "itruediv"})
PRODUCTS = frozenset({"mul", "multiply", "imul", "rmul"})

#: Weights of an interpolation below this are zero up to the rounding of its coordinates.
NOTHING = 1e-9


class Alive(TorchFunctionMode):
    """While it is active, functions that could hide an input are exchanged as they are called, modules' own included.

    Statistics of a normalisation are computed from its input ("exact"), or constants ("held").
    """

    def __init__(self, statistics: Statistics):
        super().__init__()
        self.held = statistics == "held"

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.__name__
        operation = name.strip("_")
        differentiable = [a for a in args if isinstance(a, torch.Tensor) and a.requires_grad]
        if not differentiable:
            return func(*args, **kwargs)
        x = args[0]
        if name in NORMS:
            mean = NORMS[name](*args, **kwargs)
            return x.clone() if self.held or mean is None else x + mean
        if name in SUBSTITUTES:
            return SUBSTITUTES[name](*args, **kwargs)
        if operation in ELEMENTWISE:
            return x.real + x.imag if x.is_complex() and operation == "abs" else x + 1
        if operation in OPPOSED or (operation in QUOTIENTS and len(differentiable) == 2):
            in_place = name.startswith("__i") or name in ("sub_", "div_")
            return x.add_(args[1]) if in_place else x + args[1]
        if operation in PRODUCTS | QUOTIENTS and len(differentiable) == 1:
            args = [a if a is differentiable[0] else abs(a) for a in args]
        return func(*args, **kwargs)


def layer_mean(x: torch.Tensor, normalized_shape: Sequence[int], **_: Any) -> torch.Tensor:
    return x.mean(dim=tuple(range(-len(normalized_shape), 0)), keepdim=True)


def group_mean(x: torch.Tensor, num_groups: int, **_: Any) -> torch.Tensor:
    means = x.reshape(x.shape[0], num_groups, -1).mean(dim=2)
    return means.repeat_interleave(x.shape[1] // num_groups, dim=1).reshape(*x.shape[:2], *[1] * (x.dim() - 2))


def instance_mean(x: torch.Tensor, *, use_input_stats: bool = True, **_: Any) -> torch.Tensor | None:
    return x.mean(dim=tuple(range(2, x.dim())), keepdim=True) if use_input_stats else None


def batch_mean(x: torch.Tensor, mean: Any, var: Any, *, training: bool = False, **_: Any) -> torch.Tensor | None:
    return x.mean(dim=(0, *range(2, x.dim())), keepdim=True) if training else None


def vector_mean(x: torch.Tensor, *, dim: int = 1, **_: Any) -> torch.Tensor:
    return x.mean(dim=dim, keepdim=True)


#: The mean over what a normalisation takes its statistics from; None where they are constants.
NORMS: dict[str, Callable[..., torch.Tensor | None]] = {
    "layer_norm": layer_mean,
    "rms_norm": layer_mean,
    "group_norm": group_mean,
    "instance_norm": instance_mean,
    "batch_norm": batch_mean,
    "normalize": vector_mean,
}


def max_pool(dims: int) -> Callable[..., torch.Tensor]:
    """The mean over the window of a maximum; its size from torch, its taps from their definition."""
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]

    def mean(
        x: torch.Tensor,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> torch.Tensor:
        stride = stride or kernel_size
        size = pool(x.detach(), kernel_size, stride, padding, dilation, ceil_mode).shape[-dims:]
        each = [value if isinstance(value, Sequence) else (value,) * dims for value in (padding, dilation, kernel_size)]
        strides = stride if isinstance(stride, Sequence) else (stride,) * dims
        for axis, before, apart, kernel, step in zip(range(-dims, 0), *each, strides, strict=True):
            steps = (size[axis] - 1) * step + 1
            missing = before + x.shape[axis] - ((kernel - 1) * apart + steps)
            padded = F.pad(x.movedim(axis, -1), (before, max(0, -missing)))
            taps = [padded[..., k * apart : k * apart + steps : step] for k in range(kernel)]
            x = torch.stack(taps).mean(dim=0).movedim(-1, axis)
        return x

    return mean


def adaptive_max_pool(dims: int) -> Callable[..., torch.Tensor]:
    pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[dims - 1]
    return lambda x, output_size, return_indices=False: pool(x, output_size)


def interpolate(
    x: torch.Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> torch.Tensor:
    """Each axis by its matrix of weights: torch's answer to unit vectors, without signs and rounding."""
    dims = x.dim() - 2
    for axis in range(dims):
        n = x.shape[2 + axis]

        def alone(given: Any, other: float, axis: int = axis) -> Any:
            """The argument for this axis, the others of size 1."""
            each = given if isinstance(given, Sequence) else (given,) * dims
            return None if given is None else tuple(each[a] if a == axis else other for a in range(dims))

        units = torch.eye(n, dtype=torch.float64).reshape(n, 1, *alone(n, 1))
        arguments = (alone(size, 1), alone(scale_factor, 1.0), mode, align_corners, recompute_scale_factor, antialias)
        weights = F.interpolate(units, *arguments).reshape(n, -1).abs()
        weights = torch.where(weights > NOTHING, weights, 0.0)
        x = (x.movedim(2 + axis, -1) @ weights).movedim(-1, 2 + axis)
    return x


def glu(x: torch.Tensor, dim: int = -1) -> torch.Tensor:
    value, gate = x.chunk(2, dim)
    return value + gate


def extreme(x: torch.Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """`max` and `min`: of two tensors, of all elements, or along an axis, where the places come along."""
    if isinstance(dim, torch.Tensor):
        return x + dim
    if dim is None:
        return x.mean()
    return torch.return_types.max((x.mean(dim, keepdim), x.detach().argmax(dim, keepdim)))


def mean(x: torch.Tensor, dim: Any = None, *_: Any, keepdim: bool = False, **__: Any) -> torch.Tensor:
    return x.mean(dim, keepdim=keepdim)


def refuse(*_: Any, **__: Any) -> torch.Tensor:
    raise NotImplementedError("a choice by value: which inputs matter is not a question of structure")


SUBSTITUTES: dict[str, Callable[..., Any]] = {
    **{f"max_pool{dims}d": max_pool(dims) for dims in (1, 2, 3)},
    **{f"max_pool{dims}d_with_indices": refuse for dims in (1, 2, 3)},
    **{f"adaptive_max_pool{dims}d": adaptive_max_pool(dims) for dims in (1, 2, 3)},
    **{f"adaptive_max_pool{dims}d_with_indices": refuse for dims in (1, 2, 3)},
    "interpolate": interpolate,
    "glu": glu,
    "max": extreme,
    "min": extreme,
    "amax": mean,
    "amin": mean,
    "var": mean,
    "std": mean,
    "where": refuse,
    "topk": refuse,
    "sort": refuse,
}
