"""Activations as vector code, and how a kernel applies them to finished sums on their way into the output.

No branches and no calls of a mathematics library. relu is one instruction for a vector, leaky_relu three. tanh is 25
and sigmoid 28 with AVX-512 in float32, six more in float64, one of them a division: some 10 cycles more than relu for
16 numbers of float32.

tanh and sigmoid come from one reduction: `t = k*ln2 + r` with `|r| <= ln2/2`, where `k` is rounded by adding a number
so large that its last bit is worth 1, and `p = exp(r) - 1` from its Taylor series, cut off below half a unit in the
last place. Then `exp(t) - 1 = 2^k*p + (2^k - 1)` keeps every bit near 0, where `exp(t) - 1` would cancel. Both lie
within 3 units in the last place of the true value, over the whole range.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from typing import Any

import llvmlite.ir as ll
import numpy as np

from trous.backends.cpu.header import Kernel
from trous.backends.cpu.ir import Array, Function
from trous.backends.cpu.values import ELEMENTS, Int
from trous.backends.epilogue import Epilogue

#: The natural logarithm of 2.
LN2 = Fraction("0.693147180559945309417232121458176568075500134360255")


@dataclass(frozen=True)
class _Format:
    """A floating-point format and what the range of its numbers asks for."""

    word: ll.IntType
    mantissa: int  #: bits stored
    bias: int
    split: int  #: bits of ln 2 in the part that `k` multiplies exactly
    terms: int  #: of the series of exp(r) - 1
    saturated: float  #: from here on tanh rounds to 1
    lowest: float  #: below, exp rounds to 0
    lift: int  #: exponent by which exp is kept above the smallest normal number until the end


_FORMATS = {
    "float": _Format(ll.IntType(32), 23, 127, split=15, terms=7, saturated=10.0, lowest=-104.0, lift=64),
    "double": _Format(ll.IntType(64), 52, 1023, split=32, terms=13, saturated=20.0, lowest=-746.0, lift=512),
}


def finish(fn: Function, values: Any, epilogue: Epilogue, slope: Any = None, residual: Any = None) -> Any:
    """`activation(values + residual)` of vectors; `slope` is one too, needed for leaky_relu and prelu only."""
    if epilogue.residual:
        values = fn.builder.fadd(values, residual)
    match epilogue.activation:
        case "relu":
            zero = ll.Constant(values.type, None)
            return fn.builder.select(fn.builder.fcmp_ordered(">", zero, values), zero, values)
        case "leaky_relu" | "prelu":
            positive = fn.builder.fcmp_ordered(">", values, ll.Constant(values.type, None))
            return fn.builder.select(positive, values, fn.builder.fmul(values, slope))
        case "tanh" | "sigmoid":
            return fn.builder.call(curve(fn.module, epilogue.activation, values.type), [values])
    return values


def curve(module: ll.Module, name: str, kind: Any) -> ll.Function:
    """tanh or sigmoid as a function of the module: a kernel may store dozens of vectors, and one of these takes two
    milliseconds to compile."""
    full = f"{name}_{kind.count}"
    function = module.globals.get(full)
    if function is None:
        function = ll.Function(module, ll.FunctionType(kind, [kind]), full)
        function.linkage = "internal"
        builder = ll.IRBuilder(function.append_basic_block())
        builder.ret(getattr(_Vectors(builder, kind), name)(*function.args))
    return function


class Finish:
    """The end of a kernel: takes its sums and stores what becomes of them.

    The header needs the number `slope` (`slope_bits`) and the array `residual`, which lies in memory as `y` does.
    """

    def __init__(self, kernel: Kernel, epilogue: Epilogue, element: str, lanes: int):
        self.fn, self.epilogue = kernel.fn, epilogue
        self.residual = kernel.array("residual", element) if epilogue.residual else None
        self.slope = slope_vector(kernel, element, lanes) if epilogue.activation == "leaky_relu" else None

    def set_vector(self, out: Array, index: Any, value: Any) -> None:
        """As `out.set_vector(index, value)`, finished."""
        added = self._beside(out).vector(index, value.type.count) if self.residual else None
        out.set_vector(index, self._finished(value, added))

    def set_masked(self, out: Array, index: Any, value: Any, mask: Any) -> None:
        """As `out.set_masked(index, value, mask)`, finished."""
        added = self._beside(out).masked(index, mask) if self.residual else None
        out.set_masked(index, self._finished(value, added), mask)

    def set_vectors(self, out: Array, values: Sequence[Any], left: Int, large: Int | None = None) -> None:
        """Vectors that lie side by side from `out` on, as far as the `left` elements of a row go; past the caches where
        they are cache lines and `large` says so."""
        fn, lanes = self.fn, values[0].type.count

        def whole(put: Callable[..., None]) -> None:
            for number, value in enumerate(values):
                put(out, number * lanes, value)

        with fn.either(left >= len(values) * lanes) as (then, otherwise):
            with then:
                if large is None:
                    whole(self.set_vector)
                else:
                    with fn.either(large & out.line_starts(0)) as (lines, others):
                        with lines:
                            whole(self.stream)
                        with others:
                            whole(self.set_vector)
            with otherwise:
                for number, value in enumerate(values):
                    kept = fn.mask(fn.bits(0, left - number * lanes, lanes), lanes)
                    self.set_masked(out, number * lanes, value, kept)

    def stream(self, out: Array, index: Any, value: Any) -> None:
        """As `out.stream(index, value)`, finished."""
        added = self._beside(out).vector(index, value.type.count) if self.residual else None
        out.stream(index, self._finished(value, added))

    def scatter(self, out: Array, index: Any, stride: Any, value: Any, mask: Any) -> None:
        """As `out.scatter(index, stride, value, mask)`, finished."""
        added = self._beside(out).gather(index, stride, mask) if self.residual else None
        out.scatter(index, stride, self._finished(value, added), mask)

    def _beside(self, out: Array) -> Array:
        """The residual of the outputs at `out`."""
        assert self.residual is not None
        return self.residual.at(out.offset)

    def _finished(self, value: Any, added: Any) -> Any:
        return finish(self.fn, value, self.epilogue, self.slope, added)


def slope_bits(slope: float) -> int:
    """The header's form of a slope: the bits of a float64."""
    return int(np.float64(slope).view(np.int64))


