"""A traced network as a program: its operators become weighted sums and functions, run by run of channels.

What only moves channels (views, splits, concatenation) is not computed at all: the operator is given the numbers of the
channels in place of samples, and says which of them come where. Values become tracks where a convolution reads them, or
several operators; everything in between is one expression, and one pass over memory.
"""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trous.backends.cpu.stack.program import Call, Constant, Expression, Program, Read, Sum, Term, shifted
from trous.errors import TrousError
from trous.plan.axis import IDENTITY, AxisPlan
from trous.streaming.calls import Call as Operator
from trous.streaming.fused.functions import ACTIVATIONS, FUNCTIONS
from trous.streaming.fused.values import Run, Value, joined, kept, parts, picked
from trous.streaming.network import Network
from trous.streaming.nodes import Window
from trous.streaming.signals import Signal
from trous.streaming.tracing import LENGTHS, Ref, Sized

#: Operators that move channels, or do nothing.
_KEEP = frozenset({"clone", "detach", "alias", "_to_copy", "lift_fresh"})
MOVES = _KEEP | {
    *("permute", "transpose", "unsqueeze", "squeeze", "expand", "t", "movedim", "view", "_unsafe_view", "reshape"),
    *("_reshape_copy", "split", "split_with_sizes", "chunk", "unbind", "select", "slice", "cat", "stack", "repeat"),
    *("flip", "roll", "index_select", "native_channel_shuffle", "constant_pad_nd"),
}
_MEET = "brings signals of the batch together, and the fused engine runs each by itself"
_WITHOUT = "and the fused engine has no code for that; streams without fused=True do it"


def program(network: Network) -> Program:
    """The program of a network for a batch of one. Raises TrousError where it does something that no code is for."""
    source = network.signals[network.source]
    if not isinstance(network.form, Ref):
        raise TrousError("module", "must return one tensor to be fused", type(network.form).__name__)
    lowering = _Lowering(network, Program.of(_channels(source)))
    for step, node in zip(network.steps, network.nodes, strict=True):
        operator, signal = Operator(step, dict(network.signals), {}), network.signals[step.name]
        if signal.lengths[1] - signal.lengths[0] != LENGTHS[1] - LENGTHS[0]:
            raise operator.refuse(f"changes the rate of samples, {_WITHOUT}")
        if step.dtype != source.dtype:
            raise operator.refuse(f"goes over to {step.dtype}, {_WITHOUT}")
        axis = node.axis if isinstance(node, Window) else None
        lowering.add(operator, axis, signal)
    return lowering.finished()


