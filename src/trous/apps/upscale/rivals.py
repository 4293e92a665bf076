"""The same network run by others: PyTorch in both memory formats, torch.compile, ONNX Runtime.

All continue the edge of the picture and cut off what comes of it, as `Network` does, so that all do the same work.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from trous.apps.upscale.network import ACTIVATION, Network

Call = Callable[[], np.ndarray]


def callers(network: Network, luma: np.ndarray, threads: int) -> dict[str, Call]:
    """By name: calls that enlarge the picture, `(height, width)`, float32."""
    import torch

    torch.set_num_threads(threads)
    module = _module(network)
    last: Any = _module(network)
    last = last.to(memory_format=torch.channels_last)
    x = torch.from_numpy(luma)[None, None]
    formats = {"PyTorch": (module, x), "PyTorch, channels last": (last, x.to(memory_format=torch.channels_last))}
    found: dict[str, Call] = {"trous": lambda: network(luma)}
    for name, (net, given) in formats.items():
        found[name] = _torch_call(net, given)
        found[name.replace("PyTorch", "torch.compile")] = _torch_call(torch.compile(net), given)
    return found | {"ONNX Runtime": _onnx_call(network, luma, threads)}


def _torch_call(net: Any, x: Any) -> Call:
    import torch

    def call() -> np.ndarray:
        with torch.inference_mode():
            return net(x)[0, 0].numpy()

    return call


def _module(network: Network) -> Any:
    """The network in torch.nn alone."""
    import torch
    from torch import nn

    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList()
            for weight, bias in network.convolutions:
                out, channels, kernel, _ = weight.shape
                self.layers.append(_filled(nn.Conv2d(channels, out, kernel, padding="same"), weight, bias))
            channels = network.up.shape[0]
            self.up, self.skip = (
                _filled(nn.ConvTranspose2d(n, 1, spec.kernel, spec.stride, spec.padding), weight, bias)
                for n, spec, weight, bias in (
                    (channels, network.up_spec, network.up, network.bias),
                    (1, network.skip_spec, network.skip, np.zeros(1, np.float32)),
                )
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = nn.functional.pad(x, [network.halo] * 4, mode="replicate")
            seen = [x]
            for layer in self.layers:
                seen.append(nn.functional.leaky_relu(layer(seen[-1]), ACTIVATION[1]))
            cut = network.halo * network.scale
            return (self.up(seen[-1] + seen[1]) + self.skip(x))[..., cut:-cut, cut:-cut]

    return Plain().eval()


def _filled(layer: Any, weight: np.ndarray, bias: np.ndarray) -> Any:
    import torch

    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


def _onnx_call(network: Network, luma: np.ndarray, threads: int) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(_onnx(network, luma.shape), options, providers=["CPUExecutionProvider"])
    x, scale = luma[None, None], network.scale
    y = np.empty((1, 1, luma.shape[0] * scale, luma.shape[1] * scale), np.float32)
    binding = session.io_binding()  # reads and writes our arrays, with no copy in between
    binding.bind_cpu_input("x", x)
    binding.bind_output("y", "cpu", 0, np.float32, y.shape, y.ctypes.data)

    def call() -> np.ndarray:
        session.run_with_iobinding(binding)
        return y[0, 0]

    return call


def _onnx(network: Network, size: tuple[int, ...]) -> bytes:
    """The network as an ONNX model for pictures of one size."""
    from onnx import TensorProto, helper, numpy_helper

    halo, cut = network.halo, network.halo * network.scale
    constants: dict[str, np.ndarray] = {
        "around": np.array([0, 0, halo, halo, 0, 0, halo, halo], np.int64),
        "starts": np.array([cut, cut], np.int64),
        "ends": np.array([-cut, -cut], np.int64),
        "axes": np.array([2, 3], np.int64),
    }
    nodes = [helper.make_node("Pad", ["x", "around"], ["padded"], mode="edge")]
    last = "padded"
    for number, (weight, bias) in enumerate(network.convolutions):
        constants |= {f"w{number}": weight, f"b{number}": bias}
        given, made, seen = [last, f"w{number}", f"b{number}"], f"sum{number}", f"hidden{number}"
        nodes += [
            helper.make_node("Conv", given, [made], auto_pad="SAME_UPPER"),
            helper.make_node("LeakyRelu", [made], [seen], alpha=ACTIVATION[1]),
        ]
        last = seen
    nodes.append(helper.make_node("Add", [last, "hidden0"], ["features"]))
    layers = {
        "up": (["features", "up_w", "up_b"], network.up_spec),
        "skip": (["padded", "skip_w"], network.skip_spec),
    }
    constants |= {"up_w": network.up, "up_b": network.bias, "skip_w": network.skip}
    for name, (given, spec) in layers.items():
        numbers = [list(spec.axis_padding(axis)[:2]) for axis in range(2)]
        pads = [before for before, _ in numbers] + [after for _, after in numbers]
        nodes.append(helper.make_node("ConvTranspose", given, [name], strides=[network.scale] * 2, pads=pads))
    nodes += [
        helper.make_node("Add", ["up", "skip"], ["large"]),
        helper.make_node("Slice", ["large", "starts", "ends", "axes"], ["y"]),
    ]
    shapes = {"x": [1, 1, *size], "y": [1, 1, *(n * network.scale for n in size)]}
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items())
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "upscaler", [x], [y], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10)
    return model.SerializeToString()
