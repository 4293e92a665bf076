"""A thin notation over llvmlite, so that a kernel reads like the loop nest it is.

`Array` is memory of one element type that checks each access when asked to; `Function` holds the builder and the
control flow; `values` has what they compute with. Nothing here knows about convolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import llvmlite.ir as ll

from trous.backends.cpu.narrow import STORED, narrow, widen
from trous.backends.cpu.values import BYTES, ELEMENTS, I1, I32, I64, LINE, POINTER, Int, Variable


@dataclass(frozen=True)
class Limits:
    """What checked code compares with: elements `low <= index < high` of an array, and where to note a breach."""

    low: Int
    high: Int
    breach: Array
    spare: ll.Value


@dataclass(frozen=True)
class Array:
    """Elements of one type from a base pointer on. `offset` is where index 0 lies, so parts of it keep its limits.

    16-bit floats are widened as they are read and rounded as they are written: values are float32.
    """

    fn: Function
    base: ll.Value
    element: str
    offset: Int | int = 0
    limits: Limits | None = None

    def at(self, offset: Any) -> Array:
        """The same memory with index 0 moved to `offset`."""
        return Array(self.fn, self.base, self.element, self.fn.number(self.offset) + offset, self.limits)

    def anchored(self) -> Array:
        """The same memory with its base where index 0 lies, so that code adds to a register that it has. Checked code
        keeps the base, which limits count from."""
        return self if self.limits else Array(self.fn, self.pointer(0), self.element)

    def in_register(self) -> Array:
        """As `anchored`, with a base that LLVM takes for one number: left to itself it adds two registers in every
        access, and processors split a multiply-add that reads so in two."""
        if self.limits:
            return self
        same = ll.FunctionType(POINTER, [POINTER])
        return Array(self.fn, self.fn.builder.asm(same, "", "=r,0", [self.pointer(0)], False), self.element)

    @property
    def _stored(self) -> ll.Type:
        return STORED.get(self.element, ELEMENTS[self.element])

    @property
    def _stored_bytes(self) -> int:
        return 2 if self.element in STORED else BYTES[self.element]

    def _widened(self, value: ll.Value) -> ll.Value:
        return widen(self.fn.builder, self.element, value) if self.element in STORED else value

    def _narrowed(self, value: ll.Value) -> ll.Value:
        return narrow(self.fn.builder, self.element, value) if self.element in STORED else value

    def _pointer(self, index: Int) -> ll.Value:
        return self.fn.builder.gep(self.base, [index.value], source_etype=self._stored)

    def pointer(self, index: Any) -> ll.Value:
        """Where an element lies, whether it exists or not."""
        return self._pointer(self.fn.number(index) + self.offset)

    def _place(self, index: Any, lanes: int = 1) -> ll.Value:
        """Pointer to `lanes` elements; in checked code to a spare place when they are not all inside."""
        whole = self.fn.number(index) + self.offset
        pointer = self._pointer(whole)
        if self.limits is None:
            return pointer
        inside = (whole >= self.limits.low) & (whole + lanes <= self.limits.high)
        self.fn.note_breach(inside, self.limits)
        return self.fn.builder.select(inside.value, pointer, self.limits.spare)

    def __getitem__(self, index: Any) -> Any:
        value = self._widened(self.fn.builder.load(self._place(index), typ=self._stored))
        return Int(self.fn, value) if self.element == "int64" else value

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.element == "int64":
            value = self.fn.number(value).value
        self.fn.builder.store(self._narrowed(value), self._place(index))

    def vector(self, index: Any, lanes: int) -> ll.Value:
        return self._widened(self._vector(index, lanes))

    def _vector(self, index: Any, lanes: int) -> ll.Value:
        kind = ll.VectorType(self._stored, lanes)
        return self.fn.builder.load(self._place(index, lanes), align=self._stored_bytes, typ=kind)

    def set_vector(self, index: Any, value: ll.Value) -> None:
        place = self._place(index, value.type.count)
        self.fn.builder.store(self._narrowed(value), place, align=self._stored_bytes)

    def line_starts(self, index: Any) -> Int:
        """Whether a cache line starts at an element."""
        b = self.fn.builder
        place = b.ptrtoint(self._pointer(self.fn.number(index) + self.offset), I64)
        return (Int(self.fn, place) & (LINE - 1)).equals(0)

    def stream(self, index: Any, value: ll.Value) -> None:
        """`set_vector` past the caches, for a vector of a cache line at the start of one. Other threads see it for
        certain after `Function.fence`."""
        place = self._place(index, value.type.count)
        store = self.fn.builder.store(
            self._narrowed(value), place, align=LINE if self.limits is None else self._stored_bytes
        )
        if self.limits is None:
            store.set_metadata("nontemporal", self.fn.module.add_metadata([ll.Constant(I32, 1)]))

    def strided(self, index: Any, stride: int, lanes: int) -> ll.Value:
        """Lanes `index + lane*stride`, picked from `stride` whole vectors: `stride - 1` elements more are read."""
        whole = self._vector(index, lanes * stride)
        if stride == 1:
            return self._widened(whole)
        picked = ll.Constant(ll.VectorType(I32, lanes), [lane * stride for lane in range(lanes)])
        return self._widened(self.fn.builder.shuffle_vector(whole, ll.Constant(whole.type, ll.Undefined), picked))

    def masked(self, index: Any, mask: ll.Value) -> ll.Value:
        """The lanes that `mask` names, zeros elsewhere; lanes left out are not touched."""
        fn, kind = self.fn, ll.VectorType(self._stored, mask.type.count)
        pointer, mask = self._masked_place(index, None, mask)
        name = f"llvm.masked.load.{_suffix(kind)}.p0"
        arguments = [pointer, self._align(), mask, ll.Constant(kind, None)]
        if not self._masks_are_slow(kind.count):
            return self._widened(fn.call(name, kind, arguments))
        with fn.builder.goto_entry_block():
            slot = fn.builder.alloca(kind)
        with fn.either(fn.all_set(mask)) as (then, otherwise):
            with then:
                fn.builder.store(fn.builder.load(pointer, align=self._stored_bytes, typ=kind), slot)
            with otherwise:
                fn.builder.store(fn.call(name, kind, arguments), slot)
        return self._widened(fn.builder.load(slot, typ=kind))

    def set_masked(self, index: Any, value: ll.Value, mask: ll.Value) -> None:
        fn, value = self.fn, self._narrowed(value)
        pointer, mask = self._masked_place(index, None, mask)
        name = f"llvm.masked.store.{_suffix(value.type)}.p0"
        arguments = [value, pointer, self._align(), mask]
        if not self._masks_are_slow(value.type.count):
            fn.call(name, ll.VoidType(), arguments)
            return
        with fn.either(fn.all_set(mask)) as (then, otherwise):
            with then:
                fn.builder.store(value, pointer, align=self._stored_bytes)
            with otherwise:
                fn.call(name, ll.VoidType(), arguments)

    def _masks_are_slow(self, lanes: int) -> bool:
        """Below AVX-512 no processor masks 16-bit elements: a mask is a branch for every lane, so whole vectors go
        without one."""
        return self.element in STORED and lanes < 16

    def spread(self, index: Any, stride: Any, mask: ll.Value) -> ll.Value:
        """`masked` for neighbours, `gather` for others."""
        return self.masked(index, mask) if stride == 1 else self.gather(index, stride, mask)

    def prefetch(self, index: Any, near: int = 3) -> None:
        """Ask for an element that will soon be read, into the first (3) or second (2) cache; it need not exist."""
        place = self.pointer(index)
        levels = [ll.Constant(I32, n) for n in (0, near, 1)]  # to read, as data
        self.fn.call("llvm.prefetch.p0", ll.VoidType(), [place, *levels])

    def gather(self, index: Any, stride: Any, mask: ll.Value) -> ll.Value:
        """Lanes `index + lane*stride` where `mask`, zeros elsewhere; a vector for the stride places each lane."""
        pointers, mask = self._masked_place(index, stride, mask)
        if self.element in STORED:
            return self._widened(self._gather_halves(pointers, mask))
        return self._gather(ELEMENTS[self.element], pointers, mask, self._align())

    def _gather(self, element: ll.Type, pointers: ll.Value, mask: ll.Value, align: ll.Constant) -> ll.Value:
        kind = ll.VectorType(element, mask.type.count)
        name = f"llvm.masked.gather.{_suffix(kind)}.v{kind.count}p0"
        return self.fn.call(name, kind, [pointers, align, mask, ll.Constant(kind, None)])

    def _gather_halves(self, pointers: ll.Value, mask: ll.Value) -> ll.Value:
        """No processor gathers 16-bit elements: the aligned 32-bit words that hold them are gathered, half of each
        kept. A word that is aligned never reaches into a page that the element is not on."""
        b, lanes = self.fn.builder, mask.type.count
        words, numbers = ll.VectorType(I32, lanes), ll.VectorType(I64, lanes)
        place = b.ptrtoint(pointers, numbers)
        aligned = b.and_(place, ll.Constant(numbers, [-4] * lanes))
        pointers = b.inttoptr(aligned, ll.VectorType(POINTER, lanes))
        found = self._gather(I32, pointers, mask, ll.Constant(I32, 4))
        upper = b.trunc(b.and_(place, ll.Constant(numbers, [2] * lanes)), words)
        shifted = b.lshr(found, b.shl(upper, ll.Constant(words, [3] * lanes)))
        return b.trunc(shifted, ll.VectorType(ll.IntType(16), lanes))

    def scatter(self, index: Any, stride: Any, value: ll.Value, mask: ll.Value) -> None:
        value = self._narrowed(value)
        pointers, mask = self._masked_place(index, stride, mask)
        name = f"llvm.masked.scatter.{_suffix(value.type)}.v{value.type.count}p0"
        self.fn.call(name, ll.VoidType(), [value, pointers, self._align(), mask])

    def _masked_place(self, index: Any, stride: Any, mask: ll.Value) -> tuple[ll.Value, ll.Value]:
        """Pointer of lane 0, or with a stride a vector of pointers; checked code drops lanes that fall outside."""
        fn, lanes = self.fn, mask.type.count
        whole = fn.number(index) + self.offset
        numbers = fn.lane_numbers(lanes)
        if stride is None or isinstance(stride, ll.Value):
            steps = stride
        else:
            steps = fn.builder.mul(numbers, fn.splat(fn.number(stride).value, lanes))
        if self.limits is not None:
            places = fn.builder.add(fn.splat(whole.value, lanes), numbers if steps is None else steps)
            low = fn.builder.icmp_signed(">=", places, fn.splat(self.limits.low.value, lanes))
            high = fn.builder.icmp_signed("<", places, fn.splat(self.limits.high.value, lanes))
            inside = fn.builder.and_(low, high)
            outside = fn.builder.and_(mask, fn.builder.not_(inside))
            fn.note_breach(fn.all_set(fn.builder.not_(outside)), self.limits)
            mask = fn.builder.and_(mask, inside)
        pointer = self._pointer(whole)
        if steps is None:
            return pointer, mask
        pointers = fn.builder.gep(pointer, [steps], source_etype=self._stored)
        pointers.type = ll.VectorType(POINTER, lanes)  # llvmlite takes it for the scalar that it starts from
        return pointers, mask

    def _align(self) -> ll.Constant:
        return ll.Constant(I32, self._stored_bytes)


def _suffix(kind: ll.VectorType) -> str:
    """How LLVM's intrinsics name a vector type."""
    element = str(kind.element)
    return f"v{kind.count}{ {'float': 'f32', 'double': 'f64'}.get(element, element) }"