def slope_vector(kernel: Kernel, element: str, lanes: int) -> Any:
    """The header's slope in every lane."""
    b = kernel.fn.builder
    slope = b.bitcast(kernel.slope.value, ll.DoubleType())
    return kernel.fn.splat(slope if element == "float64" else b.fptrunc(slope, ELEMENTS[element]), lanes)


class _Vectors:
    """Arithmetic on vectors of one type."""

    def __init__(self, builder: ll.IRBuilder, kind: Any):
        self.b, self.kind = builder, kind
        self.format = _FORMATS[str(kind.element)]
        self.words = ll.VectorType(self.format.word, kind.count)

    def tanh(self, x: Any) -> Any:
        """`e/(e + 2)` with `e = exp(2|x|) - 1`, and the sign of x."""
        b, form = self.b, self.format
        size = self.absolute(x)
        # A comparison with NaN is false, and NaN goes on.
        size = b.select(b.fcmp_ordered(">", size, self.number(form.saturated)), self.number(form.saturated), size)
        rounded, part = self.reduced(b.fadd(size, size))
        scale = self.power(rounded, 0)
        e = self.multiply_add(scale, part, b.fsub(scale, self.number(1.0)))
        return self.with_sign(b.fdiv(e, b.fadd(e, self.number(2.0))), x)

    def sigmoid(self, x: Any) -> Any:
        """`1/(1 + e)` with `e = exp(-|x|)`, which cannot overflow, and `e/(1 + e)` for negative x."""
        b, form, one = self.b, self.format, self.number(1.0)
        t = b.fneg(self.absolute(x))
        t = b.select(b.fcmp_ordered("<", t, self.number(form.lowest)), self.number(form.lowest), t)
        rounded, part = self.reduced(t)
        e = b.fmul(b.fadd(part, one), self.power(rounded, form.lift))
        e = b.fmul(e, self.number(2.0**-form.lift))
        above = b.select(b.fcmp_ordered("<", x, ll.Constant(self.kind, None)), e, one)
        return b.fdiv(above, b.fadd(e, one))

    def reduced(self, t: Any) -> tuple[Any, Any]:
        """`k` in the last bits of a number, and `exp(t - k*ln2) - 1`."""
        b, form = self.b, self.format
        shift = self.number(1.5 * 2.0**form.mantissa)
        rounded = self.multiply_add(t, self.number(float(1 / LN2)), shift)
        k = b.fsub(rounded, shift)
        high = Fraction(int(LN2 * 2**form.split), 2**form.split)
        r = self.multiply_add(k, self.number(-float(high)), t)
        r = self.multiply_add(k, self.number(-float(LN2 - high)), r)
        series = self.number(1 / factorial(form.terms))
        for n in range(form.terms - 1, 1, -1):
            series = self.multiply_add(series, r, self.number(1 / factorial(n)))
        return rounded, self.multiply_add(b.fmul(r, r), series, r)

    def power(self, rounded: Any, lift: int) -> Any:
        """`2^(k + lift)`: the last bits of `rounded` put where the exponent stands."""
        form = self.format
        bits = self.b.shl(self.b.bitcast(rounded, self.words), self.word(form.mantissa))
        return self.b.bitcast(self.b.add(bits, self.word((form.bias + lift) << form.mantissa)), self.kind)

    def absolute(self, x: Any) -> Any:
        return self.b.bitcast(self.b.and_(self.b.bitcast(x, self.words), self.word(self._sign - 1)), self.kind)

    def with_sign(self, size: Any, x: Any) -> Any:
        sign = self.b.and_(self.b.bitcast(x, self.words), self.word(self._sign))
        return self.b.bitcast(self.b.or_(self.b.bitcast(size, self.words), sign), self.kind)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        return self.b.fadd(self.b.fmul(a, b, flags=("contract",)), c, flags=("contract",))

    def number(self, value: float) -> ll.Constant:
        return ll.Constant(self.kind, [value] * self.kind.count)

    def word(self, value: int) -> ll.Constant:
        return ll.Constant(self.words, [value] * self.kind.count)

    @property
    def _sign(self) -> int:
        return 1 << (self.format.word.width - 1)
