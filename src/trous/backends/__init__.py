"""The ordered list of back-ends, best first. Each says why it refuses; the last one, the definition, refuses nothing.

A back-end is a module with

- `why_not(operation, x) -> str | None`: the reason it cannot take this, or None;
- `forward(operation, x, w, bias, y, epilogue, residual)`: fills `y` with `bias[c] + sum over taps of w * x`, and then
  what the epilogue says (`epilogue.py`), nothing by default; the residual has the shape of y. The gradient for the
  input is the forward of `operation.adjoint`;
- `weight_grad(operation, x, dy, dw)`: fills `dw`, the same triples summed over batch and steps;
- `prepare(operation, strides of x, of w, of y, dtype, epilogue, strides of the residual)`, where it has one: `forward`
  as a function of the addresses of x, w, bias, residual and y, or None; and `prepare_packed` of the same arguments:
  what packs a weight once, and `forward` with what that leaves in the place of the weight, or None;
- `account(...)` of the same arguments and whether the weight was packed before, where it has one: the kernel that
  `forward` takes, and why (`facts.py`).

Arrays are NumPy's or torch's, batched, of the shapes that `Operation` states, with any strides. All arrays of a call
are of one kind, dtype and device. Every element of the filled array is written.
"""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

from trous import settings
from trous.backends import cpu, loops, tensors
from trous.backends.operation import Operation
from trous.errors import SlowPathWarning, TrousError

BACKENDS: tuple[ModuleType, ...] = (cpu, tensors, loops)

__all__ = ["BACKENDS", "Operation", "choose", "name_of"]

_warned: set[str] = set()


def name_of(backend: ModuleType) -> str:
    return backend.__name__.rpartition(".")[2]


def choose(operation: Operation, x: Any) -> ModuleType:
    """The first back-end that accepts; `TROUS_BACKEND` names the only one to ask.

    Passing over machine code warns once for each reason, since the next back-end may be a hundred times slower.
    """
    backend, refusals = first_accepting(operation, x)
    for refusal in refusals:
        _warn_once(refusal, backend)
    return backend


def first_accepting(operation: Operation, x: Any) -> tuple[ModuleType, list[str]]:
    """What `choose` takes, and why the ones before it refuse. Of x only dtype and device are looked at."""
    wanted = settings.get(settings.BACKEND)
    candidates = BACKENDS if wanted is None else tuple(b for b in BACKENDS if wanted == name_of(b))
    if not candidates:
        raise TrousError("TROUS_BACKEND", f"must be one of {', '.join(map(name_of, BACKENDS))}", wanted)
    refusals: list[str] = []
    for backend in candidates:
        reason = backend.why_not(operation, x)
        if reason is None:
            return backend, refusals
        refusals.append(f"{name_of(backend)}: {reason}")
    raise TrousError("TROUS_BACKEND", f"must accept the problem ({'; '.join(refusals)})", wanted)


def _warn_once(refusal: str, taken: ModuleType) -> None:
    if refusal not in _warned:
        _warned.add(refusal)
        warnings.warn(f"using the slower back-end {name_of(taken)} ({refusal})", SlowPathWarning, stacklevel=5)
