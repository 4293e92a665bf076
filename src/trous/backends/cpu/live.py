"""Which taps are alive in a row: kept from one inner row to the next, listed anew where a tap leaves the image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from trous.backends.cpu.header import Kernel
from trous.backends.cpu.ir import Array
from trous.backends.cpu.values import Int, Variable

#: Records, in 64-bit words: slots (offsets along z, y, x; memory distance), entries (slot, place in the weight), live
#: taps (distance in memory, offset along x, where its packed weights begin).
SLOT, ENTRY, LIVE = 4, 2, 3


class LiveTaps:
    """The taps of every list that find their row inside the input. A phase has two lists: runs of taps, and single
    ones."""

    def __init__(self, kernel: Kernel, lists: Int, panel: Int):
        self.k, self.fn, self.lists, self.panel = kernel, kernel.fn, lists, panel
        self.slots, self.entries, self.entry_at = (
            kernel.array(name, "int64") for name in ("slots", "entries", "entry_at")
        )
        self.table, self.start = kernel.part("live", "int64"), kernel.part("live_at", "int64")
        self.inner = Variable(self.fn, 0)  # whether the taps listed now are those of an inner row

    def update(self, z: Int, y: Int) -> None:
        """List the taps of input row `(z, y)`, offsets to come, unless the list that is there holds for it."""
        k, fn = self.k, self.fn
        inner = (z + k.low_z >= 0) & (z + k.high_z < k.in_z) & (y + k.low_y >= 0) & (y + k.high_y < k.in_y)
        now = fn.choose(inner, 1, 0)
        with fn.when((now & self.inner.get()).differs(1)):
            self._list(z, y)
            self.inner.set(now)

    @contextmanager
    def taps(self, first: Int, last: Int, step: int = 1) -> Iterator[Array]:
        """Loop over the live taps of lists `first .. last-1`, as records; of every `step` the first."""
        with self.fn.loop(self.start[first], self.start[last], step) as number:
            yield self.table.at(number * LIVE)

    def _list(self, z: Int, y: Int) -> None:
        k, fn = self.k, self.fn
        count = Variable(fn, 0)
        with fn.loop(0, self.lists) as own:
            self.start[own] = count.get()
            with fn.loop(self.entry_at[own], self.entry_at[own + 1]) as number:
                entry = self.entries.at(number * ENTRY)
                slot = self.slots.at(entry[0] * SLOT)
                at_z, at_y = z + slot[0], y + slot[1]
                with fn.when((at_z >= 0) & (at_z < k.in_z) & (at_y >= 0) & (at_y < k.in_y)):
                    live = self.table.at(count.get() * LIVE)
                    live[0], live[1], live[2] = slot[3], slot[2], number * self.panel
                    count.set(count.get() + 1)
        self.start[self.lists] = count.get()
