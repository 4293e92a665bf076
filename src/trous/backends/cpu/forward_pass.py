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
    map_plan,
    maps,
    overlap,
    overlap_plan,
    packing,
    rows,
    stem_plan,
    stems,
    strip_plan,
    strips,
)
from trous.backends.cpu.narrow import STORED, summed_in
from trous.backends.cpu.run import Bound, Layout, Prepared, threads_used, work_of
from trous.backends.cpu.tables import Strides
from trous.backends.cpu.target import Target, current
from trous.backends.cpu.values import BYTES
from trous.backends.epilogue import NOTHING, Epilogue
from trous.backends.facts import FamilyFacts, KernelFacts
from trous.backends.operation import Operation


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


class Packed(NamedTuple):
    """A forward pass whose weight is packed once, before all calls."""

    key: str  #: passes with the same key read the same panels
    size: int  #: bytes of the panels
    pack: Callable[..., None]  #: for the addresses of nothing, the weight, nothing, nothing, the panels
    run: Callable[..., None]  #: as `prepare` gives it, with the panels in the place of the weight


def prepare_packed(
    operation: Operation,
    x: tuple[int, ...],
    w: tuple[int, ...],
    y: tuple[int, ...],
    element: str,
    epilogue: Epilogue,
    residual: tuple[int, ...] | None,
) -> Packed | None:
    """`prepare` for a weight that stays as it is; None where the kernel does not pack it anyway."""
    checked = settings.get(settings.CHECK) == "1"
    strides, target = Strides.within(operation, x, w, y), current()
    family, _ = _family(operation, strides, element, target)
    panels = None if family.panels is None else family.panels(operation, strides, element, target, checked)
    if not panels or not panels.length:
        return None
    run = _prepared(operation, strides, element, target, checked, epilogue, residual, panels.length)
    if run is None:
        return None
    kernel = engine.function(packing.name(panels.shape), target, lambda: packing.build(panels.shape, gemm.FIELDS))
    layouts = {"w": (operation.weight_shape, strides.w), "y": ((panels.length,), (1,))}
    pack = Prepared.of(kernel, panels.bound, layouts, 0, checked)
    return Packed(panels.key, panels.length * BYTES[element], pack, run)


@lru_cache(maxsize=1024)
def _prepared(
    operation: Operation,
    strides: Strides,
    element: str,
    target: Target,
    checked: bool,
    epilogue: Epilogue,
    residual: tuple[int, ...] | None,
    panels: int = 0,
) -> Callable[..., None] | None:
    """`panels`: how many numbers they have, where the weight was packed before."""
    done = _in_the_same_pass(operation, strides, epilogue, residual)
    if done != epilogue and element in STORED:
        return None
    layouts = _layouts(operation, strides, done)
    if panels:
        layouts["w"] = (panels,), (1,)
    family, _, shape, bound = _choice(operation, strides, element, target, checked, done, bool(panels))
    kernel = engine.function(shape.name, target, lambda: family.kernel.build(shape))
    run = Prepared.of(kernel, bound, layouts, operation.multiplications, checked)
    if done == epilogue:
        return run
    places = (("y", strides.y),) if residual is None else (("y", strides.y), ("residual", residual))
    finish = finishing.prepare(epilogue, operation.output_shape, places, element, target, checked)

    def run_and_finish(*pointers: int) -> None:
        run(*pointers)
        finish(*pointers)

    return run_and_finish


def _layouts(operation: Operation, strides: Strides, epilogue: Epilogue) -> dict[str, Layout]:
    """The arrays that a kernel reads and writes."""
    layouts: dict[str, Layout] = {
        "x": (operation.input_shape, strides.x),
        "w": (operation.weight_shape, strides.w),
        "bias": ((operation.out_channels,), (1,)),
        "y": (operation.output_shape, strides.y),
    }
    return layouts | {"residual": layouts["y"]} if epilogue.residual else layouts


def _in_the_same_pass(
    operation: Operation, strides: Strides, epilogue: Epilogue, residual: tuple[int, ...] | None
) -> Epilogue:
    """What a kernel works in: a residual is read where its output is written, if both lie in memory alike."""
    alike = residual is None or all(
        n == 1 or a == b for n, a, b in zip(operation.output_shape, residual, strides.y, strict=True)
    )
    return epilogue if alike else NOTHING


