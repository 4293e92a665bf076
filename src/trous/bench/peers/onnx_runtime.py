"""ONNX Runtime: a graph of one node whose weight is a constant, as in an exported model. It knows one layout."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from trous.bench.peers.job import Job, Prepared


def prepare(job: Job, last: bool) -> Prepared:
    import ml_dtypes
    import onnxruntime

    dtype = np.dtype(ml_dtypes.bfloat16 if job.problem.dtype == "bfloat16" else job.problem.dtype)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(_model(job, dtype), options, providers=["CPUExecutionProvider"])
    x, y = job.x.astype(dtype), np.empty(job.problem.output_shape, dtype)
    binding = session.io_binding()  # reads and writes our arrays, with no copy in between
    binding.bind_cpu_input("x", x)
    binding.bind_output("y", "cpu", 0, dtype, y.shape, y.ctypes.data)
    return Prepared(partial(session.run_with_iobinding, binding), lambda _: [y.astype(job.x.dtype)])


def _model(job: Job, dtype: np.dtype) -> bytes:
    from onnx import helper, numpy_helper

    problem, axes = job.problem, job.axes
    attributes: dict[str, Any] = {
        "kernel_shape": [axis.kernel for axis in axes],
        "strides": [axis.stride for axis in axes],
        "pads": [axis.before for axis in axes] + [axis.after for axis in axes],
        "dilations": [axis.dilation for axis in axes],
        "group": problem.spec.groups,
    }
    if problem.kind == "conv_transpose":
        attributes["output_padding"] = [axis.output_padding for axis in axes]
    constants = {"w": job.w, "b": job.b}
    given = {name: numbers.astype(dtype) for name, numbers in constants.items() if numbers is not None}
    operator = "Conv" if problem.kind == "conv" else "ConvTranspose"
    node = helper.make_node(operator, ["x", *given], ["y"], **attributes)
    kind = helper.np_dtype_to_tensor_dtype(dtype)
    shapes = {"x": problem.input_shape, "y": problem.output_shape}
    x, y = (helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items())
    initializers = [numpy_helper.from_array(numbers, name) for name, numbers in given.items()]
    graph = helper.make_graph([node], "layer", [x], [y], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    return model.SerializeToString()
