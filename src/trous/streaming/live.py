"""A network fed block by block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import floor
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from trous.errors import TrousError
from trous.nn.layers import Layer
from trous.plan.piece import Known
from trous.plan.reach import common_period
from trous.streaming.nodes import Kept, Marks, Node, Scan, Window
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


def _forms(tensors: Any) -> list[Any]:
    """Shapes and dtypes, and the types of what is no tensor."""
    listed = tensors if isinstance(tensors, (list, tuple)) else [tensors]
    return [(tuple(each.shape), each.dtype) if isinstance(each, Tensor) else type(each) for each in listed]


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


class Stream:
    """What `trous.stream` gives: `push` blocks of a signal, `flush` at its end.

    One stream carries one signal, or as many at once as the batch has. Others of the same module are streams of their
    own: `trous.stream(module)` again, or `again`.
    """

    def __init__(self, module: nn.Module, dim: int = -1) -> None:
        self.module, self.dim = module, dim
        self._network: Network | None = None
        self._form: tuple[Any, ...] = ()
        self.reset()

    def reset(self) -> None:
        """Begin a new signal."""
        self._received = 0
        self._marks: list[Marks] = []
        self._kept: list[Kept] = []
        if self._network is not None:
            self._marks = self._network.marks(0)
            self._kept = [each.fresh() for each in self._network.nodes]

    def again(self) -> Stream:
        """Another stream through the same module, at its beginning."""
        other = Stream(self.module, self.dim)
        other._network, other._form = self._network, self._form
        other.reset()
        return other

    @torch.no_grad()
    def push(self, block: Tensor) -> Any:
        """The samples of the output that are known now and were not before: none, one, or many.

        Args:
            block: the next samples, as the module takes a whole signal: any number of them, none too; all other sizes
                must be those of the first block.

        Returns:
            A tensor, or what else the module returns: of each tensor in it the samples that are known now.

        Raises:
            TrousError: another shape or dtype, or a module that cannot be streamed. The stream is then as it was
                before.
        """
        network = self._prepared(block)
        return self._run(network, block, self._received + block.shape[self._dim(block)], ended=False)

    @torch.no_grad()
    def flush(self) -> Any:
        """The samples that were still waited for, the signal being over; what is pushed next begins a new one.

        Raises TrousError where nothing was pushed, and where the module does not take a signal of this length.
        """
        if self._network is None:
            raise TrousError("flush", "must follow a block", None)
        shape, dtype, device = self._form
        rest = self._run(self._network, torch.empty(shape, dtype=dtype, device=device), self._received, ended=True)
        self.reset()
        return rest

    @property
    def delay(self) -> int:
        """By how many samples of the input an output can come later than its place in the signal.

        The output of place `o` lies at input `o * rate`, and is known when `delay` more have been pushed, which is as
        soon as can be. Negative where outputs depend on earlier inputs alone. The largest, where the module returns
        several. Known after the first block.
        """
        return self._known().delay

    @property
    def context(self) -> int | None:
        """How many samples of the input before its place an output depends on; None where it is all of them, as in
        recurrent layers. Known after the first block."""
        return self._known().context

    def state_dict(self) -> dict[str, Any]:
        """What the stream has to remember, to be saved by torch.save and gone on with by `load_state_dict`."""
        nodes = self._network.nodes if self._network else ()
        kept = {each.name: list(kept) for each, kept in zip(nodes, self._kept, strict=True)}
        return {"received": self._received, "form": self._form, "kept": kept}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on where a stream through the same module was when `saved` was taken.

        Raises TrousError where it is no such state, or that of another module; the stream is then as it was before.
        """
        if not isinstance(saved, dict) or saved.keys() != {"received", "form", "kept"}:
            shown = sorted(map(str, saved)) if isinstance(saved, dict) else type(saved).__name__
            raise TrousError("saved", "must be what state_dict gave, with received, form and kept", shown)
        received, form, kept = saved["received"], saved["form"], saved["kept"]
        if not isinstance(received, int) or received < 0:
            raise TrousError("saved", "must have received a number of samples", received)
        known = self._network if form == self._form else self._loaded(form)
        if known is None:  # of a stream that had not begun
            self._network, self._form = None, ()
            return self.reset()
        marks = known.marks(received)
        names = {each.name for each in known.nodes}
        if not isinstance(kept, dict) or kept.keys() != names:
            other = sorted(map(str, kept.keys() ^ names)) if isinstance(kept, dict) else type(kept).__name__
            raise TrousError("saved", "must be the state of a stream through the same module; these differ", other)
        for each, mark in zip(known.nodes, marks, strict=True):
            wanted, found = _forms(each.form(mark)), _forms(kept[each.name])
            if found != wanted:
                raise TrousError("saved", f"must hold {wanted} of {each.name} after {received} samples", found)
        self._network, self._form, self._received, self._marks = known, form, received, marks
        self._kept = [tuple(tensor.to(form[2]) for tensor in kept[each.name]) for each in known.nodes]

    def _loaded(self, form: Any) -> Network | None:
        """The network for blocks of a saved form."""
        if form == ():
            return None
        try:
            shape, dtype, device = form
            right = isinstance(dtype, torch.dtype) and all(isinstance(n, int) and n >= 0 for n in shape)
            right = right and -len(shape) <= self.dim < len(shape)
            torch.empty(0, device=device)
        except (TypeError, ValueError, RuntimeError):
            right = False
        if not right:
            raise TrousError("saved", "must have the form of a block: shape, dtype and device", form)
        return network(self.module, tuple(shape), self.dim % len(shape), dtype, device)

    def _dim(self, block: Tensor) -> int:
        if not isinstance(block, Tensor):
            raise TrousError("block", "must be a torch tensor", type(block).__name__)
        if not -block.dim() <= self.dim < block.dim():
            raise TrousError("dim", f"must be a dimension of the block, {tuple(block.shape)}", self.dim)
        return self.dim % block.dim()

    def _prepared(self, block: Tensor) -> Network:
        dim = self._dim(block)
        shape = (*block.shape[:dim], 0, *block.shape[dim + 1 :])
        form = shape, block.dtype, block.device
        if form != self._form:
            if self._received:
                raise TrousError("block", f"must be like the first, {self._form}", form)
            self._prepare(*form)
        return self._known()

    def _prepare(self, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> None:
        self._network = network(self.module, shape, self.dim % len(shape), dtype, device)
        self._form = shape, dtype, device
        self.reset()

    def _known(self) -> Network:
        if self._network is None:
            raise TrousError("stream", "must have seen a block", None)
        return self._network

    def _run(self, network: Network, block: Tensor, received: int, *, ended: bool) -> Any:
        marks = network.marks(received, ended=ended)
        values: list[Any] = [block]
        left, results = [], {}
        progress = zip(network.nodes, network.wires, network.read, self._kept, self._marks, marks, strict=True)
        for each, wires, read, kept, was, now in progress:
            made, still = each.push(kept, [values[n] for n in wires], was, now, ended)
            values.append(made)
            left.append(still)
            if each.name in network.results:
                count = now.output.first - was.output.first
                results[each.name] = made if not now.output.others else each.output.place.cut(made, 0, count)
            for n in read:
                values[n] = None
        # only now: an error on the way leaves everything as it was
        self._received, self._marks, self._kept = received, marks, left
        return _pytree.tree_map(
            lambda leaf: results.get(leaf.name, block) if isinstance(leaf, Ref) else leaf,
            network.form,
            is_leaf=lambda leaf: isinstance(leaf, Ref),
        )
