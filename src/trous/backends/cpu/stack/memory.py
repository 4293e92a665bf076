"""The memory of a running stack: a header that code finds everything by, and behind it the rings of all tracks.

A ring is a power of two of samples and a chunk more: the first samples of a ring are there a second time behind its
last, so that those of any chunk lie side by side, from whatever delay on.
"""

from __future__ import annotations

from typing import Any

import llvmlite.ir as ll

from trous.backends.cpu.ir import Array, Function, Limits
from trous.backends.cpu.values import I64, LINE, POINTER, Int

#: Words of the header. `clock` counts samples, `end` says at which the signal ends; of arrays the address and the size.
WORDS = (
    "clock",
    "end",
    "table",
    "table_size",
    "weights",
    "weights_size",
    "constants",
    "constants_size",
    "size",
    "breach",
)
PLACE = {name: number for number, name in enumerate(WORDS)}
#: Bytes: where accesses go that checked code turned away, and where the samples begin.
SPARE, HEADER = 2 * LINE, 6 * LINE
#: `end` of a signal that goes on.
NEVER = 1 << 62


class Memory:
    """The arrays of a stack in a function whose first argument is the state's address."""

    def __init__(self, fn: Function, state: Any, element: str, stored: str, checked: bool):
        self.fn, self.state, self.checked = fn, state, checked
        self.words = Array(fn, state, "int64")
        self.spare = fn.builder.gep(state, [ll.Constant(I64, SPARE)], source_etype=ll.IntType(8))
        start = fn.builder.gep(state, [ll.Constant(I64, HEADER)], source_etype=ll.IntType(8))
        self.samples = Array(fn, start, element, 0, self.limits(self["size"]) if checked else None)
        self.table = self._array("table", "int64")
        self.weights = self._array("weights", stored)
        self.constants = self._array("constants", element)

    def __getitem__(self, name: str) -> Int:
        word: Int = self.words[PLACE[name]]
        return word

    def __setitem__(self, name: str, value: Any) -> None:
        self.words[PLACE[name]] = value

    def limits(self, size: Int) -> Limits:
        """Limits of an array of so many elements."""
        return Limits(self.fn.number(0), size, self.words.at(PLACE["breach"]), self.spare)

    def given(self, pointer: Any, element: str, size: Int) -> Array:
        """An array of the caller's."""
        return Array(self.fn, pointer, element, 0, self.limits(size) if self.checked else None)

    def _array(self, name: str, element: str) -> Array:
        base = self.fn.builder.inttoptr(self[name].value, POINTER)
        return self.given(base, element, self[f"{name}_size"]) if self.checked else Array(self.fn, base, element)