class Function:
    """One function under construction: `void name(ptr, ptr, ..., i64, i64, ...)`, whose pointers share no memory, or of
    another `kind`."""

    def __init__(
        self, module: ll.Module, name: str, pointers: int = 0, integers: int = 0, kind: ll.FunctionType | None = None
    ):
        plain = ll.FunctionType(ll.VoidType(), [POINTER] * pointers + [I64] * integers)
        self.module, self.function = module, ll.Function(module, kind or plain, name)
        if kind is None:
            for argument in self.function.args[:pointers]:
                argument.add_attribute("noalias")
        self.builder = ll.IRBuilder(self.function.append_basic_block("entry"))
        self.arguments = [a if a.type == POINTER else Int(self, a) for a in self.function.args]

    def number(self, value: Any) -> Int:
        return value if isinstance(value, Int) else Int(self, ll.Constant(I64, value))

    def call(self, name: str, returns: ll.Type, arguments: Sequence[ll.Value]) -> Any:
        callee = self.module.globals.get(name)
        if callee is None:
            callee = ll.Function(self.module, ll.FunctionType(returns, [a.type for a in arguments]), name)
        return self.builder.call(callee, arguments)

    def fence(self) -> None:
        """Everything streamed is visible to other threads before what follows."""
        self.builder.fence("seq_cst")

    def finish(self) -> None:
        self.builder.ret_void()

    # Control flow

    @contextmanager
    def loop(self, start: Any, stop: Any, step: Any = 1) -> Iterator[Int]:
        """`for i in range(start, stop, step)` for a positive step."""
        i, stop = Variable(self, start), self.number(stop)
        with self.repeat(lambda: i.get() < stop):
            yield i.get()
            i.set(i.get() + step)

    @contextmanager
    def repeat(self, condition: Callable[[], Int]) -> Iterator[None]:
        """`while condition():`"""
        b = self.builder
        check, body, done = (b.append_basic_block(name) for name in ("check", "body", "done"))
        b.branch(check)
        b.position_at_end(check)
        b.cbranch(condition().value, body, done)
        b.position_at_end(body)
        yield
        b.branch(check)
        b.position_at_end(done)

    @contextmanager
    def when(self, condition: Int) -> Iterator[None]:
        with self.builder.if_then(condition.value):
            yield

    @contextmanager
    def either(self, condition: Int) -> Iterator[tuple[Any, Any]]:
        with self.builder.if_else(condition.value) as branches:
            yield branches

    def choose(self, condition: Int, yes: Any, no: Any) -> Int:
        return Int(self, self.builder.select(condition.value, self.number(yes).value, self.number(no).value))

    def choose_array(self, condition: Int, yes: Array, no: Array) -> Array:
        """One of two, by its address alone: a branch would be foreseen wrong."""
        if yes.limits is None or no.limits is None:
            return Array(self, self.builder.select(condition.value, yes.pointer(0), no.pointer(0)), yes.element)
        base = self.builder.select(condition.value, yes.base, no.base)
        edges = (yes.limits.low, no.limits.low), (yes.limits.high, no.limits.high)
        low, high = (self.choose(condition, *pair) for pair in edges)
        limits = replace(yes.limits, low=low, high=high)
        return Array(self, base, yes.element, self.choose(condition, yes.offset, no.offset), limits)

    def min(self, a: Any, b: Any) -> Int:
        a, b = self.number(a), self.number(b)
        return self.choose(a < b, a, b)

    def max(self, a: Any, b: Any) -> Int:
        a, b = self.number(a), self.number(b)
        return self.choose(a > b, a, b)

    # Vectors

    def transpose(self, vectors: Sequence[ll.Value]) -> list[ll.Value]:
        """As many vectors as they have lanes, as a square matrix, with rows and columns exchanged.

        Blocks of `width` lanes change places between vectors `width` apart, for every power of two.
        """
        square, lanes = list(vectors), len(vectors)
        width = 1
        while width < lanes:
            low = [lane if not lane & width else lanes + lane - width for lane in range(lanes)]
            high = [lane + width if not lane & width else lanes + lane for lane in range(lanes)]
            picked = [ll.Constant(ll.VectorType(I32, lanes), index) for index in (low, high)]
            for i in range(lanes):
                if not i & width:
                    pair = square[i], square[i + width]
                    square[i], square[i + width] = (self.builder.shuffle_vector(*pair, index) for index in picked)
            width *= 2
        return square

    def splat(self, scalar: ll.Value, lanes: int) -> ll.Value:
        kind = ll.VectorType(scalar.type, lanes)
        one = self.builder.insert_element(ll.Constant(kind, ll.Undefined), scalar, ll.Constant(I32, 0))
        zeros = ll.Constant(ll.VectorType(I32, lanes), [0] * lanes)
        return self.builder.shuffle_vector(one, ll.Constant(kind, ll.Undefined), zeros)

    def lane_numbers(self, lanes: int) -> ll.Constant:
        return ll.Constant(ll.VectorType(I64, lanes), list(range(lanes)))

    def bits(self, low: Any, high: Any, lanes: int) -> Int:
        """The integer whose bits `low .. high-1`, clamped to `0 .. lanes`, are set: a mask as it lies in a table."""
        below = [
            (self.number(1) << self.min(self.max(edge, 0), lanes)) - 1 for edge in (self.number(low), self.number(high))
        ]
        return below[1] & (below[0] ^ -1)

    def mask(self, bits: Int, lanes: int) -> ll.Value:
        """Bits of an integer as a vector of conditions."""
        word = self.builder.trunc(bits.value, ll.IntType(lanes))
        return self.builder.bitcast(word, ll.VectorType(I1, lanes))

    def shuffle(self, a: ll.Value, b: ll.Value, lanes: Sequence[int]) -> ll.Value:
        """The named lanes of `a`, and of `b` from the number of lanes of `a` on."""
        return self.builder.shuffle_vector(a, b, ll.Constant(ll.VectorType(I32, len(lanes)), list(lanes)))

    def all_set(self, mask: ll.Value) -> Int:
        """Whether every lane of a mask is set."""
        word = ll.IntType(mask.type.count)
        return Int(self, self.builder.icmp_signed("==", self.builder.bitcast(mask, word), ll.Constant(word, -1)))

    def interleave(self, vectors: Sequence[ll.Value]) -> list[ll.Value]:
        """`P` vectors as `P` vectors in which lane `l` of vector `v` has moved to place `P*l + v`."""
        phases, lanes = len(vectors), vectors[0].type.count
        if phases == 1:
            return list(vectors)
        if phases % 2 == 0:
            halves = zip(self.interleave(vectors[::2]), self.interleave(vectors[1::2]), strict=True)
            return [part for even, odd in halves for part in self._zip(even, odd)]
        results = []
        for part in range(phases):
            places = [(part * lanes + lane) % phases for lane in range(lanes)]
            sources = [(part * lanes + lane) // phases for lane in range(lanes)]
            merged = vectors[0]
            # Merge one phase after another: lane by lane take the phase's own element or keep what is there.
            for phase in range(phases):
                index = [
                    (sources[lane] + (0 if phase == 0 else lanes)) if places[lane] == phase else lane
                    for lane in range(lanes)
                ]
                constant = ll.Constant(ll.VectorType(I32, lanes), index)
                merged = self.builder.shuffle_vector(merged, vectors[phase], constant)
            results.append(merged)
        return results

    def _zip(self, even: ll.Value, odd: ll.Value) -> list[ll.Value]:
        """The lanes of two vectors in turn, as two vectors."""
        lanes = even.type.count
        turns = [source for lane in range(lanes) for source in (lane, lanes + lane)]
        kind = ll.VectorType(I32, lanes)
        parts = (turns[:lanes], turns[lanes:])
        return [self.builder.shuffle_vector(even, odd, ll.Constant(kind, part)) for part in parts]

    def note_breach(self, inside: Int, limits: Limits) -> None:
        """Remember in checked code that an access was not inside; it has been turned away already."""
        flag = Int(self, self.builder.zext(inside.value, I64)) ^ 1
        limits.breach[0] = limits.breach[0] | flag
