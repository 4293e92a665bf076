"""The only source of cases: problems, the data that goes with one, and the run of a back-end on both.

Data are drawn from the problem's own text, so that a failure's name is enough to repeat it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from math import prod
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch

from compare import assert_close, assert_identical
from trous.arrays import empty, is_channels_last
from trous.backends import Operation, loops, name_of
from trous.backends.cpu import forward_pass, target
from trous.plan.padding import conv_padding, transposed_padding
from trous.problem import Problem

#: The instruction sets of this machine whose vectors differ. What AMX adds has tests of its own.
INSTRUCTION_SETS = tuple(name for name in target.available() if name != "amx")

#: Edge cases that chance seldom draws, each with what it is for.
HAND_PICKED: tuple[Problem, ...] = tuple(
    Problem.parse(line.split("#")[0].strip())
    for line in """
    conv,c1-2,x2500,k2049,s7,bias                        # thousands of taps
    conv,c2-1,x300,k500,p499                             # kernel longer than the input, mostly in the padding
    conv,c1-1,x1100,k3,d512,p512,f64                     # taps far apart
    conv_transpose,c1-1,x9,k1024,s256                    # one channel, long kernel, large stride: an overlap-add
    conv_transpose,c66-1,x12,k64,s16,p32,bias            # inverse short-time Fourier transform
    conv,c1-66,x200,k64,s16                              # and its adjoint
    conv,c3-4,x17x19,k2x3,s5x4                           # stride above the kernel: inputs that no output sees
    conv_transpose,n2,c3-4,x4x5,k2x1,s5x3,bias           # outputs that no input reaches
    conv_transpose,c3-4,x4x5,k2x1,s5x3,op2x1
    conv_transpose,c4-3,x5x6,k3x3,s2,d2,bias             # stride and dilation share a factor: empty phases
    conv_transpose,n2,c4-2,x5x6x3,k2x3x2,s4x2x3,d2x4x3,g2
    conv_transpose,c4-3,x5x6,k3x3,s2,d2,last
    conv_transpose,c3-5,x9x9,k3x3,s3,d3,p3,op2,last,bias
    conv,c4-4,x1x1x9,k1x1x3,p0x0x1                       # axes of size 1
    conv,c4-6,x1x1,k3x3,p1
    conv_transpose,c4-6,x1x7,k3x3,s2
    conv,c1-1,x1,k1
    conv_transpose,c1-1,x1,k1,s3,op2,bias
    conv,n0,c3-4,x8x8,k3x3,bias                          # no batch
    conv_transpose,n0,c3-4,x8,k3,s2
    conv,c3-4,x0x8,k3x3,p2,bias                          # no input, yet outputs
    conv_transpose,c2-2,x0,k5,s2,bias
    conv_transpose,c2-3,x0,k1                            # neither
    conv,c6-6,x9x10,k3x3,p1,g6                           # depthwise
    conv,c6-6,x9x40,k3x3,p2,d2,g6,last
    conv,n2,c5-15,x12,k4,g5,bias                         # with a channel multiplier
    conv_transpose,c4-8,x5x6,k4x4,s2,p1,g4
    conv_transpose,c20-20,x3x4x5,k3x2x3,s2,g20,last
    conv,c9-6,x7x7,k3x3,g3,last                          # groups of odd sizes
    conv,c4-5,x9x9,k3x3,p12,d12                          # one live tap in nine
    conv_transpose,c3-2,x7,k3,d20
    conv_transpose,c3-2,x7,k3,d20,p20                    # all but the middle tap cropped away
    conv,n2,c2-2,x5,k2,p7,bias                           # padding above the kernel
    conv,c2-2,x5,k3,s100                                 # stride above the input
    conv,c3-3,x8x9,k3x3,p0:2x3:1                         # uneven padding
    conv_transpose,c3-3,x8x9,k3x3,s2,p0:2x2:1,bias
    conv,c2-3,x13,k4,d3,pcausal
    conv,c2-2,x20,k2,s5,pcausal                          # padding below zero
    conv_transpose,c2-3,x13,k4,s2,d3,pcausal
    conv_transpose,c2-3,x13,k2,s5,pcausal
    conv,c2-3,x13x6,k4x3,psame
    conv,c2-3,x13x6,k4x3,s2,psame,last
    conv_transpose,c2-3,x13x6,k4x3,s3,psame
    conv,c2-3,x4x6,k4x3,d2,pfull
    conv_transpose,c2-3,x9x8,k3x3,s2,pfull
    conv,c17-19,x6x37,k3x3,p1,bias                       # remainders of every tile
    conv,c19-17,x6x37,k3x3,p1,last,bias
    conv_transpose,c17-19,x6x37,k3x3,s2,p1,op1
    conv_transpose,c19-17,x6x37,k3x3,s2,p1,op1,last
    conv,c130-1,x5x6,k1x1                                # many channels into one, and back
    conv,c1-130,x5x6,k2x2,last
    """.strip().splitlines()
)


class Arrays(NamedTuple):
    """What goes in: the layer's arrays and the gradient `dy` of its output."""

    x: Any
    w: Any
    bias: Any
    dy: Any

    def map(self, change: Callable[[Any], Any]) -> Arrays:
        return Arrays(*(None if a is None else change(a) for a in self))


