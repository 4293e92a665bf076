"""Convolution, pooling and interpolation: operators whose outputs read a window of samples, by an axis plan."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from trous.autograd.plain import form, is_plain
from trous.backends.epilogue import NOTHING, Epilogue
from trous.backends.execute import Form, Ready, execute, operation, ready
from trous.inspection.torch_windows import INTERPOLATED, NEAREST, POOLING, each, interpolation, pooling
from trous.plan import AxisPlan, conv_axis, transposed_axis
from trous.plan.piece import counted, piece
from trous.plan.reach import reads
from trous.plan.resample import linear_shares
from trous.settings import state
from trous.streaming.calls import Call, Made, rule
from trous.streaming.local import local
from trous.streaming.nodes import Window


def window(
    call: Call,
    axis: AxisPlan,
    run: Callable[[Tensor, range, int | None], Tensor],
    cut: Callable[[range], range] | None = None,
    fill: float | None = 0.0,
) -> Made:
    """A step that reads along the signal by an axis plan; `cut` says what `run` is given, or what outputs read."""
    ref = call.step.refs[0]
    signal = call.signal(ref)
    if not signal.place.alone:
        raise call.refuse("reads along a dimension that a reshape has merged with others")
    made = call.made(signal, axis.output_size)
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
        return local(call, place)  # the samples are a batch
    kernel = w.shape[2 + axis]
    stride, dilation = (each(call[name], spatial) for name in ("stride", "dilation"))
    before = each(call["before" if ours else "padding"], spatial)
    if transposed:
        plan = transposed_axis(kernel, stride[axis], before[axis], 0, 0, dilation[axis])
        added = call.step.shapes[0][place.dim] - plan.output_size(call.signal(x).lengths[0])
        plan = transposed_axis(kernel, stride[axis], before[axis], 0, added, dilation[axis])
    else:
        after = _behind(call, w, axis) if ours else before[axis]
        plan = conv_axis(kernel, stride[axis], before[axis], after, dilation[axis])
    epilogue = Epilogue(call["activation"], call["slope"]) if call.name == "run_finished" else NOTHING
    sizes, bias, groups = call.step.shapes[0][2:], call["bias"], call["groups"]

    def cut(outputs: range) -> range:
        return piece(transposed, kernel, stride[axis], dilation[axis], before[axis], outputs).inputs

    def run(segment: Tensor, outputs: range, _: int | None) -> Tensor:
        part = piece(transposed, kernel, stride[axis], dilation[axis], before[axis], outputs)
        size = (*sizes[:axis], len(outputs) + part.skip, *sizes[axis + 1 :])
        own = (*before[:axis], part.before, *before[axis + 1 :])
        geometry = stride, own, dilation, groups, transposed
        if is_plain(segment, w, bias):  # past the dispatcher, which would do nothing but take its time
            forms = form(segment), form(w), None if bias is None else form(bias)
            call = _prepared(state(), epilogue, *forms, size, *geometry)
            if call is not None:
                y = call(segment, w, bias, None)
            else:
                y = execute(operation(segment.shape, w.shape, size, *geometry), segment, w, bias, epilogue)
        elif epilogue:
            y = torch.ops.trous.run_finished(
                segment, w, bias, None, epilogue.activation, epilogue.slope, size, *geometry
            )
        else:
            y = torch.ops.trous.run(segment, w, bias, size, *geometry)
        return y.narrow(place.dim, part.skip, len(outputs)) if part.skip else y

    return window(call, plan, run, cut)


@lru_cache(maxsize=1024)
def _prepared(_: tuple, epilogue: Epilogue, x: tuple, w: tuple, bias: tuple | None, *geometry: Any) -> Ready | None:
    """A call for tensors of these forms, ready to run; see `trous.backends.execute.ready`."""
    forms = Form(*x), Form(*w), None if bias is None else Form(*bias)
    return ready(operation(x[0], w[0], *geometry), epilogue, True, *forms, None)


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


@rule(*POOLING)
def _pool(call: Call) -> Made:
    place, rank, spec = call.first.place, len(call.step.shapes[0]), pooling(call.arguments)
    spatial = len(call["kernel_size"])
    axis = place.dim - (rank - spatial)
    if axis < 0:
        return local(call, place)
    highest = call.name.startswith("max")
    plan, (p, after) = spec.plan(spatial).axes[axis], spec.axis_padding(axis)
    if not highest and call.arguments.get("divisor_override"):
        raise call.refuse("divides by a number of its own")
    whole = call.arguments.get("count_include_pad", True)
    kernel, stride, dilation = (list(each(value, spatial)) for value in (spec.kernel, spec.stride, spec.dilation))
    others = [0 if n == axis else size for n, size in enumerate(each(call["padding"], spatial))]
    k, s, d = kernel[axis], stride[axis], dilation[axis]
    function = call.step.function

    def cut(outputs: range) -> range:
        return piece(False, k, s, d, p, outputs).inputs

    def run(segment: Tensor, outputs: range, end: int | None) -> Tensor:
        arguments = [kernel, stride, others]
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

    return window(call, plan, run, cut, float("-inf") if highest else 0.0)


@rule(*NEAREST, *INTERPOLATED)
def _interpolated(call: Call) -> Made:
    place, shape = call.first.place, call.step.shapes[0]
    axis, sizes = place.dim - 2, (call.first.shape[2:], shape[2:])
    if axis < 0 or sizes[0][axis] == sizes[1][axis]:
        return local(call, place)
    rate = Fraction(sizes[0][axis], sizes[1][axis])
    if rate.numerator > 1 < rate.denominator:  # torch rounds its places, otherwise the farther on
        raise call.refuse(f"enlarges by {1 / rate} and no whole number")
    if call.arguments.get("align_corners"):
        raise call.refuse("aligns corners, so that every place depends on the length")
    if "cubic" in call.name or call.name.endswith("_aa"):
        raise call.refuse("has no rule along the signal")
    plan = interpolation(call.name, call.arguments, *sizes)[axis]
    linear = call.name in INTERPOLATED
    others = any(sizes[0][n] != sizes[1][n] for n in range(len(sizes[0])) if n != axis)
    scales = [None if n == axis else call.arguments.get(name) for n, name in enumerate(_SCALES[len(sizes[0])])]
    reading = [plan.reads(phase).values() for phase in range(plan.up)]
    low, high = torch.tensor([[min(each), max(each)] for each in reading], device=call.step.device).T
    shares = torch.tensor([float(each) for each in linear_shares(rate)], dtype=call.step.dtype, device=call.step.device)

    def run(segment: Tensor, outputs: range, _: int | None) -> Tensor:
        o = torch.arange(outputs.start, outputs.stop, device=segment.device)
        phase, first = o % plan.up, reads(plan, outputs).start
        step = (o // plan.up) * plan.down - first
        y = segment.index_select(place.dim, step + low[phase])
        if linear:
            share = shares[phase].view([-1 if dim == place.dim else 1 for dim in range(y.dim())])
            y = torch.lerp(y, segment.index_select(place.dim, step + high[phase]), share)
        if others:
            size = [len(outputs) if n == axis else out for n, out in enumerate(sizes[1])]
            y = call.step.function(y, size, *([False] if linear else []), *scales)
        return y

    return window(call, plan, run, fill=None if linear else 0.0)


#: What the factors of each axis are called, for operators of one to three.
_SCALES = {1: ("scales",), 2: ("scales_h", "scales_w"), 3: ("scales_d", "scales_h", "scales_w")}
