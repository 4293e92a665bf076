"""What generated code computes with: integers with Python's operators, and variables that become registers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import llvmlite.ir as ll

from trous.backends.cpu.narrow import STORED

if TYPE_CHECKING:
    from trous.backends.cpu.ir import Function

#: Bytes of a cache line.
LINE = 64

I1, I32, I64 = ll.IntType(1), ll.IntType(32), ll.IntType(64)
POINTER = ll.PointerType()
#: Types of the values that code computes with, and their sizes. 16-bit floats are float32 everywhere but in memory.
ELEMENTS = {
    "float32": ll.FloatType(),
    "float64": ll.DoubleType(),
    "int64": I64,
    "int16": ll.IntType(16),  # 16-bit floats as they lie in memory
    **dict.fromkeys(STORED, ll.FloatType()),
}
BYTES = {"float32": 4, "float64": 8, "int64": 8, "int16": 2} | dict.fromkeys(STORED, 4)


class Int:
    """A 64-bit integer, or with `i1` a condition, in the function being built."""

    __slots__ = ("fn", "value")

    def __init__(self, fn: Function, value: ll.Value):
        self.fn, self.value = fn, value

    def _binary(self, other: Any, name: str, swap: bool = False) -> Int:
        left, right = self.value, self.fn.number(other).value if not _is_condition(self) else other.value
        if swap:
            left, right = right, left
        return Int(self.fn, getattr(self.fn.builder, name)(left, right))

    def __add__(self, other: Any) -> Int:
        return self if _is_zero(other) else self._binary(other, "add")

    def __sub__(self, other: Any) -> Int:
        return self if _is_zero(other) else self._binary(other, "sub")

    def __rsub__(self, other: Any) -> Int:
        return self._binary(other, "sub", swap=True)

    def __mul__(self, other: Any) -> Int:
        return self._binary(other, "mul")

    def __floordiv__(self, other: Any) -> Int:
        """Quotient of numbers that are not negative."""
        return self._binary(other, "udiv")

    def __mod__(self, other: Any) -> Int:
        return self._binary(other, "urem")

    def __and__(self, other: Any) -> Int:
        return self._binary(other, "and_")

    def __or__(self, other: Any) -> Int:
        return self._binary(other, "or_")

    def __xor__(self, other: Any) -> Int:
        return self._binary(other, "xor")

    def __lshift__(self, other: Any) -> Int:
        return self._binary(other, "shl")

    def __rshift__(self, other: Any) -> Int:
        """Of the bits, zeros coming in from above."""
        return self._binary(other, "lshr")

    __radd__, __rmul__ = __add__, __mul__

    def _compare(self, other: Any, op: str) -> Int:
        return Int(self.fn, self.fn.builder.icmp_signed(op, self.value, self.fn.number(other).value))

    def __lt__(self, other: Any) -> Int:
        return self._compare(other, "<")

    def __le__(self, other: Any) -> Int:
        return self._compare(other, "<=")

    def __gt__(self, other: Any) -> Int:
        return self._compare(other, ">")

    def __ge__(self, other: Any) -> Int:
        return self._compare(other, ">=")

    def equals(self, other: Any) -> Int:
        return self._compare(other, "==")

    def differs(self, other: Any) -> Int:
        return self._compare(other, "!=")


def _is_condition(x: Int) -> bool:
    return x.value.type == I1


def _is_zero(x: Any) -> bool:
    return isinstance(x, int) and x == 0


class Variable:
    """A 64-bit integer that changes; LLVM turns it into a register."""

    def __init__(self, fn: Function, start: Any):
        self.fn = fn
        with fn.builder.goto_entry_block():
            self.slot = fn.builder.alloca(I64)
        self.set(start)

    def get(self) -> Int:
        return Int(self.fn, self.fn.builder.load(self.slot, typ=I64))

    def set(self, value: Any) -> None:
        self.fn.builder.store(self.fn.number(value).value, self.slot)


class Accumulator(Variable):
    """A vector of elements that changes."""

    def __init__(self, fn: Function, element: str, lanes: int):
        self.fn, self.type = fn, ll.VectorType(ELEMENTS[element], lanes)
        with fn.builder.goto_entry_block():
            self.slot = fn.builder.alloca(self.type)

    def get(self) -> ll.Value:
        return self.fn.builder.load(self.slot, typ=self.type)

    def set(self, value: ll.Value) -> None:
        self.fn.builder.store(value, self.slot)

    def clear(self) -> None:
        self.set(ll.Constant(self.type, None))

    def multiply_add(self, a: ll.Value, b: ll.Value) -> None:
        """One rounding or two, as the instruction set has it."""
        product = self.fn.builder.fmul(a, b, flags=("contract",))
        self.set(self.fn.builder.fadd(self.get(), product, flags=("contract",)))
