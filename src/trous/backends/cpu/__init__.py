"""Machine code generated from the plan, for processors that LLVM knows."""

from __future__ import annotations

from typing import Any

from trous.arrays import device_name, dtype_name
from trous.backends.cpu.forward import forward
from trous.backends.cpu.run import threads
from trous.backends.cpu.target import available, use
from trous.backends.cpu.weight_grad import weight_grad
from trous.backends.operation import Operation

__all__ = ["available", "forward", "threads", "use", "weight_grad", "why_not"]


def why_not(operation: Operation, x: Any) -> str | None:
    if device_name(x) != "cpu":
        return f"device {device_name(x)} is not the CPU"
    if dtype_name(x) not in ("float32", "float64"):
        return f"dtype {dtype_name(x)} is neither float32 nor float64"
    return None
