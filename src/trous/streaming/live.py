"""A network fed block by block."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree

from trous.errors import TrousError
from trous.streaming.network import Network, network
from trous.streaming.nodes import Kept, Marks
from trous.streaming.tracing import Ref


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


def _forms(tensors: Any) -> list[Any]:
    """Shapes and dtypes, and the types of what is no tensor."""
    listed = tensors if isinstance(tensors, (list, tuple)) else [tensors]
    return [(tuple(each.shape), each.dtype) if isinstance(each, Tensor) else type(each) for each in listed]
