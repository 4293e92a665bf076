"""Every example that ONNX itself gives for its operators: outputs have the shapes that it says."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from trous.inspection import onnx_trace
from trous.inspection.onnx_call import OPERATORS

#: Whose sizes follow from values that only a run would know.
VALUES = ("blackmanwindow", "hammingwindow", "hannwindow")


def cases() -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return collect_testcases(None)


def fixed(model: onnx.ModelProto, arrays: list[Any]) -> onnx.ModelProto:
    """The model with every input but the first made a constant."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for given, array in zip(model.graph.input[1:], arrays[1:], strict=True):
        copy.graph.initializer.append(numpy_helper.from_array(np.asarray(array), given.name))
    del copy.graph.input[1:]
    return copy


@pytest.mark.slow
def test_shapes_of_the_standards_own_examples() -> None:
    wrong, count = [], 0
    for case in cases():
        if case.model is None or not case.data_sets or case.name.removeprefix("test_").startswith(VALUES):
            continue
        inputs, outputs = case.data_sets[0]
        arrays = [*inputs, *outputs]
        known = all(node.op_type in OPERATORS.keys() - {"Loop", "Scan"} for node in case.model.graph.node)
        if not known or not inputs or any(not isinstance(a, (np.ndarray, np.generic)) or a.size == 0 for a in arrays):
            continue
        shape = np.shape(inputs[0])
        graph = onnx_trace.trace(fixed(case.model, inputs), [shape], [list(range(len(shape)))])
        count += 1
        if [value.shape for value in graph.outputs] != [np.shape(y) for y in outputs]:
            wrong.append(case.name)
    assert not wrong and count > 1000
