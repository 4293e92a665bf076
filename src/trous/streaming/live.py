"""A network fed block by block."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor, lcm
from typing import Any

import torch
from torch import Tensor, nn

from trous.errors import TrousError
from trous.nn.layers import Layer
from trous.streaming.nodes import Moment, Node, State, Window
from trous.streaming.rules import node
from trous.streaming.signals import Place, Signal
from trous.streaming.tracing import LENGTHS, Ref, Step, trace


@dataclass(frozen=True)
class Network:
    """The nodes of a module for one batch size, in the order they run, the traced steps that they come from, and all
    signals by name."""

    source: str
    nodes: tuple[Node, ...]
    result: str
    steps: tuple[Step, ...]
    signals: Mapping[str, Signal]

    @property
    def signal(self) -> Signal:
        """What comes out."""
        return self.signals[self.result]

    @property
    def rate(self) -> Fraction:
        """Input samples for one output sample."""
        inputs, outputs = LENGTHS[1] - LENGTHS[0], self.signal.lengths[1] - self.signal.lengths[0]
        return Fraction(inputs, outputs)

    def known(self, received: int) -> int:
        """How many output samples are known after so many of the input."""
        counts = {self.source: received}
        for each in self.nodes:
            counts[each.name] = each.known([counts[name] for name in each.inputs], received)
        return counts[self.result]

    def reads(self, outputs: range) -> range:
        """The interval of input samples that these outputs depend on."""
        wanted = {self.result: outputs}
        for each in reversed(self.nodes):
            if each.name in wanted:
                needed = each.needs(wanted[each.name])
                for name in each.inputs:
                    have = wanted.get(name, range(0))
                    wanted[name] = _hull(have, needed)
        return wanted.get(self.source, range(0))


def _hull(a: range, b: range) -> range:
    if not a or not b:
        return a or b
    return range(min(a.start, b.start), max(a.stop, b.stop))


def network(module: nn.Module, shape: tuple[int, ...], dim: int, dtype: torch.dtype, device: torch.device) -> Network:
    """The nodes for blocks of this shape, whose size along `dim` does not matter.

    Raises TrousError where something in the module cannot be streamed, and says what.
    """
    if recurrent := [name for name, each in module.named_modules() if isinstance(each, nn.RNNBase)]:
        raise TrousError("module", "cannot be streamed: it has a recurrent layer", recurrent[0])
    first, second = ((*shape[:dim], n, *shape[dim + 1 :]) for n in LENGTHS)
    source, steps, output = trace(module, (first, second), dtype, device)
    if not isinstance(output, Ref):
        raise TrousError("module", "must return one tensor that depends on its input", type(output).__name__)
    known = {source: Signal(Place(dim), lambda received: received, LENGTHS, first, dtype, device)}
    specs = defaultdict(set)
    for layer in module.modules():
        if isinstance(layer, Layer) and "weight" in layer._parameters:  # else it is another tensor at every call
            specs[id(layer.weight)].add(layer._spec())
    nodes = []
    for step in steps:
        made, known[step.name] = node(step, known, specs)
        nodes.append(made)
    signal = known[output.name]
    if not signal.place.alone:
        raise TrousError("module", "must return its samples along one dimension", signal.shape)
    return Network(source, tuple(nodes), output.name, tuple(steps), known)


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
        self._states: dict[str, State] = {}

    def again(self) -> Stream:
        """Another stream through the same module, at its beginning."""
        other = Stream(self.module, self.dim)
        other._network, other._form = self._network, self._form
        return other

    @torch.no_grad()
    def push(self, block: Tensor) -> Tensor:
        """The samples of the output that are known now and were not before: none, one, or many.

        Args:
            block: the next samples, as the module takes a whole signal: any number of them, none too; all other sizes
                must be those of the first block.

        Raises:
            TrousError: another shape or dtype, or a module that cannot be streamed.
        """
        network = self._prepared(block)
        self._received += block.shape[self._dim(block)]
        return self._run(network, block, ended=False)

    @torch.no_grad()
    def flush(self) -> Tensor:
        """The samples that were still waited for, the signal being over; what is pushed next begins a new one.

        Raises TrousError where nothing was pushed, and where the module does not take a signal of this length.
        """
        if self._network is None:
            raise TrousError("flush", "must follow a block", None)
        try:
            shape, dtype, device = self._form
            return self._run(self._network, torch.empty(shape, dtype=dtype, device=device), ended=True)
        finally:
            self.reset()

    @property
    def delay(self) -> int:
        """By how many samples of the input an output can come later than its place in the signal.

        The output of place `o` lies at input `o * rate`, and is known when `delay` more have been pushed: as soon as
        can be, in all networks but those that docs/streaming.md names. Negative where outputs depend on earlier inputs
        alone. Known after the first block.
        """
        network = self._known()
        start = self._settled(network)
        return max(n - floor(network.known(n) * network.rate) for n in range(start, start + self._period(network)))

    @property
    def context(self) -> int:
        """How many samples of the input before its place an output depends on. Known after the first block."""
        network = self._known()
        outputs = self._settled(network)
        found = []
        for o in range(outputs, outputs + self._period(network)):
            read = network.reads(range(o, o + 1))
            found.append(floor(o * network.rate) - read.start if read else 0)
        return max(found)

    def state_dict(self) -> dict[str, Any]:
        """What the stream has to remember, to be saved by torch.save and gone on with by `load_state_dict`."""
        states = {
            name: {"kept": list(state.kept), "dropped": state.dropped, "given": state.given}
            for name, state in self._states.items()
        }
        return {"received": self._received, "form": self._form, "states": states}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on where a stream through the same module was when `saved` was taken."""
        shape, dtype, device = saved["form"]
        if saved["form"] != self._form:
            self._prepare(tuple(shape), dtype, device)
        self._received = saved["received"]
        self._states = {
            name: State(list(each["kept"]), each["dropped"], each["given"]) for name, each in saved["states"].items()
        }

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

    def _run(self, network: Network, block: Tensor, *, ended: bool) -> Tensor:
        moment = Moment(self._received, ended)
        new = {network.source: block}
        for each in network.nodes:
            state = self._states.setdefault(each.name, each.fresh())
            new[each.name] = each.push(state, [new[name] for name in each.inputs], moment)
        return new[network.result]

    def _period(self, network: Network) -> int:
        """After how many samples the pattern of inputs and outputs is back, on both sides."""
        downs = [each.axis.down * each.axis.up for each in _windows(network)]
        return lcm(*downs) if downs else 1

    def _settled(self, network: Network) -> int:
        """A place far from the beginning, where a period begins."""
        period = self._period(network)
        reach = sum(abs(offset) for each in _windows(network) for offset in (min(each.axis.offsets, default=0), 1))
        return -(-(1 << 20) // period) * period + period * reach


def _windows(network: Network) -> Iterator[Window]:
    return (each for each in network.nodes if isinstance(each, Window))