def kernel_for(operation: Operation, strides: Strides, element: str) -> str:
    """Name of the kernel that a forward pass takes."""
    return str(_choice(operation, strides, element, current(), False, NOTHING).shape.name)


def account(
    operation: Operation,
    x: tuple[int, ...],
    w: tuple[int, ...],
    y: tuple[int, ...],
    element: str,
    epilogue: Epilogue,
    residual: tuple[int, ...] | None,
    packed: bool = False,
) -> KernelFacts:
    """What `forward` takes for arrays of these strides, and why; with `packed`, what `prepare_packed` does. Nothing is
    compiled."""
    strides, target = Strides.within(operation, x, w, y), current()
    done = _in_the_same_pass(operation, strides, epilogue, residual)
    where = "in the same pass" if epilogue else ""
    if done != epilogue:
        where = "a pass of its own, since residual and output lie in memory differently"
        if element in STORED:
            where, element, packed = f"{where}; all arrays widened before", summed_in(element), False
    family, refusals, shape, bound = _choice(operation, strides, element, target, False, done, packed)
    shapes = (shape for shape, _ in _layouts(operation, strides, done).values())
    return KernelFacts(
        family=_name(family.kernel),
        refusals=tuple(f"{_name(other.kernel)}: {reason}" for other, reason in refusals),
        name=shape.name,
        instruction_set=target.name,
        sums_in=summed_in(element),
        epilogue=where,
        items=bound.items,
        threads=threads_used(work_of(operation.multiplications, shapes), bound.items),
        kept=bound.kept(),
        facts=family.account(operation, strides, element, target, shape, bound),
    )


class _Choice(NamedTuple):
    family: Family
    refusals: list[tuple[Family, str]]  #: of the families asked before
    shape: Any  #: what to compile
    bound: Bound


def _choice(
    operation: Operation,
    strides: Strides,
    element: str,
    target: Target,
    checked: bool,
    epilogue: Epilogue,
    packed: bool = False,
) -> _Choice:
    family, refusals = _family(operation, strides, element, target)
    before = {"packed": True} if packed and family.panels is not None else {}
    return _Choice(family, refusals, *family.bind(operation, strides, element, target, checked, epilogue, **before))


class Family(NamedTuple):
    """A family of kernels, what says why it does not suit a problem, what binds one, and what tells about it; for those
    that pack weights before the calls, how."""

    kernel: ModuleType
    why_not: Callable[[Operation, Strides, str, Target], str | None]
    bind: Callable[..., tuple[Any, Bound]]
    account: Callable[..., FamilyFacts]
    panels: Callable[..., dense.Panels] | None = None


#: In the order in which they are asked: matrix tiles where they pay; dense, unless groups have few channels.
FAMILIES = (
    Family(amx_dense, amx_pass.why_not, amx_pass.bind, amx_pass.account),
    Family(maps, map_plan.why_not, map_plan.bind, map_plan.account),
    Family(overlap, overlap_plan.why_not, overlap_plan.bind, overlap_plan.account),
    Family(strips, strip_plan.why_not, strip_plan.bind, strip_plan.account),
    Family(channelwise, rows.why_not_channelwise, rows.bind_channelwise, rows.account_channelwise),
    Family(stems, stem_plan.why_not, stem_plan.bind, stem_plan.account),
    Family(gemm, dense.why_not, dense.bind, dense.account, dense.panels),
)


def _family(
    operation: Operation, strides: Strides, element: str, target: Target
) -> tuple[Family, list[tuple[Family, str]]]:
    """The first that suits, and why the ones before it do not."""
    refusals: list[tuple[Family, str]] = []
    for family in FAMILIES:
        reason = family.why_not(operation, strides, element, target)
        if reason is None:
            return family, refusals
        refusals.append((family, reason))
    raise AssertionError("the last family takes everything")


def _name(kernel: ModuleType) -> str:
    return kernel.__name__.rpartition(".")[2]
