"""Operators that work number by number, as expressions: of their arguments by name, expressions or plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from trous.backends.cpu.stack.program import Call, Expression, Number
from trous.streaming.fused.values import added

Arguments = Mapping[str, Any]


def _of(value: Any) -> Expression:
    """An argument that may be a plain number."""
    return Number(float(value)) if isinstance(value, (int, float)) else value


def _pair(function: str) -> Callable[[Arguments], Expression]:
    return lambda given: Call(function, (_of(given["self"]), _of(given["other"])))


def _single(function: str) -> Callable[[Arguments], Expression]:
    return lambda given: Call(function, (given["self"],))


def _scaled(given: Arguments) -> Expression:
    """`alpha * other`."""
    other, alpha = _of(given["other"]), given.get("alpha", 1)
    return other if alpha == 1 else Call("mul", (other, Number(float(alpha))))


def _between(x: Expression, low: Any, high: Any) -> Expression:
    if low is not None:
        x = Call("maximum", (x, _of(low)))
    return x if high is None else Call("minimum", (x, _of(high)))


def _gate(x: Expression, given: Expression) -> Expression:
    return Call("mul", (x, given))


def _hard_sigmoid(x: Expression) -> Expression:
    return Call("div", (_between(Call("add", (x, Number(3.0))), 0.0, 6.0), Number(6.0)))


def _power(given: Arguments) -> Expression | None:
    return Call("mul", (given["self"], given["self"])) if given["exponent"] == 2 else None


#: By the operator's name; None where arguments ask for something else than is written here.
FUNCTIONS: dict[str, Callable[[Arguments], Expression | None]] = {
    "add": lambda given: added(_of(given["self"]), _scaled(given)),
    "sub": lambda given: Call("sub", (_of(given["self"]), _scaled(given))),
    "rsub": lambda given: Call("sub", (_scaled(given), _of(given["self"]))),
    "mul": _pair("mul"),
    "div": lambda given: None if given.get("rounding_mode") else _pair("div")(given),
    "maximum": _pair("maximum"),
    "minimum": _pair("minimum"),
    "neg": _single("neg"),
    "abs": _single("abs"),
    "tanh": _single("tanh"),
    "sigmoid": _single("sigmoid"),
    "relu": _single("relu"),
    "leaky_relu": lambda given: Call("prelu", (given["self"], Number(float(given["negative_slope"])))),
    "_prelu_kernel": lambda given: Call("prelu", (given["self"], given["weight"])),
    "hardtanh": lambda given: _between(given["self"], given["min_val"], given["max_val"]),
    "relu6": lambda given: _between(given["self"], 0.0, 6.0),
    "clamp": lambda given: _between(given["self"], given["min"], given["max"]),
    "clamp_min": lambda given: _between(given["self"], given["min"], None),
    "silu": lambda given: _gate(given["self"], Call("sigmoid", (given["self"],))),
    "hardsigmoid": lambda given: _hard_sigmoid(given["self"]),
    "hardswish": lambda given: _gate(given["self"], _hard_sigmoid(given["self"])),
    "square": lambda given: _gate(given["self"], given["self"]),
    "pow": _power,
}
#: Activations that layers of trous.nn apply themselves, by their names.
ACTIVATIONS: dict[str, Callable[[Expression, float], Expression]] = {
    "relu": lambda x, _: Call("relu", (x,)),
    "leaky_relu": lambda x, slope: Call("prelu", (x, Number(slope))),
    "tanh": lambda x, _: Call("tanh", (x,)),
    "sigmoid": lambda x, _: Call("sigmoid", (x,)),
}
