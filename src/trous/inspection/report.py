"""The report of `trous.inspect`: layers, sums, warnings, as text and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from trous.errors import TrousError
from trous.inspection.graph import Graph
from trous.inspection.layers import Layer, layers, peak_bytes


@dataclass(frozen=True, eq=False)
class Report:
    """What a network does to sizes, positions and budgets; `print(report)` is a table.

    A sequence of `Layer`, in the order they ran; `report["name"]` is the layer of that name, the last where it ran more
    than once.
    """

    graph: Graph
    title: str = ""

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        return tuple(layers(self.graph))

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, key: int | str) -> Layer:
        if isinstance(key, int):
            return self.layers[key]
        for layer in reversed(self.layers):
            if layer.name == key:
                return layer
        names = ", ".join(dict.fromkeys(layer.name for layer in self.layers))
        raise TrousError("layer", f"must be one of {names}", key)

    @property
    def output(self) -> Layer:
        """The network's output, of several the first, with the sums of the whole network."""
        value = self.graph.outputs[0]
        return Layer(
            "output", "output", self.graph.axes, value, self.parameters, self.macs, self.nominal_macs, value.bytes, ()
        )

    @property
    def parameters(self) -> int:
        return sum(self.graph.parameters.values())

    @property
    def macs(self) -> int:
        """Multiply-adds executed by convolutions, products, attention and recurrent layers."""
        return sum(node.multiplications for node in self.graph.nodes)

    @property
    def nominal_macs(self) -> int:
        return sum(node.nominal for node in self.graph.nodes)

    @property
    def activation_bytes(self) -> int:
        """Memory of everything that layers give out, as training keeps it."""
        return sum(value.bytes for node in self.graph.nodes if not node.view for value in node.outputs)

    @cached_property
    def peak_bytes(self) -> int:
        """The most that inference needs at one time for values, weights not counted."""
        return peak_bytes(self.graph)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of all layers, each with the layer's name."""
        return tuple(f"{layer.name}: {text}" for layer in self.layers for text in layer.warnings)

    def interval(self, position: int | Sequence[int], layer: str | None = None) -> tuple[range, ...]:
        """The inputs on which one position depends, of the network's output or of a layer; see `Layer.interval`."""
        return (self.output if layer is None else self[layer]).interval(position)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings, ready for JSON; `layers` is a list of `Layer.to_dict()`."""
        output = self.output.to_dict()
        return {
            "inputs": [list(value.shape) for value in self.graph.inputs],
            "outputs": [list(value.shape) for value in self.graph.outputs],
            "output_size": output["output_size"],
            "receptive_field": output["receptive_field"],
            "global": output["global"],
            "parameters": self.parameters,
            "macs": self.macs,
            "nominal_macs": self.nominal_macs,
            "activation_bytes": self.activation_bytes,
            "peak_bytes": self.peak_bytes,
            "warnings": list(self.warnings),
            "layers": [layer.to_dict() for layer in self.layers],
        }

    def __str__(self) -> str:
        from trous.inspection.text import report_text

        return report_text(self)
