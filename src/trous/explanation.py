"""`explain`: which code a call would run, why that, and how it would do the work."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod
from types import SimpleNamespace
from typing import Any

from trous import functional
from trous.arrays import are_channels_adjacent, dense_strides, device_name, dtype_name, is_torch, strides
from trous.backends import Operation, first_accepting, name_of
from trous.backends.epilogue import NOTHING, Epilogue
from trous.backends.facts import KernelFacts
from trous.entry import Arguments, Array, check, describe
from trous.errors import TrousError
from trous.frozen import Frozen
from trous.plan.cost import cost
from trous.plan.table import columns, count
from trous.problem import Problem

#: What can be explained, by name.
_FUNCTIONS = {name: getattr(functional, name) for name in functional.__all__}
#: The dtype of the parts that complex numbers are computed in.
_PARTS = {"complex64": "float32", "complex128": "float64"}


@dataclass(frozen=True)
class Explanation:
    """What a call would do. `print` shows it; every fact is an attribute."""

    call: str  #: in one line
    output_shape: tuple[int, ...]
    dtype: str
    backend: str
    refusals: tuple[str, ...]  #: "back-end: reason" for each back-end that was asked before
    kernel: KernelFacts | None  #: None where the back-end has no kernels, and where there is no output to compute
    passes: int  #: of the kernel: two for complex numbers
    multiplications: int  #: multiply-adds really executed
    nominal: int  #: those, and the ones by the zeros of the padding
    bytes: int  #: of the arrays, each moved once: what no schedule can avoid

    @property
    def share(self) -> float:
        """Of the nominal multiply-adds, those that are executed."""
        return self.multiplications / self.nominal if self.nominal else 1.0

    def __str__(self) -> str:
        facts = list(self._facts())
        width = max(len(name) for name, _ in facts)
        return "\n".join([self.call, *(f"  {name:{width}}  {text}" for name, text in facts), *self._estimates()])

    def _facts(self) -> Iterator[tuple[str, str]]:
        yield "output", f"{self.output_shape} {self.dtype}"
        executed = f"{self.multiplications:,} multiply-adds, {100 * self.share:.4g} % of the nominal ones"
        yield "work", f"{executed}; {self.bytes:,} bytes to move at least"
        yield "back-end", self.backend
        yield from (("  not", reason) for reason in self.refusals)
        kernel = self.kernel
        if kernel is None:
            return
        yield "family", kernel.family
        yield from (("  not", reason) for reason in kernel.refusals)
        yield "kernel", kernel.name + (f", {self.passes} passes" if self.passes > 1 else "")
        yield "code for", f"{kernel.instruction_set}, sums in {kernel.sums_in}"
        yield "register tile", kernel.facts.register_tile
        if kernel.epilogue:
            yield "epilogue", kernel.epilogue
        yield "cut", ", ".join(f"{name.replace('_', ' ')} {_sizes(n)}" for name, n in kernel.facts.cut.items())
        yield "threads", f"{kernel.threads} for {count(kernel.items, 'item', 'items')} of work"
        largest = sorted(kernel.kept.items(), key=lambda part: -part[1])[:3]
        parts = ", ".join(f"{name} {n:,}" for name, n in largest)
        yield "kept", f"{kernel.kept_bytes:,} bytes by each thread, most of it {parts}"

    def _estimates(self) -> list[str]:
        if self.kernel is None or not self.kernel.facts.estimates:
            return []
        facts = self.kernel.facts
        names = list(dict.fromkeys(name for estimate in facts.estimates for name in estimate.parts))
        rows = [
            (f"{e.cost:.3g}", *(f"{e.parts[name]:.3g}" if name in e.parts else "" for name in names), e.way)
            for e in facts.estimates
        ]
        return [f"  estimated {facts.unit}; the first way is taken", *columns([("cost", *names, "way"), *rows], left=1)]


def _sizes(number: int | tuple[int, ...]) -> str:
    return str(number) if isinstance(number, int) else "x".join(map(str, number))


def explain(
    what: Callable[..., Any] | str, /, *arguments: Any, channels_last: bool = False, **named: Any
) -> Explanation:
    """Which code a call would run, why that, and how it would do the work. Nothing is computed or compiled.

    Args:
        what: `trous.conv`, `trous.conv_transpose` or a function of `trous.functional`; or a problem as one word
            (`trous plan --help` has its fields).
        arguments, named: those of the function. Tensors on torch's meta device stand for tensors on the CPU.
            torch.autocast is not looked at: under it, give tensors of its dtype.
        channels_last: of a problem: x and the output are channels-last, as the field `last` says too.

    Raises:
        TrousError: a function that is none of ours, a word that is no problem, and what the call itself would raise.

    >>> explain("conv,c8-8,x32x32,k3x3,p1,d2").backend
    'cpu'
    """
    if isinstance(what, str):
        if arguments or named:
            raise TrousError("arguments", "must be left out behind a problem", (*arguments, *named))
        return _of_problem(Problem.parse(what), channels_last)
    name = next((name for name, function in _FUNCTIONS.items() if function is what), None)
    if name is None:
        raise TrousError("function", f"must be a problem as a string or one of {', '.join(_FUNCTIONS)}", what)
    if channels_last:
        raise TrousError("channels_last", "must be left out beside arrays, whose strides say it", channels_last)
    return _of_call(name, inspect.signature(what).bind(*arguments, **named))


def _of_problem(problem: Problem, channels_last: bool) -> Explanation:
    what = Operation(
        bound=problem.bound,
        kernel=problem.weight_shape[2:],
        batch=problem.batch,
        in_channels=problem.in_channels,
        out_channels=problem.out_channels,
        groups=problem.spec.groups,
        weight_by_input=problem.kind == "conv_transpose",
    )
    x = dense_strides(what.input_shape, channels_last or problem.channels_last)
    return _Case(str(problem), what, problem.dtype, x, dense_strides(what.weight_shape, False), problem.bias).explain()


def _of_call(name: str, call: inspect.BoundArguments) -> Explanation:
    call.apply_defaults()
    given = dict(call.arguments)
    x, w, bias, residual = (given.pop(name, None) for name in ("x", "w", "bias", "residual"))
    arrays = {"x": given.pop("input", x), "w": given.pop("weight", w), "bias": bias, "residual": residual}
    frozen = isinstance(arrays["w"], Frozen)
    if frozen:
        arrays["w"] = arrays["w"].array
    x, w, bias, residual = (_array(name, a, arrays["x"]) for name, a in arrays.items())
    transposed = "transpose" in name
    if name[-1] == "d":
        functional.check_as_torch(w, int(name[-2]), transposed, given["stride"], given["padding"])
    beside = None if residual is None else _fields(residual)
    passed = Arguments(transposed, **given, residual=beside)
    key = None if bias is None else _fields(bias)
    checked = check(_fields(x), _fields(w), key, *passed)
    text = describe(passed, Array(*_fields(x)), Array(*_fields(w)), None if key is None else Array(*key))
    front = () if checked.batched else (1,)
    return _Case(
        *(text, checked.operation, dtype_name(x), (*front, *strides(x)), strides(w), bias is not None),
        epilogue=checked.epilogue,
        residual=None if residual is None else (*front, *strides(residual)),
        batched=checked.batched,
        device=None if device_name(x) in ("cpu", "meta") else x,
        frozen=frozen,
    ).explain()


def _array(name: str, a: Any, x: Any) -> Any:
    """What the call would read."""
    if a is None and name in ("bias", "residual"):
        return None
    if not is_torch(x):
        return functional.plain(functional.as_numpy(name, a))
    if not is_torch(a):
        raise TrousError(name, "must be a torch tensor, as x is", type(a).__name__)
    return a


def _fields(a: Any) -> tuple[Any, ...]:
    """Those of `Array`."""
    return (a.shape, a.dtype, a.device) if is_torch(a) else (a.shape, a.dtype)


@dataclass(frozen=True)
class _Case:
    """A call as back-ends see it: strides in elements, with batch."""

    text: str
    operation: Operation
    dtype: str
    x: tuple[int, ...]
    w: tuple[int, ...]
    bias: bool
    epilogue: Epilogue = NOTHING
    residual: tuple[int, ...] | None = None
    batched: bool = True
    device: Any = None  #: a tensor that says on which it is, if not on the CPU
    frozen: bool = False  #: the weight stays as it is

    def explain(self) -> Explanation:
        what, complex_ = self.operation, self.dtype in _PARTS
        bytes_each = int("".join(filter(str.isdigit, self.dtype))) // 8
        work = cost(
            what.bound,
            batch=what.batch,
            in_channels=what.in_channels,
            out_channels=what.out_channels,
            groups=what.groups,
            itemsize=bytes_each,
            bias=self.bias,
        )
        backend, refusals = first_accepting(what, self.device if self.device is not None else self._like)
        return Explanation(
            call=self.text,
            output_shape=what.output_shape[0 if self.batched else 1 :],
            dtype=self.dtype,
            backend=name_of(backend),
            refusals=tuple(refusals),
            kernel=self._kernel(backend),
            passes=2 if complex_ else 1,
            multiplications=work.multiplications * (4 if complex_ else 1),
            nominal=work.nominal * (4 if complex_ else 1),
            bytes=work.bytes + (prod(what.output_shape) * bytes_each if self.residual else 0),
        )

    @property
    def _like(self) -> Any:
        """What says the dtype that back-ends get."""
        return SimpleNamespace(dtype=_PARTS.get(self.dtype, self.dtype))

    def _kernel(self, backend: Any) -> KernelFacts | None:
        account = getattr(backend, "account", None)
        what, x, w, frozen = self.operation, self.x, self.w, self.frozen
        if account is None or 0 in what.output_shape:
            return None
        epilogue, residual, last = self.epilogue, self.residual, are_channels_adjacent(what.input_shape, x)
        if self.dtype in _PARTS:  # real and imaginary parts side by side in the batch, what follows outside
            what = replace(what, batch=2 * what.batch)
            x, w = dense_strides(what.input_shape, last), tuple(2 * step for step in w)
            epilogue, residual, frozen = NOTHING, None, False
        last = last or (len(w) == 4 and are_channels_adjacent(what.weight_shape, w))
        y = dense_strides(what.output_shape, last)
        found: KernelFacts = account(what, x, w, y, self._like.dtype, epilogue, residual, frozen)
        return found
