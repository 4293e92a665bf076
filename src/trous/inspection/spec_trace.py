"""Specs one behind the other as a graph: one channel, no weights, no torch."""

from __future__ import annotations

from collections.abc import Sequence

from trous.errors import TrousError
from trous.inspection import flow
from trous.inspection.graph import Graph, Node
from trous.inspection.values import Axis, network_input
from trous.plan.cost import cost
from trous.spec import Spec


def trace(specs: Sequence[Spec], shape: tuple[int, ...]) -> Graph:
    """The graph of layers with one channel (or one in each group) on an input of `shape`: `(*size)` or with batch and
    channels in front."""
    named = {spec.ndim for spec in specs if spec.ndim is not None}
    rank = max(named, default=len(shape) - 2 if len(shape) > 3 else len(shape))
    if len(named) > 1 or len(shape) not in (rank, rank + 2):
        raise TrousError("input_size", "must be one size for each axis of the specs", shape)
    size = shape[-rank:]
    value = network_input(0, (1, 1, *size), range(2, rank + 2))
    graph = Graph((value,), tuple(Axis(0, dim) for dim in range(2, rank + 2)))
    for number, spec in enumerate(specs):
        out = spec.output_size(size)
        bound = spec.plan(rank).bind(size, out)
        axes = {dim + 2: axis for dim, axis in enumerate(bound.plan.axes)}
        made = flow.taps(value, axes, (1, 1, *out), str(number), groups=1)
        node = Node(str(number), type(spec).__name__, number, (value,), (made,), spec=spec, bound=bound, module=True)
        node.multiplications, node.nominal = cost(bound).multiplications, cost(bound).nominal
        graph.nodes.append(node)
        value, size = made, out
    graph.outputs = (value,)
    return graph
