"""A stack that goes on with its own output: each sample is drawn by what was said of it, and is the next input.

    int64 draw(state, conditions, int64 stride, uniforms, temperature, out, int64 count)

Of `count` samples, one after another: the input's first channel is the last sample, the others are that sample's
`conditions`, channel `c` from `conditions + c*stride` on; the outputs say how likely each class is, and `uniforms`, one
or two numbers a sample, which one it is. `temperature` points to a number. What comes first is the state's `last`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import llvmlite.ir as ll

from trous.backends.cpu.activations import curve
from trous.backends.cpu.ir import Array, Function
from trous.backends.cpu.stack.driver import TABLE, TABLE_AT, StackCode
from trous.backends.cpu.stack.memory import PLACE, Memory
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import BYTES, ELEMENTS, I64, POINTER, Accumulator, Int, Variable


@dataclass(frozen=True)
class Draw:
    """How a sample comes from the outputs, the first `classes` of which are logarithms of probabilities, but for a sum.

    The class is the first up to which the probabilities add up to more than the first uniform number; a temperature
    divides the logarithms, and 0 takes the likeliest. Class `k` then is the level `2k/(classes - 1) - 1`; or, if
    `logistic`, a mean and a scale: behind the classes come means, then logarithms of scales, each `least` or more.
    The level is `mean + temperature * scale * u`, from -1 to 1, with the second number for `u`, which is logistic.
    """

    classes: int
    logistic: bool = False
    least: float = 0.0

    @property
    def uniforms(self) -> int:
        """Random numbers for a sample."""
        return 1 + self.logistic

    @property
    def outputs(self) -> int:
        """Outputs that are read."""
        return self.classes * (3 if self.logistic else 1)


class DrawCode:
    """The function of a stack's module that draws."""

    def __init__(self, code: StackCode, name: str, draw: Draw, target: Target):
        kind = ll.FunctionType(I64, [POINTER, POINTER, I64, POINTER, POINTER, POINTER, I64])
        self.fn = fn = Function(code.module, name, kind=kind)
        state, conditions, stride, uniforms, temperature, out, count = fn.arguments
        self.draw, self.element, self.type = draw, code.element, ELEMENTS[code.element]
        self.lanes = target.lanes(BYTES[code.element])
        self.memory = memory = Memory(fn, state, code.element, code.stored, code.checked)
        table = {word: memory.table[number] for word, number in TABLE_AT.items()}
        start, mask, channels = (table[word] for word in ("input_start", "input_mask", "channels"))
        # The sums of whole vectors of classes, of which the last may be filled up.
        size = -(-draw.classes // self.lanes) * self.lanes
        room = fn.builder.alloca(ll.ArrayType(self.type, size))
        room.type = POINTER
        self.likely = memory.given(room, code.element, fn.number(size))
        self.temperature = memory.given(temperature, code.element, fn.number(1))[0]
        given = memory.given(conditions, code.element, (channels - 1) * stride)
        numbers = memory.given(uniforms, code.element, count * draw.uniforms)
        drawn = memory.given(out, code.element, count)
        last = Array(fn, memory.words.pointer(PLACE["last"]), code.element)
        one = fn.number(1).value
        with fn.loop(0, count) as sample:
            clock = memory["clock"]
            row = memory.samples.at(start + (clock & mask) * channels)
            row[0] = last[0]
            with fn.loop(1, channels) as channel:
                row[channel] = given[(channel - 1) * stride + sample]
            fn.builder.call(code.mirror, [state, start.value, mask.value, channels.value, clock.value, one])
            fn.builder.call(code.advance, [state, clock.value, one])
            level = self._level(clock, numbers.at(sample * draw.uniforms))
            drawn[sample] = last[0] = level
            memory["clock"] = clock + 1
        fn.builder.ret(count.value)
        self.text = str(code.module)

    def _level(self, clock: Int, uniforms: Array) -> Any:
        """The sample that the outputs of a clock and random numbers give."""
        b, draw = self.fn.builder, self.draw
        record = self.memory.table.at(len(TABLE))  # the outputs are channels of one track, side by side
        outputs = self.memory.samples.at(record[0] + ((clock - record[3]) & record[1]) * record[2])
        chosen = self._chosen(outputs, uniforms[0])
        if not draw.logistic:
            number = b.sitofp(chosen.value, self.type)
            return b.fsub(b.fmul(number, self._number(2 / (draw.classes - 1))), self._number(1.0))
        scale = self._larger(outputs[chosen + 2 * draw.classes], self._number(draw.least))
        name = f"llvm.exp.{'f32' if self.element == 'float32' else 'f64'}"
        away = b.fmul(b.fmul(self.fn.call(name, self.type, [scale]), self.temperature), uniforms[1])
        level = b.fadd(outputs[chosen + draw.classes], away)
        level = b.select(b.fcmp_ordered("<", level, self._number(-1.0)), self._number(-1.0), level)
        return b.select(b.fcmp_ordered(">", level, self._number(1.0)), self._number(1.0), level)

    def _chosen(self, outputs: Array, uniform: Any) -> Int:
        """The number of the class."""
        fn, b, classes = self.fn, self.fn.builder, self.draw.classes
        most = self._most(outputs)
        cold = Int(fn, b.fcmp_ordered("==", self.temperature, self._number(0.0)))
        total = self._likely(outputs, most, cold)
        uniform = b.select(cold.value, ll.Constant(ll.DoubleType(), 0.0), self._double(uniform))
        bound = b.fmul(uniform, total)
        chosen, sum_ = Variable(fn, 0), _Double(fn, self._double(self.likely[0]))

        def further() -> Int:
            return Int(fn, b.fcmp_ordered("<=", sum_.get(), bound)) & (chosen.get() < classes - 1)

        with fn.repeat(further):
            chosen.set(chosen.get() + 1)
            sum_.set(b.fadd(sum_.get(), self._double(self.likely[chosen.get()])))
        return chosen.get()

    def _most(self, outputs: Array) -> Any:
        """The largest of the classes' outputs."""
        fn, lanes, classes = self.fn, self.lanes, self.draw.classes
        most = Accumulator(fn, self.element, 1)
        most.set(outputs.vector(0, 1))
        whole = classes - classes % lanes
        if whole:
            vectors = Accumulator(fn, self.element, lanes)
            vectors.set(outputs.vector(0, lanes))
            with fn.loop(lanes, whole, lanes) as at:
                vectors.set(self._larger(outputs.vector(at, lanes), vectors.get()))
            width = lanes
            values = vectors.get()
            while width > 1:
                width //= 2
                halves = (fn.shuffle(values, values, range(n, n + width)) for n in (0, width))
                values = self._larger(*halves)
            most.set(values)
        with fn.loop(whole, classes) as at:
            most.set(self._larger(outputs.vector(at, 1), most.get()))
        return fn.builder.extract_element(most.get(), ll.Constant(ll.IntType(32), 0))

    def _likely(self, outputs: Array, most: Any, cold: Int) -> Any:
        """Fill `likely`, and its sum."""
        fn, b, lanes = self.fn, self.fn.builder, self.lanes
        kind = ll.VectorType(self.type, lanes)
        inverse = fn.splat(b.fdiv(self._number(1.0), self.temperature), lanes)
        zero, one = ll.Constant(kind, None), ll.Constant(kind, [1.0] * lanes)
        with fn.loop(0, self.draw.classes, lanes) as at:
            # Behind the last class there are other numbers of the track's row, or of the next: all within the state.
            below = b.fsub(outputs.vector(at, lanes), fn.splat(most, lanes))
            warm = b.call(curve(fn.module, "decay", kind), [b.fmul(below, inverse)])
            likeliest = b.select(b.fcmp_ordered("==", below, zero), one, zero)
            self.likely.set_vector(at, b.select(cold.value, likeliest, warm))
        total = _Double(fn, ll.Constant(ll.DoubleType(), 0.0))
        with fn.loop(0, self.draw.classes) as at:
            total.set(b.fadd(total.get(), self._double(self.likely[at])))
        return total.get()

    def _larger(self, x: Any, y: Any) -> Any:
        return self.fn.builder.select(self.fn.builder.fcmp_ordered(">", x, y), x, y)

    def _number(self, value: float) -> ll.Constant:
        return ll.Constant(self.type, value)

    def _double(self, value: Any) -> Any:
        return value if self.element == "float64" else self.fn.builder.fpext(value, ll.DoubleType())


class _Double(Accumulator):
    """A float64 that changes."""

    def __init__(self, fn: Function, start: Any):
        self.fn, self.type = fn, ll.DoubleType()
        with fn.builder.goto_entry_block():
            self.slot = fn.builder.alloca(self.type)
        self.set(start)
