"""A torch model as a graph: it runs once on tensors without data, and every operator that it calls is written down.

Fake tensors have shapes only, so that nothing is computed and no memory used. A model whose path depends on values
runs on zeros instead. What ran is what is reported: loops unrolled, functional calls and layers alike.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import _VF, Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode, UnsupportedFakeTensorException
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary

from trous.errors import TrousError
from trous.inspection import flow
from trous.inspection.graph import Graph, Node, depends
from trous.inspection.mending import Mismatch, mend
from trous.inspection.torch_ops import ELEMENTWISE, OPERATORS, Call, attention, elementwise, everything, moves
from trous.inspection.values import Axis, Value, network_input


def trace(model: nn.Module, inputs: Sequence[Tensor], dims: Sequence[Sequence[int]]) -> Graph:
    """The graph of one run of `model` in eval mode; `dims` are the dimensions of each input to follow.

    Raises TrousError where the model does not accept inputs of these shapes.
    """
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            try:
                with FakeTensorMode(allow_non_fake_inputs=True) as fake:
                    return _run(model, [fake.from_tensor(x) for x in inputs], dims)
            except (UnsupportedFakeTensorException, GuardOnDataDependentSymNode):
                return _run(model, list(inputs), dims)
            except RuntimeError as error:
                if "ata-dependent" not in str(error) and "DataDependent" not in type(error).__name__:
                    raise
                return _run(model, list(inputs), dims)
    finally:
        for module in training:
            module.training = True


def _run(model: nn.Module, inputs: list[Tensor], dims: Sequence[Sequence[int]]) -> Graph:
    values = [network_input(n, x.shape, d, x.element_size()) for n, (x, d) in enumerate(zip(inputs, dims, strict=True))]
    graph = Graph(tuple(values), tuple(Axis(n, dim) for n, each in enumerate(dims) for dim in each))
    recorder = Recorder(graph, zip(inputs, values, strict=True))
    seen: set[int] = set()
    for name, parameter in model.named_parameters():
        if id(parameter) not in seen:
            seen.add(id(parameter))
            layer = name.rpartition(".")[0]
            graph.parameters[layer] = graph.parameters.get(layer, 0) + parameter.numel()
            graph.parameter_bytes += parameter.numel() * parameter.element_size()
    with recorder.following(model), recorder:
        try:
            result = model(*inputs)
        except TrousError:
            raise
        except (RuntimeError, ValueError, IndexError, AssertionError, TypeError) as error:
            if recorder.failed or isinstance(error, UnsupportedFakeTensorException) or "ata-dependent" in str(error):
                raise
            where = f" of layer {recorder.path!r}" if recorder.path else ""
            shapes = [tuple(x.shape) for x in inputs]
            rule = f"must be what the model accepts; the forward pass{where} failed: {str(error).splitlines()[0]}"
            raise TrousError("input_size", rule, shapes[0] if len(shapes) == 1 else shapes) from error
    outputs, _ = _pytree.tree_flatten(result)
    graph.outputs = tuple(recorder.value(y) for y in outputs if isinstance(y, Tensor))
    return graph


class Recorder(TorchDispatchMode):
    """Writes down every operator between its entry and its exit."""

    def __init__(self, graph: Graph, inputs: Any) -> None:
        super().__init__()
        self.graph = graph
        self.values: WeakIdKeyDictionary = WeakIdKeyDictionary()
        self.views: WeakIdKeyDictionary = WeakIdKeyDictionary()  # of a view: the tensor it looks at, and how
        self.stack: list[tuple[str, nn.Module, int]] = []
        self.calls = 0
        self.silent = False
        self.failed = False  # whether an error comes from here and not from the model
        for tensor, value in inputs:
            self.values[tensor] = value

    @property
    def path(self) -> str:
        return self.stack[-1][0] if self.stack else ""

    def value(self, tensor: Tensor) -> Value:
        known = self.values.get(tensor)
        return Value(tuple(tensor.shape), {}, tensor.element_size()) if known is None else known

    @contextlib.contextmanager
    def following(self, model: nn.Module) -> Iterator[None]:
        """Know at every operator which module calls it; recurrent layers are written down as one operator."""
        handles = []
        for name, module in model.named_modules():

            def enter(module: nn.Module, args: Any, name: str = name) -> None:
                self.calls += 1
                self.stack.append((name, module, self.calls))

            def leave(module: nn.Module, args: Any, out: Any) -> None:
                self.stack.pop()

            handles += [module.register_forward_pre_hook(enter, prepend=True), module.register_forward_hook(leave)]
        with self._recurrent():
            try:
                yield
            finally:
                for handle in handles:
                    handle.remove()

    @contextlib.contextmanager
    def _recurrent(self) -> Iterator[None]:
        kept = {name: getattr(_VF, name) for name in ("gru", "lstm", "rnn_tanh", "rnn_relu")}
        try:
            for name, function in kept.items():
                setattr(_VF, name, lambda *args, f=function, name=name: self._scan(f, name, args))
            yield
        finally:
            for name in kept:
                vars(_VF).pop(name, None)

    def _scan(self, function: Any, name: str, args: tuple[Any, ...]) -> Any:
        """A recurrent layer: each output depends on all steps before its own, in both directions on all."""
        x, layer = args[0], self._layer(name)
        value = self.value(x)
        packed = not isinstance(args[-1], bool) or len(args) != 9
        time, features = (1, 2) if args[-1] else (0, 2)
        self.silent = True
        try:  # of fake tensors one step is enough to know the shapes
            out = function(*args) if packed else list(function(x.narrow(time, 0, 1), *args[1:]))
            if not packed:
                shape = [*out[0].shape]
                shape[time] = x.shape[time]
                out[0] = out[0].new_zeros(shape)
        finally:
            self.silent = False
        last = [flow.mixed([value], tuple(y.shape), layer) for y in out]
        if packed:
            self._write(name, [value], out, last)
            return out
        weights, both = args[2], args[-2]
        y = flow.reduced(value, [features], layer, keep=True)
        seen = [
            flow.accumulated(y, time, layer, backwards=backwards) for backwards in ([False, True] if both else [False])
        ]
        products = math.prod(x.shape[:2]) * sum(w.numel() for w in weights if w.dim() == 2)
        self._write(name, [value], out, [flow.joined(seen, tuple(out[0].shape)), *last[1:]], products=products)
        return tuple(out)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.silent or func.namespace not in ("aten", "trous"):
            return func(*args, **kwargs)
        arguments = _named(func, args, kwargs)
        args, kwargs, arguments, warnings = self._made_to_fit(func, args, kwargs, arguments)
        own = func._schema.name.split("::")[1]
        out = func(*args, **kwargs)
        self.failed = True
        self._record(func, own, arguments, out, warnings)
        self.failed = False
        return out

    def _record(self, func: Any, own: str, arguments: dict[str, Any], out: Any, warnings: list[str]) -> None:
        """Write down an operator that has run."""
        results = [y for y in (out if isinstance(out, (list, tuple)) else [out]) if isinstance(y, Tensor)]
        written = own.endswith("_") and not own.endswith("__")
        name = own.rstrip("_") if written else own
        if func.namespace == "trous":
            name = f"trous::{name}"
        call = Call(name, func, arguments, [tuple(y.shape) for y in results], self.value, self._layer(name))
        values = call.values
        looks = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        if depends(values) and results:
            known = _operator(func, call)
            try:
                made = known(call)
            except NotImplementedError:
                made = everything(call)
            for value, y in zip(made, results, strict=True):
                assert value.shape == tuple(y.shape), (name, value.shape, tuple(y.shape))
            unknown = known is everything and name not in _DATA_DEPENDENT
            if unknown:
                warnings.append(f"{name} is taken to mix all that goes in")
            self._write(name, values, results, made, call, looks, warnings)
        if looks and call.tensors:  # also of what depends on nothing yet: it may be written to
            with contextlib.suppress(NotImplementedError):
                for y, move in zip(results, moves(call) if name != "detach" else [_same] * len(results), strict=True):
                    self.views[y] = (call.tensors[0], move)
        if written and depends(values) and results:
            self._write_through(results[0])
        elif written and results:
            self.values[results[0]] = Value(tuple(results[0].shape), {}, results[0].element_size())

    def _write(
        self,
        kind: str,
        inputs: Sequence[Value],
        tensors: Sequence[Tensor],
        values: Sequence[Value],
        call: Call | None = None,
        view: bool = False,
        warnings: Sequence[str] = (),
        products: int = 0,
    ) -> None:
        for tensor, value in zip(tensors, values, strict=True):
            self.values[tensor] = Value(value.shape, value.trails, tensor.element_size())
        path, module, number = self.stack[-1] if self.stack else ("", None, 0)
        if module is None or next(module.children(), None) is not None:
            self.calls += 1
            number, layer, kind = self.calls, f"{path}.{kind}".lstrip("."), kind.removeprefix("trous::")
        else:
            layer, kind = path, type(module).__name__
        outputs = tuple(self.values[tensor] for tensor in tensors)
        node = Node(layer, kind, number, tuple(inputs), outputs, products, products, view=view, warnings=list(warnings))
        if call is not None:
            node.multiplications = call.cost.multiplications if call.cost else call.multiplications
            node.nominal = call.cost.nominal if call.cost else call.multiplications
            node.spec, node.bound, node.channels = call.spec, call.bound, call.channels
            weight = call.arguments.get("weight", call.arguments.get("w"))
            if call.bound is not None and isinstance(weight, Tensor) and not depends([self.value(weight)]):
                node.weight = lambda: weight.detach().double().cpu().numpy()
        self.graph.nodes.append(node)

    def _write_through(self, tensor: Tensor) -> None:
        """What was written into a view stands in the tensor that it looks at."""
        while tensor in self.views:
            base, move = self.views[tensor]
            self.values[base] = flow.written(self.value(base), self.value(tensor), move)
            tensor = base

    def _layer(self, name: str) -> str:
        path, module, _ = self.stack[-1] if self.stack else ("", None, 0)
        leaf = module is not None and next(module.children(), None) is None
        return f"{path or type(module).__name__} ({type(module).__name__})" if leaf else f"{path}.{name}".lstrip(".")

    def _made_to_fit(self, func: Any, args: Any, kwargs: Any, arguments: dict[str, Any]) -> Any:
        """Where arrays of different sizes meet: crop them to the smallest, so that the rest is seen too, and say so."""
        tensors = [a for argument in arguments.values() for a in _tensors(argument)]
        dim = arguments.get("dim", 0) if func.overloadpacket is torch.ops.aten.cat else None
        if len(tensors) < 2 or (dim is None and torch.Tag.pointwise not in func.tags):
            return args, kwargs, arguments, []
        mismatch = Mismatch.of([self.value(tensor) for tensor in tensors], dim)
        if mismatch is None:
            return args, kwargs, arguments, []
        warning = f"{self._layer(func.overloadpacket.__name__)}: {mend(self.graph, mismatch)}"
        cropped = {}
        for tensor in tensors:
            cropped[id(tensor)] = smaller = mismatch.crop(tensor)
            self.values[smaller] = flow.rearranged(self.value(tensor), mismatch.crop)
        args, kwargs = _pytree.tree_map(lambda a: cropped.get(id(a), a), (args, kwargs))
        return args, kwargs, _named(func, args, kwargs), [warning]


#: Where the inputs that are read depend on values.
_DATA_DEPENDENT = frozenset(
    """embedding gather grid_sampler_2d grid_sampler_3d index index_add index_put index_select max_unpool2d max_unpool3d
    nonzero scatter scatter_add take""".split()  # noqa: SIM905 - a list of words
)


def _operator(func: Any, call: Call) -> Any:
    if call.name in OPERATORS:
        return OPERATORS[call.name]
    if torch.Tag.pointwise in func.tags or call.name in ELEMENTWISE:
        return elementwise
    if "attention" in call.name:
        return attention
    return everything


def _same(array: np.ndarray) -> np.ndarray:
    return array


def _named(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Every argument by its name, those left out at their defaults."""
    named = {}
    for number, argument in enumerate(func._schema.arguments):
        if number < len(args):
            named[argument.name] = args[number]
        elif argument.name in kwargs:
            named[argument.name] = kwargs[argument.name]
        elif argument.has_default_value():
            named[argument.name] = argument.default_value
    return named


def _tensors(argument: Any) -> list[Tensor]:
    return [a for a in (argument if isinstance(argument, (list, tuple)) else [argument]) if isinstance(a, Tensor)]
