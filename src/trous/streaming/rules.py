"""ATen's operators as nodes: which treat every sample by itself, which read windows, why others cannot be streamed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import torch
from torch import Tensor

from trous.errors import TrousError
from trous.plan import AxisPlan, conv_axis, transposed_axis
from trous.plan.padding import ceil_padding
from trous.plan.piece import counted, piece
from trous.plan.reach import reads
from trous.plan.resample import moved_axis, nearest_axis
from trous.spec import Spec
from trous.streaming.nodes import Local, Node, Window
from trous.streaming.signals import Place, Signal, found
from trous.streaming.tracing import Ref, Sized, Step


@dataclass
class Call:
    """A step with its arguments by name and what is known of the signals among them."""

    step: Step
    known: dict[str, Signal]
    specs: Mapping[int, Collection[Spec]]  #: of layers, by the identity of a weight

    def __post_init__(self) -> None:
        schema = self.step.function._schema
        self.name = schema.name.split("::")[1].rstrip("_")
        self.arguments: dict[str, Any] = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
        self.arguments |= {a.name: given for a, given in zip(schema.arguments, self.step.args, strict=False)}
        self.arguments |= self.step.kwargs

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def signal(self, ref: Any) -> Signal:
        return self.known[ref.name]

    @property
    def first(self) -> Signal:
        return self.signal(self.step.refs[0])

    def dims(self) -> list[int] | None:
        """The dimensions that the step takes together, counted from the front; None for all."""
        given = self.arguments.get("dim", self.arguments.get("dims"))
        if given is None or given == []:
            return None
        return [dim % len(self.first.shape) for dim in (given if isinstance(given, (list, tuple)) else [given])]

    def refuse(self, why: str) -> TrousError:
        return TrousError("module", f"cannot be streamed: {self.name} {why}", self.step.name)


Made = tuple[Node, Signal]
Rule = Callable[[Call], Made]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def node(step: Step, known: dict[str, Signal], specs: Mapping[int, Collection[Spec]]) -> Made:
    """The node of a step, and the signal that it gives. Raises TrousError where it cannot be streamed."""
    call = Call(step, known, specs)
    if step.part and call.name not in _PARTS:
        raise call.refuse("has a result that is known for a whole signal only")
    if call.name in RULES:
        return RULES[call.name](call)
    if torch.Tag.pointwise in step.function.tags:
        return _pointwise(call)
    raise call.refuse("is not known to treat samples one by one, or in windows")


#: Operators that give parts of their argument.
_PARTS = ("split", "split_with_sizes", "chunk", "unbind")

# Every sample by itself.


def _local(call: Call, place: Place | None = None) -> Made:
    """The step run on whatever samples there are."""
    step = call.step
    refs = list(dict.fromkeys(step.refs))
    signals = [call.signal(ref) for ref in refs]
    lengths = signals[0].lengths
    if any(signal.lengths != lengths for signal in signals):
        raise call.refuse("joins signals of different lengths")
    place = place or found(step.shapes, lengths)
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


@rule("clone", "_to_copy", "detach", "alias", "lift_fresh", "_prelu_kernel", "log_sigmoid_forward", "masked_fill")
@rule(
    "hardswish",
    "hardsigmoid",
    "hardtanh",
    "hardshrink",
    "softshrink",
    "softplus",
    "threshold",
    "celu",
    "selu",
    "elu",
    "addcmul",
    "addcdiv",
)
def _pointwise(call: Call) -> Made:
    signals = [call.signal(ref) for ref in call.step.refs]
    places = {(len(s.shape) - s.place.dim, s.place.outer, s.place.inner) for s in signals}
    if len(places) > 1:
        raise call.refuse("joins signals that lie in different dimensions")
    ((behind, outer, inner),) = places
    return _local(call, Place(len(call.step.shapes[0]) - behind, outer, inner))


@rule("permute", "transpose", "unsqueeze", "squeeze", "expand", "t", "movedim")
@rule("native_channel_shuffle")
def _moved(call: Call) -> Made:
    if not call.first.place.alone:
        raise call.refuse("moves a dimension that a reshape has merged with the signal's")
    return _local(call)


@rule("view", "_unsafe_view", "reshape", "_reshape_copy")
def _reshaped(call: Call) -> Made:
    signal, step = call.first, call.step
    place = signal.place.reshaped(signal.shape, step.shapes[0], signal.lengths[0])
    if place is None:
        raise call.refuse("takes the samples of a signal apart")
    return _local(call, place)


@rule("split", "split_with_sizes", "chunk", "unbind", "glu", "flip", "roll", "index_select", "repeat", "select")
@rule("_softmax", "_log_softmax", "softmax", "log_softmax", "cumsum", "sort", "logsumexp", "any", "all", "argmax")
@rule("sum", "mean", "amax", "amin", "prod", "var", "std", "linalg_vector_norm")
def _along_others(call: Call) -> Made:
    dims = call.dims()
    if dims is None or call.first.place.dim in dims:
        raise call.refuse("takes the whole signal together")
    return _local(call)


@rule("cat", "stack")
def _cat(call: Call) -> Made:
    refs = call.step.refs
    if len(refs) != len(call["tensors"]):
        raise call.refuse("puts what does not change beside a signal")
    dim = call["dim"] % len(call.step.shapes[0])
    places = {call.signal(ref).place for ref in refs}
    if len(places) > 1:
        raise call.refuse("joins signals that lie in different dimensions")
    (place,) = places
    if call.name == "cat" and place.dim == dim:
        raise call.refuse("puts signals one behind the other")
    return _local(call)


@rule("native_batch_norm", "_native_batch_norm_legit_no_training", "batch_norm")
def _batch_norm(call: Call) -> Made:
    return _local(call, call.first.place)


@rule("native_layer_norm", "_fused_rms_norm", "rms_norm")
def _layer_norm(call: Call) -> Made:
    if call.first.place.dim >= len(call.step.shapes[0]) - len(call["normalized_shape"]):
        raise call.refuse("takes the whole signal together")
    return _local(call, call.first.place)


@rule("mm", "addmm", "bmm", "linear")
def _product(call: Call) -> Made:
    (ref, *others), rank = call.step.refs, len(call.step.shapes[0])
    left = ref == call[_LEFT.get(call.name, "self")]
    summed = rank - 1 if left else rank - 2
    if others or call.first.place.dim == summed or (not left and ref != call.arguments.get("mat2")):
        raise call.refuse("sums over the whole signal, or multiplies two of them")
    return _local(call, call.first.place)


#: What the first factor is called.
_LEFT = {"addmm": "mat1", "linear": "input"}


@rule("native_group_norm", "native_instance_norm", "instance_norm")
def _normalised(call: Call) -> Made:
    raise call.refuse("needs the mean and the variance of the whole signal before its first output")


# Windows.


def _window(
    call: Call,
    axis: AxisPlan,
    run: Callable[[Tensor, range, int | None], Tensor],
    cut: Callable[[range], range] | None = None,
    fill: float = 0.0,
) -> Made:
    """A step that reads along the signal by an axis plan; `cut` says what `run` is given, or what outputs read."""
    ref = call.step.refs[0]
    signal = call.signal(ref)
    if not signal.place.alone:
        raise call.refuse("reads along a dimension that a reshape has merged with others")
    before = signal.length

    def length(received: int) -> int:
        return axis.output_size(before(received))

    lengths = axis.output_size(signal.lengths[0]), axis.output_size(signal.lengths[1])
    shown = tuple(shape[signal.place.dim] for shape in call.step.shapes)
    if shown != lengths:
        raise call.refuse(f"gives {shown} samples where its plan has {lengths}")
    made = Signal(signal.place, length, lengths, call.step.shapes[0], call.step.dtype, call.step.device)
    return Window(call.step.name, (ref.name,), signal, made, axis, cut or partial(reads, axis), run, fill), made


@rule("convolution", "run", "run_finished")
def _convolution(call: Call) -> Made:
    ours = call.name != "convolution"
    x, w = call["x" if ours else "input"], call["w" if ours else "weight"]
    if call.step.refs != [x]:
        raise call.refuse("has weights that depend on the signal")
    place, transposed = call.signal(x).place, call["transposed"]
    axis, spatial = place.dim - 2, w.dim() - 2
    if axis < 0:
        return _local(call, place)  # the samples are a batch
    kernel = w.shape[2 + axis]
    stride, dilation = (_each(call[name], spatial) for name in ("stride", "dilation"))
    before = _each(call["before" if ours else "padding"], spatial)
    if transposed:
        plan = transposed_axis(kernel, stride[axis], before[axis], 0, 0, dilation[axis])
        added = call.step.shapes[0][place.dim] - plan.output_size(call.signal(x).lengths[0])
        plan = transposed_axis(kernel, stride[axis], before[axis], 0, added, dilation[axis])
    else:
        after = _behind(call, w, axis) if ours else before[axis]
        plan = conv_axis(kernel, stride[axis], before[axis], after, dilation[axis])
    activation, slope = (call["activation"], call["slope"]) if call.name == "run_finished" else (None, 0.0)
    sizes = list(call.step.shapes[0][2:])

    def cut(outputs: range) -> range:
        return piece(transposed, kernel, stride[axis], dilation[axis], before[axis], outputs).inputs

    def run(segment: Tensor, outputs: range, _: int | None) -> Tensor:
        part = piece(transposed, kernel, stride[axis], dilation[axis], before[axis], outputs)
        size, own = list(sizes), list(before)
        size[axis], own[axis] = len(outputs) + part.skip, part.before
        geometry = (size, stride, own, dilation, call["groups"], transposed)
        if activation is None:
            y = torch.ops.trous.run(segment, w, call["bias"], *geometry)
        else:
            y = torch.ops.trous.run_finished(segment, w, call["bias"], None, activation, slope, *geometry)
        return y.narrow(place.dim, part.skip, len(outputs)) if part.skip else y

    return _window(call, plan, run, cut)


def _behind(call: Call, weight: Tensor, axis: int) -> int:
    """The padding behind the last sample, which the operator is not told: from the layer, or from both sizes."""
    place = call.first.place
    stride, dilation, before = (call[name][axis] for name in ("stride", "dilation", "before"))
    pairs = {
        spec.axis_padding(axis)[:2]
        for spec in call.specs.get(id(weight), ())
        if (spec.axis_arguments(axis)["stride"], spec.axis_arguments(axis)["dilation"]) == (stride, dilation)
    }
    behind = [after for front, after in pairs if front == before]
    if len(behind) == 1:
        return behind[0]
    if stride > 1:
        raise call.refuse("has a stride and is no layer of trous.nn, which alone says how much it pads at the end")
    plan = conv_axis(weight.shape[2 + axis], stride, before, 0, dilation)
    return call.step.shapes[0][place.dim] - plan.output_size(call.first.lengths[0])


def _each(value: Any, rank: int) -> list[int]:
    listed = list(value) if isinstance(value, (list, tuple)) else [value]
    return listed * rank if len(listed) == 1 else listed


@rule("max_pool2d_with_indices", "avg_pool2d", "avg_pool1d", "max_pool3d_with_indices", "avg_pool3d")
def _pool(call: Call) -> Made:
    place, rank = call.first.place, len(call.step.shapes[0])
    spatial = len(_list(call["kernel_size"])) if call.name != "avg_pool1d" else 1
    axis = place.dim - (rank - spatial)
    if axis < 0:
        return _local(call, place)
    highest = call.name.startswith("max")
    kernel = _each(call["kernel_size"], spatial)
    stride = _each(call["stride"] or kernel, spatial)
    padding = _each(call["padding"], spatial)
    dilation = _each(call.arguments.get("dilation") or 1, spatial)
    k, s, p, d = kernel[axis], stride[axis], padding[axis], dilation[axis]
    after = ceil_padding(p, p, k, s, d)[1] if call["ceil_mode"] else p
    plan = conv_axis(k, s, p, after, d)
    if not highest and call.arguments.get("divisor_override"):
        raise call.refuse("divides by a number of its own")
    whole = call.arguments.get("count_include_pad", True)
    own = [0 if n == axis else size for n, size in enumerate(padding)]
    function = call.step.function

    def cut(outputs: range) -> range:
        return piece(False, k, s, d, p, outputs).inputs

    def run(segment: Tensor, outputs: range, end: int | None) -> Tensor:
        arguments = [kernel, stride, own]
        if highest:
            return function(segment, *arguments, dilation, call["ceil_mode"])[0]
        y = function(segment, *arguments, call["ceil_mode"], whole)
        return y * _shares(y, outputs, end) if p or after else y

    def _shares(y: Tensor, outputs: range, end: int | None) -> Tensor:
        """Whole windows by what averages count of each: of the border what is padding, or nothing."""
        inside = range(-p if whole else 0, (1 << 62) if end is None else end + (p if whole else 0))
        read = reads(plan, outputs)
        if inside.start <= read.start and read.stop <= inside.stop:
            return torch.ones((), dtype=y.dtype, device=y.device)
        shares = [k / counted(plan, o, inside) for o in outputs]
        shape = [-1 if dim == place.dim else 1 for dim in range(y.dim())]
        return torch.tensor(shares, dtype=y.dtype, device=y.device).view(shape)

    return _window(call, plan, run, cut, float("-inf") if highest else 0.0)


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


@rule("upsample_nearest1d", "_upsample_nearest_exact1d")
def _nearest(call: Call) -> Made:
    place = call.first.place
    if place.dim != 2:
        raise call.refuse("enlarges another dimension than the signal's")
    (inputs, _), (outputs, _) = call.first.lengths, tuple(s[2] for s in call.step.shapes)
    rate = Fraction(inputs, outputs)
    if rate.numerator > 1 < rate.denominator:  # torch rounds its places, otherwise the farther on
        raise call.refuse(f"enlarges by {1 / rate} and no whole number")
    plan = nearest_axis(rate, centred="exact" in call.name)

    def run(segment: Tensor, outputs: range, _: int | None) -> Tensor:
        copied = torch.tensor([i for o in outputs for i in plan.reads(o).values()], device=segment.device)
        return segment.index_select(2, copied - copied[0])

    return _window(call, plan, run)


@rule("constant_pad_nd")
def _padded(call: Call) -> Made:
    place, rank, given = call.first.place, len(call.step.shapes[0]), list(call["pad"])
    at = 2 * (rank - 1 - place.dim)
    if at >= len(given) or given[at : at + 2] == [0, 0]:
        return _local(call, place)
    if any(given[:at] + given[at + 2 :]):
        raise call.refuse("pads the signal and other dimensions at once")
    before, after = given[at : at + 2]
    return _shifted(call, moved_axis(before, after), 1, float(call["value"]))


@rule("slice")
def _sliced(call: Call) -> Made:
    place, rank = call.first.place, len(call.step.shapes[0])
    if call["dim"] % rank != place.dim:
        return _local(call, place)
    start, step = call["start"] or 0, call["step"]
    ends = [_end(call["end"], n, number) for number, n in enumerate(call.first.lengths)]
    if isinstance(start, Sized) or start < 0 or ends[0] != ends[1]:
        raise call.refuse("takes a part of the signal whose place depends on the length")
    return _shifted(call, moved_axis(-start, -ends[0], step), step, 0.0)


def _end(end: Any, length: int, number: int) -> int:
    """How many samples a slice leaves out at the end."""
    if end is None:
        return 0
    if isinstance(end, Sized):
        end = (end.first, end.second)[number]
    return -end if end < 0 else max(0, length - end)


def _shifted(call: Call, plan: AxisPlan, step: int, fill: float) -> Made:
    def run(segment: Tensor, outputs: range, _: int | None) -> Tensor:
        return segment[(slice(None),) * call.first.place.dim + (slice(None, None, step),)]

    return _window(call, plan, run, fill=fill)
