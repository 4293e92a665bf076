"""Operators that treat every sample by itself, and why others do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import Tensor

from trous.streaming.calls import Call, Made, rule
from trous.streaming.nodes import Local
from trous.streaming.signals import Place, Signal, found
from trous.streaming.tracing import Even, Ref, Sized

#: Operators that give parts of their argument.
PARTS = ("split", "split_with_sizes", "chunk", "unbind", "recurrent")


Make = Callable[[Sequence[Tensor], int], Any]


def local(call: Call, place: Place | None = None) -> Made:
    """The step run on whatever samples there are."""
    step = call.step
    refs = list(dict.fromkeys(step.refs))
    signals = [call.signal(ref) for ref in refs]
    lengths = signals[0].lengths
    if any(signal.lengths != lengths for signal in signals):
        raise call.refuse("joins signals of different lengths")
    place = place or found(step.shapes, signals[0])
    if place is None:
        raise call.refuse("leaves no dimension that follows the signal")
    if any(leaf.first * lengths[1] != leaf.second * lengths[0] for leaf in step.sized):
        raise call.refuse("computes with the length of the signal")
    number = {ref: n for n, ref in enumerate(refs)}
    makers = _maker(list(step.args), number, lengths[0]), _maker(step.kwargs, number, lengths[0])
    function, part, where = _functional(step.function), step.part, signals[0].place
    follows = bool(step.sized)

    def run(blocks: Sequence[Tensor]) -> Tensor:
        count = where.length(blocks[0]) if follows else 0
        args, kwargs = (make.value(blocks, count) for make in makers)
        result = function(*args, **kwargs)
        return result if part is None else result[part]

    made = Signal(place, signals[0].length, lengths, step.shapes[0], step.dtype, step.device)
    return Local(step.name, tuple(ref.name for ref in refs), tuple(signals), made, run), made


class _Maker(NamedTuple):
    """How to make an argument: what is in it that follows the signal, and how; the rest of it stays."""

    fixed: Any
    changes: Sequence[tuple[Any, Make]]

    def value(self, blocks: Sequence[Tensor], count: int) -> Any:
        made = self.fixed.copy()
        for place, make in self.changes:
            made[place] = make(blocks, count)
        return made


def _maker(tree: list[Any] | dict[str, Any], number: dict[Ref, int], length: int) -> _Maker:
    """Of lists and dicts of arguments; `number` says which block a `Ref` is, `length` of what length a `Sized` is."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
    changes = [(place, make) for place, leaf in pairs if (make := _made(leaf, number, length)) is not None]
    return _Maker(tree, changes)


def _made(leaf: Any, number: dict[Ref, int], length: int) -> Make | None:
    match leaf:
        case Ref():
            block = number[leaf]
            return lambda blocks, _: blocks[block]
        case Sized():
            each = Fraction(leaf.first, length)
            return lambda _, count: count * each.numerator // each.denominator
        case Even(step):
            args, kwargs = _maker(list(step.args), number, length), _maker(step.kwargs, number, length)
            return lambda blocks, count: step.function(*args.value(blocks, count), **kwargs.value(blocks, count))
        case list() | tuple():
            inside = _maker(list(leaf), number, length)
            return inside.value if inside.changes else None
    return None


def _functional(function: Any) -> Any:
    """Of an operator that works in place the twin that does not; of a view one that copies where it must."""
    name = function._schema.name.split("::")[1]
    if name in ("view", "_unsafe_view"):
        return torch.ops.aten.reshape.default
    if function.namespace != "aten" or not name.endswith("_") or name.endswith("__"):
        return function
    return getattr(getattr(torch.ops.aten, name[:-1]), function._overloadname)


#: Pointwise, and not tagged so.
_POINTWISE = """_prelu_kernel _to_copy addcdiv addcmul alias celu clone complex detach elu hardshrink hardsigmoid
    hardswish hardtanh lift_fresh log_sigmoid_forward masked_fill selu softplus softshrink threshold"""


@rule(*_POINTWISE.split())
def pointwise(call: Call) -> Made:
    signals = [call.signal(ref) for ref in call.step.refs]
    places = {(len(s.shape) - s.place.dim, s.place.outer, s.place.inner) for s in signals}
    if len(places) > 1:
        raise call.refuse("joins signals that lie in different dimensions")
    ((behind, outer, inner),) = places
    return local(call, Place(len(call.step.shapes[0]) - behind, outer, inner))


@rule("permute", "transpose", "unsqueeze", "squeeze", "expand", "t", "movedim")
def _moved(call: Call) -> Made:
    return local(call)


