"""ATen's operators in terms of `trous.inspection.flow`.

`OPERATORS` maps the name of an operator to a function of a `Call`, which gives the values that come out. What is not
listed is elementwise where torch tags it so, and otherwise taken to mix everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import _disable_current_modes

from trous.inspection import flow, torch_windows
from trous.inspection.values import Value
from trous.plan import AxisPlan, Plan, conv_axis, transposed_axis
from trous.plan.bind import BoundPlan
from trous.plan.cost import Cost, cost
from trous.plan.resample import adaptive_axis, moved_axis, shuffled_axis
from trous.spec import Spec


@dataclass
class Call:
    """One operator as it was called: its arguments by name, the shapes of its results, what is known of its tensors."""

    name: str
    function: Any
    arguments: dict[str, Any]
    shapes: list[tuple[int, ...]]
    value: Callable[[Any], Value]
    layer: str
    spec: Spec | None = None
    bound: BoundPlan | None = None
    channels: tuple[int, int] = (1, 1)
    cost: Cost | None = None
    multiplications: int = 0

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def tensors(self) -> list[Any]:
        """Every tensor among the arguments, those of lists too."""
        found = []
        for argument in self.arguments.values():
            found += [a for a in (argument if isinstance(argument, (list, tuple)) else [argument])]
        return [a for a in found if isinstance(a, Tensor)]

    @property
    def values(self) -> list[Value]:
        return [self.value(tensor) for tensor in self.tensors]

    @property
    def first(self) -> Value:
        return self.values[0]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.shapes[0]

    def dims(self, name: str = "dim") -> list[int]:
        """The dimensions that an argument names, all for none, counted from the front."""
        rank, given = len(self.first.shape), self.arguments.get(name)
        if given is None or (isinstance(given, (list, tuple)) and not given):
            return list(range(rank))
        return [d % rank for d in (given if isinstance(given, (list, tuple)) else [given])] if rank else []


Operator = Callable[[Call], list[Value]]
OPERATORS: dict[str, Operator] = {}


def operator(*names: str) -> Callable[[Operator], Operator]:
    def register(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


def elementwise(call: Call) -> list[Value]:
    return [flow.joined(call.values, shape) for shape in call.shapes]


def everything(call: Call) -> list[Value]:
    return [flow.mixed(call.values, shape, call.layer) for shape in call.shapes]


# Convolution.


@operator("convolution", "convolution_overrideable", "_convolution")
def _convolution(call: Call) -> list[Value]:
    x, w = call.value(call["input"]), call.value(call["weight"])
    call.spec = torch_windows.convolution(call.arguments, w.shape[2:])
    return _planned(call, x, call.spec.plan(), call["groups"])


@operator("trous::run", "trous::run_finished")
def _run(call: Call) -> list[Value]:
    x, w = call.value(call["x"]), call.value(call["w"])
    axes = []
    for k, s, before, d in zip(w.shape[2:], call["stride"], call["before"], call["dilation"], strict=True):
        axes.append(transposed_axis(k, s, before, 0, 0, d) if call["transposed"] else conv_axis(k, s, before, 0, d))
    y = _planned(call, x, Plan(tuple(axes)), call["groups"])
    residual = call.arguments.get("residual")
    return y if residual is None else [flow.joined([*y, call.value(residual)], call.shape)]


def _planned(call: Call, x: Value, plan: Plan, groups: int) -> list[Value]:
    """A convolution by its plan, at the sizes it ran with."""
    batch, inputs, *size = x.shape
    call.bound = plan.bind(size, call.shape[2:])
    call.channels = inputs, call.shape[1]
    call.cost = cost(
        call.bound, batch=batch, in_channels=inputs, out_channels=call.shape[1], groups=groups, itemsize=x.itemsize
    )
    axes = {dim + 2: axis for dim, axis in enumerate(plan.axes)}
    return [flow.taps(x, axes, call.shape, call.layer, groups=groups)]


# Pooling, interpolation, padding, shuffling.


@operator(*torch_windows.POOLING)
def _pool(call: Call) -> list[Value]:
    call.spec = torch_windows.pooling(call.arguments, call.shape[-len(call["kernel_size"]) - 1])
    return _along_last(call, call.spec.plan().axes)


@operator("_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_avg_pool1d", "adaptive_max_pool2d")
@operator("adaptive_max_pool3d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def _adaptive(call: Call) -> list[Value]:
    x, rank = call.first, len(_list(call["output_size"]))
    dims = range(len(x.shape) - rank, len(x.shape))
    if all(call.shape[dim] == 1 for dim in dims):
        return [flow.reduced(x, list(dims), call.layer, keep=True)] * len(call.shapes)
    return _along_last(call, [adaptive_axis(x.shape[dim], call.shape[dim]) for dim in dims])


@operator(*torch_windows.NEAREST, *torch_windows.INTERPOLATED)
def _interpolated(call: Call) -> list[Value]:
    sizes = call.first.shape[2:], call.shape[2:]
    return _along_last(call, torch_windows.interpolation(call.name, call.arguments, *sizes))


@operator("pixel_shuffle", "pixel_unshuffle")
def _shuffle(call: Call) -> list[Value]:
    factor = call.arguments.get("upscale_factor") or call["downscale_factor"]
    axis = shuffled_axis(factor) if call.name == "pixel_shuffle" else conv_axis(factor, factor, 0, 0, 1)
    x, rank = call.first, len(call.first.shape)
    axes = {rank - 2: axis, rank - 1: axis}
    return [flow.taps(x, axes, call.shape, call.layer, groups=1, channel=rank - 3)]


_PADDING_MODES = {"constant": "zeros", "reflection": "reflect", "replication": "replicate"}


@operator("constant_pad_nd", *torch_windows.MIRRORED)
def _pad(call: Call) -> list[Value]:
    value, axes = call.first, list[AxisPlan]()
    mode = next(mode for word, mode in _PADDING_MODES.items() if call.name.startswith(word))
    for dim, (before, after) in torch_windows.paddings(call.arguments, len(value.shape)).items():
        value = flow.padded(value, dim, before, after, mode)
        axes.insert(0, moved_axis(before, after))
    first = len(value.shape) - len(axes)
    call.bound = Plan(tuple(axes)).bind(call.first.shape[first:], call.shape[first:])
    return [value]


def _along_last(call: Call, axes: Sequence[AxisPlan]) -> list[Value]:
    """Layers without weights that run along the last dimensions."""
    x = call.first
    first = len(x.shape) - len(axes)
    call.bound = Plan(tuple(axes)).bind(x.shape[first:], call.shape[first:])
    return [flow.taps(x, {first + n: axis for n, axis in enumerate(axes)}, call.shape, call.layer)] * len(call.shapes)


# Elements in other places.


@operator("cat")
def _cat(call: Call) -> list[Value]:
    values = [value for value in call.values if value.shape != (0,)]
    return [flow.concatenated(values, call["dim"] % len(call.shape))]


@operator("stack")
def _stack(call: Call) -> list[Value]:
    dim = call["dim"] % len(call.shape)
    values = [flow.rearranged(value, lambda array: np.expand_dims(array, dim)) for value in call.values]
    return [flow.concatenated(values, dim)]


@operator("view", "_unsafe_view", "reshape", "permute", "transpose", "t", "slice", "select", "unsqueeze", "squeeze")
@operator("expand", "flip", "roll", "repeat", "unfold", "diagonal", "as_strided", "movedim", "swapaxes", "tile")
@operator("split", "split_with_sizes", "unbind", "chunk", "native_channel_shuffle", "channel_shuffle", "_reshape_alias")
@operator("numpy_T", "adjoint", "view_as_real", "view_as_complex", "_reshape_copy", "narrow", "tensor_split", "rot90")
def rearranging(call: Call) -> list[Value]:
    """Whatever copies elements or looks at them in another way: done by torch itself to arrays of positions."""
    return [flow.rearranged(call.first, move) for move in moves(call)]


@operator("index", "index_select", "take")
def _indexed(call: Call) -> list[Value]:
    """A copy of what constant indices name; of others, which depend on values, nothing is known."""
    if any(isinstance(tensor, FakeTensor) for tensor in call.tensors[1:]):
        return everything(call)
    return rearranging(call)


def moves(call: Call) -> list[Callable[[np.ndarray], np.ndarray]]:
    """For each result, what the operator does to an array of its first argument's shape."""
    own = call.tensors[0]
    strided = "as_strided" in call.name
    if strided and not own.is_contiguous():
        raise NotImplementedError
    positional = [a.name for a in call.function._schema.arguments if not a.kwarg_only and a.name in call.arguments]
    # of one that works in place the twin that does not
    function = getattr(getattr(torch.ops.aten, call.name), call.function._overloadname)

    def run(array: np.ndarray) -> list[np.ndarray]:
        with _disable_current_modes():
            tensor = torch.from_numpy(np.ascontiguousarray(flow.compact(array)).astype(np.int64)).expand(array.shape)
            if strided:
                tensor = tensor.contiguous()
            if call.name.startswith("view_as_"):
                return [_complex_view(call.name, tensor).numpy()]
            try:
                out = again(tensor)
            except RuntimeError:  # a view that strides of 0 do not allow
                out = again(tensor.contiguous())
            return [y.numpy() for y in (out if isinstance(out, (list, tuple)) else [out])]

    def again(tensor: Tensor) -> Any:
        arguments = {name: tensor if given is own else given for name, given in call.arguments.items()}
        first = [arguments.pop(name) for name in positional]
        return function(*first, **arguments)

    return [lambda array, n=n: run(array)[n] for n in range(len(call.shapes))]  # type: ignore[misc]


