"""`conv` and `conv_transpose`, and the same under the names and signatures of torch.nn.functional.

`conv1d` ... `conv_transpose3d` take torch's arguments in torch's order, and NumPy arrays as well. They take every
padding of `conv` and `conv_transpose`, but for a convolution "same" at stride 1 only, as in torch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from trous.arrays import is_torch
from trous.backends.execute import execute, operation, split_complex
from trous.entry import Call, check, ready
from trous.errors import TrousError
from trous.frozen import Frozen
from trous.spec import Ints, Padding

#: None, the name of an activation, or `("leaky_relu", slope)`.
Activation = str | tuple[str, float] | None

__all__ = [
    "conv",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]


def conv(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    activation: Activation = None,
    residual: Any = None,
) -> Any:
    """Convolution (cross-correlation, as in deep learning) of one, two or three dimensions, by the rank of `w`.

    Args:
        x: `(batch, in_channels, *size)`, or `(in_channels, *size)`. A NumPy array, a torch tensor (with autograd), or
            any array with `__dlpack__`. Channels-last memory of x, or in 2-D of w, is read as it is and gives a
            channels-last output.
        w: `(out_channels, in_channels/groups, *kernel)`, of the library, dtype and device of x, or `freeze` of it.
        bias: `(out_channels,)` or None.
        stride, dilation: integers or one per axis.
        padding: also a `(before, after)` pair per axis, `((1, 2),)` in 1-D, or "valid", "same" (`ceil(size/stride)`
            outputs), "causal", "full"; see `trous.plan.padding`.
        groups: channels are split into so many parts that do not see each other.
        activation: what the sums pass through on their way out: "relu", "leaky_relu", "tanh", "sigmoid", or
            `("leaky_relu", slope)`; the slope is 0.01 otherwise. None for complex numbers.
        residual: an array of the shape of the output, of the library, dtype and device of x, with any strides, which is
            added before the activation.

    Returns:
        `activation(conv(x, w) + bias + residual)`, `(batch, out_channels, *output_size)`, without batch where x has
        none, in the library of x. float16 and bfloat16 add up in float32 and are rounded at the end.

    Raises:
        TrousError: an argument that cannot be, by name, with the rule, its value and the whole call.

    >>> conv(np.ones((1, 1, 5)), np.ones((1, 1, 3)), dilation=2)
    array([[[3.]]])
    """
    return _run(x, w, bias, residual, activation, False, stride, padding, 0, dilation, groups, None)


def conv_transpose(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    output_size: Ints | None = None,
    activation: Activation = None,
    residual: Any = None,
) -> Any:
    """Transposed convolution: the adjoint of `conv` with the same numbers, of one, two or three dimensions.

    Args:
        x: `(batch, in_channels, *size)`, or `(in_channels, *size)`; arrays as in `conv`.
        w: `(in_channels, out_channels/groups, *kernel)`, or `freeze` of it.
        bias: `(out_channels,)` or None.
        stride, dilation: integers or one per axis.
        padding: crops the output, as in torch. "same" gives `size*stride`, "causal" gives `size*stride` outputs none of
            which sees a later input; otherwise as in `conv`.
        output_padding: lengthens the output behind, without adding taps; smaller than stride or dilation.
        groups: channels are split into so many parts that do not see each other.
        output_size: the output size itself, instead of output_padding: any that the convolution maps back to the size
            of x. Batch and channels may stand in front of it; they are not looked at.
        activation, residual: as in `conv`.

    Returns:
        `(batch, out_channels, *output_size)`, without batch where x has none, in the library of x.

    Raises:
        TrousError: an argument that cannot be, by name, with the rule, its value and the whole call.

    >>> conv_transpose(np.ones((1, 1, 2)), np.ones((1, 1, 3)), stride=2)
    array([[[1., 1., 2., 1., 1.]]])
    """
    return _run(x, w, bias, residual, activation, True, stride, padding, output_padding, dilation, groups, output_size)


def _run(x: Any, w: Any, bias: Any, residual: Any, activation: Any, *arguments: Any) -> Any:
    if type(x) is type(w) is _Array and type(bias) in _ARRAY_OR_NONE and type(residual) in _ARRAY_OR_NONE:
        beside = None if residual is None else _form(residual)
        call = ready(_form(x), _form(w), None if bias is None else _form(bias), beside, activation, *arguments)
        if call is not None:
            return call(x, w, bias, residual)
        return _run_numpy(x, w, bias, residual, activation, arguments)
    if type(w) is Frozen:
        return _run_frozen(x, w, bias, residual, activation, arguments)
    if is_torch(x):
        from trous.autograd import convolve

        return convolve(x, w, bias, residual, activation, arguments)
    if _is_placeholder(x):
        return _recorded(_run, x, w, bias, residual, activation, *arguments)
    bias = None if bias is None else as_numpy("bias", bias)
    residual = None if residual is None else as_numpy("residual", residual)
    y = _run_numpy(as_numpy("x", x), as_numpy("w", w), bias, residual, activation, arguments)
    return y if isinstance(x, np.ndarray) else _back(y, x)


def _run_frozen(x: Any, w: Frozen, bias: Any, residual: Any, activation: Any, arguments: tuple) -> Any:
    if is_torch(x):
        from trous.autograd import convolve_frozen

        return convolve_frozen(x, w, bias, residual, activation, arguments)
    if type(x) is type(w.array) is _Array and type(bias) in _ARRAY_OR_NONE and type(residual) in _ARRAY_OR_NONE:
        beside = None if residual is None else _form(residual)
        call = ready(_form(x), _form(w.array), None if bias is None else _form(bias), beside, activation, *arguments)
        if call is not None:
            return w.run(call, x, bias, residual)
    return _run(x, w.array, bias, residual, activation, *arguments)


_Array, _ARRAY_OR_NONE = np.ndarray, (np.ndarray, type(None))


def _form(a: np.ndarray) -> tuple:
    """The fields of `Form`."""
    return a.shape, a.strides, a.dtype, a.flags.aligned


def _is_placeholder(x: Any) -> bool:
    """What stands for a torch tensor and is none, while torch.fx traces, for instance."""
    return hasattr(type(x), "__torch_function__") and not is_torch(x)


def _recorded(function: Any, x: Any, *arguments: Any) -> Any:
    """`function(x, *arguments)`, as `x` wants it."""
    from torch.overrides import handle_torch_function

    return handle_torch_function(function, (x,), x, *arguments)


def _run_numpy(x: Any, w: Any, bias: Any, residual: Any, activation: Any, arguments: tuple) -> Any:
    x, w = plain(x), plain(w)
    if bias is not None:
        bias = plain(bias)
    if residual is not None:
        residual = plain(residual)
        arguments = (*arguments, activation, (residual.shape, residual.dtype))
    elif activation is not None:
        arguments = (*arguments, activation)
    key = None if bias is None else (bias.shape, bias.dtype)
    call = check((x.shape, x.dtype), (w.shape, w.dtype), key, *arguments)
    if not call.batched:
        return _numpy_output(call, x[None], w, bias, None if residual is None else residual[None])[0]
    return _numpy_output(call, x, w, bias, residual)


def _numpy_output(call: Call, x: Any, w: Any, bias: Any, residual: Any) -> Any:
    if x.dtype.kind != "c":
        return execute(call.operation, x, w, bias, call.epilogue, residual)

    def run(x: Any, w: Any) -> Any:
        return execute(operation(x.shape, w.shape, *call.geometry), x, w, None)

    y = split_complex(run, x, w, bias)
    return y if residual is None else y + residual


def plain(a: np.ndarray) -> np.ndarray:
    """`a`, or a copy where machine code could not read it: foreign byte order, or numbers across address steps."""
    if not a.dtype.isnative:
        a = a.astype(a.dtype.newbyteorder("="))
    return a if a.flags.aligned else a.copy()


def as_numpy(name: str, a: Any) -> Any:
    """A NumPy array over the memory of any array on the CPU."""
    if isinstance(a, np.ma.MaskedArray):
        raise TrousError(name, "must not be masked: fill it first, a convolution reads every value", type(a).__name__)
    if isinstance(a, np.ndarray):
        return np.asarray(a)
    if is_torch(a):
        raise TrousError(name, "must be an array of the library of x", type(a).__name__)
    if not hasattr(a, "__dlpack__"):
        raise TrousError(name, "must be an array: NumPy's, torch's, or one with __dlpack__", type(a).__name__)
    try:
        return np.from_dlpack(a)
    except (BufferError, RuntimeError, TypeError) as error:
        raise TrousError(name, f"must be readable through __dlpack__ ({error})", type(a).__name__) from error


def _back(y: np.ndarray, x: Any) -> Any:
    """`y` as an array of the library of `x`, where that reads __dlpack__; else as it is."""
    namespace = x.__array_namespace__() if hasattr(x, "__array_namespace__") else None
    from_dlpack = getattr(namespace, "from_dlpack", None)
    return y if from_dlpack is None else from_dlpack(y)


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Any:
    """torch.nn.functional.conv1d, on NumPy arrays too; see `conv`."""
    return _as_torch(input, weight, bias, 1, False, stride, padding, 0, dilation, groups)


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Any:
    """torch.nn.functional.conv2d, on NumPy arrays too; see `conv`."""
    return _as_torch(input, weight, bias, 2, False, stride, padding, 0, dilation, groups)


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Any:
    """torch.nn.functional.conv3d, on NumPy arrays too; see `conv`."""
    return _as_torch(input, weight, bias, 3, False, stride, padding, 0, dilation, groups)


def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Any:
    """torch.nn.functional.conv_transpose1d, on NumPy arrays too; see `conv_transpose`."""
    return _as_torch(input, weight, bias, 1, True, stride, padding, output_padding, dilation, groups)


def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Any:
    """torch.nn.functional.conv_transpose2d, on NumPy arrays too; see `conv_transpose`."""
    return _as_torch(input, weight, bias, 2, True, stride, padding, output_padding, dilation, groups)


def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Any:
    """torch.nn.functional.conv_transpose3d, on NumPy arrays too; see `conv_transpose`."""
    return _as_torch(input, weight, bias, 3, True, stride, padding, output_padding, dilation, groups)


def _as_torch(x: Any, w: Any, bias: Any, ndim: int, transposed: bool, *arguments: Any) -> Any:
    """A call whose name says the number of axes, under torch's rules where they are narrower than ours."""
    if _is_placeholder(x):
        return _recorded(_as_torch, x, w, bias, ndim, transposed, *arguments)
    if not hasattr(w, "shape"):
        w = as_numpy("w", w)
    check_as_torch(w, ndim, transposed, *arguments)
    return _run(x, w, bias, None, None, transposed, *arguments, None)


def check_as_torch(w: Any, ndim: int, transposed: bool, stride: Any, padding: Any, *_: Any) -> None:
    """Raises TrousError where the functions of torch's names take less than `conv` and `conv_transpose`."""
    if len(w.shape) != ndim + 2:
        raise TrousError("weight", f"must have {ndim + 2} axes", tuple(w.shape))
    if not transposed and isinstance(padding, str) and padding == "same" and set(_sequence(stride)) != {1}:
        raise TrousError("padding", '"same" needs stride 1, as in torch; trous.conv has it for any stride', padding)


def _sequence(value: Any) -> Any:
    return value if isinstance(value, (tuple, list)) else (value,)
