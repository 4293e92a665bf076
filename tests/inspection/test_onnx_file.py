"""What is read of an ONNX file: constants, branches, trained numbers, and files that do not fit."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from trous.errors import TrousError
from trous.inspection import onnx_trace
from trous.inspection.graph import Graph
from trous.spec import Conv

INT64, FLOAT = TensorProto.INT64, TensorProto.FLOAT


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node of named values, which are written with spaces between; "-" leaves one out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(kind, names, outputs.split(), **attributes)


def model_of(
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, Any] | None = None,
    shape: Sequence[int | str | None] = (1, 4, 12),
    *,
    opsets: dict[str, int] | None = None,
    inputs: Sequence[Any] = (),
    outputs: str = "y",
) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()]
    given = [helper.make_tensor_value_info("x", FLOAT, shape), *inputs]
    out = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs.split()]
    imports = [helper.make_opsetid(domain, version) for domain, version in (opsets or {"": 18}).items()]
    graph = helper.make_graph(nodes, "test", given, out, tensors)
    return helper.make_model(graph, opset_imports=imports, ir_version=9)


def trace(model: Any, shape: Sequence[int] | None = None) -> Graph:
    return onnx_trace.trace(model, None if shape is None else [shape], [[2]])


def weight(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


CONV = model_of([node("Conv", "x w b", "y", name="first")], {"w": weight(6, 4, 3), "b": weight(6)})


# Constants.


def test_shapes_that_are_computed() -> None:
    """Shape, Gather, Concat, Reshape, as exporters write a view; with numbers cast to and fro."""
    nodes = [
        node("Shape", "x", "size"),
        node("Gather", "size zero", "batch", axis=0),
        node("Cast", "batch", "real", to=FLOAT),
        node("Floor", "real", "whole"),
        node("Cast", "whole", "number", to=INT64),
        node("Unsqueeze", "number axes", "first"),
        node("Constant", "", "rest", value_ints=[-1]),
        node("Concat", "first rest", "wanted", axis=0),
        node("Reshape", "x wanted", "y"),
    ]
    model = model_of(nodes, {"zero": np.int64(0), "axes": np.array([0])}, ("N", 4, "L"))
    graph = trace(model, (3, 4, 10))
    assert graph.outputs[0].shape == (3, 40)
    assert [made.kind for made in graph.nodes] == ["Reshape"] and graph.nodes[0].view
    assert not graph.parameters


def test_shapes_that_are_computed_by_older_operators() -> None:
    """What is folded runs by the operator set of the file."""
    nodes = [
        node("Shape", "x", "size"),
        node("Gather", "size zero", "batch"),
        node("Unsqueeze", "batch", "first", axes=[0]),
        node("Concat", "first rest", "wanted", axis=0),
        node("Reshape", "x wanted", "y"),
    ]
    graph = trace(model_of(nodes, {"zero": np.int64(0), "rest": np.array([-1])}, opsets={"": 11}))
    assert graph.outputs[0].shape == (1, 48)


def test_loops_keep_the_shape_of_what_they_carry() -> None:
    carried, out = (helper.make_tensor_value_info(name, FLOAT, None) for name in ("a", "b"))
    flags = [helper.make_tensor_value_info(name, TensorProto.BOOL, ()) for name in ("go", "on")]
    count = helper.make_tensor_value_info("n", INT64, ())
    body = helper.make_graph(
        [node("Add", "a x", "b"), node("Identity", "go", "on")], "body", [count, flags[0], carried], [flags[1], out]
    )
    constants = {"three": np.int64(3), "yes": True, "zeros": weight(1, 4, 12)}
    graph = trace(model_of([node("Loop", "three yes zeros", "y", body=body)], constants))
    (trail,) = graph.outputs[0].trails.values()
    assert graph.outputs[0].shape == (1, 4, 12) and trail.everywhere == {"y (Loop)"}
    assert graph.nodes[0].warnings == ["Loop is taken to mix all that goes in"]


def test_sizes_of_a_resize_that_are_computed() -> None:
    nodes = [
        node("Shape", "x", "size", start=2),
        node("Mul", "size two", "wide"),
        node("Shape", "x", "whole"),
        node("Slice", "whole zero two", "head"),
        node("Concat", "head wide", "sizes", axis=0),
        node("Resize", "x - - sizes", "y", mode="linear"),
    ]
    graph = trace(model_of(nodes, {"two": np.array([2]), "zero": np.array([0])}))
    ((axis, trail),) = graph.outputs[0].trails.items()
    assert graph.outputs[0].shape == (1, 4, 24)
    seen = [graph.outputs[0].depends(axis, (0, 0, o)) for o in range(4)]
    assert seen == [range(0, 1), range(0, 2), range(0, 2), range(1, 3)]
    assert trail.field is not None and trail.field.period == 2


@pytest.mark.parametrize("taken", [True, False])
def test_branch_whose_condition_is_known(taken: bool) -> None:
    branches = {}
    for name in ("short", "long"):
        out = helper.make_tensor_value_info(f"{name}_out", FLOAT, None)
        branches[name] = helper.make_graph([node("Conv", f"x {name}", f"{name}_out")], name, [], [out])
    nodes = [
        node("If", "condition", "z", then_branch=branches["short"], else_branch=branches["long"]),
        node("Relu", "z", "y"),
    ]
    graph = trace(model_of(nodes, {"condition": taken, "short": weight(1, 4, 3), "long": weight(1, 4, 7)}))
    assert [made.kind for made in graph.nodes] == ["Conv", "Relu"]
    assert graph.outputs[0].shape == (1, 1, 10 if taken else 6)


def test_branch_whose_condition_is_not_known() -> None:
    """What the branches use of the outside is what the result depends on."""
    out = helper.make_tensor_value_info("z", FLOAT, (1, 4, 12))
    branch = helper.make_graph([node("Relu", "x", "z")], "branch", [], [out])
    given = helper.make_tensor_value_info("condition", TensorProto.BOOL, ())
    nodes = [node("If", "condition", "y", name="either", then_branch=branch, else_branch=branch)]
    model = model_of(nodes, inputs=[given])
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, (1, 4, 12)))
    graph = onnx_trace.trace(model, None, [[2], []])
    (trail,) = graph.outputs[0].trails.values()
    assert graph.nodes[0].warnings == ["If is taken to mix all that goes in"]
    assert trail.field is None and trail.everywhere == {"either (If)"}


def test_functions_of_the_file_are_followed() -> None:
    body = [node("Conv", "a b", "c", kernel_shape=[3]), node("Relu", "c", "d")]
    function = helper.make_function("own", "Block", ["a", "b"], ["d"], body, [helper.make_opsetid("", 18)])
    model = model_of([node("Block", "x w", "y", domain="own")], {"w": weight(2, 4, 3)}, opsets={"": 18, "own": 1})
    model.functions.append(function)
    graph = trace(model)
    assert [made.kind for made in graph.nodes] == ["Conv", "Relu"] and graph.outputs[0].shape == (1, 2, 10)


# Layers.


def test_a_convolution() -> None:
    graph = trace(CONV)
    (made,) = graph.nodes
    assert (made.layer, made.kind, made.channels) == ("first", "Conv", (4, 6))
    assert made.spec == Conv((3,)) and made.bound is not None and made.bound.output_size == (10,)
    assert made.multiplications == made.nominal == 10 * 3 * 4 * 6
    assert made.weight is not None and made.weight().shape == (6, 4, 3) and made.weight().dtype == np.float64
    assert graph.parameters == {"first": 78} and graph.parameter_bytes == 4 * 78
    assert graph.producer(graph.outputs[0]) is made


def test_layers_without_a_name_are_called_by_their_output() -> None:
    graph = trace(model_of([node("Conv", "x w", "y")], {"w": weight(6, 4, 3)}))
    assert graph.nodes[0].layer == "y"


def test_trained_numbers_are_counted_once_and_others_not() -> None:
    nodes = [
        node("Identity", "w", "same"),
        node("Conv", "x w", "a", name="first", pads=[1, 1]),
        node("Conv", "a same", "b", name="second", pads=[1, 1]),
        node("BatchNormalization", "b c c c c", "n", name="norm"),
        node("Resize", "n - scales", "y", name="resize"),
    ]
    scales = np.array([1, 1, 2], np.float32)
    graph = trace(model_of(nodes, {"w": weight(4, 4, 3), "c": weight(4), "scales": scales}))
    assert graph.parameters == {"first": 48, "norm": 4}
    assert [made.weight is not None for made in graph.nodes] == [True, True, False, False]


def test_weights_that_are_transposed_first() -> None:
    nodes = [node("Transpose", "w", "v", perm=[2, 1, 0]), node("Conv", "x v", "y", name="conv")]
    graph = trace(model_of(nodes, {"w": np.arange(24, dtype=np.float32).reshape(3, 4, 2)}))
    assert graph.parameters == {"conv": 24} and graph.outputs[0].shape == (1, 2, 10)
    assert graph.nodes[0].weight is not None and graph.nodes[0].weight()[1, 2, 0] == 5


def test_large_constants_keep_their_shape() -> None:
    nodes = [node("Transpose", "w", "v", perm=[1, 0]), node("MatMul", "x v", "y")]
    graph = trace(model_of(nodes, {"w": weight(300, 400)}, (1, 4, 400)))
    assert graph.outputs[0].shape == (1, 4, 300)
    assert graph.nodes[0].multiplications == 4 * 300 * 400 and graph.parameters == {"y": 120000}


QUANTISED: dict[str, tuple[str, dict[str, Any]]] = {
    "QLinearConv": (
        "q s z w s z s z b",
        {"w": np.ones((6, 4, 3), np.int8), "b": np.ones(6, np.int32)},
    ),
    "ConvInteger": ("q w z", {"w": np.ones((6, 4, 3), np.int8)}),
}


@pytest.mark.parametrize("kind", QUANTISED)
def test_quantised_convolutions_are_convolutions(kind: str) -> None:
    names, constants = QUANTISED[kind]
    nodes = [node("QuantizeLinear", "x s z", "q"), node(kind, names, "y", strides=[2])]
    constants |= {"s": np.float32(0.1), "z": np.int8(0)}
    graph = trace(model_of(nodes, constants))
    expected = trace(model_of([node("Conv", "x w", "y", strides=[2])], {"w": weight(6, 4, 3)}))
    (found,), (trail,) = (graph.outputs[0].trails.values() for graph in (graph, expected))
    assert graph.outputs[0].shape == expected.outputs[0].shape and found.field == trail.field
    assert graph.nodes[1].multiplications == expected.nodes[0].multiplications
    assert graph.nodes[1].outputs[0].itemsize == (1 if kind == "QLinearConv" else 4)
    assert graph.parameters["y"] == sum(constants[name].size for name in ("w", "b") if name in constants)
    assert graph.nodes[1].weight is None


def test_weights_that_are_dequantised() -> None:
    nodes = [node("DequantizeLinear", "w s", "v"), node("Conv", "x v", "y", name="conv")]
    graph = trace(model_of(nodes, {"w": np.full((6, 4, 3), 3, np.int8), "s": np.float32(0.5)}))
    assert graph.nodes[0].weight is not None and (graph.nodes[0].weight() == 1.5).all()
    assert graph.parameters == {"conv": 72} and graph.parameter_bytes == 72


def test_weights_that_come_out_of_the_network() -> None:
    nodes = [
        node("ReduceMean", "x axes", "m", keepdims=1),
        node("Expand", "m wide", "w"),
        node("Conv", "x w", "y", name="dynamic"),
    ]
    graph = trace(model_of(nodes, {"axes": np.array([2]), "wide": np.array([1, 4, 3])}))
    ((axis, trail),) = graph.outputs[0].trails.items()
    assert graph.outputs[0].depends(axis, (0, 0, 0)) == range(12)
    assert trail.field is not None and trail.field.size == 3 and graph.nodes[-1].weight is None


def test_table_that_is_looked_up() -> None:
    """Each vector depends on its own index."""
    nodes = [node("Cast", "x", "i", to=INT64), node("Gather", "table i", "y", name="embedding")]
    graph = onnx_trace.trace(model_of(nodes, {"table": weight(10, 5)}, (1, 12)), None, [[1]])
    ((axis, trail),) = graph.outputs[0].trails.items()
    assert graph.outputs[0].shape == (1, 12, 5) and trail.dim == 1
    assert graph.outputs[0].depends(axis, (0, 7, 2)) == range(7, 8) and graph.parameters == {"embedding": 50}


def test_what_is_written_at_known_places() -> None:
    index = np.stack(np.meshgrid([0], [0, 1, 2, 3], np.arange(2, 10), indexing="ij"), axis=-1)
    nodes = [node("Slice", "x two ten axes", "part"), node("ScatterND", "zeros index part", "y")]
    constants = {"two": np.array([2]), "ten": np.array([10]), "axes": np.array([2]), "index": index}
    graph = trace(model_of(nodes, constants | {"zeros": 0 * weight(1, 4, 12)}))
    ((axis, _),) = graph.outputs[0].trails.items()
    seen = [graph.outputs[0].depends(axis, (0, 0, o)) for o in (1, 2, 9, 10)]
    assert seen == [range(0), range(2, 3), range(9, 10), range(0)]


def test_sizes_that_do_not_meet_are_mended() -> None:
    nodes = [
        node("Conv", "x w", "down", strides=[2], pads=[1, 1]),
        node("ConvTranspose", "down v", "up", name="up", strides=[2], pads=[1, 1]),
        node("Add", "up x", "y", name="skip"),
    ]
    graph = trace(model_of(nodes, {"w": weight(4, 4, 3), "v": weight(4, 4, 3)}))
    assert graph.outputs[0].shape == (1, 4, 11)
    assert graph.nodes[-1].warnings == [
        "skip (Add): sizes 11 and 12 do not meet; "
        "up as ConvTranspose(3, stride=2, padding=1, output_padding=1) gives 12"
    ]


def test_unknown_operators_are_named() -> None:
    model = model_of([node("Fancy", "x", "y", domain="custom")], opsets={"": 18, "custom": 1})
    with pytest.raises(TrousError, match="known before it runs; Fancy gives none"):
        trace(model)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, (1, 4, 12)))
    graph = trace(model)
    (trail,) = graph.outputs[0].trails.values()
    assert trail.everywhere == {"y (Fancy)"} and graph.nodes[0].warnings == ["Fancy is taken to mix all that goes in"]


@pytest.mark.parametrize("given", [{"coordinate_transformation_mode": "elsewhere"}, {"mode": "lanczos"}])
def test_ways_to_resize_that_are_not_known(given: dict[str, str]) -> None:
    graph = trace(model_of([node("Resize", "x - scales", "y", **given)], {"scales": np.array([1, 1, 2], np.float32)}))
    (trail,) = graph.outputs[0].trails.values()
    assert graph.outputs[0].shape == (1, 4, 24) and trail.everywhere == {"y (Resize)"}
    assert "is taken to mix all that goes in" in graph.nodes[0].warnings[0]


def test_sizes_that_depend_on_values() -> None:
    graph = trace(model_of([node("NonZero", "x", "y")]))
    assert graph.outputs[0].shape == (3, 1)
    assert graph.nodes[0].warnings == ["y (NonZero): sizes that depend on values are taken to be 1"]


# Files.


def test_files_and_weights_beside_them(tmp_path: Path) -> None:
    path, beside = tmp_path / "model.onnx", tmp_path / "weights.bin"
    onnx.save_model(CONV, path, save_as_external_data=True, location=beside.name, size_threshold=0)
    for given in (path, str(path)):
        graph = trace(given)
        assert graph.nodes[0].weight is not None and graph.nodes[0].weight().sum() == 72
    beside.unlink()
    graph = trace(path)
    assert graph.outputs[0].shape == (1, 6, 10) and graph.nodes[0].weight is not None
    with pytest.raises(TrousError, match="external data beside it"):
        graph.nodes[0].weight()


@pytest.mark.parametrize("content", [None, b"", b"no model at all", bytes(range(256))])
def test_files_that_hold_no_model(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TrousError, match="must be a file that exists" if content is None else "must be an ONNX file"):
        trace(path)


def test_what_is_no_model() -> None:
    with pytest.raises(TrousError, match="must be the path of an ONNX file"):
        trace(3)


def test_without_the_onnx_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(TrousError, match="pip install onnx"):
        trace("model.onnx")


@pytest.mark.parametrize(
    ("declared", "given", "wrong"),
    [
        (("N", 4, "L"), None, r"must be given: the model leaves open what 'x' of shape \(N, 4, L\) is"),
        ((None, 4, 12), None, r"shape \(\?, 4, 12\)"),
        (("N", 4, "L"), [], r"must have one shape for each input of the model \(x \(N, 4, L\)\)"),
        (("N", 4, "L"), [(1, 4)], r"must fit \(N, 4, L\), the shape of the model's input 'x'"),
        (("N", 4, "L"), [(1, 3, 12)], "must fit"),
        (("N", 4, "L"), [(1, 4, 0)], "must fit"),
        (("N", 4, "L"), [(1, 4, 2.5)], "must fit"),
        (("N", 4, "N"), [(1, 4, 2)], "must give 'N' one size; an input before 'x' has 1"),
        (("N", 4, "L"), [(1, 4, 2)], "node first.* failed: kernel must fit into the padded input of size"),
    ],
)
def test_shapes_that_do_not_fit(declared: Any, given: Any, wrong: str) -> None:
    model = model_of(list(CONV.graph.node), {"w": weight(6, 4, 3), "b": weight(6)}, declared)
    with pytest.raises(TrousError, match=wrong) as error:
        onnx_trace.trace(model, given, [[2]])
    assert error.value.argument == "input_size"


def test_inputs_with_shapes_of_their_own() -> None:
    """A shape that is None is the file's; initialisers listed among the inputs are none."""
    other = helper.make_tensor_value_info("z", FLOAT, (1, 4, 5))
    listed = helper.make_tensor_value_info("w", FLOAT, (6, 4, 3))
    nodes = [node("Concat", "x z", "both", axis=2), node("Conv", "both w", "y")]
    model = model_of(nodes, {"w": weight(6, 4, 3)}, ("N", 4, "L"), inputs=[other, listed])
    graph = onnx_trace.trace(model, [(1, 4, 7), None], [[2], [2]])
    assert [value.shape for value in graph.inputs] == [(1, 4, 7), (1, 4, 5)]
    assert graph.outputs[0].shape == (1, 6, 10) and [axis.input for axis in graph.axes] == [0, 1]


def test_shapes_that_a_layer_refuses() -> None:
    nodes = [node("Reshape", "x wanted", "y", name="view")]
    with pytest.raises(TrousError, match=r"node view .*cannot reshape"):
        trace(model_of(nodes, {"wanted": np.array([1, 5, -1])}))
