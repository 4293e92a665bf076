"""How a problem is written: one word without blanks.

    conv_transpose,n1,c64-32,x128x128,k3x3,s2,p1,op1,d2,g4,f64,last,bias

kind, batch, channels in-out, input size, kernel, stride, padding, output_padding, dilation, groups, dtype, `last` for
channels-last, `bias` for a layer with one. Stride 1, padding 0, output_padding 0, dilation 1, groups 1, f32 are left
out; a number that all axes share is written once, but for size and kernel (whose one number `k3` is read as well).
Padding is also `p1:2x0:0`, (before, after) per axis, or `psame`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from trous.errors import TrousError
from trous.plan.padding import PADDING_WORDS
from trous.spec import Conv, ConvTranspose

if TYPE_CHECKING:
    from trous.problem.problem import Problem

KINDS: dict[str, type[Conv] | type[ConvTranspose]] = {"conv": Conv, "conv_transpose": ConvTranspose}
DTYPES: dict[str, str] = {"f32": "float32", "f64": "float64", "bf16": "bfloat16", "f16": "float16"}
_FLAGS = {"last": "channels_last", "bias": "bias"}
_DEFAULTS = (("s", "stride", "1"), ("p", "padding", "0"), ("op", "output_padding", "0"), ("d", "dilation", "1"))


def problem_text(problem: Problem) -> str:
    """The problem in its one canonical spelling."""
    spec = problem.spec
    fields = [
        problem.kind,
        f"n{problem.batch}",
        f"c{problem.in_channels}-{problem.out_channels}",
        f"x{_joined(problem.size)}",
        f"k{_joined(spec.kernel)}",
    ]
    per_axis = [spec.axis_arguments(axis) for axis in range(problem.ndim)]
    for letters, name, default in _DEFAULTS:
        if name in per_axis[0]:
            text = _argument([arguments[name] for arguments in per_axis])
            fields += [letters + text] if text != default else []
    fields += [f"g{spec.groups}"] if spec.groups > 1 else []
    fields += [short for short, name in DTYPES.items() if name == problem.dtype != "float32"]
    fields += [flag for flag, name in _FLAGS.items() if getattr(problem, name)]
    return ",".join(fields)


def parse_spec(text: str) -> tuple[Conv | ConvTranspose, tuple[int, ...] | None]:
    """The spec that a problem's text says, and the size where it says one: channels and size may be left out.

    >>> parse_spec("conv_transpose,k4x4,s2,p1")
    (ConvTranspose(kernel=(4, 4), stride=2, padding=1, output_padding=0, dilation=1, groups=1), None)
    """
    spec, rest = parse_fields(text, needed="k")
    size = rest.get("size")
    try:
        layer = KINDS[spec.pop("kind")](**spec)
        if size is not None and layer.ndim not in (None, len(size)):
            raise TrousError("size", f"must have one entry for each of {layer.ndim} axes", size)
    except TrousError as error:
        raise error.within(text) from None
    return layer, size


def parse_fields(text: str, needed: str = "cxk") -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of the spec, its `kind` among them, and those of the problem. `needed` are letters of fields."""
    kind, *fields = text.split(",")
    if kind not in KINDS:
        raise TrousError("problem", f"must begin with {' or '.join(KINDS)}", text)
    given: dict[str, Any] = {}
    for field in fields:
        name, value = _parse_field(field, text)
        if name in given:
            raise TrousError(f"problem field {name}", "must be stated once", field, text)
        given[name] = value
    for letters in needed:
        name = _FIELDS[letters][0]
        if name not in given:
            raise TrousError("problem", f"must state {name} ({letters})", text)
    if "output_padding" in given and kind == "conv":
        raise TrousError("problem", "must have output_padding (op) for conv_transpose only", text)
    channels = dict(zip(("in_channels", "out_channels"), given.pop("channels", ()), strict=False))
    spec = {name: given.pop(name) for name in list(given) if name in KINDS[kind].__dataclass_fields__}
    return {"kind": kind, **spec}, {"batch": 1, **channels, **given}


def _joined(values: Sequence[Any]) -> str:
    return "x".join(map(str, values))


def _argument(values: list[Any]) -> str:
    """One argument's values, one for each axis: once where all agree."""
    if isinstance(values[0], str):
        return values[0]
    if isinstance(values[0], tuple):
        if any(before != after for before, after in values):
            return _joined([f"{before}:{after}" for before, after in values])
        values = [before for before, _ in values]
    return _joined(values[:1] if len(set(values)) == 1 else values)


def _per_axis(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split("x")))


def _shared(text: str) -> int | tuple[int, ...]:
    return _per_axis(text) if "x" in text else int(text)


def _channels(text: str) -> tuple[int, int]:
    in_channels, out_channels = text.split("-")
    return int(in_channels), int(out_channels)


def _padding(text: str) -> Any:
    if text in PADDING_WORDS:
        return text
    if ":" not in text:
        return _shared(text)
    pairs = [pair.split(":") for pair in text.split("x")]
    return tuple((int(before), int(after)) for before, after in pairs)


#: Letters of a field: argument, what must follow, how it is read. A reader raises ValueError for what it cannot read.
_FIELDS: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "n": ("batch", "an integer", int),
    "c": ("channels", "two integers, in-out", _channels),
    "x": ("size", "integers joined by x", _per_axis),
    "k": ("kernel", "integers joined by x", _shared),
    "s": ("stride", "integers joined by x", _shared),
    "p": ("padding", f"integers or before:after pairs joined by x, or {', '.join(PADDING_WORDS)}", _padding),
    "op": ("output_padding", "integers joined by x", _shared),
    "d": ("dilation", "integers joined by x", _shared),
    "g": ("groups", "an integer", int),
}
#: int() would also take blanks, signs and underscores.
_PLAIN = re.compile(r"[0-9]+([x:-][0-9]+)*|[a-z]+")


def _parse_field(field: str, problem: str) -> tuple[str, Any]:
    if field in DTYPES:
        return "dtype", DTYPES[field]
    if field in _FLAGS:
        return _FLAGS[field], True
    letters = "op" if field.startswith("op") else field[:1]
    if letters not in _FIELDS:
        known = ", ".join([*_FIELDS, *DTYPES, *_FLAGS])
        raise TrousError("problem field", f"must begin with or be one of {known}", field, problem)
    name, rule, read = _FIELDS[letters]
    value = field[len(letters) :]
    try:
        if not _PLAIN.fullmatch(value):
            raise ValueError(value)
        return name, read(value)
    except ValueError:
        raise TrousError(f"problem field {name} ({letters})", f"must be {rule}", field, problem) from None
