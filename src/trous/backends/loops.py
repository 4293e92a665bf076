"""The definition: every output is the sum of its triples, every index checked. Accepts everything, hurries nothing.

An axis plan lists taps; with the sizes known, a tap and a step `m` make one triple (output, kernel index, input).
Collected by output the triples are the convolution, collected by kernel index the gradient for the weight. The other
back-ends are tested against this one, so it uses none of what they use: no ranges of steps, no live taps, no slices.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from trous.arrays import is_torch
from trous.backends.epilogue import NOTHING, Epilogue, finish
from trous.backends.groups import split_channels, split_weight
from trous.backends.operation import Operation
from trous.plan import BoundAxis

OUTPUT, KERNEL, INPUT = range(3)


def why_not(operation: Operation, x: Any) -> str | None:
    """Never a reason: any dtype that multiplies and adds, any library, any device (by a copy)."""
    return None


@np.errstate(all="ignore")  # NaN and Inf are values like any other
def forward(
    operation: Operation, x: Any, w: Any, bias: Any, y: Any, epilogue: Epilogue = NOTHING, residual: Any = None
) -> None:
    """Fill `y` with `bias[c] + sum over triples of w[kernel] * x[input]`, finished as `epilogue` says.

    Outputs without triples get the bias.
    """
    source, weight = split_channels(operation, _numbers(x)), split_weight(operation, _numbers(w))
    result = np.zeros(operation.output_shape, source.dtype)
    if bias is not None:
        result += _numbers(bias).reshape(-1, *[1] * len(operation.kernel))
    target = split_channels(operation, result)
    for output, kernel, inputs in _collected(operation, OUTPUT):
        columns = _matrix(source, inputs, rows=(1, 0), columns=(2,))
        rows = _matrix(weight, kernel, rows=(0, 1), columns=(2,))
        target[:, :, :, *output] += (columns @ rows.swapaxes(1, 2)).swapaxes(0, 1)
    _store(finish(result, epilogue, _numbers(residual) if epilogue.residual else None), y)


@np.errstate(all="ignore")
def weight_grad(operation: Operation, x: Any, dy: Any, dw: Any) -> None:
    """Fill `dw` with `sum over batch and triples of dy[output] * x[input]`."""
    source, change = split_channels(operation, _numbers(x)), split_channels(operation, _numbers(dy))
    result = np.zeros(operation.weight_shape, source.dtype)
    target = split_weight(operation, result)
    for kernel, output, inputs in _collected(operation, KERNEL):
        rows = _matrix(change, output, rows=(1, 2), columns=(0,))
        columns = _matrix(source, inputs, rows=(1, 2), columns=(0,))
        target[:, :, :, *kernel] += rows @ columns.swapaxes(1, 2)
    _store(result, dw)


def _triples(axis: BoundAxis) -> Iterator[tuple[int, int, int]]:
    """Every (output, kernel index, input) of the axis for which both positions exist."""
    plan = axis.plan
    for m in range(axis.output_size):
        if plan.up * m >= axis.output_size:
            break
        for phase, kernel, offset in plan.taps:
            output, position = plan.up * m + phase, plan.down * m + offset
            if 0 <= output < axis.output_size and 0 <= position < axis.input_size:
                yield output, kernel, position


def _collected(operation: Operation, by: int) -> Iterator[tuple[tuple[int, ...], list[list[int]], list[list[int]]]]:
    """The triples of all axes that share one member: that member, and the other two as one list of indices per axis.

    The triples of an N-dimensional plan are all combinations of the triples of its axes.
    """
    others = [member for member in (OUTPUT, KERNEL, INPUT) if member != by]
    per_axis = []
    for axis in operation.bound.axes:
        groups: dict[int, tuple[list[int], list[int]]] = {}
        for triple in _triples(axis):
            first, second = groups.setdefault(triple[by], ([], []))
            first.append(triple[others[0]])
            second.append(triple[others[1]])
        per_axis.append(list(groups.items()))
    for combination in itertools.product(*per_axis):
        yield (
            tuple(member for member, _ in combination),
            [first for _, (first, _) in combination],
            [second for _, (_, second) in combination],
        )


def _matrix(array: np.ndarray, positions: list[list[int]], rows: tuple[int, ...], columns: tuple[int, ...]) -> Any:
    """The elements at all combinations of `positions`, as matrices `(groups, rows, columns and positions)`.

    The last axes of `array` are positions; `rows` names the group axis and the row axis, `columns` what is summed.
    """
    index: tuple[Any, ...] = (slice(None), slice(None), slice(None), *np.ix_(*positions))
    picked = array[index].transpose(*rows, *columns, *range(3, array.ndim))
    return picked.reshape(picked.shape[0], picked.shape[1], int(np.prod(picked.shape[2:])))


def _numbers(x: Any) -> np.ndarray:
    """`x` as a NumPy array of the type to add up in: 16-bit (and smaller) floats in float32, the rest as they are."""
    if is_torch(x):
        x = x.detach().cpu().resolve_conj().resolve_neg()
        return (x.float() if x.is_floating_point() and x.element_size() < 4 else x).numpy()
    return x.astype(np.float32) if x.dtype == np.float16 else x


def _store(result: np.ndarray, y: Any) -> None:
    """Round `result` to the type of `y`, once, and write all of it."""
    if is_torch(y):
        import torch

        with torch.no_grad():
            y.copy_(torch.from_numpy(result))
    else:
        y[...] = result
