"""The operations of a network in the order they ran, with the values that went in and came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from trous.inspection.values import Axis, Value
from trous.plan.bind import BoundPlan
from trous.spec import Spec


@dataclass(eq=False)
class Node:
    """One operation.

    Nodes of one `call` belong to one layer and make one line of the report. `weight` fetches a convolution's weight as
    a NumPy array, where there is one to look at.
    """

    layer: str
    kind: str
    call: int
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    multiplications: int = 0
    nominal: int = 0
    spec: Spec | None = None
    bound: BoundPlan | None = None
    channels: tuple[int, int] = (1, 1)
    weight: Callable[[], Any] | None = None
    view: bool = False
    """Whether the outputs share the memory of an input."""
    moves: bool = False
    """Whether elements only go to other places."""
    module: bool = False
    """Whether a layer of the model does it, rather than a function called in between."""
    warnings: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Graph:
    """A traced network. `axes` are the axes of its inputs that were followed, in order."""

    inputs: tuple[Value, ...]
    axes: tuple[Axis, ...]
    nodes: list[Node] = field(default_factory=list)
    outputs: tuple[Value, ...] = ()
    parameters: dict[str, int] = field(default_factory=dict)
    """Trained numbers of each layer, by its name; one that several layers share is counted for the first."""
    parameter_bytes: int = 0

    def producer(self, value: Value) -> Node | None:
        """The node that made a value, None for inputs and constants."""
        return next((node for node in reversed(self.nodes) if any(out is value for out in node.outputs)), None)


def depends(values: Sequence[Value]) -> bool:
    """Whether any of the values depends on an input of the network."""
    return any(value.trails for value in values)
