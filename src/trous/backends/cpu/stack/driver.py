"""A stack as a module of code: the steps of a chunk, and the function that is called with a block.

    int64 stack(void *state, const float *in, int64 in_stride, float *out, int64 out_stride, int64 count)

`count` samples go in, of which channel `c` begins at `in + c*in_stride`; those that are known now and were not before
come out in the same layout, and their number is returned: `count` where the delay is 0, never more than `count`. With
no input, `in` being 0, the signal ends: the samples still to come are put out, `growth + delay` or fewer, and the state
is as at the beginning; with no output either, that is all. `in` and `out` may be the same memory. There is neither a
lock in it nor an allocation, and nothing of the state is shared.
"""

from __future__ import annotations

from collections.abc import Sequence

import llvmlite.ir as ll

from trous.backends.cpu.ir import Array, Function
from trous.backends.cpu.stack.form import CHUNK, Form
from trous.backends.cpu.stack.kernel import AT, StepCode
from trous.backends.cpu.stack.memory import NEVER, Memory
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import BYTES, ELEMENTS, I64, POINTER, Int, Variable

#: Records: the table begins with the number of steps and where the first stands; the input's and the outputs' come
#: before.
TABLE = ("steps", "first", "input_start", "input_mask", "channels", "outputs", "growth", "delay", "begin")
TABLE_AT = {name: number for number, name in enumerate(TABLE)}
#: Of each channel of the output: where it lies in the first sample of its track, the mask, the stride, clocks ago.
OUTPUT = 4


class StackCode:
    """A module with the code of a set of forms, in their order, and the function that runs steps of them."""

    def __init__(self, name: str, forms: Sequence[Form], target: Target, element: str, stored: str, checked: bool):
        self.module = ll.Module(name)
        self.element, self.stored, self.checked = element, stored, checked
        self.steps = [
            StepCode(self.module, f"step_{number}", form, target, element, stored, checked)
            for number, form in enumerate(forms)
        ]
        self.mirror = self._mirror()
        self.clear = self._clear()
        self.advance = self._advance()

    def _function(self, name: str, pointers: int, integers: int) -> tuple[Function, Memory]:
        fn = Function(self.module, name, pointers, integers)
        fn.function.linkage = "internal"
        return fn, Memory(fn, fn.arguments[0], self.element, self.stored, self.checked)

    def _mirror(self) -> ll.Function:
        """`void (state, start, mask, stride, clock, count)`: what was written at the beginning of a ring, behind its
        end too; a ring of one chunk is not read beyond it."""
        fn, memory = self._function("mirror", 1, 5)
        start, mask, stride, clock, count = fn.arguments[1:]
        at = clock & mask
        with fn.when((at < CHUNK) & (mask >= CHUNK)):
            source = memory.samples.at(start + at * stride)
            places = source.at((mask + 1) * stride).pointer(0), source.pointer(0)
            size = count * stride * BYTES[self.element]
            plain = ll.Constant(ll.IntType(1), 0)
            fn.call("llvm.memcpy.p0.p0.i64", ll.VoidType(), [*places, size.value, plain])
        fn.finish()
        return fn.function

    def _clear(self) -> ll.Function:
        """`void (state, record, clock, count)`: zeros as samples of a step's track."""
        fn, memory = self._function("clear", 2, 2)
        record, (clock, count) = Array(fn, fn.arguments[1], "int64"), fn.arguments[2:]
        stride = record[AT["stride"]]
        row = record[AT["start"]] + (clock & record[AT["mask"]]) * stride
        with fn.loop(row, row + count * stride) as number:
            memory.samples[number] = ll.Constant(ELEMENTS[self.element], 0.0)
        fn.finish()
        return fn.function

    def _advance(self) -> ll.Function:
        """`void (state, clock, count)`: all steps, for samples of which the input is there."""
        fn, memory = self._function("advance", 1, 2)
        clock, count = fn.arguments[1:]
        at = Variable(fn, memory.table[TABLE_AT["first"]])
        end = memory["end"]
        with fn.loop(0, memory.table[TABLE_AT["steps"]]):
            record = memory.table.at(at.get()).anchored()
            latency = record[AT["latency"]]
            # Positions before the first and behind the last hold zeros.
            low = fn.min(fn.max(latency - clock, 0), count)
            high = fn.min(fn.max(end + latency + record[AT["growth"]] - clock, low), count)
            with fn.when(low > 0):
                self._part(fn, memory, self.clear, record, clock, low)
            with fn.when(high > low):
                self._switch(fn, memory, record, clock + low, high - low)
            with fn.when(count > high):
                self._part(fn, memory, self.clear, record, clock + high, count - high)
            at.set(at.get() + record[AT["words"]])
        fn.finish()
        return fn.function

    def _part(self, fn: Function, memory: Memory, function: ll.Function, record: Array, clock: Int, count: Int) -> None:
        """Some samples of a step's track, at both places of its ring."""
        place = record.pointer(0)
        fn.builder.call(function, [memory.state, place, clock.value, count.value])
        track = (record[AT[name]].value for name in ("start", "mask", "stride"))
        fn.builder.call(self.mirror, [memory.state, *track, clock.value, count.value])

    def _switch(self, fn: Function, memory: Memory, record: Array, clock: Int, count: Int) -> None:
        """The code of the step's form."""
        b = fn.builder
        done = b.append_basic_block("done")
        choice = b.switch(record[AT["form"]].value, done)
        for number, step in enumerate(self.steps):
            block = b.append_basic_block(f"form_{number}")
            choice.add_case(ll.Constant(I64, number), block)
            b.position_at_end(block)
            self._part(fn, memory, step.fn.function, record, clock, count)
            b.branch(done)
        b.position_at_end(done)


