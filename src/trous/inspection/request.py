"""`trous.inspect`: whatever the user has, a torch model, an ONNX file or specs, made a report."""

from __future__ import annotations

import operator
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trous.arrays import is_torch
from trous.errors import TrousError
from trous.inspection import spec_trace
from trous.inspection.report import Report
from trous.spec import Spec


def inspect(model: Any, input_size: Any = None, *, axes: Sequence[int] | None = None) -> Report:
    """What a network does to sizes, positions and budgets: a report, layer by layer, and warnings.

    For each layer the output's size, the receptive field with its jump and offset, the share of it that is seen, the
    parameters, the multiply-adds really executed and nominal ones, and the memory of what it gives out; see
    `trous.inspection.layers.Layer` and docs/inspecting.md.

    Args:
        model: a torch module, traced in eval mode by one run without data; or the path of an ONNX file; or specs
            (`Conv`, `ConvTranspose`) one behind the other, of one channel each, which need no torch.
        input_size: the shape of the input, `(batch, channels, *size)`; or `(*size)` alone or one number for all axes,
            for a torch model whose first convolution says the rest; or tensors; several shapes or tensors for several
            inputs. Of an ONNX file whose shapes are fixed it can be left out.
        axes: the dimensions of the input to follow; all but batch and channels, if not given.

    Raises:
        TrousError: the model does not accept such an input, or the input size does not say enough.

    >>> report = inspect(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.Conv2d(8, 8, 3)), (1, 3, 32, 32))
    >>> report.output.receptive_field, report[0].macs
    ((5, 5), 194400)
    """
    if isinstance(model, (str, Path)) or type(model).__module__.startswith("onnx"):
        from trous.inspection import onnx_trace

        shapes = None if input_size is None else _shapes(input_size)
        return Report(onnx_trace.trace(model, shapes, lambda rank: _followed(rank, axes)))
    specs = [model] if isinstance(model, Spec) else model
    if isinstance(specs, (list, tuple)) and specs and all(isinstance(spec, Spec) for spec in specs):
        return Report(spec_trace.trace(specs, _shapes(input_size)[0]))
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        rule = "must be a torch.nn.Module, the path of an ONNX file, or specs"
        raise TrousError("model", rule, type(model).__name__)
    if isinstance(model, torch.jit.ScriptModule):
        raise TrousError("model", "must be run by Python to be followed, not by TorchScript", type(model).__name__)
    from trous.inspection.torch_trace import trace

    inputs = tensors(torch, model, input_size)
    return Report(trace(model, inputs, [_followed(x.dim(), axes) for x in inputs]))


def _followed(rank: int, axes: Sequence[int] | None) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(2, rank)) or tuple(range(1, rank))
    if not all(isinstance(axis, int) and -rank <= axis < rank for axis in axes):
        raise TrousError("axes", f"must be dimensions of an input of rank {rank}", axes)
    return tuple(axis % rank for axis in axes)


def tensors(torch: Any, model: Any, given: Any) -> list[Any]:
    """Tensors to run the model with, where sizes were given zeros of the weights' type and device."""
    if is_torch(given):
        return [given]
    if isinstance(given, (list, tuple)) and given and all(is_torch(x) for x in given):
        return list(given)
    floats = [p for p in model.parameters() if p.is_floating_point()]
    dtype, device = (floats[0].dtype, floats[0].device) if floats else (torch.float32, "cpu")
    shapes = _shapes(given)
    if len(shapes) == 1:
        shapes = [_complete(model, shapes[0])]
    return [torch.zeros(shape, dtype=dtype, device=device) for shape in shapes]


def _shapes(given: Any) -> list[tuple[int, ...]]:
    """One shape for each input."""
    if given is None:
        raise TrousError("input_size", "must be given: (batch, channels, *size), or *size alone", given)
    several = isinstance(given, (list, tuple)) and given and all(isinstance(shape, (list, tuple)) for shape in given)
    shapes = []
    for shape in given if several else [given]:
        try:
            sizes = tuple(map(operator.index, shape if isinstance(shape, (list, tuple)) else [shape]))
        except TypeError:
            raise TrousError("input_size", "must be integers: (batch, channels, *size)", given) from None
        if not sizes or min(sizes) < 1:
            raise TrousError("input_size", "must be at least 1 on every axis", given)
        shapes.append(sizes)
    return shapes


def _complete(model: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The whole shape where only the size was given, or one number for all axes: batch 1, and channels as the first
    convolution has them."""
    for module in model.modules():
        channels, kernel = getattr(module, "in_channels", None), getattr(module, "kernel_size", None)
        if not isinstance(channels, int) or not isinstance(kernel, tuple):
            continue
        rank = len(kernel)
        shape = shape * rank if len(shape) == 1 else shape
        if len(shape) == rank:
            return (1, channels, *shape)
        return (1, *shape) if len(shape) == rank + 1 else shape
    return shape
