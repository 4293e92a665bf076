"""Sizes that do not meet at a skip connection, and the layer which would make them meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trous.inspection.graph import Graph, Node
from trous.inspection.values import Value
from trous.solving import solve
from trous.spec import ConvTranspose, Spec


@dataclass(frozen=True)
class Mismatch:
    """Values that should be of one size along `dims`, and the smallest size that they have there."""

    values: tuple[Value, ...]
    smallest: dict[int, int]

    @staticmethod
    def of(values: Sequence[Value], concatenated: int | None) -> Mismatch | None:
        """What does not fit where `values` meet: element by element, or else `concatenated` along a dimension."""
        rank = max(len(value.shape) for value in values)
        shapes = [(1,) * (rank - len(value.shape)) + value.shape for value in values]
        if concatenated is not None:
            if len({len(value.shape) for value in values}) > 1:
                return None
            wrong = [d for d in range(rank) if d != concatenated % rank and len({shape[d] for shape in shapes}) > 1]
        else:
            wrong = [d for d in range(rank) if len({shape[d] for shape in shapes} - {1}) > 1]
        if not wrong or any(d < 2 for d in wrong):  # batch and channels are not for cropping
            return None
        return Mismatch(tuple(values), {d - rank: min(shape[d] for shape in shapes if shape[d] > 1) for d in wrong})

    def crop(self, array: Any) -> Any:
        """The array, or the tensor, at the smallest size."""
        index = [slice(None)] * len(array.shape)
        for dim, size in self.smallest.items():
            if -dim <= len(index):
                index[dim] = slice(0, size)
        return array[tuple(index)]


def mend(graph: Graph, mismatch: Mismatch) -> str:
    """What is wrong, and the spec that mends it where one layer can."""
    dims = tuple(mismatch.smallest)
    sizes = [tuple(value.shape[d] for d in dims) for value in mismatch.values]
    meets = " and ".join(_text(size) for size in dict.fromkeys(sizes))
    makers = [_maker(graph, value) for value in mismatch.values]
    chosen = [pair for pair in zip(makers, mismatch.values, strict=True) if pair[0] is not None]
    chosen.sort(key=lambda pair: not isinstance(pair[0].spec, ConvTranspose))  # type: ignore[union-attr]
    for node, value in chosen:
        for other in mismatch.values:
            wanted = other.shape[2:]
            spec = None if node is None or wanted == value.shape[2:] else _closest(node, wanted)
            if node is not None and spec is not None:
                return f"sizes {meets} do not meet; {node.layer} as {spec_text(spec)} gives {_text(wanted)}"
    return f"sizes {meets} do not meet; crop or pad one of them"


def _maker(graph: Graph, value: Value) -> Node | None:
    """The convolution from which a value comes without another change of size, the last one."""
    waiting, size = [value], value.shape[2:]
    while waiting:
        node = graph.producer(waiting.pop())
        if node is None:
            continue
        if node.spec is not None and node.nominal:
            return node
        waiting += [v for v in node.inputs if v.trails and v.shape[2:] == size]
    return None


def _closest(node: Node, wanted: Sequence[int]) -> Spec | None:
    """The layer with as little of its padding changed as gives the wanted size."""
    assert node.spec is not None and node.bound is not None
    kind = "transposed" if isinstance(node.spec, ConvTranspose) else "conv"
    axes = []
    for axis, (n, out) in enumerate(zip(node.bound.input_size, wanted, strict=True)):
        own = node.spec.axis_arguments(axis)
        same = {name: own[name] for name in ("kernel", "stride", "dilation")}
        fitting = [spec.axis_arguments(0) for spec in solve(n, out, kind=kind, **same)]
        if not fitting:
            return None
        axes.append(min(fitting, key=lambda other: _change(own, other)))
    merged = {name: _merged([a[name] for a in axes]) for name in axes[0]}
    return type(node.spec)(**merged | {"groups": node.spec.groups})


def _change(own: dict[str, Any], other: dict[str, Any]) -> tuple[int, int]:
    padding = sum(abs(a - b) for a, b in zip(own["padding"], other["padding"], strict=True))
    return padding, abs(other.get("output_padding", 0) - own.get("output_padding", 0))


def _merged(values: list[Any]) -> Any:
    """Per-axis values as they are written: one where all are alike, padding as one number for both sides."""
    flat = [value[0] if isinstance(value, tuple) else value for value in values]
    return flat[0] if len(set(flat)) == 1 else tuple(flat)


def spec_text(spec: Spec) -> str:
    """The spec as it is written, defaults left out.

    >>> spec_text(ConvTranspose(3, stride=2, padding=1, output_padding=1))
    'ConvTranspose(3, stride=2, padding=1, output_padding=1)'
    """
    parts = []
    for name, field in type(spec).__dataclass_fields__.items():
        value = getattr(spec, name)
        single = value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
        if name == "kernel":
            parts.append(str(single))
        elif single != field.default:
            parts.append(f"{name}={single}")
    return f"{type(spec).__name__}({', '.join(parts)})"


def _text(size: Sequence[int]) -> str:
    return "x".join(map(str, size))