def _complex_view(name: str, tensor: Tensor) -> Tensor:
    return tensor.unsqueeze(-1).expand(*tensor.shape, 2) if name == "view_as_real" else tensor[..., 0]


# Sums, statistics, products.


@operator("sum", "mean", "amax", "amin", "prod", "var", "std", "norm", "linalg_vector_norm", "logsumexp", "any", "all")
@operator(
    "max", "min", "var_mean", "std_mean", "argmax", "argmin", "nansum", "aminmax", "median", "mode", "count_nonzero"
)
def _reduction(call: Call) -> list[Value]:
    if len(call.tensors) > 1:  # max and min of two
        return elementwise(call)
    keep = bool(call.arguments.get("keepdim"))
    return [flow.reduced(call.first, call.dims(), call.layer, keep=keep)] * len(call.shapes)


@operator("_softmax", "_log_softmax", "softmax", "log_softmax", "_safe_softmax", "sort", "argsort")
def _softmax(call: Call) -> list[Value]:
    return [flow.spread(call.first, call.dims(), call.layer)] * len(call.shapes)


@operator("topk", "kthvalue", "_fft_r2c", "_fft_c2c", "_fft_c2r")
def _along(call: Call) -> list[Value]:
    together = flow.reduced(call.first, call.dims(), call.layer, keep=True)
    return [flow.joined([together], shape) for shape in call.shapes]


