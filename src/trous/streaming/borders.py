"""Padding and parts of a signal: operators that move samples, and fill in others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from trous.inspection.torch_windows import MIRRORED, paddings
from trous.plan import AxisPlan, conv_axis
from trous.plan.resample import moved_axis
from trous.streaming.calls import Call, Made, rule
from trous.streaming.local import joined, local
from trous.streaming.nodes import Border
from trous.streaming.tracing import Even, Ref, Sized
from trous.streaming.windows import window


@rule("constant_pad_nd")
def _padded(call: Call) -> Made:
    ends, others = _ends(call)
    if ends == (0, 0):
        return local(call, call.first.place)
    value = float(call["value"])
    return _shifted(
        call, moved_axis(*ends), 1, value, (lambda y: call.step.function(y, others, value)) if any(others) else None
    )


@rule(*MIRRORED)
def _mirrored(call: Call) -> Made:
    (before, after), others = _ends(call)
    if before == after == 0:
        return local(call, call.first.place)
    if min(before, after) < 0:
        raise call.refuse("crops the signal")
    made = call.made(call.first, lambda n: before + n + after)
    mode = "reflect" if call.name.startswith("reflection") else "replicate"
    finish = lambda y: call.step.function(y, others) if any(others) else y  # noqa: E731
    return Border(call.step.name, (call["self"].name,), call.first, made, mode, before, after, finish), made


def _ends(call: Call) -> tuple[tuple[int, int], list[int]]:
    """Padding before and after the signal, and the operator's argument without it."""
    by_dim, dim = paddings(call.arguments, len(call.step.shapes[0])), call.first.place.dim
    ends = by_dim.get(dim, (0, 0))
    return ends, [0 if n == dim else each for n, pair in by_dim.items() for each in pair]


@rule("slice")
def _sliced(call: Call) -> Made:
    place, rank = call.first.place, len(call.step.shapes[0])
    if call["dim"] % rank != place.dim:
        return local(call, place)
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


@rule("cat")
def _cat(call: Call) -> Made:
    """Signals beside each other; or one between constants, which are its padding."""
    place, dim = call.first.place, call["dim"] % len(call.step.shapes[0])
    if place.dim != dim:
        return joined(call)
    if len(call.step.refs) > 1 or any(isinstance(each, Even) for each in call["tensors"]):
        raise call.refuse("puts signals one behind the other")
    at = next(n for n, each in enumerate(call["tensors"]) if isinstance(each, Ref))
    none = call.first.empty()
    front, back = (torch.cat([none, *each], dim) for each in (call["tensors"][:at], call["tensors"][at + 1 :]))
    before, after = front.shape[dim], back.shape[dim]

    def run(segment: Tensor, outputs: range, end: int | None) -> Tensor:
        first = min(max(before - outputs.start, 0), len(outputs))  # how many lie in front of the signal
        last = len(outputs) if end is None else min(max(before + end - outputs.start, first), len(outputs))
        parts = [segment.narrow(dim, first, last - first)]
        if first:
            parts.insert(0, front.narrow(dim, outputs.start, first))
        if last < len(outputs):
            parts.append(back.narrow(dim, outputs.start + last - before - (end or 0), len(outputs) - last))
        return torch.cat(parts, dim) if len(parts) > 1 else parts[0]

    return window(call, moved_axis(before, after), run)


@rule("unfold")
def _unfolded(call: Call) -> Made:
    dim, size, step = call["dimension"] % len(call.first.shape), call["size"], call["step"]
    if call.first.place.dim != dim:
        return local(call, call.first.place)
    return window(call, conv_axis(size, step, 0, 0, 1), lambda segment, *_: segment.unfold(dim, size, step))


def _shifted(
    call: Call, plan: AxisPlan, step: int, fill: float, finish: Callable[[Tensor], Tensor] | None = None
) -> Made:
    def run(segment: Tensor, outputs: range, _: int | None) -> Tensor:
        y = segment if step == 1 else segment[(slice(None),) * call.first.place.dim + (slice(None, None, step),)]
        return finish(y) if finish else y

    return window(call, plan, run, fill=fill)
