"""The lines of a report: the operations of one layer put together, with sizes, fields, costs and memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from trous.errors import TrousError
from trous.inspection import findings
from trous.inspection.graph import Graph, Node
from trous.inspection.values import Axis, Trail, Value


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of an inspected network, as it ran; sizes and fields are those of what it gives out."""

    name: str
    kind: str
    axes: tuple[Axis, ...]
    output: Value
    parameters: int
    macs: int
    """Multiply-adds executed: taps that land inside. Those on borders, and dead taps, are not among them."""
    nominal_macs: int
    """Multiply-adds if every output had all taps of its phase."""
    bytes: int
    """Memory of what the layer gives out; 0 for a view and what works in place."""
    warnings: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.output.shape

    def on(self, number: int) -> Layer:
        """The same layer, followed on the axes of one of the network's inputs only."""
        return replace(self, axes=tuple(axis for axis in self.axes if axis.input == number))

    @property
    def output_size(self) -> tuple[int, ...]:
        """Positions along the axes that are followed; where they can no longer be told apart, all but the first two."""
        dims = [trail.dim for trail in self.trails]
        known = [self.shape[dim] for dim in dims if dim is not None]
        return tuple(known) if len(known) == len(dims) and known else self.shape[2:]

    @cached_property
    def trails(self) -> tuple[Trail, ...]:
        """How the output depends on each axis of the input; axes that it does not depend on are left out."""
        return tuple(self.output.trails[axis].settled() for axis in self.axes if axis in self.output.trails)

    @property
    def receptive_field(self) -> tuple[int, ...]:
        """For each axis the inputs from the first to the last that an output reads through taps, at any size.

        Where positions have no pattern of their own (`at_this_size`), or a global layer alone joins them to the input,
        it is the largest interval at the size at hand.
        """
        return tuple(trail.field.size if trail.field else _extent(trail) for trail in self.trails)

    @property
    def at_this_size(self) -> bool:
        """Whether the receptive field is that of the size at hand, since positions follow no pattern at all sizes."""
        return any(trail.vague for trail in self.trails)

    @property
    def everywhere(self) -> tuple[str, ...]:
        """Layers through which every output depends on all of an axis, whatever its receptive field."""
        return tuple(sorted({name for trail in self.trails for name in trail.everywhere}))

    @property
    def jump(self) -> tuple[Fraction | None, ...]:
        """Inputs from one output to the next, for each axis; None where there is no such number."""
        return tuple(trail.field.jump if trail.field else None for trail in self.trails)

    @property
    def offset(self) -> tuple[Fraction | None, ...]:
        """Where the field of output 0 is centred, in inputs; those of all phases averaged."""
        return tuple(trail.field.center if trail.field else None for trail in self.trails)

    @property
    def start(self) -> tuple[int | None, ...]:
        """The first input in the field of output 0, negative in the padding."""
        return tuple(trail.field.start if trail.field else None for trail in self.trails)

    @property
    def seen(self) -> tuple[float | None, ...]:
        """Share of the receptive field that is read, for each axis; below 1 is gridding."""
        return tuple(trail.field.share if trail.field else None for trail in self.trails)

    def interval(self, position: int | Sequence[int]) -> tuple[range, ...]:
        """The inputs from the first to the last on which one output depends, exactly, at the size at hand.

        Borders, branches and global layers count; channels are taken together. `position` has one entry for each axis
        of the output. The result has one range for each axis of the input.
        """
        return tuple(_hull(trail, self.output, self.index(position)) for trail in self.trails)

    def index(self, position: int | Sequence[int]) -> dict[int, int]:
        """The index along each dimension of the output that `position` names, one entry for each axis."""
        wanted = [position] if isinstance(position, int) else list(position)
        rank = len(self.shape)
        dims = sorted({trail.dim for trail in self.trails if trail.dim is not None})
        for known in (dims, list(range(2, rank)), list(range(rank))):
            if len(known) == len(wanted):
                if not all(0 <= index < self.shape[dim] for dim, index in zip(known, wanted, strict=True)):
                    raise TrousError("position", f"must lie inside an output of shape {self.shape}", position)
                return dict(zip(known, wanted, strict=True))
        raise TrousError("position", f"must have one entry for each axis of an output of shape {self.shape}", position)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings, ready for JSON."""
        return {
            "name": self.name,
            "kind": self.kind,
            "output_size": list(self.output_size),
            "shape": list(self.shape),
            "receptive_field": list(self.receptive_field),
            "at_this_size": self.at_this_size,
            "global": list(self.everywhere),
            "jump": [None if jump is None else float(jump) for jump in self.jump],
            "offset": [None if offset is None else float(offset) for offset in self.offset],
            "start": list(self.start),
            "seen": list(self.seen),
            "parameters": self.parameters,
            "macs": self.macs,
            "nominal_macs": self.nominal_macs,
            "bytes": self.bytes,
            "warnings": list(self.warnings),
        }


def layers(graph: Graph) -> list[Layer]:
    """The layers in the order they ran. What only passes a value on, a view or an activation in between, is no layer
    unless a module does it."""
    unclaimed, found = dict(graph.parameters), []
    for _, group in groupby(graph.nodes, key=lambda node: node.call):
        nodes = list(group)
        last = nodes[-1]
        if len(nodes) == 1 and not (last.module or last.layer in unclaimed or _notable(last)):
            continue
        warnings = [text for node in nodes for text in findings.of_node(node)]
        if any(value is last.outputs[0] for value in graph.outputs):
            warnings += _of_output(graph, last.outputs[0])
        found.append(
            Layer(
                last.layer,
                last.kind,
                graph.axes,
                last.outputs[0],
                unclaimed.pop(last.layer, 0),
                sum(node.multiplications for node in nodes),
                sum(node.nominal for node in nodes),
                sum(value.bytes for node in nodes if not node.view for value in node.outputs),
                tuple(dict.fromkeys(warnings)),
            )
        )
    return found


def _of_output(graph: Graph, value: Value) -> Iterable[str]:
    """Warnings of what leaves the network."""
    trails, sizes = [], []
    for axis in graph.axes:
        trail = value.trails[axis].settled() if axis in value.trails else None
        if trail is not None and trail.field is not None and trail.dim is not None:
            trails.append(trail)
            sizes.append((graph.inputs[axis.input].shape[axis.dim], value.shape[trail.dim]))
    yield from findings.gridding([trail.field for trail in trails if trail.field])
    yield from findings.shift(trails, sizes)


def _notable(node: Node) -> bool:
    """Whether an operation outside of a module is worth a line."""
    made, went_in = node.outputs[0], [value for value in node.inputs if value.trails]
    idle = node.kind == "pad" and made.shape == node.inputs[0].shape
    if node.moves or idle or not went_in or not made.trails:
        return False
    if node.warnings or node.nominal or node.bound is not None or len(went_in) > 1:
        return True
    before = {name for value in went_in for trail in value.trails.values() for name in trail.everywhere}
    after = {name for trail in made.trails.values() for name in trail.everywhere}
    return bool(after - before) or made.shape != went_in[0].shape


def peak_bytes(graph: Graph) -> int:
    """The most memory that inputs and values alive at one time take, each kept until its last use.

    What the weights take and what a kernel needs for itself is not counted.
    """
    owner: dict[int, int] = {id(value): id(value) for value in graph.inputs}
    size = {id(value): value.bytes for value in graph.inputs}
    last: dict[int, int] = {}
    born: dict[int, int] = dict.fromkeys(owner, 0)
    for step, node in enumerate(graph.nodes):
        for value in node.inputs:
            if id(value) in owner:
                last[owner[id(value)]] = step
        for value in node.outputs:
            root = owner.get(id(node.inputs[0])) if node.view and node.inputs else None
            owner[id(value)] = id(value) if root is None else root
            if root is None:
                size[id(value)], born[id(value)] = value.bytes, step
                last[id(value)] = step
    for value in graph.outputs:
        if id(value) in owner:
            last[owner[id(value)]] = len(graph.nodes)
    changes = [0] * (len(graph.nodes) + 2)
    for root, start in born.items():
        changes[start] += size[root]
        changes[last.get(root, 0) + 1] -= size[root]
    return int(np.cumsum(changes).max())


def _extent(trail: Trail) -> int:
    """The longest interval that an element depends on."""
    return max(0, int((trail.high - trail.low).max()) + 1)


def _hull(trail: Trail, value: Value, index: dict[int, int]) -> range:
    ends = []
    for array, over in ((trail.low, np.min), (trail.high, np.max)):
        for dim, position in index.items():
            array = np.broadcast_to(array, [*array.shape[:dim], value.shape[dim], *array.shape[dim + 1 :]])
            array = array.take([position], axis=dim)
        ends.append(int(over(array)))
    return range(ends[0], ends[1] + 1) if ends[0] <= ends[1] else range(0)
