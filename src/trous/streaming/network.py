"""A module as a network of nodes: how far each of them is, what comes out, how late, and of what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import floor
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree

from trous.errors import TrousError
from trous.nn.layers import Layer
from trous.plan.piece import Known
from trous.plan.reach import common_period
from trous.streaming.nodes import Marks, Node, Scan, Window
from trous.streaming.rules import node
from trous.streaming.signals import Place, Signal
from trous.streaming.tracing import LENGTHS, Even, Ref, Sized, Step, trace


@dataclass(frozen=True)
class Network:
    """The nodes of a module for one batch size, in the order they run, and the traced steps that they come from.

    Args:
        form: what the module returns: a tree whose leaves are the `Ref`s of `results`, and values that do not change.
        signals: all of them, by name.
    """

    source: str
    nodes: tuple[Node, ...]
    form: Any
    steps: tuple[Step, ...]
    signals: Mapping[str, Signal]

    @cached_property
    def results(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(leaf.name for leaf in _leaves(self.form) if isinstance(leaf, Ref)))

    @property
    def result(self) -> str:
        return self.results[0]

    @property
    def signal(self) -> Signal:
        return self.signals[self.result]

    @property
    def rate(self) -> Fraction:
        """Input samples for one output sample."""
        return 1 / self._density(self.signal)

    def _density(self, signal: Signal) -> Fraction:
        """Samples of a signal for one of the input."""
        return Fraction(signal.lengths[1] - signal.lengths[0], LENGTHS[1] - LENGTHS[0])

    @cached_property
    def wires(self) -> tuple[tuple[int, ...], ...]:
        """Of every node which of all signals it takes: 0 is the input, and `n` what node `n - 1` gives."""
        numbers = {name: number for number, name in enumerate([self.source, *(each.name for each in self.nodes)])}
        return tuple(tuple(numbers[name] for name in each.inputs) for each in self.nodes)

    @cached_property
    def read(self) -> tuple[tuple[int, ...], ...]:
        """Of every node the signals that none behind it takes: a long block need not stay in memory at every step."""
        last = {n: number for number, wires in enumerate(self.wires) for n in wires}
        return tuple(tuple(n for n, at in last.items() if at == number) for number in range(len(self.wires)))

    def marks(self, received: int, *, ended: bool = False) -> list[Marks]:
        """How far every node is after so many samples of the input. Before the first nothing is given out."""
        if not received and not ended:
            return [Marks((Known(0),) * len(each.inputs), Known(0), 0, 0) for each in self.nodes]
        known, sizes, found = [Known(received)], [received], []
        for each, wires in zip(self.nodes, self.wires, strict=True):
            marks = each.marks(tuple([known[n] for n in wires]), [sizes[n] for n in wires], ended)
            known.append(marks.output)
            sizes.append(marks.size)
            found.append(marks)
        return found

    def known(self, received: int, result: str | None = None) -> int:
        """How many samples of an output, the first if not said, are known after so many of the input."""
        marks = self.marks(received)
        counts = {each.name: m.output.first for each, m in zip(self.nodes, marks, strict=True)}
        return counts.get(result or self.result, received)

    def reads(self, outputs: range, result: str | None = None) -> range:
        """The interval of input samples that these outputs depend on."""
        wanted = {result or self.result: outputs}
        for each in reversed(self.nodes):
            if each.name in wanted:
                needed = each.needs(wanted[each.name])
                for name in each.inputs:
                    have = wanted.get(name, range(0))
                    wanted[name] = _hull(have, needed)
        return wanted.get(self.source, range(0))

    @cached_property
    def period(self) -> int:
        """After how many samples of the input the pattern of inputs and outputs is back."""
        windows = (each for each in self.nodes if isinstance(each, Window))
        return common_period((self._density(each.signal), each.axis) for each in windows)

    @cached_property
    def delay(self) -> int:
        """The largest number of input samples that an output waits for, counted from its place; see `Stream.delay`."""
        found = []
        for result in self.results:
            rate = 1 / self._density(self.signals[result])
            for n in range(self._settled, self._settled + self.period):
                found.append(n - floor(self.known(n, result) * rate))
        return max(found)

    @cached_property
    def context(self) -> int | None:
        """The largest number of input samples before its place that an output depends on; see `Stream.context`."""
        if any(isinstance(each, Scan) for each in self.nodes):
            return None
        found = []
        for result in self.results:
            density = self._density(self.signals[result])
            first = int(self._settled * density)
            for o in range(first, first + int(self.period * density)):
                read = self.reads(range(o, o + 1), result)
                found.append(floor(o / density) - read.start if read else 0)
        return max(found)

    @cached_property
    def _settled(self) -> int:
        """A place far from the beginning, where a period begins."""
        windows = [each for each in self.nodes if isinstance(each, Window)]
        reach = sum(abs(offset) for each in windows for offset in (min(each.axis.offsets, default=0), 1))
        return -(-(1 << 20) // self.period) * self.period + self.period * reach


def _leaves(tree: Any) -> list[Any]:
    return _pytree.tree_leaves(tree, is_leaf=lambda leaf: isinstance(leaf, Ref))


def _hull(a: range, b: range) -> range:
    if not a or not b:
        return a or b
    return range(min(a.start, b.start), max(a.stop, b.stop))


def network(module: nn.Module, shape: tuple[int, ...], dim: int, dtype: torch.dtype, device: torch.device) -> Network:
    """The nodes for blocks of this shape, whose size along `dim` does not matter.

    Raises TrousError where something in the module cannot be streamed, and says what.
    """
    first, second = ((*shape[:dim], n, *shape[dim + 1 :]) for n in LENGTHS)
    source, steps, output = trace(module, (first, second), dtype, device)
    leaves = _leaves(output)
    results = [leaf.name for leaf in leaves if isinstance(leaf, Ref)]
    if not results or any(isinstance(leaf, (Even, Sized)) for leaf in leaves):
        raise TrousError("module", "must return tensors that depend on its input", type(output).__name__)
    known = {source: Signal(Place(dim), lambda received: received, LENGTHS, first, dtype, device)}
    specs = defaultdict(set)
    for layer in module.modules():
        if isinstance(layer, Layer) and "weight" in layer._parameters:  # else it is another tensor at every call
            specs[id(layer.weight)].add(layer._spec())
    nodes = []
    for step in steps:
        made, known[step.name] = node(step, known, specs)
        nodes.append(made)
    for name in results:
        if not known[name].place.alone:
            raise TrousError("module", "must return its samples along one dimension", known[name].shape)
    return Network(source, tuple(nodes), output, tuple(steps), known)
