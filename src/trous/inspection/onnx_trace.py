"""An ONNX model as a graph: its nodes are followed in their order, at the sizes of the inputs given.

Nothing is executed but what computes shapes: a node whose inputs are all known, and small, is folded into a constant.
The sizes of what passes through the network follow from the operators themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from trous.errors import TrousError
from trous.inspection import flow, onnx_windows  # noqa: F401 - puts its operators into the table
from trous.inspection.graph import Graph, Node, depends
from trous.inspection.mending import Mismatch, mend
from trous.inspection.onnx_call import OPERATORS, Call
from trous.inspection.onnx_file import OnnxFile, Shapes
from trous.inspection.onnx_ops import DATA_DEPENDENT, grouped_norm, meeting
from trous.inspection.values import Axis, Value, network_input

#: Elements of the largest arrays that are computed: shapes, indices and masks, but no weights.
_LARGEST_FOLDED = 1 << 16

#: Elements of the largest arrays from which a shape may follow.
_LARGEST_SHAPE = 1 << 10

#: Outputs that share the memory of their input.
_VIEWS = frozenset({"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})

#: What only puts elements in other places.
_MOVES = _VIEWS | {
    "Expand",
    "Gather",
    "GatherElements",
    "GatherND",
    "ReverseSequence",
    "Slice",
    "Split",
    "Tile",
    "Transpose",
}

#: Inputs that hold constants, but none that were trained: scales of quantisation, statistics, factors of a size.
_UNTRAINED = {
    "BatchNormalization": (3, 4),
    "ConvInteger": (2, 3),
    "DequantizeLinear": (1, 2),
    "MatMulInteger": (2, 3),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QuantizeLinear": (1, 2),
    "Resize": (1, 2, 3),
    "STFT": (1, 2, 3),
    "Upsample": (1,),
}


def trace(model: Any, shapes: Shapes, dims: Sequence[Sequence[int]] | Callable[[int], Sequence[int]]) -> Graph:
    """The graph of an ONNX model.

    Args:
        model: path of a file, or an `onnx.ModelProto`. External data is not loaded.
        shapes: one shape for each input of the graph, initialisers excluded; None, or None for an input, takes the
            file's own, which must then be static.
        dims: the dimensions of each input to follow, or a function that names them for an input of some rank.

    Raises TrousError where onnx is not installed, the file is missing or no ONNX model, shapes do not fit its inputs,
    or a layer does not accept them.
    """
    file = OnnxFile(model)
    sizes, symbols = file.shapes(shapes)
    tracer = Tracer(file, sizes, symbols, [dims(len(size)) for size in sizes] if callable(dims) else dims)
    tracer.follow(file.model.graph)
    tracer.graph.outputs = tuple(tracer.value(output.name) for output in file.model.graph.output)
    return tracer.graph


class Tracer:
    """Follows the nodes of a file; `graph` holds those that depend on an input."""

    def __init__(
        self, file: OnnxFile, sizes: list[tuple[int, ...]], symbols: dict[str, int], dims: Sequence[Sequence[int]]
    ) -> None:
        self.file, self.sizes, self.symbols = file, sizes, symbols
        self.values: dict[str, Value] = {}
        self.types: dict[str, int] = {}  # the element type of each value
        self.constants: dict[str, np.ndarray] = {}
        self.origins: dict[str, frozenset[str]] = {}  # the trained tensors in a value that depends on no input
        self.declared: dict[str, Any] = {}  # what the file itself says of the type of a value
        self.makers: dict[str, Any] = {}  # the node that makes a value
        self.counted: set[str] = set()
        inputs = []
        for number, (given, shape, each) in enumerate(zip(file.inputs, sizes, dims, strict=True)):
            self.types[given.name] = given.type.tensor_type.elem_type
            value = network_input(number, shape, each, file.itemsize(self.types[given.name]))
            self.values[given.name] = value
            inputs.append(value)
        self.graph = Graph(tuple(inputs), tuple(Axis(n, dim) for n, each in enumerate(dims) for dim in each))

    def value(self, name: str) -> Value:
        """What is known of a value by its name. Initialisers come to be known when they are asked for."""
        if name not in self.values:
            tensor = self.file.initializers.get(name)
            if tensor is None and name in self.makers:
                rule = f"must give sizes that are known before it runs; {self.makers[name].op_type} gives none"
                raise TrousError("model", rule, name)
            if tensor is None:
                raise TrousError("model", "must name every value before it is used", name)
            self.types[name] = tensor.data_type
            self.values[name] = Value(tuple(tensor.dims), {}, self.file.itemsize(tensor.data_type))
            self.origins[name] = frozenset({name})
        return self.values[name]

    def known(self, name: str, *, needed: bool = False) -> np.ndarray | None:
        """The numbers of a constant, unless it is a large one, or a weight in another file that nothing needs."""
        if name not in self.constants and name in self.file.initializers:
            tensor = self.file.initializers[name]
            beside = self.file.is_beside(tensor) and tensor.data_type in self._floats()
            if prod(tensor.dims) > _LARGEST_FOLDED or (beside and not needed):
                return None
            self.constants[name] = self.file.array(tensor)
        return self.constants.get(name)

    def follow(self, graph: Any) -> None:
        """Every node of the graph, or of a branch of one."""
        for tensor in graph.initializer:
            self.file.initializers.setdefault(tensor.name, tensor)
        for each in (*graph.value_info, *graph.output):
            self.declared[each.name] = each.type
        for node in graph.node:
            self._node(node)

    def _node(self, node: Any) -> None:
        for output in node.output:
            self.makers[output] = node
        attributes = {a.name: self._attribute(a) for a in node.attribute}
        if node.op_type == "Constant" and "value" in attributes:
            self.file.initializers[node.output[0]] = attributes["value"]
            return
        if node.op_type == "If" and (condition := self.known(node.input[0])) is not None:
            self._branch(node, attributes["then_branch" if condition.all() else "else_branch"])
            return
        layer = node.name or next(name for name in node.output if name)
        label = layer if node.op_type in layer else f"{layer} ({node.op_type})"
        version = self.file.versions.get(node.domain, 0)
        inputs = [self.value(name) if name else None for name in node.input]
        captured = [self.values[name] for name in sorted(_captured(node)) if name in self.values]
        call = Call(
            node.op_type,
            label,
            version,
            attributes,
            inputs,
            captured,
            lambda position: self.known(node.input[position], needed=True),
            len(node.output),
            [],
        )
        if depends(call.values):
            self._made_to_fit(call)
        elements = self._infer(node, call)
        if node.op_type in ("Shape", "Size") or not depends(call.values):
            folded = self._folded(node, call)
            if folded is not None:
                self._constants(node, folded)
                return
        made = self._made(call)
        if node.op_type == "Reshape":
            made = self._group_norm(node, made)
        for name, value, element in zip(node.output, made, elements, strict=False):
            if value is not None:
                self.types[name] = element
                self.values[name] = Value(value.shape, value.trails, self.file.itemsize(element))
        if depends(call.values):
            self._write(node, layer, call)
        else:
            self._pass_on(node)

    def _attribute(self, attribute: Any) -> Any:
        value = self.file.onnx.helper.get_attribute_value(attribute)
        return value.decode() if isinstance(value, bytes) else value

    def _made_to_fit(self, call: Call) -> None:
        """Where arrays of different sizes meet: crop them to the smallest, so that the rest is seen too, and say so."""
        places = [n for n in meeting(call.kind, len(call.inputs)) if call.get(n) is not None]
        values = [call[n] for n in places]
        if len(values) < 2:
            return
        mismatch = Mismatch.of(values, call.axis() if call.kind == "Concat" else None)
        if mismatch is not None:
            call.warnings.append(f"{call.layer}: {mend(self.graph, mismatch)}")
            for n in places:
                call.inputs[n] = flow.rearranged(call[n], mismatch.crop)

    def _infer(self, node: Any, call: Call) -> list[int]:
        """Write down the shapes of the outputs that ONNX infers, or else the file declares; the element types."""
        onnx = self.file.onnx
        types, numbers = {}, {}
        for name, value in zip(node.input, call.inputs, strict=False):
            if name and value is not None:
                types[name] = onnx.helper.make_tensor_type_proto(self.types[name], value.shape)
                if prod(value.shape) <= _LARGEST_SHAPE and (array := self.known(name)) is not None:
                    numbers[name] = onnx.numpy_helper.from_array(array)
        try:
            schema = onnx.defs.get_schema(node.op_type, call.version, node.domain)
            found = onnx.shape_inference.infer_node_outputs(
                schema, node, types, numbers, opset_imports=list(self.file.model.opset_import)
            )
        except (onnx.defs.SchemaError, onnx.shape_inference.InferenceError, RuntimeError, ValueError):
            found = {}
        first = next((self.types[name] for name in node.input if name), onnx.TensorProto.FLOAT)
        elements = []
        for name in node.output:
            own, declared = found.get(name), self.declared.get(name)
            shape, other = self._shape(own), self._shape(declared)
            if shape is not None and other is not None and len(shape) == len(other):
                shape = tuple(m if n is None else n for n, m in zip(shape, other, strict=True))
            call.shapes.append(other if shape is None else shape)
            known = [t.tensor_type.elem_type for t in (own, declared) if t is not None and t.tensor_type.elem_type]
            elements.append(known[0] if known else first)
        return elements

    def _shape(self, declared: Any) -> tuple[int | None, ...] | None:
        if declared is None or not declared.HasField("tensor_type") or not declared.tensor_type.HasField("shape"):
            return None
        dims = declared.tensor_type.shape.dim
        return tuple(d.dim_value if d.HasField("dim_value") else self.symbols.get(d.dim_param) for d in dims)

    def _folded(self, node: Any, call: Call) -> list[np.ndarray] | None:
        """The outputs as numbers, where they are small and all inputs are known."""
        if node.op_type == "Shape":
            last = len(call.first.shape)
            part = slice(call.attributes.get("start", 0), call.attributes.get("end", last))
            return [np.array(call.first.shape[part], np.int64)]
        if node.op_type == "Size":
            return [np.array(prod(call.first.shape), np.int64)]
        known = {name: self.known(name) for name in node.input if name}
        large = any(shape is not None and prod(n or 1 for n in shape) > _LARGEST_FOLDED for shape in call.shapes)
        if any(array is None for array in known.values()) or large or node.op_type.startswith(("Random", "Bernoulli")):
            return None
        from onnx.reference import ReferenceEvaluator

        onnx = self.file.onnx
        given, made = ([onnx.ValueInfoProto(name=name) for name in names if name] for names in (known, node.output))
        graph = onnx.helper.make_graph([node], "alone", given, made)
        model = onnx.helper.make_model(graph, opset_imports=self.file.model.opset_import)
        for runs in (model, node):  # by the operator set of the file, or else, as a node by itself, by the newest
            try:
                return list(ReferenceEvaluator(runs).run(None, known))
            except Exception:  # whatever an operator that cannot run here raises
                continue
        return None  # then the numbers stay unknown, but not their shape

    def _constants(self, node: Any, arrays: list[np.ndarray]) -> None:
        for name, array in zip(filter(None, node.output), map(np.asarray, arrays), strict=True):
            self.constants[name] = array
            self.types[name] = self.file.onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
            self.values[name] = Value(array.shape, {}, array.itemsize)
        if node.op_type not in ("Shape", "Size"):
            self._pass_on(node)

    def _pass_on(self, node: Any) -> None:
        """What was made from trained tensors alone stands for them."""
        origins = frozenset().union(*(self.origins.get(name, ()) for name in self._trained(node)))
        for name in node.output:
            self.origins[name] = origins
        if node.op_type == "Identity" and node.input[0] in self.file.initializers:
            self.file.initializers[node.output[0]] = self.file.initializers[node.input[0]]

    def _trained(self, node: Any) -> list[str]:
        """The inputs that may hold what was trained."""
        return [name for n, name in enumerate(node.input) if name and n not in _UNTRAINED.get(node.op_type, ())]

    def _made(self, call: Call) -> Sequence[Value | None]:
        """The outputs by the operator, or depending on everything; None where not even a size is known."""
        known = OPERATORS.get(call.kind)
        try:
            if known is not None:
                return known(call)
        except NotImplementedError:
            pass
        except (ValueError, IndexError, KeyError, TypeError, ZeroDivisionError) as error:
            told = f"{error.argument} {error.rule}" if isinstance(error, TrousError) else str(error)
            rule = f"must be what the model accepts; node {call.layer} failed: {told}"
            raise TrousError("input_size", rule, self.sizes[0] if len(self.sizes) == 1 else self.sizes) from error
        if call.kind not in DATA_DEPENDENT:
            call.warnings.append(f"{call.kind} is taken to mix all that goes in")
        if any(shape is not None and None in shape for shape in call.shapes):
            call.warnings.append(f"{call.layer}: sizes that depend on values are taken to be 1")
        return call.everywhere(call.values)

    def _group_norm(self, node: Any, made: Sequence[Value | None]) -> Sequence[Value | None]:
        """Of the three nodes as which a group normalisation is written, this being the last, the result of one."""
        norm = self.makers.get(node.input[0])
        if norm is None or norm.op_type != "InstanceNormalization":
            return made
        first = self.makers.get(norm.input[0])
        if first is None or first.op_type != "Reshape":
            return made
        before, grouped = self.values[first.input[0]], self.values[first.output[0]]
        if (
            made[0] is None
            or before.shape != made[0].shape
            or grouped.shape[:1] != before.shape[:1]
            or before.shape[1] % grouped.shape[1]
        ):
            return made
        return [grouped_norm(before, grouped.shape[1], norm.name or norm.output[0])]

    def _write(self, node: Any, layer: str, call: Call) -> None:
        outputs = tuple(self.values[name] for name in node.output if name in self.values)
        number, products = len(self.graph.nodes) + 1, call.multiplications
        made = Node(layer, node.op_type, number, tuple(call.values), outputs, products, products)
        made.spec, made.bound, made.channels, made.warnings = call.spec, call.bound, call.channels, call.warnings
        made.view = node.op_type in _VIEWS
        made.moves = node.op_type in _MOVES
        if call.cost is not None:
            made.multiplications, made.nominal = call.cost.multiplications, call.cost.nominal
        if call.weight is not None:
            made.weight = self._weight(node.input[call.weight])
        self.graph.nodes.append(made)
        for origin in sorted(frozenset().union(*(self.origins.get(name, ()) for name in self._trained(node)))):
            self._count(origin, layer, node)

    def _weight(self, name: str) -> Any:
        """How to fetch a weight, where it is a constant of floating-point numbers."""
        folded, tensor = self.constants.get(name), self.file.initializers.get(name)
        if (folded is None and tensor is None) or self.types[name] not in self._floats():
            return None
        return lambda: (self.file.array(tensor) if folded is None else folded).astype(np.float64)

    def _count(self, origin: str, layer: str, node: Any) -> None:
        """Count a tensor for the first layer that uses it; whole numbers only where they are quantised weights."""
        tensor, kinds = self.file.initializers[origin], self.file.onnx.TensorProto
        quantised = [kinds.INT8, kinds.UINT8, kinds.INT4, kinds.UINT4]
        if node.op_type in ("QLinearConv", "DequantizeLinear"):
            quantised.append(kinds.INT32)
        if origin in self.counted or not tensor.dims or tensor.data_type not in (*self._floats(), *quantised):
            return
        self.counted.add(origin)
        numbers = prod(tensor.dims)
        self.graph.parameters[layer] = self.graph.parameters.get(layer, 0) + numbers
        self.graph.parameter_bytes += numbers * self.file.itemsize(tensor.data_type)

    def _floats(self) -> tuple[int, ...]:
        kinds = self.file.onnx.TensorProto
        return kinds.FLOAT, kinds.FLOAT16, kinds.DOUBLE, kinds.BFLOAT16, kinds.FLOAT8E4M3FN, kinds.FLOAT8E5M2

    def _branch(self, node: Any, branch: Any) -> None:
        """The branch of an If whose condition is known, in place of the node."""
        self.follow(branch)
        for name, inner in zip(node.output, (output.name for output in branch.output), strict=True):
            self.values[name], self.types[name] = self.value(inner), self.types[inner]
            self.makers[name] = self.makers.get(inner)
            array = self.known(inner)
            if array is not None:
                self.constants[name] = array
            if inner in self.origins:
                self.origins[name] = self.origins[inner]


def _captured(node: Any) -> set[str]:
    """The names that the branches and bodies of a node use."""
    graphs = [a.g for a in node.attribute if a.HasField("g")] + [g for a in node.attribute for g in a.graphs]
    inner = [each for graph in graphs for each in graph.node]
    return {name for each in inner for name in each.input}.union(*map(_captured, inner))
