"""The layers of a torch model on the way from its input to its output, one branch of each fork.

Where values meet, the way goes back along a branch that keeps the size: along one on which nothing happens, if there is
one, so that a residual block around its input has no part in it; otherwise along the one with the most layers, as in
the blocks of a residual network that halve the size. What meets with another size (a gate, a bias) is not followed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from torch import nn

from trous.errors import TrousError
from trous.inspection.graph import Graph, Node
from trous.inspection.values import Value
from trous.nn.layers import Layer
from trous.plan import IDENTITY, AxisPlan
from trous.plan.resample import adaptive_axis
from trous.spec import Conv, Spec


@dataclass(frozen=True, eq=False)
class Step:
    """One layer of the encoder: `inputs` and `outputs` are shapes without batch, `(channels, *size)` or `(features,)`.

    `kind` is one of convolution and pooling, which have a spec, padding, which has axes, adaptive pooling, flattening,
    linear.
    """

    kind: str
    layer: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    spec: Spec | None = None
    axes: tuple[AxisPlan, ...] = ()


@dataclass(frozen=True, eq=False)
class _Way:
    """The steps from the input to a value: the last one, and those before it."""

    step: Step | None = None
    before: _Way | None = None
    length: int = 0

    def then(self, step: Step) -> _Way:
        return _Way(step, self, self.length + 1)

    def begins_with(self, other: _Way) -> bool:
        way: _Way | None = self
        while way is not None and way.length > other.length:
            way = way.before
        return way is other

    def steps(self) -> list[Step]:
        way, found = self, []
        while way.before is not None:
            assert way.step is not None
            found.append(way.step)
            way = way.before
        return found[::-1]


def steps(graph: Graph, modules: Mapping[str, nn.Module], ndim: int) -> list[Step]:
    """The layers from the input of a traced model to its first output that change sizes or channels, in order.

    Convolutions are among them in any case. Layers that keep the shape or only join or part channels are not.
    Raises TrousError for a layer that changes the size in a way of its own.
    """
    ways = {id(graph.inputs[0]): _Way()}
    failed: dict[int, TrousError] = {}
    for node in graph.nodes:
        x, reason = _followed(node, ways, failed, ndim)
        for y in node.outputs:
            if x is None:
                failed[id(y)] = reason or _unknown(node, node.inputs[0], y)
                continue
            try:
                way = ways[id(x)]
                for step in _steps(node, x, y, modules, ndim):
                    way = way.then(step)
                ways[id(y)] = way
            except TrousError as error:
                failed[id(y)] = error
    output = graph.outputs[0] if graph.outputs else None
    if output is None or id(output) not in ways:
        if output is not None and id(output) in failed:
            raise failed[id(output)]
        rule = "must return a tensor that is made of its input, without writing into parts of another one"
        raise TrousError("encoder", rule, None if output is None else output.shape)
    return ways[id(output)].steps()


def _followed(
    node: Node, ways: Mapping[int, _Way], failed: Mapping[int, TrousError], ndim: int
) -> tuple[Value | None, TrousError | None]:
    """The input of a node along which the way goes on, or None and why there is none."""
    known = [value for value in node.inputs if id(value) in ways]
    size = node.outputs[0].shape[-ndim:]
    known = [value for value in known if value.shape[-ndim:] == size] or known
    if not known:
        return None, next((failed[id(value)] for value in node.inputs if id(value) in failed), None)
    found = [ways[id(value)] for value in known]
    shortest = min(found, key=lambda way: way.length)
    if all(way.begins_with(shortest) for way in found):
        return known[found.index(shortest)], None
    return max(known, key=lambda value: ways[id(value)].length), None


def _steps(node: Node, x: Value, y: Value, modules: Mapping[str, nn.Module], ndim: int) -> Sequence[Step]:
    """What a node does to shapes on the way from `x` to `y`."""
    inputs, outputs = _shape(x, ndim), _shape(y, ndim)
    maps = len(x.shape) >= ndim + 2 and len(y.shape) >= ndim + 2
    if maps and node.bound is not None:
        axes = node.bound.plan.axes[-ndim:]
        if any(axis != IDENTITY for axis in node.bound.plan.axes[:-ndim]) or len(axes) < ndim:
            raise _unknown(node, x, y)
        spec = _spec(node, modules, ndim)
        if node.weight is not None:
            if spec is None or spec.output_size(inputs[1:]) != outputs[1:]:
                rule = "must call convolutions as layers, their output size left to them"
                raise TrousError("encoder", rule, node.layer)
            return [Step("convolution", node.layer, inputs, outputs, spec)]
        if spec is not None:
            return [Step("pooling", node.layer, inputs, outputs, spec)] if not _keeps(axes) else []
        if all(_moves(axis) for axis in axes):
            return [Step("padding", node.layer, inputs, outputs, axes=axes)] if not _keeps(axes) else []
        if _is_adaptive(node, axes, inputs[1:], outputs[1:]):
            return [Step("adaptive pooling", node.layer, inputs, outputs)]
        raise _unknown(node, x, y)
    if _is_global(x, y, ndim):
        pooled = (inputs[0], *[1] * ndim)
        flat = [Step("flattening", node.layer, pooled, outputs)] if len(outputs) == 1 else []
        return [Step("adaptive pooling", node.layer, inputs, pooled), *flat]
    if maps and inputs[1:] == outputs[1:]:
        return []
    if prod(inputs) == prod(outputs) == outputs[0]:
        return [Step("flattening", node.layer, inputs, outputs)] if len(inputs) > 1 else []
    if len(inputs) == len(outputs) == 1 and node.multiplications == inputs[0] * outputs[0]:
        return [Step("linear", node.layer, inputs, outputs)]
    raise _unknown(node, x, y)


def _spec(node: Node, modules: Mapping[str, nn.Module], ndim: int) -> Spec | None:
    """The spec of a layer that runs along the last axes.

    A layer of trous.nn is asked itself: what its operator is told leaves the padding behind open.
    """
    spec = node.spec
    if spec is None:
        for name in (node.layer, node.layer.rpartition(".")[0]):
            module = modules.get(name)
            if isinstance(module, Layer) and node.weight is not None:
                spec = module._spec()
                if module.padding_mode != "zeros" and isinstance(spec, Conv):  # padded before, and seen there
                    spec = Conv(spec.kernel, spec.stride, 0, spec.dilation, spec.groups)
                break
        else:
            return None
    if spec.ndim == ndim:
        return spec
    values: dict[str, Any] = {name: getattr(spec, name) for name in spec.__dataclass_fields__}
    return type(spec)(**{name: v[-ndim:] if isinstance(v, tuple) else v for name, v in values.items()})


def _is_adaptive(node: Node, axes: Sequence[AxisPlan], size: Sequence[int], outputs: Sequence[int]) -> bool:
    """Whether the layer gives maps of one size for all; its name decides where it might be an interpolation."""
    fitting = all(axis == adaptive_axis(n, out) for axis, n, out in zip(axes, size, outputs, strict=True))
    return fitting and ("adaptive" in node.kind.lower() or any(len(axis.taps) > axis.up for axis in axes))


def _is_global(x: Value, y: Value, ndim: int) -> bool:
    """Whether `y` sums up all positions of the map `x`, one position included."""
    if len(x.shape) < ndim + 2 or y.shape[:2] != x.shape[:2] or prod(y.shape[2:]) != 1:
        return False
    followed = [axis for axis, trail in x.trails.items() if trail.dim is not None]
    summed = all(
        y.trails[axis].dim is None and x.trails[axis].everywhere < y.trails[axis].everywhere for axis in followed
    )
    return summed and (prod(x.shape[2:]) > 1 or bool(followed))


def _shape(value: Value, ndim: int) -> tuple[int, ...]:
    """Without batch: channels and the last axes; of what is no map the number of features, and what else there is."""
    shape = value.shape[1:]
    if len(shape) > ndim:
        return (shape[0], *shape[-ndim:])
    return shape[:1] if shape[:1] == (prod(shape),) else shape


def _keeps(axes: Sequence[AxisPlan]) -> bool:
    """Whether every size stays as it is."""
    return all(axis.up == axis.down == 1 and axis.extent == 0 for axis in axes)


def _moves(axis: AxisPlan) -> bool:
    return axis.up == axis.down == len(axis.taps) == 1


def _unknown(node: Node, x: Value, y: Value) -> TrousError:
    rule = (
        "must be made of layers that mirror knows (convolution, pooling, padding, flattening, linear); "
        f"{node.layer!r} is none and gives {y.shape[1:]} for {x.shape[1:]}"
    )
    return TrousError("encoder", rule, node.kind)