@rule("native_channel_shuffle")
def _shuffled(call: Call) -> Made:
    if call.first.place.dim == 1:
        raise call.refuse("takes the samples of a signal apart")
    return local(call)


@rule("view", "_unsafe_view", "reshape", "_reshape_copy")
def _reshaped(call: Call) -> Made:
    signal, step = call.first, call.step
    place = signal.place.reshaped(signal.shape, step.shapes[0], signal.lengths[0])
    if place is None:
        raise call.refuse("takes the samples of a signal apart")
    return local(call, place)


@rule("split", "split_with_sizes")
def _split(call: Call) -> Made:
    """One of the parts, without making the others."""
    number, dim = call.step.part or 0, call["dim"]
    if dim % len(call.first.shape) == call.first.place.dim:
        raise call.refuse("takes the samples of a signal apart")
    start = call["split_size"] * number if call.name == "split" else sum(call["split_sizes"][:number])
    length = call.step.shapes[0][dim]
    function = torch.ops.aten.narrow.default
    return local(
        replace(call, step=replace(call.step, function=function, args=(call["self"], dim, start, length), part=None))
    )


@rule("chunk", "unbind", "glu", "flip", "roll", "index_select", "repeat", "select")
@rule("_safe_softmax", "_fft_r2c", "_fft_c2c", "_fft_c2r")
@rule("_softmax", "_log_softmax", "softmax", "log_softmax", "sort", "logsumexp", "any", "all", "argmax")
@rule("sum", "mean", "amax", "amin", "prod", "var", "std", "linalg_vector_norm")
def _along_others(call: Call) -> Made:
    dims = call.dims()
    if dims is None or call.first.place.dim in dims:
        raise call.refuse("takes the whole signal together")
    return local(call)


@rule("view_as_real", "view_as_complex")
def _parts(call: Call) -> Made:
    return local(call, call.first.place)


@rule("stack")
def joined(call: Call) -> Made:
    """Signals put beside each other, or above."""
    places = {call.signal(ref).place for ref in call.step.refs}
    if len(places) > 1:
        raise call.refuse("joins signals that lie in different dimensions")
    if any(isinstance(each, Tensor) for each in call["tensors"]):
        raise call.refuse("puts what does not change beside a signal")
    return local(call)


@rule("index")
def _indexed(call: Call) -> Made:
    """Places of other dimensions, picked by constant numbers."""
    indices, dim = call["indices"], call.first.place.dim
    if len(call.step.refs) > 1 or (dim < len(indices) and indices[dim] is not None):
        raise call.refuse("picks samples by their place")
    return local(call)


@rule("embedding")
def _embedded(call: Call) -> Made:
    if call.step.refs != [call["indices"]]:
        raise call.refuse("looks up in a signal")
    return local(call, call.first.place)


@rule("native_batch_norm", "_native_batch_norm_legit_no_training", "batch_norm")
def _batch_norm(call: Call) -> Made:
    return local(call, call.first.place)


@rule("native_layer_norm", "_fused_rms_norm", "rms_norm")
def _layer_norm(call: Call) -> Made:
    if call.first.place.dim >= len(call.step.shapes[0]) - len(call["normalized_shape"]):
        raise call.refuse("takes the whole signal together")
    return local(call, call.first.place)


@rule("mm", "addmm", "bmm", "baddbmm", "linear")
def _product(call: Call) -> Made:
    places = {call.signal(ref).place for ref in call.step.refs}
    (place, *others), rank = places, len(call.step.shapes[0])
    first, second = (call[name] for name in _FACTORS.get(call.name, ("self", "mat2")))
    if not others and place.dim == rank - 3:  # the samples are a batch
        return local(call, place)
    if call.step.refs == [first] and place.dim != rank - 1:
        return local(call, place)
    if call.step.refs == [second] and place.dim == rank - 1 and call.name != "linear":
        return local(call, place)
    raise call.refuse("sums over the whole signal, or multiplies two of them")


#: What the factors are called.
_FACTORS = {"addmm": ("mat1", "mat2"), "baddbmm": ("batch1", "batch2"), "linear": ("input", "weight")}


@rule("_scaled_dot_product_flash_attention_for_cpu", "_scaled_dot_product_flash_attention")
@rule("_scaled_dot_product_efficient_attention", "_scaled_dot_product_attention_math")
def _attention(call: Call) -> Made:
    place = call.first.place
    if place.dim >= len(call.first.shape) - 2 or any(call.signal(ref).place != place for ref in call.step.refs):
        raise call.refuse("compares every sample with every other")
    return local(call, place)


@rule("native_group_norm", "native_instance_norm", "instance_norm")
def _normalised(call: Call) -> Made:
    raise call.refuse("needs the mean and the variance of the whole signal before its first output")
