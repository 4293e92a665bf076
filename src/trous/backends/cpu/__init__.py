"""Machine code generated from the plan, for processors that LLVM knows.

LLVM is loaded with the first call: `import trous` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from trous.arrays import device_name, dtype_name
from trous.backends.operation import Operation

_HOME = {
    "account": "forward_pass",
    "forward": "forward_pass",
    "prelu": "finishing",
    "prepare": "forward_pass",
    "prepare_packed": "forward_pass",
    "weight_grad": "weight_pass",
    "available": "target",
    "use": "target",
    "threads": "run",
}

__all__ = [
    "account",
    "available",
    "forward",
    "prelu",
    "prepare",
    "prepare_packed",
    "threads",
    "use",
    "weight_grad",
    "why_not",
]


def why_not(operation: Operation, x: Any) -> str | None:
    if device_name(x) != "cpu":
        return f"device {device_name(x)} is not the CPU"
    if dtype_name(x) not in ("float64", "float32", "bfloat16", "float16"):
        return f"dtype {dtype_name(x)} is none of float64, float32, bfloat16, float16"
    return None


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    return found
