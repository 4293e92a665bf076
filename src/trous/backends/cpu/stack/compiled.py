"""A program ready to run: its code, and the memory of each signal that goes through it."""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from trous import settings
from trous.arrays import address
from trous.backends.cpu import engine
from trous.backends.cpu.narrow import STORED, summed_in
from trous.backends.cpu.stack.drawing import Draw, DrawCode
from trous.backends.cpu.stack.driver import TABLE, Entry, StackCode
from trous.backends.cpu.stack.form import CHUNK, Form, Tile, bundles, form, grouped, strides
from trous.backends.cpu.stack.memory import HEADER, NEVER, PLACE
from trous.backends.cpu.stack.program import Constant, Program, Read, Step, channels, flat
from trous.backends.cpu.target import Target
from trous.backends.cpu.values import BYTES, LINE

#: The C type of a stack's function.
KIND = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_int64,
)


#: The C type of functions that draw.
DRAWING = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int64,
)
#: Bytes of the header that change: `clock`, `end` and `last`.
_MOVING = 3 * BYTES["int64"]


@dataclass(frozen=True)
class Ring:
    """Where a track lies in the state: its first element, and a mask of positions."""

    start: int
    mask: int


class Stack:
    """A compiled program.

    Args:
        program: what to compute.
        element: "float32" or "float64".
        weights: how weights lie in memory: as `element`, or for float32 "bfloat16" or "float16".

    With TROUS_CHECK=1 code verifies each access, and `check` says whether one was outside.
    """

    def __init__(self, program: Program, element: str, weights: str, target: Target):
        self.program, self.element = program, element
        self.checked = checked = settings.get(settings.CHECK) == "1"
        own = strides(program, target, BYTES[element])
        forms = [form(step, program, own, target, BYTES[element]) for step in program.steps]
        kinds = list(dict.fromkeys(forms))
        text = repr((kinds, element, weights, checked))
        name = f"stack_{hashlib.sha256(text.encode()).hexdigest()[:16]}"

        def code() -> StackCode:
            return StackCode(name, kinds, target, element, weights, checked)

        self._name, self._code, self._target = name, code, target
        self.function = engine.function(name, target, lambda: Entry(code(), name).text, KIND)
        self.rings, self.size = _rings(program, own)
        packer = _Packer(target, element, weights)
        records = [
            self._record(step, each, kinds, own, packer) for step, each in zip(program.steps, forms, strict=True)
        ]
        self.table = self._table(records, own)
        self.weights, self.constants = packer.arrays()

    def state(self) -> np.ndarray:
        """The memory of a new signal, bytes at the beginning of a cache line. The stack must live as long."""
        room = HEADER + self.size * BYTES[self.element]
        memory = np.zeros(room + LINE, np.uint8)
        start = -address(memory) % LINE
        state = memory[start : start + room]
        words = state[: len(PLACE) * 8].view(np.int64)
        words[PLACE["clock"]], words[PLACE["end"]], words[PLACE["size"]] = self.program.begin, NEVER, self.size
        for word, array in (("table", self.table), ("weights", self.weights), ("constants", self.constants)):
            words[PLACE[word]], words[PLACE[f"{word}_size"]] = address(array), array.size
        return state

    def drawing(self, draw: Draw) -> Callable[..., int]:
        """The function that goes on with its own output (`drawing`), for states of this stack."""
        text = f"{self._name} {draw}"
        name = f"draw_{hashlib.sha256(text.encode()).hexdigest()[:16]}"

        def build() -> str:
            return DrawCode(self._code(), name, draw, self._target).text

        return engine.function(name, self._target, build, DRAWING)

    def check(self, state: np.ndarray) -> None:
        """Raises RuntimeError where checked code had to turn an access away."""
        breach = state[PLACE["breach"] * BYTES["int64"] :].view(np.int64)
        if breach[0]:
            breach[0] = 0
            raise RuntimeError("generated code left its arrays (found by TROUS_CHECK=1): please report this problem")

    def kept(self, state: np.ndarray) -> np.ndarray:
        """What a state has to remember, apart from where it lies in memory."""
        return np.concatenate([state[:_MOVING], state[HEADER:]])

    def restore(self, state: np.ndarray, kept: np.ndarray) -> None:
        """Make a state what another was when `kept` was taken, an array of as many bytes."""
        state[:_MOVING], state[HEADER:] = kept[:_MOVING], kept[_MOVING:]

    def _record(self, step: Step, own: Form, kinds: list[Form], strides: list[int], packer: _Packer) -> list[int]:
        """The words of a step, `kernel.RECORD` and what it reads."""
        track, ring = self.program.tracks[step.track], self.rings[step.track]
        nodes = flat(step.value)
        words: list[int] = []
        for together in bundles(nodes):
            for _, terms in grouped(together[0], strides):
                words.append(len(terms))
                for term in terms:
                    words += self._place(term.read, track.latency)
        for node in nodes:
            if isinstance(node, Read):
                words += self._place(node, track.latency)
        at = packer.add(step, own, strides)
        head = [kinds.index(own), track.latency, track.growth, ring.start, ring.mask, strides[step.track], *at]
        return [1 + len(head) + len(words), *head, *words]

    def _place(self, read: Read, latency: int) -> list[int]:
        ring = self.rings[read.track]
        return [ring.start + read.start, ring.mask, self.program.back(read, latency)]

    def _table(self, records: list[list[int]], strides: list[int]) -> np.ndarray:
        program, outputs = self.program, list[int]()
        for part in program.output:
            ring, late = self.rings[part.track], program.delay - program.tracks[part.track].latency
            for channel in range(part.start, part.start + part.channels):
                outputs += [ring.start + channel, ring.mask, strides[part.track], late]
        entry = self.rings[0]
        first = len(TABLE) + len(outputs)
        head = [len(records), first, entry.start, entry.mask, program.tracks[0].channels, channels(program.output)]
        return np.array([*head, program.growth, program.delay, program.begin, *outputs, *_joined(records)], np.int64)