@operator("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin")
def _running(call: Call) -> list[Value]:
    return [flow.accumulated(call.first, call.dims()[0], call.layer)] * len(call.shapes)


@operator("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "batch_norm")
@operator("_batch_norm_with_update", "_batch_norm_no_update", "cudnn_batch_norm")
def _batch_norm(call: Call) -> list[Value]:
    x = call.first
    if call.arguments.get("training"):
        x = flow.spread(x, [0, *range(2, len(x.shape))], call.layer)
    return [x] + [flow.mixed([], shape, call.layer) for shape in call.shapes[1:]]


@operator("native_layer_norm", "_fused_rms_norm", "rms_norm")
def _layer_norm(call: Call) -> list[Value]:
    x = call.first
    dims = range(len(x.shape) - len(call["normalized_shape"]), len(x.shape))
    return [flow.spread(x, list(dims), call.layer)] + [flow.mixed([], s, call.layer) for s in call.shapes[1:]]


@operator("native_group_norm")
def _group_norm(call: Call) -> list[Value]:
    x = flow.taps(call.first, {}, call.shape, call.layer, groups=call["group"])
    x = flow.spread(x, list(range(2, len(x.shape))), call.layer)
    return [x] + [flow.mixed([], shape, call.layer) for shape in call.shapes[1:]]


@operator("mm", "bmm", "addmm", "baddbmm", "mv", "dot", "addmv", "linear")
def _product(call: Call) -> list[Value]:
    pair = call.values[-2:] if call.name.startswith(("add", "badd")) else call.values[:2]
    first, second = pair
    if call.name == "linear":
        second = flow.rearranged(second, lambda array: array.swapaxes(0, 1))
    if len(second.shape) == 1:  # a vector: a column that is dropped again
        return [flow.mixed(call.values, call.shape, call.layer)]
    inner = first.shape[-1]
    call.multiplications = prod(call.shape) * inner
    y = flow.contracted(first, second, call.shape, call.layer)
    extra = call.values[0] if call.name.startswith(("add", "badd")) else None
    return [y if extra is None else flow.joined([y, extra], call.shape)]


@operator(
    "new_empty", "new_zeros", "new_ones", "new_full", "new_empty_strided", "empty_like", "zeros_like", "ones_like"
)
@operator("full_like", "rand_like", "randn_like", "randint_like", "zero", "fill", "normal", "uniform", "bernoulli")
def _constant(call: Call) -> list[Value]:
    return [flow.mixed([], shape, call.layer) for shape in call.shapes]


@operator("glu")
def _glu(call: Call) -> list[Value]:
    dim = call.dims()[0]
    halves = [
        flow.rearranged(call.first, lambda array, part=part: np.split(array, 2, axis=dim)[part])  # type: ignore[misc]
        for part in (0, 1)
    ]
    return [flow.joined(halves, call.shape)]


@operator("copy")
def _copy(call: Call) -> list[Value]:
    return [flow.joined([call.value(call["src"])], call.shape)]


def attention(call: Call) -> list[Value]:
    """Every query sees all keys and values."""
    query, key, value = (call.value(tensor) for tensor in call.tensors[:3])
    rank = len(call.shape)
    if rank < 3:
        return everything(call)
    rows = flow.reduced(query, [rank - 1], call.layer, keep=True)
    seen = [flow.reduced(each, [rank - 2, rank - 1], call.layer, keep=True) for each in (key, value)]
    call.multiplications = (prod(query.shape) + prod(call.shape)) * key.shape[-2]
    if "multi_head" in call.name:  # projects its arguments and its result as well
        call.multiplications += (2 * prod(query.shape) + prod(key.shape) + prod(value.shape)) * query.shape[-1]
    return [flow.joined([rows, *seen], call.shape)] + [flow.mixed([], s, call.layer) for s in call.shapes[1:]]


#: Elementwise, and not tagged so.
ELEMENTWISE = frozenset(
    """_conj _prelu_kernel _to_copy addcdiv addcmul alias alpha_dropout angle celu clone complex contiguous
    detach dropout elu feature_dropout hardshrink hardswish hardtanh imag isnan lerp lift_fresh
    log_sigmoid_forward masked_fill nan_to_num native_dropout polar positive prelu real relu6 resolve_conj
    rrelu_with_noise selu softplus softshrink square threshold to view_copy""".split()  # noqa: SIM905 - a list of words
)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple, torch.Size)) else [value]
