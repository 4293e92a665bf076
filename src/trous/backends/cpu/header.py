"""The one argument block of generated code: named 64-bit fields, read by name on both sides.

A kernel is `void kernel(int64 *header, void *scratch, x, w, bias, residual, y, int64 begin, int64 end)`; `begin .. end`
are work items, of which a thread may be given several ranges: the first word of its scratch memory says what it has
left there (`Kernel.mark`). A kernel may have functions of its own beside it (`Kernel.call`). Everything that depends on
sizes comes through the header, so a new size compiles nothing. Calls do not write into the header, so they share it:
what changes from one to the next are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import llvmlite.ir as ll
import numpy as np

from trous.backends.cpu.ir import Array, Function, Limits
from trous.backends.cpu.narrow import summed_in
from trous.backends.cpu.values import POINTER, Int

#: The arrays whose addresses are arguments, by place; a weight gradient has a left and a right one. All others are
#: tables, to which the header points.
POINTERS = {"x": 0, "w": 1, "bias": 2, "residual": 3, "y": 4, "left": 0, "right": 4}
#: How many pointers are arguments of every kernel.
POINTER_COUNT = 5


#: What the first word of a thread's scratch memory says before a kernel has written there.
NO_MARK = -1


class Fields:
    """The names of a kernel's header in order: numbers, pointers of tables, limits of all arrays and scratch parts."""

    def __init__(self, numbers: Sequence[str], arrays: Sequence[str], scratch: Sequence[str]):
        self.arrays, self.scratch = tuple(arrays), tuple(scratch)
        names = [*numbers, *(name for name in arrays if name not in POINTERS)]
        names += [f"{name}_{edge}" for name in arrays for edge in ("low", "high")]
        names += [f"{name}_{part}" for name in scratch for part in ("at", "length")]
        names += ["breach", "spare"]
        self.place = {name: i for i, name in enumerate(names)}

    def pack(self, values: dict[str, int], upon: Sequence[int] | None = None) -> np.ndarray:
        """A header; every name must be given but the two of checked code, here or in what `upon` is the `listed` of."""
        return np.array(self.listed(values, upon), np.int64)

    def listed(self, values: dict[str, int], upon: Sequence[int] | None = None) -> list[int]:
        """The numbers of a header in order, 0 for those not given."""
        header, place = [0] * len(self.place) if upon is None else list(upon), self.place
        for name, value in values.items():
            header[place[name]] = value
        return header


@dataclass(frozen=True)
class Mark:
    """Like a `Variable`, in the first word of the scratch memory."""

    scratch: Array

    def get(self) -> Int:
        return self.scratch[0]

    def set(self, value: Int) -> None:
        self.scratch[0] = value


class Kernel:
    """A kernel function under construction: its header's numbers as attributes, its arrays by name."""

    def __init__(self, fields: Fields, name: str, checked: bool, integers: int = 2, module: ll.Module | None = None):
        """The whole of a module, or with `module` a function in it, for `call`, with as many integers as it likes."""
        self.module = ll.Module(name) if module is None else module
        self.fn = Function(self.module, name, pointers=2 + POINTER_COUNT, integers=integers)
        self.fields, self.checked = fields, checked
        self._shared, self.arguments = self.fn.arguments[: 2 + POINTER_COUNT], self.fn.arguments[2 + POINTER_COUNT :]
        if module is None:
            self.begin, self.end = self.arguments
        else:
            self.fn.function.linkage = "internal"
        header, self._scratch, *self._pointers = self._shared
        self._header = Array(self.fn, header, "int64")
        self._numbers: dict[str, Int] = {}

    def __getattr__(self, name: str) -> Int:
        """A header number, loaded once at the top of the function."""
        if name.startswith("_") or name not in self.fields.place:
            raise AttributeError(name)
        if name not in self._numbers:
            with self.fn.builder.goto_entry_block():
                self._numbers[name] = self._header[self.fields.place[name]]
        return self._numbers[name]

    def array(self, name: str, element: str) -> Array:
        """One of the header's arrays, index 0 at its pointer."""
        limits = self._limits(getattr(self, f"{name}_low"), getattr(self, f"{name}_high")) if self.checked else None
        return Array(self.fn, self._pointer(name), element, 0, limits)

    def part(self, name: str, element: str) -> Array:
        """A part of the thread's scratch memory; `name_at` counts bytes, `name_length` elements.

        It holds values as code computes with them: what is read from 16-bit arrays stays widened.
        """
        with self.fn.builder.goto_entry_block():
            start = getattr(self, f"{name}_at")
            base = self.fn.builder.gep(self._scratch, [start.value], source_etype=ll.IntType(8))
        limits = self._limits(self.fn.number(0), getattr(self, f"{name}_length")) if self.checked else None
        return Array(self.fn, base, summed_in(element), 0, limits)

    def mark(self) -> Mark:
        """A number that is kept from one range of items to the next, of those that a thread works on in one call: which
        weights lie in its scratch memory. `NO_MARK` at first."""
        with self.fn.builder.goto_entry_block():
            scratch = Array(self.fn, self._scratch, "int64")
            scratch[0] = self.fn.choose(self.begin.equals(0), NO_MARK, scratch[0])
        return Mark(scratch)

    def call(self, part: Kernel, *integers: Any) -> None:
        """Another function of the module, on the same header, scratch memory and arrays."""
        self.fn.builder.call(part.fn.function, [*self._shared, *(self.fn.number(n).value for n in integers)])

    def finish(self) -> str:
        self.fn.finish()
        return str(self.module)

    def _limits(self, low: Int, high: Int) -> Limits:
        return Limits(low, high, Array(self.fn, self._pointer("breach"), "int64"), self._pointer("spare"))

    def _pointer(self, name: str) -> Any:
        if name in POINTERS:
            return self._pointers[POINTERS[name]]
        with self.fn.builder.goto_entry_block():
            return self.fn.builder.inttoptr(getattr(self, name).value, POINTER)
