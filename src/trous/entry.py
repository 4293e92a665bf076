"""What every entry does first: check the arguments of a call once and turn them into numbers.

NumPy and torch come through here alike. The result depends on shapes, dtypes, devices and arguments only, so it is
kept; a call that was made before costs one look-up. Errors leave with the whole call on their second line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isfinite, prod
from typing import Any, NamedTuple

from trous.backends import Operation
from trous.backends.epilogue import ACTIVATIONS, NOTHING, SLOPE, Epilogue
from trous.backends.execute import Form, Ready, operation
from trous.backends.execute import ready as prepare
from trous.errors import TrousError
from trous.plan import Plan
from trous.settings import state
from trous.spec import Conv, ConvTranspose, index

FLOATS = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128")

#: The first number of bytes that 64-bit addresses cannot hold.
TOO_LARGE = 2**63


class Array(NamedTuple):
    """What a call depends on of an array: everything but its values and strides."""

    shape: Any
    dtype: Any
    device: Any = None

    def __str__(self) -> str:
        return f"{tuple(self.shape)} {_dtype(self)}"


class Arguments(NamedTuple):
    """The arguments as the user gave them."""

    transposed: bool
    stride: Any = 1
    padding: Any = 0
    output_padding: Any = 0
    dilation: Any = 1
    groups: Any = 1
    output_size: Any = None
    activation: Any = None
    residual: Any = None  #: the fields of `Array`


class Geometry(NamedTuple):
    """Where outputs and inputs meet, in numbers, one per axis; `before` zeros are padded (of the adjoint: cropped)."""

    output_size: tuple[int, ...]
    stride: tuple[int, ...]
    before: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    transposed: bool


@dataclass(frozen=True)
class Call:
    """A checked call. Shapes are the batched ones."""

    batched: bool
    x_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    geometry: Geometry
    epilogue: Epilogue = NOTHING

    @cached_property
    def operation(self) -> Operation:
        return operation(self.x_shape, self.w_shape, *self.geometry)


def check(x: tuple, w: tuple, bias: tuple | None, *arguments: Any) -> Call:
    """The call in numbers. Raises TrousError for whatever cannot be, with the whole call in the message.

    Arrays come as the fields of `Array`, arguments as those of `Arguments`, both as plain tuples, which are cheap.
    """
    try:
        return _checked(x, w, bias, *arguments)
    except TypeError:  # something cannot be hashed: a list, or a size that is still a symbol
        arguments = tuple(map(_frozen, arguments))
    try:
        return _checked(x, w, bias, *arguments)
    except TypeError:
        return _checked.__wrapped__(x, w, bias, *arguments)


def ready(x: tuple, w: tuple, bias: tuple | None, residual: tuple | None, activation: Any, *arguments: Any) -> Any:
    """A call that was made before, or could have been, ready to run: `Ready`, or None if it takes more than one pass.

    Arrays come as the fields of `Form`. Raises TrousError as `check` does.
    """
    try:
        return _ready(state(), x, w, bias, residual, activation, *arguments)
    except TypeError:  # a list among the arguments
        return None


@lru_cache(maxsize=1024, typed=True)  # with what it finds go the tables of kernels, which may be large
def _ready(
    _: tuple, x: tuple, w: tuple, bias: tuple | None, residual: tuple | None, activation: Any, *arguments: Any
) -> Ready | None:
    forms = Form(*x), Form(*w), None if bias is None else Form(*bias), None if residual is None else Form(*residual)
    if not all(form is None or form.is_readable for form in forms):
        return None
    seen: Any = [None if form is None else (form.shape, form.dtype) for form in forms]
    call = check(*seen[:3], *arguments, activation, seen[3])
    return prepare(call.operation, call.epilogue, call.batched, *forms)


def describe(arguments: Arguments, x: Any, w: Any, bias: Any) -> str:
    """The call in one line, arguments that were left alone omitted."""
    name = "conv_transpose" if arguments.transposed else "conv"
    residual = None if arguments.residual is None else Array(*arguments.residual)
    named = (("x", x), ("w", w), ("bias", bias), ("residual", residual))
    arrays = [f"{n} {a}" for n, a in named if a is not None]
    given = [(n, v) for n, v in arguments._asdict().items() if n in Arguments._field_defaults and n != "residual"]
    rest = [f"{n}={v!r}" for n, v in given if repr(v) != repr(Arguments._field_defaults[n])]
    return f"trous.{name}: {', '.join(arrays + rest)}"


@lru_cache(maxsize=4096, typed=True)  # typed: True and 1.0 equal 1, and are no stride
def _checked(x: tuple, w: tuple, bias: tuple | None, *arguments: Any) -> Call:
    given = Arguments(*arguments)
    arrays = Array(*x), Array(*w), None if bias is None else Array(*bias)
    try:
        _check_arrays(*arrays, None if given.residual is None else Array(*given.residual))
        return _call(given, *arrays)
    except TrousError as error:
        raise error.within(describe(given, *arrays)) from None


def _for_all_axes(value: Any) -> Any:
    """As in torch, a sequence of one number is for any number of axes."""
    one = isinstance(value, (tuple, list)) and len(value) == 1 and not isinstance(value[0], (tuple, list))
    return value[0] if one else value


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _dtype(array: Array) -> str:
    return str(array.dtype).removeprefix("torch.")


def _check_arrays(x: Array, w: Array, bias: Array | None, residual: Array | None) -> None:
    if _dtype(x) not in FLOATS:
        hint = "convert it, for instance to float32" if "int" in _dtype(x) or "bool" in _dtype(x) else "convert it"
        raise TrousError("x", f"must have one of the dtypes {', '.join(FLOATS)} ({hint})", _dtype(x))
    for name, array in (("w", w), ("bias", bias), ("residual", residual)):
        if array is None:
            continue
        if array.dtype != x.dtype:
            raise TrousError(name, f"must have the dtype of x, {_dtype(x)}", _dtype(array))
        if array.device != x.device:
            raise TrousError(name, f"must be on the device of x, {x.device}", str(array.device))


def _call(arguments: Arguments, x: Array, w: Array, bias: Array | None) -> Call:
    transposed, *along, groups, output_size, activation, residual = arguments
    stride, padding, output_padding, dilation = map(_for_all_axes, along)
    ndim = len(w.shape) - 2
    if not 1 <= ndim <= 3:
        layout = "(in_channels, out_channels/groups" if transposed else "(out_channels, in_channels/groups"
        raise TrousError("w", f"must have 3, 4 or 5 axes, {layout}, *kernel)", tuple(w.shape))
    if len(x.shape) not in (ndim + 1, ndim + 2):
        rule = f"must have the {ndim} spatial axes of w behind its channels, (batch, channels, *size) or without batch"
        raise TrousError("x", rule, tuple(x.shape))
    batched = len(x.shape) == ndim + 2
    x_shape = tuple(x.shape) if batched else (1, *x.shape)
    layer = transposed, tuple(w.shape[2:]), stride, padding, output_padding, dilation, groups
    try:
        spec, plan, per_axis = _layer(*layer)
    except TypeError:  # a size that is still a symbol
        spec, plan, per_axis = _layer.__wrapped__(*layer)
    if transposed and output_size is not None and spec.output_padding not in (0, (0,) * ndim):
        raise TrousError("output_padding", "must be left at 0 beside output_size", output_padding)
    out_channels = _check_channels(spec, transposed, x_shape[1], w.shape)
    if bias is not None and tuple(bias.shape) != (out_channels,):
        rule = f"must have one number for each of the {out_channels} output channels, shape ({out_channels},)"
        raise TrousError("bias", rule, tuple(bias.shape))
    size = x_shape[2:]
    if output_size is None:
        outputs = tuple([axis.output_size(n) for axis, n in zip(plan.axes, size, strict=True)])
        for n, out in zip(size, outputs, strict=True):
            spec.check_output(size, n, out)
    else:
        outputs = requested_size(spec, size, output_size)
    y_shape = (x_shape[0], out_channels, *outputs)
    _check_bytes(y_shape, x.dtype)
    epilogue = requested_epilogue(activation, residual is not None)
    if epilogue.activation is not None and _dtype(x).startswith("complex"):
        raise TrousError("activation", "must be None for complex numbers", activation)
    if residual is not None and tuple(residual[0]) != (wanted := y_shape if batched else y_shape[1:]):
        raise TrousError("residual", f"must have the shape of the output, {wanted}", tuple(residual[0]))
    geometry = Geometry(outputs, **per_axis, groups=spec.groups, transposed=transposed)
    return Call(batched, x_shape, tuple(w.shape), geometry, epilogue)


@lru_cache(maxsize=1024, typed=True)
def _layer(transposed: bool, kernel: tuple[int, ...], *arguments: Any) -> tuple[Any, Plan, dict[str, tuple[int, ...]]]:
    """What a call says whatever the sizes: the spec, its plan, and of its geometry what has one number per axis."""
    stride, padding, output_padding, dilation, groups = arguments
    spec: Conv | ConvTranspose
    if transposed:
        spec = ConvTranspose(kernel, stride, padding, output_padding, dilation, groups)
    else:
        spec = Conv(kernel, stride, padding, dilation, groups)
    axes = range(len(kernel))
    per_axis = {name: tuple(spec.axis_arguments(axis)[name] for axis in axes) for name in ("stride", "dilation")}
    per_axis["before"] = tuple(spec.axis_padding(axis)[0] for axis in axes)
    return spec, spec.plan(len(kernel)), per_axis


def requested_epilogue(activation: Any, residual: bool = False) -> Epilogue:
    """What `activation` says: None, a name, or `("leaky_relu", slope)`."""
    name, *slope = activation if isinstance(activation, (tuple, list)) else (activation,)
    if name is not None and (not isinstance(name, str) or name not in ACTIVATIONS):
        names = ", ".join(ACTIVATIONS)
        raise TrousError("activation", f'must be None, one of {names}, or ("leaky_relu", slope)', activation)
    if slope and (name != "leaky_relu" or len(slope) > 1 or not _is_finite(slope[0])):
        raise TrousError("activation", 'must be a name, or ("leaky_relu", slope) with a finite number', activation)
    return Epilogue(name, float(slope[0]) if slope else SLOPE, residual)


def _is_finite(number: Any) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and isfinite(number)


def _check_channels(spec: Any, transposed: bool, channels: int, w_shape: Any) -> int:
    """The number of output channels, once groups, x and w agree."""
    first, second = w_shape[:2]
    kind = "input" if transposed else "output"
    if first % spec.groups:
        raise TrousError("groups", f"must divide the {first} {kind} channels of w", spec.groups)
    wanted = first if transposed else second * spec.groups
    if channels != wanted:
        reason = "" if transposed else f" ({second} in w for each of the groups, {spec.groups})"
        raise TrousError("x", f"must have the {wanted} channels that w reads{reason}", channels)
    return second * spec.groups if transposed else first


def requested_size(spec: Any, size: tuple[int, ...], wanted: Any) -> tuple[int, ...]:
    """The output size asked for, if it can be had. As in torch, batch and channels may stand in front."""
    sizes = tuple(wanted) if isinstance(wanted, (tuple, list)) else (wanted,) * len(size)
    if len(sizes) not in (len(size), len(size) + 1, len(size) + 2):
        raise TrousError("output_size", f"must have one entry for each of {len(size)} axes", wanted)
    try:
        sizes = tuple(map(_size, sizes[-len(size) :]))
    except TypeError:
        raise TrousError("output_size", "must be an integer or one integer per axis", wanted) from None
    intervals = spec.reachable(size)
    for n, (low, high) in zip(sizes, intervals, strict=True):
        if not max(low, 0) <= n <= high:
            text = " x ".join(f"{low} to {high}" for low, high in intervals)
            raise TrousError("output_size", f"must be reachable, which is {text} from an input of size {size}", wanted)
    return sizes


def _size(n: Any) -> Any:
    """`n` as an int; a size that is still a symbol stays one."""
    return n if type(n) is int or type(n).__name__ == "SymInt" else index(n)


def _check_bytes(shape: tuple[int, ...], dtype: Any) -> None:
    if all(type(n) is int for n in shape) and prod(shape) * dtype.itemsize >= TOO_LARGE:
        raise TrousError("the output", "must stay below 2**63 bytes", shape)
