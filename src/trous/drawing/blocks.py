"""What the diagram of a network shows as a box: a layer, with the normalisation and the activation behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from typing import Literal

from trous.inspection.graph import Node
from trous.inspection.layers import Layer
from trous.inspection.report import Report
from trous.inspection.text import field as field_text
from trous.inspection.values import Value
from trous.spec import ConvTranspose, Spec

Category = Literal["end", "conv", "transposed", "pool", "product", "join", "other"]

#: Operators that say nothing to the reader where they follow a layer.
_SILENT = frozenset(["add", "clone", "copy", "detach", "div", "mul", "neg", "sub", "to"])


@dataclass(eq=False)
class Block:
    """A box: what it is, what it gives out, and which boxes before it (by their place in the list) it reads."""

    name: str
    kind: str
    category: Category
    sources: tuple[int, ...]
    arguments: tuple[str, ...] = ()
    dilations: tuple[int, ...] = ()
    """Of the axes; of several blocks that are drawn as one, those of all."""
    follows: list[str] = field(default_factory=list)
    shape: tuple[int, ...] = ()
    receptive_field: str = ""
    jump: Fraction | None = None
    warnings: list[str] = field(default_factory=list)


def blocks(report: Report) -> list[Block]:
    """The boxes of a network in the order they ran, its inputs first and its outputs last."""
    graph = report.graph
    layers = {id(layer.output): layer for layer in report.layers}
    found: list[Block] = []
    maker: dict[int, int] = {}  # of a value, by its identity: the place of the block that made it
    padded: set[int] = set()
    for number, value in enumerate(graph.inputs):
        name = "input" if len(graph.inputs) == 1 else f"input {number + 1}"
        maker[id(value)] = len(found)
        found.append(Block("", name, "end", (), shape=value.shape[1:], jump=Fraction(1)))
    for _, group in groupby(graph.nodes, key=lambda node: node.call):
        nodes = list(group)
        read = [value for node in nodes for value in node.inputs if id(value) in maker]
        sources = tuple(dict.fromkeys(maker[id(value)] for value in read))
        if not sources:
            continue
        last = nodes[-1]
        layer = layers.get(id(last.outputs[0]))
        if _pads(nodes):
            place = sources[0]
            padded |= {id(value) for value in last.outputs}
        elif len(sources) == 1 and _passes_on(nodes, layer, found[sources[0]]):
            place = sources[0]
            _merge(found[place], last, layer)
        else:
            place = len(found)
            found.append(_block(nodes, layer or _bare(report, last), sources, any(id(v) in padded for v in read)))
        maker |= {id(value): place for node in nodes for value in node.outputs}
    ends = {maker[id(value)]: value for value in reversed(graph.outputs) if id(value) in maker}
    for number, (place, value) in enumerate(reversed(ends.items())):
        name = "output" if len(ends) == 1 else f"output {number + 1}"
        found.append(Block("", name, "end", (place,), shape=value.shape[1:], jump=found[place].jump))
    return found


def _pads(nodes: Sequence[Node]) -> bool:
    return all(node.kind == "pad" and not node.warnings for node in nodes)


def _passes_on(nodes: Sequence[Node], layer: Layer | None, source: Block) -> bool:
    """Whether the reader need not see it as a step of its own: an activation, a normalisation, a view."""
    if layer is None:
        return True
    works = any(node.nominal or node.bound is not None or node.warnings for node in nodes)
    return not works and source.category != "end" and layer.shape[1:] == source.shape


def _merge(block: Block, node: Node, layer: Layer | None) -> None:
    """Name what follows the layer of a block, and take over what it changes of the field."""
    kind = node.kind
    if (
        block.category != "end"
        and not node.moves
        and not node.view
        and kind.strip("_") not in _SILENT
        and block.follows[-1:] != [kind]
    ):
        block.follows.append(kind)
    if layer is not None:
        block.receptive_field = _field(layer)
        block.warnings += [text for text in layer.warnings if text not in block.warnings]


def _block(nodes: Sequence[Node], layer: Layer, sources: tuple[int, ...], padded: bool) -> Block:
    node = next((node for node in nodes if node.bound is not None), nodes[-1])
    category: Category = "other"
    arguments: tuple[str, ...] = ()
    dilations: tuple[int, ...] = ()
    if node.bound is not None and node.spec is not None:
        transposed = isinstance(node.spec, ConvTranspose)
        category = ("transposed" if transposed else "conv") if node.nominal else "pool"
        axes = [node.spec.axis_arguments(axis) for axis in range(len(node.bound.axes))]
        arguments = tuple(_arguments(node.spec, axes, node, padded))
        dilations = tuple(dict.fromkeys(axis["dilation"] for axis in axes))
    elif any(node.nominal for node in nodes):
        category = "product"
    elif node.bound is not None:
        category = "pool"
    elif len(sources) > 1:
        category = "join"
    jumps = [jump for jump in layer.jump if jump is not None]
    return Block(
        layer.name,
        layer.kind,
        category,
        sources,
        arguments,
        dilations,
        shape=layer.shape[1:],
        receptive_field=_field(layer),
        jump=max(jumps) if jumps else None,
        warnings=list(layer.warnings),
    )


def _arguments(spec: Spec, axes: Sequence[dict[str, object]], node: Node, padded: bool) -> Iterable[str]:
    """Kernel, stride and groups; those that are 1 are left out."""
    yield "×".join(str(axis["kernel"]) for axis in axes) if len(axes) > 1 else f"kernel {axes[0]['kernel']}"
    if padded:
        yield "padded"
    strides = [str(axis["stride"]) for axis in axes]
    if set(strides) != {"1"}:
        yield f"stride {strides[0] if len(set(strides)) == 1 else '×'.join(strides)}"
    if node.nominal and spec.groups > 1:
        yield "depthwise" if spec.groups == node.channels[0] else f"groups {spec.groups}"


def _bare(report: Report, node: Node) -> Layer:
    """The layer of an operation that the report has no line for."""
    value: Value = node.outputs[0]
    return Layer(node.layer, node.kind, report.graph.axes, value, 0, 0, 0, value.bytes, ())


def _field(layer: Layer) -> str:
    return field_text(layer).replace("x", "×")
