"""OpenVINO: a model of one operation whose weight is a constant. It knows one layout, and converts to its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from trous.bench.peers.job import Job, Prepared, Refused

_TYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}


def prepare(job: Job, last: bool) -> Prepared:
    import openvino

    if job.problem.dtype not in _TYPES:
        raise Refused(f"OpenVINO computes no {job.problem.dtype} on CPUs")
    kind = _TYPES[job.problem.dtype]
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": job.threads,
        "INFERENCE_PRECISION_HINT": kind,  # or float32 is computed in bfloat16 where the processor is good at it
    }
    compiled = openvino.Core().compile_model(_model(job, getattr(openvino.Type, kind)), "CPU", options)
    request = compiled.create_infer_request()
    request.set_input_tensor(_tensor(job.x, kind))
    return Prepared(request.infer, lambda _: [_array(request.get_output_tensor(), kind).astype(job.x.dtype)])


def _model(job: Job, kind: Any) -> Any:
    import openvino
    from openvino import opset13

    problem, axes, groups = job.problem, job.axes, job.problem.spec.groups
    x = opset13.parameter(problem.input_shape, kind)
    w = job.w if groups == 1 else job.w.reshape((groups, job.w.shape[0] // groups, *job.w.shape[1:]))
    arguments: dict[str, Any] = {
        "strides": [axis.stride for axis in axes],
        "pads_begin": [axis.before for axis in axes],
        "pads_end": [axis.after for axis in axes],
        "dilations": [axis.dilation for axis in axes],
    }
    name = "convolution" if groups == 1 else "group_convolution"
    if problem.kind == "conv_transpose":
        name += "_backprop_data"
        arguments["output_padding"] = [axis.output_padding for axis in axes]
    y = getattr(opset13, name)(x, _constant(w, kind), **arguments)
    if job.b is not None:
        y = opset13.add(y, _constant(job.b.reshape((-1, *[1] * len(axes))), kind))
    return openvino.Model([y], [x])


def _constant(numbers: np.ndarray, kind: Any) -> Any:
    from openvino import opset13

    return opset13.constant(numbers, kind)


def _tensor(numbers: np.ndarray, kind: str) -> Any:
    import openvino

    tensor = openvino.Tensor(getattr(openvino.Type, kind), list(numbers.shape))
    if kind == "bf16":
        import ml_dtypes

        tensor.data.view(ml_dtypes.bfloat16)[...] = numbers
    else:
        tensor.data[...] = numbers
    return tensor


def _array(tensor: Any, kind: str) -> np.ndarray:
    if kind != "bf16":
        return tensor.data
    import ml_dtypes

    return tensor.data.view(ml_dtypes.bfloat16)