def check_apart(single: Network, several: Network, batch: int) -> None:
    """Raises TrousError where signals of a batch meet, so that the program of one is not that of each.

    Args:
        single: the network for a batch of one.
        several: the same for `batch` of them.
    """
    for step in single.steps:
        signal = single.signals[step.name]
        if signal.place.dim and signal.shape[0] > 1:
            raise Operator(step, dict(single.signals), {}).refuse(_MEET)
    for step, node in zip(several.steps, several.nodes, strict=True):
        operator = Operator(step, dict(several.signals), {})
        if operator.name in MOVES - _KEEP and not isinstance(node, Window):
            own = torch.arange(batch)
            shapes = {ref: _others(several.signals[ref.name]) for ref in step.refs}
            rows = {ref: own.repeat_interleave(prod(shape) // batch).reshape(shape) for ref, shape in shapes.items()}
            moved = _moved(operator, rows)
            if moved.shape[0] != batch or (moved.reshape(batch, -1) != own[:, None]).any():
                raise operator.refuse(_MEET)


def _moved(operator: Operator, numbers: dict[Ref, Tensor]) -> Tensor:
    """What an operator makes of tensors of one sample."""
    lengths = operator.first.lengths

    def changed(leaf: Any) -> Any:
        if isinstance(leaf, Ref):
            return numbers[leaf]
        return int(Fraction(leaf.first, lengths[0])) if isinstance(leaf, Sized) else leaf

    moved: Tensor = operator.step.call(*operator.step.map(changed))
    return moved


def _others(signal: Signal) -> tuple[int, ...]:
    """The shape of one sample: in the signal's dimension what a reshape has merged with it, mostly 1."""
    place = signal.place
    return tuple(place.outer * place.inner if dim == place.dim else size for dim, size in enumerate(signal.shape))


def _channels(signal: Signal) -> int:
    return prod(_others(signal))


class _Lowering:
    """The values of a network's steps so far, and the program that gives them."""

    def __init__(self, network: Network, program: Program):
        self.network, self.program = network, program
        source = network.signals[network.source]
        self.values = {network.source: Value((Run(Read(0), _channels(source)),), 0, bare=True)}
        used = [ref.name for step in network.steps for ref in dict.fromkeys(step.refs)]
        self.users = {name: used.count(name) for name in dict.fromkeys(used)}

    def finished(self) -> Program:
        """With the network's output."""
        self.program.output = parts(self.program, self.values[self.network.result])
        return self.program

    def add(self, operator: Operator, axis: AxisPlan | None, signal: Signal) -> None:
        """The value of a step; `axis` is the plan by which it reads along the signal, if it does."""
        growth = signal.lengths[0] - LENGTHS[0]
        name = operator.name
        if name in ("convolution", "run", "run_finished"):
            value = self._convolution(operator, axis, growth)
        elif axis is not None:
            value = self._moved(operator, axis, growth)
        elif name in MOVES:
            value = self._picked(operator, growth)
        elif name in ("mm", "addmm", "linear"):
            value = self._product(operator, growth)
        elif "batch_norm" in name:
            value = self._normalised(operator, growth)
        else:
            value = self._function(operator, signal, growth)
        if self.users.get(operator.step.name, 0) > 1 and not self._is_taken_apart(operator.step.name):
            value = kept(self.program, value)
        self.values[operator.step.name] = value

    def _is_taken_apart(self, name: str) -> bool:
        """Whether a value goes into operators only that each take some channels of it, no channel twice."""
        users = [step for step in self.network.steps if Ref(name) in step.refs]
        names = {step.function._schema.name.split("::")[1] for step in users}
        taken = sum(_channels(self.network.signals[step.name]) for step in users)
        return names <= {"split", "split_with_sizes", "chunk", "slice", "unbind", "select"} and (
            taken <= _channels(self.network.signals[name])
        )

    def _kept(self, ref: Ref) -> Value:
        """A value as tracks, for all that use it."""
        self.values[ref.name] = kept(self.program, self.values[ref.name])
        return self.values[ref.name]

    # Along the signal

    def _convolution(self, operator: Operator, axis: AxisPlan | None, growth: int) -> Value:
        ours = operator.name != "convolution"
        x, w, bias = operator["x" if ours else "input"], operator["w" if ours else "weight"], operator["bias"]
        if axis is None or w.dim() != 3:
            raise operator.refuse(f"has more dimensions than the signal's, {_WITHOUT}")
        if ours and operator.arguments.get("residual") is not None:
            raise operator.refuse(f"adds a residual itself, {_WITHOUT}")
        weight, groups = _array(w), operator["groups"]
        if operator["transposed"]:  # (in channels, out channels of a group, kernel)
            inside = weight.reshape(groups, -1, *weight.shape[1:])
        else:
            inside = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
        biases = None if bias is None else _array(bias).reshape(groups, -1)
        given = self._kept(x)
        runs = self._grouped(given, inside, biases, axis)
        if operator.name == "run_finished":
            finish = ACTIVATIONS[operator["activation"]]
            runs = [Run(finish(run.value, operator["slope"]), run.channels) for run in runs]
        return Value(tuple(runs), growth)

    def _grouped(self, given: Value, weight: np.ndarray, biases: np.ndarray | None, axis: AxisPlan) -> list[Run]:
        """The sums of all groups; `weight` is (groups, in channels, out channels, kernel)."""
        groups, inputs, outputs, _ = weight.shape
        if inputs == outputs == 1:
            return self._channelwise(given, weight[:, 0, 0], biases, axis)
        runs = []
        for group in range(groups):
            terms, begin = [], 0
            sources = []
            for read, channels in given.between(group * inputs, (group + 1) * inputs):
                sources.append((read, begin, begin + channels))
                begin += channels
            for tap in axis.taps:
                for read, start, stop in sources:
                    moved = shifted(read, tap.offset)
                    assert isinstance(moved, Read)
                    terms.append(Term(moved, weight[group, start:stop, :, tap.kernel]))
            runs.append(Run(Sum(None if biases is None else biases[group], tuple(terms)), outputs))
        return runs

    def _channelwise(self, given: Value, weight: np.ndarray, biases: np.ndarray | None, axis: AxisPlan) -> list[Run]:
        """A kernel for every channel of its own, (channels, kernel): products of numbers side by side."""
        runs, begin = [], 0
        for read, channels in given.runs:
            part = slice(begin, begin + channels)
            products: list[Expression] = [
                Call("mul", (shifted(read, tap.offset), Constant(weight[part, tap.kernel]))) for tap in axis.taps
            ]
            if biases is not None:
                products.insert(0, Constant(biases[part, 0]))
            runs.append(Run(reduce(lambda total, each: Call("add", (total, each)), products), channels))
            begin += channels
        return runs

    def _moved(self, operator: Operator, axis: AxisPlan, growth: int) -> Value:
        """Padding with zeros, and crops."""
        if operator.name not in MOVES or len(axis.taps) != 1 or axis.down != 1:
            raise operator.refuse(f"is no convolution and reads along the signal, {_WITHOUT}")
        if operator.name == "constant_pad_nd" and operator["value"]:
            raise operator.refuse(f"pads with another number than 0, {_WITHOUT}")
        (ref,) = operator.step.refs
        offset, given = axis.taps[0].offset, self.values[ref.name]
        after = growth + offset - given.growth  # samples that come behind the last
        if offset < 0 or after > 0:
            given = self._kept(ref)
        return given.moved(offset, growth, given.bare and offset <= 0 <= after)

    # Sample by sample

    def _picked(self, operator: Operator, growth: int) -> Value:
        """What an operator makes of the numbers of the channels, which says where they go."""
        refs = list(dict.fromkeys(operator.step.refs))
        numbers, begin = {}, 0
        for ref in refs:
            signal = self.network.signals[ref.name]
            shape, channels = _others(signal), _channels(signal)
            numbers[ref] = torch.arange(begin, begin + channels).reshape(shape)
            begin += channels
        order = numbers[refs[0]] if operator.name in _KEEP else _moved(operator, numbers)
        return picked([self.values[ref.name] for ref in refs], order.flatten().tolist(), growth)

    def _product(self, operator: Operator, growth: int) -> Value:
        """A linear layer."""
        (ref,) = operator.step.refs
        left = operator["input" if operator.name == "linear" else "mat1" if operator.name == "addmm" else "self"]
        other = operator["weight" if operator.name == "linear" else "mat2"]
        matrix = _array(left).T[..., None] if isinstance(other, Ref) else _array(other)
        if operator.name == "linear":
            matrix = matrix.T
        weight = matrix.reshape(1, *matrix.shape[:2], 1)
        bias = operator.arguments.get("bias") if operator.name == "linear" else None
        if operator.name == "addmm":
            bias = operator["self"]
        outputs = matrix.shape[1]
        biases = None if bias is None else np.broadcast_to(_array(bias).reshape(1, -1), (1, outputs))
        return Value(tuple(self._grouped(self._kept(ref), weight, biases, IDENTITY)), growth)

    def _normalised(self, operator: Operator, growth: int) -> Value:
        """Normalisation by stored statistics, a factor and a sum for each channel."""
        x, eps = operator["input"], operator["eps"]
        mean, var = _array(operator["running_mean"]), _array(operator["running_var"])
        weight, bias = operator["weight"], operator["bias"]
        factor = (1 if weight is None else _array(weight)) / np.sqrt(var + eps)
        added = (0 if bias is None else _array(bias)) - mean * factor

        signal = self.network.signals[x.name]
        if _channels(signal) != len(factor):
            raise operator.refuse(f"has more dimensions than the signal's, {_WITHOUT}")
        given = self.values[x.name]
        scale, shift = (Value((Run(Constant(values), len(values)),), growth) for values in (factor, added))
        return joined([given, scale, shift], lambda x, a, b: Call("add", (Call("mul", (x, a)), b)), growth)

    def _function(self, operator: Operator, signal: Signal, growth: int) -> Value:
        """A function of numbers."""
        if operator.name not in FUNCTIONS:
            raise operator.refuse(f"is an operator without code, {_WITHOUT}")
        function, shape = FUNCTIONS[operator.name], _others(signal)
        names = [name for name, given in operator.arguments.items() if isinstance(given, (Ref, Tensor))]
        values = [self._operand(operator.arguments[name], shape, growth) for name in names]

        def called(*expressions: Expression) -> Expression:
            made = function(operator.arguments | dict(zip(names, expressions, strict=True)))
            if made is None:
                raise operator.refuse(f"has arguments that {_WITHOUT.removeprefix('and ')}")
            return made

        return joined(values, called, growth)

    def _operand(self, given: Ref | Tensor, shape: tuple[int, ...], growth: int) -> Value:
        """An argument with as many channels as the result has."""
        channels = prod(shape)
        if isinstance(given, Tensor):
            values = _array(given.broadcast_to(shape)).ravel()
            return Value((Run(Constant(values), channels),), growth)
        value = self.values[given.name]
        if value.channels == channels:
            return value
        own = self._kept(given)
        numbers = torch.arange(own.channels).reshape(_others(self.network.signals[given.name]))
        if own.channels == 1:  # the same for all: a product with ones
            ((read, _),) = own.runs
            assert isinstance(read, Read)
            return Value((Run(Sum(None, (Term(read, np.ones((1, channels))),)), channels),), growth)
        return picked([own], numbers.broadcast_to(shape).flatten().tolist(), growth)


def _array(tensor: Tensor) -> np.ndarray:
    values: np.ndarray = tensor.detach().to("cpu", torch.float64).numpy()
    return values
