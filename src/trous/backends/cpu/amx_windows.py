"""How the taps of a layer find their inputs in a window of `amx_dense`."""

from __future__ import annotations

from dataclasses import dataclass

from trous.backends.cpu.amx import ROWS
from trous.plan import BoundAxis


@dataclass(frozen=True)
class AxisWindow:
    """How an axis' offsets lie in a window: `places[offset] = (plane, steps into it)`."""

    origins: tuple[int, ...]  #: offset of each plane's first step
    reach: int  #: steps of a plane beyond those of the window
    places: dict[int, tuple[int, int]]


@dataclass(frozen=True)
class Window:
    rows: int
    columns: int
    height: int
    pitch: int
    planes: list[tuple[int, int, int, int]]
    turned: bool  #: channels-first inputs, multiplied as channels-last ones
    axes: tuple[AxisWindow, AxisWindow, AxisWindow]

    @property
    def way(self) -> str:
        """In words."""
        turned = ", channels turned to be neighbours" if self.turned else ""
        planes = "x".join(str(len(axis.origins)) for axis in self.axes)
        return f"windows of {self.rows}x{self.columns} steps, planes {planes}{turned}"

    @property
    def on_lines(self) -> bool:
        """Whether every tap finds the first of 16 steps on a cache line's first place, steps being four bytes."""
        y, x = ([steps for _, steps in axis.places.values()] for axis in self.axes[1:])
        rows = not any(y) or self.pitch % ROWS == 0
        return not any(steps % ROWS for steps in x) and rows and self.height * self.pitch % ROWS == 0

    def place(self, offsets: tuple[int, ...]) -> int:
        """Where the first step finds what lies at the offsets."""
        plane, places = 0, [axis.places[offset] for axis, offset in zip(self.axes, offsets, strict=True)]
        for axis, (number, _) in zip(self.axes, places, strict=True):
            plane = plane * len(axis.origins) + number
        return plane * self.height * self.pitch + places[1][1] * self.pitch + places[2][1]


def axis_windows(axis: BoundAxis) -> list[AxisWindow]:
    """The two ways: a plane for each residue of the offsets, reaching over all of them; a plane for each offset."""
    offsets = sorted({tap.offset for tap in axis.live_taps}) or [0]
    down = axis.plan.down
    residues: dict[int, list[int]] = {}
    for offset in offsets:
        residues.setdefault(offset % down, []).append(offset)
    near_by = AxisWindow(
        tuple(found[0] for found in residues.values()),
        max((found[-1] - found[0]) // down for found in residues.values()),
        {o: (i, (o - found[0]) // down) for i, found in enumerate(residues.values()) for o in found},
    )
    apart = AxisWindow(tuple(offsets), 0, {offset: (i, 0) for i, offset in enumerate(offsets)})
    return [near_by, apart]
