"""Recurrent layers as one operator each, which torch otherwise takes apart into a call for every step."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import _VF, Tensor

from trous.errors import TrousError

#: As torch calls them; all take (input, state, weights, biases, layers, dropout, training, both ways, batch first).
KINDS = {name: getattr(_VF, name) for name in ("gru", "lstm", "rnn_tanh", "rnn_relu")}

torch.library.define(
    "trous::recurrent",
    "(str kind, Tensor x, Tensor[] state, Tensor[] weights, bool biases, int layers, bool both, bool batch_first)"
    " -> Tensor[]",
)


def _run(
    kind: str,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    biases: bool,
    layers: int,
    both: bool,
    batch_first: bool,
) -> list[Tensor]:
    first = tuple(state) if kind == "lstm" else state[0]
    return list(KINDS[kind](x, first, weights, biases, layers, 0.0, False, both, batch_first))


def _shapes(kind, x, state, weights, biases, layers, both, batch_first):  # type: ignore[no-untyped-def]
    y = x.new_empty((*x.shape[:2], state[0].shape[-1] * (2 if both else 1)))
    return [y, *(torch.empty_like(each) for each in state)]


torch.library.impl("trous::recurrent", "CompositeExplicitAutograd")(_run)
torch.library.register_fake("trous::recurrent")(_shapes)


@contextlib.contextmanager
def kept_whole() -> Iterator[None]:
    """Within, recurrent layers call the operator."""

    def called(kind: str, *args: Any) -> Any:
        if not torch._C._len_torch_dispatch_stack():  # of another thread, which does its own work
            return KINDS[kind](*args)
        if not isinstance(args[2], list):
            raise TrousError("module", "cannot be streamed: packed sequences end at different places", kind)
        x, state, weights, biases, layers, _, _, both, batch_first = args
        states = [state] if isinstance(state, Tensor) else list(state)
        return tuple(torch.ops.trous.recurrent(kind, x, states, weights, biases, layers, both, batch_first))

    try:
        for kind in KINDS:
            setattr(_VF, kind, lambda *args, kind=kind: called(kind, *args))
        yield
    finally:
        for kind in KINDS:
            vars(_VF).pop(kind, None)
