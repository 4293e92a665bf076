"""Operators that treat every sample by itself, and why others do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from trous.streaming.calls import Call, Made, rule
from trous.streaming.nodes import Local
from trous.streaming.signals import Place, Signal, found
from trous.streaming.tracing import Even, Ref, Sized

#: Operators that give parts of their argument.
PARTS = ("split", "split_with_sizes", "chunk", "unbind", "recurrent")


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
    whole = replace(step, function=_functional(step.function))

    def run(blocks: Sequence[Tensor]) -> Tensor:
        given = dict(zip(refs, blocks, strict=True))
        count = signals[0].place.length(blocks[0])

        def changed(leaf: Any) -> Any:
            if isinstance(leaf, Ref):
                return given[leaf]
            if isinstance(leaf, Even):
                return leaf.step.call(*leaf.step.map(changed))
            return int(Fraction(leaf.first, lengths[0]) * count) if isinstance(leaf, Sized) else leaf

        return whole.call(*whole.map(changed))

    made = Signal(place, signals[0].length, lengths, step.shapes[0], step.dtype, step.device)
    return Local(step.name, tuple(ref.name for ref in refs), tuple(signals), made, run), made


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


@rule("split", "split_with_sizes", "chunk", "unbind", "glu", "flip", "roll", "index_select", "repeat", "select")
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
