"""A module as a list of operator calls, written down for two signals of different length.

The module runs on tensors without data. What differs between the two runs follows the length of the signal; what does
not is the same for every signal.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

from trous import autograd  # noqa: F401 - registers the operators
from trous.backends.epilogue import Epilogue, finish
from trous.errors import TrousError
from trous.streaming.recurrent import kept_whole

#: Lengths of the two signals: that most strides divide, and that no other size is likely to be.
LENGTHS = (2**10 * 3**2 * 5 * 7, 2**11 * 3**2 * 5 * 7)

#: Calls that are written down; a module that goes on is taken to make some for every sample.
MOST_STEPS = 10_000

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Ref:
    """A tensor that an earlier step computed, or the input."""

    name: str


@dataclass(frozen=True)
class Sized:
    """An integer that follows the length: what it was for the two signals."""

    first: int
    second: int


@dataclass(frozen=True)
class Even:
    """A tensor that is the same everywhere, of a size that follows the length: the step that makes it."""

    step: Step


@dataclass(frozen=True)
class Step:
    """One call: `args` and `kwargs` hold `Ref`, `Sized`, `Even`, tensors that do not change, and plain values.

    Where it has several results, `part` says which one this is. `shapes` are the result's for the two signals.
    """

    name: str
    function: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    shapes: tuple[Shape, Shape]
    dtype: torch.dtype
    device: torch.device
    part: int | None = None

    @property
    def refs(self) -> list[Ref]:
        return [leaf for leaf in _leaves((self.args, self.kwargs)) if isinstance(leaf, Ref)]

    @property
    def sized(self) -> list[Sized]:
        found = []
        for leaf in _leaves((self.args, self.kwargs)):
            if isinstance(leaf, Even):
                found += leaf.step.sized
            elif isinstance(leaf, Sized):
                found.append(leaf)
        return found

    def call(self, args: Any, kwargs: Any) -> Any:
        """What the operator gives for these arguments."""
        result = self.function(*args, **kwargs)
        return result if self.part is None else result[self.part]

    def map(self, change: Callable[[Any], Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with every `Ref`, `Sized`, `Even` and plain value replaced by what `change` makes of it."""
        return _pytree.tree_map(change, (self.args, self.kwargs), is_leaf=_is_leaf)


def trace(
    module: nn.Module, shapes: tuple[Shape, Shape], dtype: torch.dtype, device: torch.device
) -> tuple[str, list[Step], Any]:
    """Name of the input, the steps, and the output: a `Ref`, or several in whatever the module returns.

    Raises TrousError where the module does not take the shapes, and where it does other things for another length.
    """
    graphs = [_recorded(module, shape, dtype, device) for shape in shapes]
    first, second = (list(graph.graph.nodes) for graph in graphs)
    if len(first) != len(second) or any(a.target != b.target for a, b in zip(first, second, strict=True)):
        raise TrousError("module", "must do the same for signals of every length", type(module).__name__)
    names: dict[Any, Any] = {}
    several: dict[Any, tuple[Any, Any, Any]] = {}  # calls with several results, each of which is a step
    steps: list[Step] = []
    source, output = "", None
    for a, b in zip(first, second, strict=True):
        match a.op:
            case "placeholder":
                source = a.name
                names[a] = Ref(a.name)
            case "get_attr":
                names[a] = getattr(graphs[0], a.target)
            case "call_function" if isinstance(a.meta["val"], (list, tuple)):
                args, kwargs = _merged((a.args, a.kwargs), (b.args, b.kwargs), names)
                several[a] = a.target, args, kwargs
            case "call_function":
                if a.target is operator.getitem:
                    node, part = a.args
                    step = _step(a, b, *several[node], part)
                else:
                    merged = _merged((a.args, a.kwargs), (b.args, b.kwargs), names)
                    step = _alike(_step(a, b, a.target, *merged))
                names[a] = Ref(a.name) if step.refs else _constant(step)
                if step.refs:
                    steps.append(step)
            case "output":
                (output,), _ = _merged((a.args, {}), (b.args, {}), names)
    return source, steps, output


def _recorded(module: nn.Module, shape: Shape, dtype: torch.dtype, device: torch.device) -> Any:
    training = [each for each in module.modules() if each.training]
    module.eval()
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad(), kept_whole():
            graph = make_fx(_Counted(module), decomposition_table=_APART)(
                torch.empty(shape, dtype=dtype, device=device)
            )
    except (RuntimeError, ValueError, IndexError, AssertionError, TypeError) as error:
        rule = f"must be what the module accepts; its forward pass failed: {str(error).splitlines()[0]}"
        raise TrousError("block", rule, shape) from error
    finally:
        for each in training:
            each.training = True
    _check_writes(graph.graph)
    graph.graph.eliminate_dead_code()
    return graph


