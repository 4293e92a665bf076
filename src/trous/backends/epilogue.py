"""What follows a convolution in the same pass: the sum with a residual, then an activation.

    y = activation(conv(x, w) + bias + residual)

The definition of every activation is here, in NumPy; back-ends that run on torch tensors take torch's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trous.arrays import is_torch

SLOPE = 0.01


@dataclass(frozen=True)
class Epilogue:
    """What is done to finished sums. With nothing to do it is false.

    `slope` is what leaky_relu multiplies negative numbers by, and means nothing for the others. `residual` says that an
    array of the output's shape is added before the activation.
    """

    activation: str | None = None
    slope: float = SLOPE
    residual: bool = False

    def __bool__(self) -> bool:
        return self.activation is not None or self.residual

    @property
    def code(self) -> Epilogue:
        """The part that code is compiled for; the slope is a number that it reads."""
        return replace(self, slope=SLOPE)

    @property
    def word(self) -> str:
        """The epilogue in a kernel's name: "" for none, "_relu", "_residual", "_tanh_residual"."""
        return "".join(f"_{part}" for part in (self.activation, "residual" if self.residual else None) if part)


NOTHING = Epilogue()


def finish(total: Any, epilogue: Epilogue, residual: Any) -> Any:
    """`activation(total + residual)`, in the memory of `total`, a NumPy array or torch tensor, where that can be."""
    if epilogue.residual:
        total += residual
    if epilogue.activation is None:
        return total
    if is_torch(total):
        import torch

        leaky = lambda a: torch.nn.functional.leaky_relu_(a, epilogue.slope)  # noqa: E731
        return leaky(total) if epilogue.activation == "leaky_relu" else getattr(total, f"{epilogue.activation}_")()
    total[...] = ACTIVATIONS[epilogue.activation](total, epilogue.slope)
    return total


def _sigmoid(a: Any) -> Any:
    e = np.exp(-np.abs(a))  # never overflows
    return np.where(a < 0, e, 1) / (1 + e)


#: Of NumPy arrays, with the slope as second argument. NaN stays NaN.
ACTIVATIONS: dict[str, Callable[[Any, float], Any]] = {
    "relu": lambda a, _: np.where(a < 0, 0, a),
    "leaky_relu": lambda a, slope: np.where(a > 0, a, a * a.dtype.type(slope)),
    "tanh": lambda a, _: np.tanh(a),
    "sigmoid": lambda a, _: _sigmoid(a),
}