class Entry:
    """The function that a stack is called by."""

    def __init__(self, code: StackCode, name: str):
        kind = ll.FunctionType(I64, [POINTER, POINTER, I64, POINTER, I64, I64])
        self.fn = fn = Function(code.module, name, kind=kind)
        state, given, self.in_stride, out, self.out_stride, self.count = fn.arguments
        self.memory = Memory(fn, state, code.element, code.stored, code.checked)
        table = {word: self.memory.table[number] for word, number in TABLE_AT.items()}
        self.channels, self.outputs, self.delay = (table[word] for word in ("channels", "outputs", "delay"))
        self.start, self.mask = table["input_start"], table["input_mask"]
        self.extra = table["growth"] + self.delay  # samples to come when the signal has ended
        self.over, mute = (
            Int(fn, fn.builder.icmp_unsigned("==", pointer, ll.Constant(POINTER, None))) for pointer in (given, out)
        )
        self.source = self.memory.given(given, code.element, (self.channels - 1) * self.in_stride + self.count)
        room = fn.choose(self.over, fn.choose(mute, 0, self.extra), self.count)
        self.target = self.memory.given(out, code.element, (self.outputs - 1) * self.out_stride + room)
        self.begin = table["begin"]
        begin = self.memory["clock"]
        self.taken, self.written = Variable(fn, fn.min(begin, 0)), Variable(fn, 0)
        with fn.when(self.over):
            self.memory["end"] = fn.max(begin, 0)
        with fn.repeat(lambda: self.taken.get() < room):
            clock = self.memory["clock"]
            early = self.taken.get() < 0  # what is computed before the first sample
            left = fn.choose(early, 0, room) - self.taken.get()
            now = fn.min(left, CHUNK - (clock & (CHUNK - 1)))
            self._take(clock, now, early | self.over)
            fn.builder.call(
                code.mirror, [state, *(n.value for n in (self.start, self.mask, self.channels, clock, now))]
            )
            fn.builder.call(code.advance, [state, clock.value, now.value])
            self._give(clock, now)
            self.memory["clock"] = clock + now
            self.taken.set(self.taken.get() + now)
        with fn.when(self.over):
            self._reset()
        fn.builder.ret(self.written.get().value)
        self.text = str(code.module)

    def _take(self, clock: Int, now: Int, zeros: Int) -> None:
        """Samples of the block into the input's track, or zeros."""
        fn, samples = self.fn, self.memory.samples
        row = self.start + (clock & self.mask) * self.channels
        with fn.loop(0, self.channels) as channel, fn.loop(0, now) as number:
            place = row + number * self.channels + channel
            with fn.either(zeros) as (then, otherwise):
                with then:
                    samples[place] = ll.Constant(ELEMENTS[samples.element], 0.0)
                with otherwise:
                    samples[place] = self.source[channel * self.in_stride + self.taken.get() + number]

    def _give(self, clock: Int, now: Int) -> None:
        """Samples of the output whose positions exist."""
        fn, samples = self.fn, self.memory.samples
        low = fn.min(fn.max(self.delay - clock, 0), now)
        high = fn.min(fn.max(self.memory["end"] + self.extra - clock, low), now)
        with fn.loop(0, self.outputs) as channel:
            start, mask, stride, back = (self.memory.table[channel * OUTPUT + len(TABLE) + n] for n in range(OUTPUT))
            place = channel * self.out_stride + self.written.get() - low
            with fn.loop(low, high) as number:
                self.target[place + number] = samples[start + ((clock + number - back) & mask) * stride]
        self.written.set(self.written.get() + high - low)

    def _reset(self) -> None:
        """The state as it is before the first sample."""
        fn, samples = self.fn, self.memory.samples
        size = self.memory["size"] * BYTES[samples.element]
        zero, plain = ll.Constant(ll.IntType(8), 0), ll.Constant(ll.IntType(1), 0)
        fn.call("llvm.memset.p0.i64", ll.VoidType(), [samples.pointer(0), zero, size.value, plain])
        self.memory["clock"], self.memory["end"] = self.begin, NEVER
