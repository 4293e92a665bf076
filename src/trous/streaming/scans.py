"""Operators that go through the samples one after the other and remember something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from trous.streaming.calls import Call, Made, rule
from trous.streaming.local import local
from trous.streaming.nodes import Scan


@rule("recurrent")
def _recurrent(call: Call) -> Made:
    x, time = call.first, 1 if call["batch_first"] else 0
    if call.step.refs != [call["x"]]:
        raise call.refuse("begins with a state that depends on the signal")
    if x.place.dim == 1 - time:  # the samples are a batch
        return local(call, replace(x.place, dim=1) if call.step.part else x.place)
    if call["both"]:
        raise call.refuse("reads the whole signal backwards as well before its first output")
    if call.step.part:
        raise call.refuse("has a state at the end that is known for a whole signal only")
    weights, rest = call["weights"], [call[name] for name in ("biases", "layers", "both", "batch_first")]

    def run(segment: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        y, *last = torch.ops.trous.recurrent(call["kind"], segment, list(state), weights, *rest)
        return y, last

    made = call.made(x, lambda n: n)
    return Scan(call.step.name, (call["x"].name,), x, made, run, tuple(call["state"])), made


#: What is before the first sample.
_BEGIN = {"cumsum": 0.0, "cumprod": 1.0, "logcumsumexp": float("-inf")}


@rule(*_BEGIN)
def _running(call: Call) -> Made:
    """Of all samples so far, which the last output holds."""
    x, dim = call.first, call["dim"] % len(call.first.shape)
    if dim != x.place.dim:
        return local(call)
    made = call.made(x, lambda n: n)
    function = call.step.function
    begin = torch.full_like(made.empty().sum(dim, keepdim=True), _BEGIN[call.name])

    def run(segment: Tensor, last: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        y = function(torch.cat([*last, segment], dim), dim).narrow(dim, 1, segment.shape[dim])
        return y, [y.narrow(dim, y.shape[dim] - 1, 1).clone()]

    return Scan(call.step.name, (call["self"].name,), x, made, run, (begin,)), made