class Results(NamedTuple):
    """What comes out: forward, gradient for the input, gradient for the weight."""

    y: Any
    dx: Any
    dw: Any

    def map(self, change: Callable[[Any], Any]) -> Results:
        return Results(*map(change, self))


def operation(problem: Problem) -> Operation:
    return Operation(
        bound=problem.bound,
        kernel=tuple(problem.spec.kernel),
        batch=problem.batch,
        in_channels=problem.in_channels,
        out_channels=problem.out_channels,
        groups=problem.spec.groups,
        weight_by_input=problem.kind == "conv_transpose",
    )


def integers(problem: Problem) -> Arrays:
    """Torch tensors of integers from 1 to 4, the weights negative for every other problem.

    Every sum is exact (docs/numerics.md), and none is zero but where no tap reaches: a term lost always shows.
    """
    rng = _generator(problem)
    sign = 1 - 2 * int(rng.integers(2))
    return _arrays(problem, lambda shape: rng.integers(1, 5, shape), weight_factor=sign)


def real(problem: Problem) -> Arrays:
    """Torch tensors of independent normal numbers."""
    return _arrays(problem, _generator(problem).standard_normal, weight_factor=1)


def run(backend: ModuleType, op: Operation, given: Arrays) -> Results:
    """Forward and both gradients, into arrays filled with NaN, in the memory format of `x`. A refusal fails."""
    reason = backend.why_not(op, given.x)
    assert reason is None, f"{name_of(backend)} refuses: {reason}"
    last = is_channels_last(given.x)
    y, dx = (_poisoned(shape, given.x, last) for shape in (op.output_shape, op.input_shape))
    dw = _poisoned(op.weight_shape, given.x, False)
    backend.forward(op, given.x, given.w, given.bias, y)
    backend.forward(op.adjoint, given.dy, given.w, None, dx)
    backend.weight_grad(op, given.x, given.dy, dw)
    return Results(y, dx, dw)


def assert_all_identical(got: Results, expected: Results, op: Operation, what: object) -> None:
    """All three results bit for bit. Zeros may prevail only where the plan leaves most elements without a tap."""
    for name, ours, theirs, share in zip(Results._fields, got, expected, _reached(op), strict=True):
        assert_identical(ours, theirs, f"{what} {name}", zeros=share < 0.5, empty=not prod(theirs.shape))


def assert_all_close(got: Results, expected: Results, op: Operation, what: object) -> None:
    """All three results within the table of tolerances; zeros as above."""
    for name, ours, theirs, share, length in zip(Results._fields, got, expected, _reached(op), terms(op), strict=True):
        assert_close(ours, theirs, f"{what} {name}", terms=length, zeros=share < 0.5)


def rebind(monkeypatch: Any, bind: Any, other: Any) -> None:
    """Let `other` bind the kernels of the family that `bind` binds."""
    families = [family._replace(bind=other) if family.bind is bind else family for family in forward_pass.FAMILIES]
    monkeypatch.setattr(forward_pass, "FAMILIES", families)


