"""Runs: taps of an input row that are evenly spaced, multiplied together, so that steps share the inputs they load.

Of a tile of neighbouring steps, step `r` reads through tap `t` of a run the column `t*gap + r*down`, counted from where
the first step's first tap lies. Three neighbouring taps and eight steps read 10 columns, where tap by tap they would
load 24 times. The sums add the same products in the same order either way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from trous.backends.cpu.values import Accumulator


@dataclass(frozen=True)
class Run:
    """Taps that are multiplied together, columns between neighbours of them, and between neighbouring steps."""

    taps: int
    gap: int
    down: int

    @property
    def word(self) -> str:
        return f"{self.taps}g{self.gap}s{self.down}"

    @property
    def single(self) -> Run:
        """One tap of it."""
        return Run(1, 0, self.down)

    def columns(self, steps: int) -> list[tuple[int, list[tuple[int, int]]]]:
        """The columns that a tile reads, ascending, each with the `(tap, step)` that it feeds."""
        found: dict[int, list[tuple[int, int]]] = {}
        for tap in range(self.taps):
            for step in range(steps):
                found.setdefault(tap * self.gap + step * self.down, []).append((tap, step))
        return sorted(found.items())

    def multiply(
        self,
        tile: Sequence[Sequence[Accumulator]],
        weights: Sequence[Sequence[Any]],
        load: Callable[[int], Sequence[Any]],
    ) -> None:
        """Add to the sums `[step][vector]` the products with the weights `[tap][vector]`; `load` gives the vectors of a
        column, asked for in their order."""
        for column, uses in self.columns(len(tile)):
            values = load(column)
            for tap, step in uses:
                for accumulator, weight, value in zip(tile[step], weights[tap], values, strict=True):
                    accumulator.multiply_add(weight, value)