class _Counted(TorchDispatchMode):
    """Runs a module, which may not go on for ever: one that calls operators for every sample would."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.left = module, MOST_STEPS

    def __call__(self, x: Tensor) -> Any:
        with self:
            return self.module(x)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.left -= 1
        if self.left < 0:
            raise TrousError("module", f"must call at most {MOST_STEPS} operators, whatever the length", func.name())
        return func(*args, **(kwargs or {}))


def _finished_apart(
    x: Tensor, w: Tensor, bias: Tensor | None, residual: Tensor | None, activation: str | None, slope: float, *rest: Any
) -> Any:
    """What `trous::run_finished` does, one after the other where a residual is another signal."""
    if residual is None:
        return NotImplemented
    y = torch.ops.trous.run(x, w, bias, *rest)
    return finish(y, Epilogue(activation, slope, True), residual)


_APART = {torch.ops.trous.run_finished.default: _finished_apart}


def _check_writes(graph: torch.fx.Graph) -> None:
    """Raises TrousError where an operator writes into memory that is read again by another name than its result: steps
    are run by twins that write nowhere."""
    place = {node: number for number, node in enumerate(graph.nodes)}
    memory: dict[Any, list[Any]] = {}  # of a tensor: all that lie in the same memory, so far
    for node in graph.nodes:
        schema = getattr(node.target, "_schema", None)
        shares = schema is not None and any(r.alias_info is not None for r in schema.returns)
        base = node.args[0] if shares or node.target is operator.getitem else None
        members = memory[node] = memory.get(base, [])
        if schema is not None and schema.is_mutable and members:
            read_again = any(place[user] > place[node] for each in members for user in each.users)
            if read_again or members[0].op == "get_attr":
                raise TrousError("module", "must not write into memory that it reads again, or keeps", node.name)
        members.append(node)


def _merged(first: Any, second: Any, names: dict[Any, Any]) -> Any:
    """One tree of arguments from those of both runs."""
    leaves, form = _pytree.tree_flatten(first)
    others, _ = _pytree.tree_flatten(second)
    return _pytree.tree_unflatten([_met(a, b, names) for a, b in zip(leaves, others, strict=True)], form)


def _met(a: Any, b: Any, names: dict[Any, Any]) -> Any:
    if isinstance(a, torch.fx.Node):
        return names[a]
    if isinstance(a, int) and not isinstance(a, bool) and a != b:
        return Sized(a, b)
    return a


def _constant(step: Step) -> Any:
    """The value of a step that nothing but parameters go into."""
    if step.sized:
        name = step.function._schema.name.split("::")[1]
        tensors = [leaf for leaf in _leaves((step.args, step.kwargs)) if isinstance(leaf, (Even, torch.Tensor))]
        if name in _FILLS or (torch.Tag.pointwise in step.function.tags and all(isinstance(t, Even) for t in tensors)):
            return Even(step)
        raise TrousError("module", "must not compute with the length of the signal", name)
    with torch.no_grad():
        return step.call(step.args, step.kwargs)


#: Operators that write one number everywhere; those that take no more than the form of their argument.
_FILLS = ("zeros", "ones", "full")
_ALIKE = {"zeros_like": 0, "new_zeros": 0, "ones_like": 1, "new_ones": 1}


def _alike(step: Step) -> Step:
    """A step that writes one number into a tensor of its argument's form, as one without that argument."""
    name = step.function._schema.name.split("::")[1]
    if name not in (*_ALIKE, "full_like", "new_full"):
        return step
    value = _ALIKE[name] if name in _ALIKE else step.args[-1]
    size = [a if a == b else Sized(a, b) for a, b in zip(*step.shapes, strict=True)]
    form = {"dtype": step.dtype, "device": step.device}
    return replace(step, function=torch.ops.aten.full.default, args=(size, value), kwargs=form)


def _step(first: Any, second: Any, function: Any, args: Any, kwargs: Any, part: int | None = None) -> Step:
    """The step of a node, which is the same in both runs but for its sizes."""
    a, b = first.meta["val"], second.meta["val"]
    return Step(first.name, function, args, kwargs, (tuple(a.shape), tuple(b.shape)), a.dtype, a.device, part)


def _is_leaf(value: Any) -> bool:
    return isinstance(value, (Ref, Sized, Even))


def _leaves(tree: Any) -> list[Any]:
    return _pytree.tree_leaves(tree, is_leaf=_is_leaf)
