"""Operators as they were called, and the table of rules that make nodes of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from trous.errors import TrousError
from trous.spec import Spec
from trous.streaming.nodes import Node
from trous.streaming.signals import Signal
from trous.streaming.tracing import Step


@dataclass
class Call:
    """A step with its arguments by name and what is known of the signals among them."""

    step: Step
    known: dict[str, Signal]
    specs: Mapping[int, Collection[Spec]]  #: of layers, by the identity of a weight

    def __post_init__(self) -> None:
        schema = self.step.function._schema
        self.name = schema.name.split("::")[1].rstrip("_")
        self.arguments: dict[str, Any] = {a.name: a.default_value for a in schema.arguments if a.has_default_value()}
        self.arguments |= {a.name: given for a, given in zip(schema.arguments, self.step.args, strict=False)}
        self.arguments |= self.step.kwargs

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    def signal(self, ref: Any) -> Signal:
        return self.known[ref.name]

    @property
    def first(self) -> Signal:
        return self.signal(self.step.refs[0])

    def dims(self) -> list[int] | None:
        """The dimensions that the step takes together, counted from the front; None for all."""
        given = self.arguments.get("dim", self.arguments.get("dims"))
        if given is None or given == []:
            return None
        return [dim % len(self.first.shape) for dim in (given if isinstance(given, (list, tuple)) else [given])]

    def made(self, signal: Signal, size: Callable[[int], int]) -> Signal:
        """What comes out, along the dimension of this signal, where `size` gives its length."""
        if not signal.place.alone:
            raise self.refuse("reads along a dimension that a reshape has merged with others")
        before, (shape, other) = signal.length, self.step.shapes
        lengths = size(signal.lengths[0]), size(signal.lengths[1])
        shown = shape[signal.place.dim], other[signal.place.dim]
        if shown != lengths:
            raise self.refuse(f"gives {shown} samples where its plan has {lengths}")
        return Signal(signal.place, lambda n: size(before(n)), lengths, shape, self.step.dtype, self.step.device)

    def refuse(self, why: str) -> TrousError:
        return TrousError("module", f"cannot be streamed: {self.name} {why}", self.step.name)


Made = tuple[Node, Signal]
Rule = Callable[[Call], Made]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register
