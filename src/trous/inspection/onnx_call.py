"""One ONNX node with what is known of its inputs, and the table of operators.

`OPERATORS` maps an operator to a function of a `Call`, which gives the values that come out. It raises
NotImplementedError where they follow from numbers that only a run would know; the outputs then depend on everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trous.inspection import flow
from trous.inspection.values import Value
from trous.plan.bind import BoundPlan
from trous.plan.cost import Cost
from trous.spec import Spec


@dataclass
class Call:
    """Inputs and shapes are in the order of the node, None for those left out or not known."""

    kind: str
    layer: str
    version: int
    """Of the operator set: what is an attribute in one is an input in the next."""
    attributes: dict[str, Any]
    inputs: list[Value | None]
    captured: list[Value]
    """What the branches or the body of the node use of the outside."""
    fetch: Callable[[int], np.ndarray | None]
    """The numbers of an input that is constant."""
    outputs: int
    shapes: list[tuple[int | None, ...] | None]
    """What ONNX's own shape inference says of the outputs."""
    spec: Spec | None = None
    bound: BoundPlan | None = None
    channels: tuple[int, int] = (1, 1)
    weight: int | None = None
    """Which input is a convolution's weight."""
    cost: Cost | None = None
    multiplications: int = 0
    warnings: list[str] = field(default_factory=list)

    def __getitem__(self, position: int) -> Value:
        value = self.get(position)
        if value is None:
            raise NotImplementedError
        return value

    def get(self, position: int) -> Value | None:
        return self.inputs[position] if position < len(self.inputs) else None

    @property
    def first(self) -> Value:
        return self[0]

    @property
    def values(self) -> list[Value]:
        return [value for value in self.inputs if value is not None] + self.captured

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the first output, as ONNX infers it."""
        shape = self.shapes[0]
        if shape is None or None in shape:
            raise NotImplementedError
        return tuple(n for n in shape if n is not None)

    def numbers(self, position: int, attribute: str = "", default: Any = None) -> Any:
        """A list of numbers, or one, given as an input or by an attribute of older operator sets."""
        if attribute and attribute in self.attributes:
            return self.attributes[attribute]
        if self.get(position) is None:
            return default
        array = self.fetch(position)
        if array is None:
            raise NotImplementedError
        return array.tolist()

    def axis(self, default: int = 0, name: str = "axis") -> int:
        """The dimension that an attribute names, counted from the front."""
        return self.attributes.get(name, default) % max(len(self.first.shape), 1)

    def dims(self, given: Iterable[int]) -> list[int]:
        return [d % len(self.first.shape) for d in given]

    def everywhere(self, values: Sequence[Value]) -> list[Value | None]:
        """Outputs that depend on all of the values, at their inferred shapes; None where there is none."""
        return [
            None if shape is None else flow.mixed(values, [1 if n is None else n for n in shape], self.layer)
            for shape in self.shapes
        ]


Operator = Callable[[Call], Sequence[Value | None]]
OPERATORS: dict[str, Operator] = {}


def operator(*names: str) -> Callable[[Operator], Operator]:
    def register(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register
