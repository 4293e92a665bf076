"""Code of one step: its expression for up to a chunk of samples, for as many at once as registers hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.ir as ll

from trous.backends.cpu.activations import curve
from trous.backends.cpu.ir import Array, Function
from trous.backends.cpu.stack.form import Form, Group, Tile
from trous.backends.cpu.stack.memory import Memory
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import ELEMENTS, Accumulator, Int, Variable

#: A step's record. Behind these words come those of what it reads: for every group of taps how many there are, then of
#: each tap, and of each sample that stands in the expression, where its track begins, the mask of its ring, and how
#: many clocks ago it was computed.
RECORD = ("words", "form", "latency", "growth", "start", "mask", "stride", "weights", "constants")
AT = {name: number for number, name in enumerate(RECORD)}
#: Words of what is read.
READ = 3
#: Multiplications of a tap that are written out one after another at most, for each row; further channels are a loop.
UNROLLED = 32

Vectors = list[ll.Value]  #: of the columns of a tile


class StepCode:
    """The function `void (state, record, clock, count)` of a form: samples `clock .. clock+count-1`, at least one."""

    def __init__(
        self, module: ll.Module, name: str, form: Form, target: Target, element: str, stored: str, checked: bool
    ):
        self.form, self.element, self.tile = form, element, Tile.of(form, target)
        self.fn = fn = Function(module, name, pointers=2, integers=2)
        fn.function.linkage = "internal"
        state, record, self.clock, self.count = fn.arguments
        self.memory = Memory(fn, state, element, stored, checked)
        self.record = Array(fn, record, "int64")
        self.kind = ll.VectorType(ELEMENTS[element], form.lanes)
        self._emit()
        fn.finish()

    def _emit(self) -> None:
        fn, tile = self.fn, self.tile
        weights = Variable(fn, self.record[AT["weights"]])
        constants = Variable(fn, self.record[AT["constants"]])
        out = self.memory.samples.at(self._row(AT["start"], self.clock, self.form.stride))
        with fn.loop(0, self.form.columns, tile.columns) as column:
            begin, done = weights.get(), Variable(fn, 0)
            for rows in dict.fromkeys((tile.rows, 1)):
                with fn.repeat(lambda rows=rows: done.get() + rows <= self.count):  # type: ignore[misc]
                    weights.set(begin)
                    at = column * self.form.lanes
                    self._samples(done.get(), rows, at, weights, constants.get(), out)
                    done.set(done.get() + rows)
            constants.set(constants.get() + self.form.vectors * tile.columns * self.form.lanes)

    def _row(self, word: Any, clock: Int, stride: int) -> Int:
        """Where the sample of a clock lies in the track whose beginning and mask stand in the record."""
        return self.record[word] + (clock & self.record[word + 1]) * stride

    def _samples(self, first: Int, rows: int, column: Int, weights: Variable, constants: Int, out: Array) -> None:
        """Samples `first .. first+rows-1` of the columns from `column` on."""
        word = Variable(self.fn, len(RECORD))
        biases = self._vectors(self.memory.constants.at(constants), self.form.sums)
        sums: list[list[Vectors]] = []
        for count, groups in self.form.bundles:
            sums += self._bundle(biases[len(sums) : len(sums) + count], groups, first, rows, weights, word)
        own = constants + self.form.sums * self.tile.columns * self.form.lanes
        fixed = self._vectors(self.memory.constants.at(own), self.form.constants)
        tracks = []
        for stride in self._strides():
            tracks.append(self._read(word, first, stride).at(column))
        for row in range(rows):
            values = self._expression(row, sums, fixed, tracks)
            for number, value in enumerate(values):
                out.set_vector((first + row) * self.form.stride + column + number * self.form.lanes, value)

    def _vectors(self, array: Array, count: int) -> list[Vectors]:
        lanes, columns = self.form.lanes, self.tile.columns
        return [
            [array.vector((own * columns + column) * lanes, lanes) for column in range(columns)] for own in range(count)
        ]

    def _read(self, word: Variable, first: Int, stride: int) -> Array:
        """The track that the record's next words name, as the sample `first` reads it."""
        at = word.get()
        word.set(at + READ)
        clock = self.clock - self.record[at + 2] + first
        return self.memory.samples.at(self._row(at, clock, stride)).anchored()

    def _bundle(
        self, biases: list[Vectors], groups: tuple[Group, ...], first: Int, rows: int, weights: Variable, word: Variable
    ) -> list[list[Vectors]]:
        """Sums over the same taps: of each the vectors of every row."""
        fn, lanes, tile = self.fn, self.form.lanes, self.tile
        sums = [
            [[[Accumulator(fn, self.element, lanes) for _ in range(rows)] for _ in range(tile.partial)] for _ in bias]
            for bias in biases
        ]
        for own, bias in zip(sums, biases, strict=True):
            for column, start in zip(own, bias, strict=True):
                for number, partial in enumerate(column):
                    for accumulator in partial:
                        accumulator.set(ll.Constant(self.kind, None) if number else start)
        flat = [column for own in sums for column in own]
        for channels, stride in groups:
            taps = self.record[word.get()]
            word.set(word.get() + 1)
            with fn.loop(0, taps):
                self._tap(self._read(word, first, stride), channels, stride, flat, rows, weights)
        total = [[self._total(column, row) for column in own] for own in sums for row in range(rows)]
        return [total[own * rows : (own + 1) * rows] for own in range(len(sums))]

    def _tap(self, source: Array, channels: int, stride: int, sums: list[Any], rows: int, weights: Variable) -> None:
        """The products of one tap's channels with their weights, added to all sums."""
        fn, lanes = self.fn, self.form.lanes
        most = max(1, UNROLLED // len(sums))
        together = max(n for n in range(1, channels + 1) if channels % n == 0 and n <= most)

        def some(source: Array) -> None:
            packed = self.memory.weights.at(weights.get()).anchored()
            for own in range(together):
                given = [fn.splat(source[row * stride + own], lanes) for row in range(rows)]
                for number, column in enumerate(sums):
                    weight = packed.vector((own * len(sums) + number) * lanes, lanes)
                    for accumulator, x in zip(column[own % self.tile.partial], given, strict=True):
                        accumulator.multiply_add(weight, x)
            weights.set(weights.get() + together * len(sums) * lanes)

        if together == channels:
            some(source.in_register())
        else:
            with fn.loop(0, channels, together) as channel:
                some(source.at(channel).in_register())

    def _total(self, column: list[list[Accumulator]], row: int) -> ll.Value:
        parts = [partial[row].get() for partial in column]
        while len(parts) > 1:
            parts = [
                self.fn.builder.fadd(*pair) if len(pair) == 2 else pair[0]
                for pair in (parts[n : n + 2] for n in range(0, len(parts), 2))
            ]
        return parts[0]

    def _expression(self, row: int, sums: list[list[Vectors]], fixed: list[Vectors], tracks: list[Array]) -> Vectors:
        constants, sources = iter(fixed), iter(zip(tracks, self._strides(), strict=True))
        lanes, values = self.form.lanes, list[Vectors]()
        for name, *rest in self.form.nodes:
            given: list[Any] = rest
            match name:
                case "sum":
                    values.append(sums[given[0]][row])
                case "read":
                    track, stride = next(sources)
                    columns = range(self.tile.columns)
                    values.append([track.vector(row * stride + column * lanes, lanes) for column in columns])
                case "constant":
                    values.append(next(constants))
                case "number":
                    values.append([ll.Constant(self.kind, [given[0]] * lanes)] * self.tile.columns)
                case _:
                    arguments = zip(*(values[number] for number in given), strict=True)
                    values.append([FUNCTIONS[str(name)](self.fn, *vectors) for vectors in arguments])
        return values[-1]

    def _strides(self) -> list[int]:
        nodes: Sequence[Any] = self.form.nodes
        return [node[1] for node in nodes if node[0] == "read"]


def _above(fn: Function, x: Any, y: Any) -> Any:
    return fn.builder.fcmp_ordered(">", x, y)


def _zero(x: Any) -> Any:
    return ll.Constant(x.type, None)


def _maximum(fn: Function, x: Any, y: Any) -> Any:
    """NaN where one is."""
    b = fn.builder
    larger = b.select(b.fcmp_unordered(">=", x, y), x, y)  # a comparison with NaN chooses x
    return b.select(b.fcmp_unordered("uno", y, y), y, larger)


def _minimum(fn: Function, x: Any, y: Any) -> Any:
    b = fn.builder
    smaller = b.select(b.fcmp_unordered("<=", x, y), x, y)
    return b.select(b.fcmp_unordered("uno", y, y), y, smaller)


#: How intrinsics name elements.
_WORDS = {"float": "f32", "double": "f64"}

#: Functions of vectors by name.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda fn, x, y: fn.builder.fadd(x, y),
    "sub": lambda fn, x, y: fn.builder.fsub(x, y),
    "mul": lambda fn, x, y: fn.builder.fmul(x, y),
    "div": lambda fn, x, y: fn.builder.fdiv(x, y),
    "neg": lambda fn, x: fn.builder.fneg(x),
    "abs": lambda fn, x: fn.call(f"llvm.fabs.v{x.type.count}{_WORDS[str(x.type.element)]}", x.type, [x]),
    "maximum": _maximum,
    "minimum": _minimum,
    "relu": lambda fn, x: fn.builder.select(_above(fn, _zero(x), x), _zero(x), x),
    "prelu": lambda fn, x, slope: fn.builder.select(_above(fn, x, _zero(x)), x, fn.builder.fmul(x, slope)),
    "tanh": lambda fn, x: fn.builder.call(curve(fn.module, "tanh", x.type), [x]),
    "sigmoid": lambda fn, x: fn.builder.call(curve(fn.module, "sigmoid", x.type), [x]),
}
