"""The forward pass, and so the gradient for the input, which is the forward pass of the adjoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

from trous import settings
from trous.arrays import address, dtype_name, wide
from trous.arrays import strides as strides_of
from trous.backends.cpu import (
    amx_dense,
    amx_pass,
    channelwise,
    dense,
    engine,
    finishing,
    gemm,
    rows,
    strip_plan,
    strips,
)
from trous.backends.cpu.narrow import STORED
from trous.backends.cpu.run import Bound, Prepared
from trous.backends.cpu.tables import Strides
from trous.backends.cpu.target import Target, current
from trous.backends.epilogue import NOTHING, Epilogue
from trous.backends.operation import Operation

#: Families whose kernels finish sums as they store them (`activations.Finish`): their `bind` takes the epilogue last.
#: Over the output of the others it is a pass of its own.
FUSING: frozenset[ModuleType] = frozenset({amx_dense, channelwise, gemm, strips})


def forward(
    operation: Operation, x: Any, w: Any, bias: Any, y: Any, epilogue: Epilogue = NOTHING, residual: Any = None
) -> None:
    if 0 in operation.output_shape:
        return
    beside = None if residual is None else strides_of(residual)
    run = prepare(operation, strides_of(x), strides_of(w), strides_of(y), dtype_name(x), epilogue, beside)
    if run is None:  # between two passes there must be no rounding
        bias, residual = (None if a is None else wide(a) for a in (bias, residual))
        total = wide(y)
        forward(operation, wide(x), wide(w), bias, total, epilogue, residual)
        y[...] = total
        return
    if bias is not None and strides_of(bias) != (1,):
        bias = bias.clone() if hasattr(bias, "clone") else bias.copy()
    run(*(0 if array is None else address(array) for array in (x, w, bias, residual, y)))


def prepare(
    operation: Operation,
    x: tuple[int, ...],
    w: tuple[int, ...],
    y: tuple[int, ...],
    element: str,
    epilogue: Epilogue,
    residual: tuple[int, ...] | None,
) -> Callable[..., None] | None:
    """The forward pass for arrays of these strides, to be called with the addresses of x, w, bias, residual and y, 0
    for none; a bias without gaps, a y that is not empty. None where it takes more than a pass."""
    checked = settings.get(settings.CHECK) == "1"
    strides = Strides.within(operation, x, w, y)
    return _prepared(operation, strides, element, current(), checked, epilogue, residual)


@lru_cache(maxsize=1024)
def _prepared(
    operation: Operation,
    strides: Strides,
    element: str,
    target: Target,
    checked: bool,
    epilogue: Epilogue,
    residual: tuple[int, ...] | None,
) -> Callable[..., None] | None:
    # A residual is read where its output is written, if both lie in memory alike.
    alike = residual is None or all(
        n == 1 or a == b for n, a, b in zip(operation.output_shape, residual, strides.y, strict=True)
    )
    fused = epilogue if alike else NOTHING
    family, shape, bound = _choice(operation, strides, element, target, checked, fused)
    done = fused if family in FUSING else NOTHING
    if done != epilogue and element in STORED:
        return None
    layouts = {
        "x": (operation.input_shape, strides.x),
        "w": (operation.weight_shape, strides.w),
        "bias": ((operation.out_channels,), (1,)),
        "y": (operation.output_shape, strides.y),
    }
    if done.residual:
        layouts["residual"] = layouts["y"]
    kernel = engine.function(shape.name, target, lambda: family.build(shape))
    run = Prepared.of(kernel, bound, layouts, operation.multiplications, checked)
    if done == epilogue:
        return run
    places = (("y", strides.y),) if residual is None else (("y", strides.y), ("residual", residual))
    finish = finishing.prepare(epilogue, operation.output_shape, places, element, target, checked)

    def run_and_finish(*pointers: int) -> None:
        run(*pointers)
        finish(*pointers)

    return run_and_finish


def kernel_for(operation: Operation, strides: Strides, element: str) -> str:
    """Name of the kernel that a forward pass takes."""
    return str(_choice(operation, strides, element, current(), False, NOTHING)[1].name)


def _choice(
    operation: Operation, strides: Strides, element: str, target: Target, checked: bool, epilogue: Epilogue
) -> tuple[ModuleType, Any, Bound]:
    """The family of kernels that suits, the shape to compile and the rest bound."""
    (kernel, _, bind), _ = _family(operation, strides, element, target)
    arguments = (operation, strides, element, target, checked)
    return kernel, *(bind(*arguments, epilogue) if kernel in FUSING else bind(*arguments))


class Family(NamedTuple):
    """A family of kernels, what says why it does not suit a problem, and what binds one."""

    kernel: ModuleType
    why_not: Callable[[Operation, Strides, str, Target], str | None]
    bind: Callable[..., tuple[Any, Bound]]


#: In the order in which they are asked: matrix tiles where they pay; dense, unless groups have few output channels.
FAMILIES = (
    Family(amx_dense, amx_pass.why_not, amx_pass.bind),
    Family(strips, strip_plan.why_not, strip_plan.bind),
    Family(channelwise, rows.why_not_channelwise, rows.bind_channelwise),
    Family(gemm, dense.why_not, dense.bind),
)


def _family(operation: Operation, strides: Strides, element: str, target: Target) -> tuple[Family, list[str]]:
    """The first that suits, and why the ones before it do not."""
    refusals: list[str] = []
    for family in FAMILIES:
        reason = family.why_not(operation, strides, element, target)
        if reason is None:
            return family, refusals
        refusals.append(f"{_name(family.kernel)}: {reason}")
    raise AssertionError("the last family takes everything")


def _name(kernel: ModuleType) -> str:
    return kernel.__name__.rpartition(".")[2]