def definition(op: Operation, given: Arrays) -> Results:
    """What is right: the results of `loops`."""
    return run(loops, op, given)


def torch_results(problem: Problem, given: Arrays) -> Results:
    """The same results by torch's own convolutions and autograd; uneven padding by padding or cropping around them."""
    x, w = given.x.detach().requires_grad_(), given.w.detach().requires_grad_()
    per_axis = [problem.spec.axis_arguments(axis) for axis in range(problem.ndim)]
    call = {name: tuple(a[name] for a in per_axis) for name in ("stride", "dilation")} | {"groups": problem.spec.groups}
    function = getattr(torch.nn.functional, f"{problem.kind}{problem.ndim}d")
    around = [_around(problem.kind, **arguments) for arguments in per_axis]
    flat = [n for pair in reversed(around) for n in pair]
    if problem.kind == "conv":
        y = function(_padded(x, flat), w, given.bias, **call)
    else:
        y = _padded(function(x, w, **call), flat)
        if given.bias is not None:
            y = y + given.bias.reshape(-1, *[1] * problem.ndim)
    return Results(y.detach(), *torch.autograd.grad(y, (x, w), given.dy))


def terms(op: Operation) -> Results:
    """Products in the sum of one element of each result, at most."""
    ins, outs, length = op.in_channels // op.groups, op.out_channels // op.groups, prod(op.kernel)
    positions = op.batch * min(prod(op.bound.input_size), prod(op.bound.output_size))
    return Results(ins * length + 1, outs * length, positions)


def _around(kind: str, kernel: int, stride: int, padding: Any, dilation: int, groups: int, output_padding: int = 0):
    """Zeros to add before and after: to the input of a convolution, to the whole output of a transposed one."""
    if kind == "conv":
        return conv_padding(padding, kernel, stride, dilation) if isinstance(padding, str) else padding
    if isinstance(padding, str):
        before, after, output_padding = transposed_padding(padding, kernel, stride, dilation)
    else:
        before, after = padding
    return -before, output_padding - after


def _padded(x: Any, around: list[int]) -> Any:
    """torch cannot crop more than there is before it pads on the other side; so first the zeros, then the crop."""
    widened = torch.nn.functional.pad(x, [max(n, 0) for n in around])
    return torch.nn.functional.pad(widened, [min(n, 0) for n in around])


def _generator(problem: Problem) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(str(problem).encode()))


def _arrays(problem: Problem, draw: Callable[[tuple[int, ...]], np.ndarray], weight_factor: int) -> Arrays:
    def tensor(values: np.ndarray, positions: bool = False) -> Any:
        values = torch.from_numpy(np.asarray(values)).to(getattr(torch, problem.dtype))
        if not (positions and problem.channels_last):
            return values
        return empty(values.shape, values, channels_last=True).copy_(values)

    return Arrays(
        x=tensor(draw(problem.input_shape), positions=True),
        w=tensor(draw(problem.weight_shape) * weight_factor),
        bias=tensor(draw((problem.out_channels,)) * weight_factor) if problem.bias else None,
        dy=tensor(draw(problem.output_shape), positions=True),
    )


def _poisoned(shape: tuple[int, ...], like: Any, channels_last: bool) -> Any:
    array = empty(shape, like, channels_last)
    array[...] = float("nan")
    return array


def _reached(op: Operation) -> Results:
    """Share of the elements of each result that some tap reaches, bias not counted."""
    outputs, inputs, kernel = 1.0, 1.0, float(op.batch > 0)
    for axis, length in zip(op.bound.axes, op.kernel, strict=True):
        slices = [axis.slices(tap) for tap in axis.live_taps]
        outputs *= _covered(axis.output_size, [side for side, _ in slices])
        inputs *= _covered(axis.input_size, [side for _, side in slices])
        kernel *= len({tap.kernel for tap in axis.live_taps}) / length
    return Results(outputs, inputs, kernel)


def _covered(size: int, sides: list[slice]) -> float:
    return len({n for side in sides for n in range(side.start, side.stop, side.step)}) / max(size, 1)