def _joined(records: Iterable[list[int]]) -> list[int]:
    return [word for record in records for word in record]


def _rings(program: Program, strides: list[int]) -> tuple[list[Ring], int]:
    """The ring of each track, and how many elements all take."""
    rings, at = [], 0
    for back, stride in zip(program.history(), strides, strict=True):
        rows = 1 << max(CHUNK - 1, back + CHUNK - 1).bit_length()
        rings.append(Ring(at, rows - 1))
        at += -(-(rows + CHUNK) * stride // LINE) * LINE
    return rings, at + LINE  # vectors reach beyond the last channels of a row


class _Packer:
    """Weights and constants of all steps, one behind the other in the order that code reads them in."""

    def __init__(self, target: Target, element: str, weights: str):
        self.target, self.element, self.stored = target, element, weights
        self.weights: list[np.ndarray] = []
        self.constants: list[np.ndarray] = []

    def add(self, step: Step, own: Form, strides: list[int]) -> tuple[int, int]:
        """Where those of a step begin."""
        at = sum(a.size for a in self.weights), sum(a.size for a in self.constants)
        nodes, tile = flat(step.value), Tile.of(own, self.target)
        together, wide = bundles(nodes), tile.columns * own.lanes
        constants = [node.values for node in nodes if isinstance(node, Constant)]
        for start in range(0, own.stride, wide):
            part = slice(start, start + wide)
            for bundle in together:
                self.constants += [_padded(each.bias, own)[part] for each in bundle]
                for terms in zip(*(each.terms for each in bundle), strict=True):
                    both = [_padded(term.weight, own)[:, part] for term in terms]
                    self.weights.append(np.concatenate(both, 1))
            self.constants += [_padded(values, own)[part] for values in constants]
        return at

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """All of them, as they lie in memory."""
        weights, constants = (
            np.concatenate([a.ravel() for a in [*arrays, np.zeros(1)]]).astype(summed_in(self.element))
            for arrays in (self.weights, self.constants)
        )
        return _stored(weights, self.stored), constants


def _padded(values: np.ndarray | None, own: Form) -> np.ndarray:
    """With zeros up to whole vectors of channels; zeros for no bias."""
    if values is None:
        return np.zeros(own.stride)
    return np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, own.stride - values.shape[-1])])


def _stored(values: np.ndarray, form: str) -> np.ndarray:
    """float32 numbers in the form that they are kept in, rounded to the nearest."""
    if form not in STORED:
        return values
    if form == "float16":
        return values.astype(np.float16).view(np.int16)
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).view(np.int16)
