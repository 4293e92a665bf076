"""Inline SVG, drawn from the taps of plans: what the page shows is what the library runs.

Colours are classes that the page's style sheet defines for light and dark.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import numpy as np

from trous.plan import AxisPlan, Plan

STEP = 26
CELL = 30


def axis_taps(axis: AxisPlan, size: int, chosen: int, title: str) -> str:
    """Inputs below, outputs above, a line for every tap that lands inside; those of the output `chosen` stand out.

    A dashed circle is a hole: a place that a stride skips. Output `o` stands at `down*o` and input `i` at `up*i`, moved
    so that the taps spread evenly, which is where the grids of the two really lie.
    """
    bound = Plan((axis,)).bind(size).axes[0]
    shift = sum(axis.up * tap.offset - axis.down * tap.phase for tap in axis.taps) / len(axis.taps)
    pairs = [
        (axis.up * m + tap.phase, axis.down * m + tap.offset, tap.kernel) for tap in axis.taps for m in bound.steps(tap)
    ]
    inputs = [axis.up * i - shift for i in range(size)]
    outputs = [float(axis.down * o) for o in range(bound.output_size)]
    left, right = min(inputs + outputs) - 0.7, max(inputs + outputs) + 0.7
    top, bottom = 1.0, 3.6

    parts = [
        _line(outputs[o], top, inputs[i], bottom, "tap chosen" if o == chosen else "tap")
        for o, i, _ in sorted(pairs, key=lambda pair: pair[0] == chosen)
    ]
    read = {i: kernel for o, i, kernel in pairs if o == chosen}
    parts += [_dot(x, top, "hole") for x in _holes(outputs, axis.down)]
    parts += [_dot(x, bottom, "hole") for x in _holes(inputs, axis.up)]
    parts += [_dot(x, top, "output chosen" if o == chosen else "output") for o, x in enumerate(outputs)]
    for i, x in enumerate(inputs):
        skipped = min(read) < i < max(read) and i not in read
        parts.append(_dot(x, bottom, "input chosen" if i in read else "input skipped" if skipped else "input"))
        if i in read:
            parts.append(_text(x, bottom + 0.95, f"w{read[i]}"))
    parts += [_text(left, top - 0.6, "output", "start"), _text(left, bottom + 1.7, "input", "start")]
    return _svg(parts, left, right, 0.0, bottom + 2, title)


def receptive_field(plan: Plan, frame: int, title: str) -> str:
    """Which pixels one output reads (filled), within its receptive field (outlined), in a frame of `frame` pixels."""
    rows, columns = (axis.offsets for axis in plan.axes)
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    top, left = (frame - height) / 2, (frame - width) / 2
    parts = []
    for row in range(frame):
        for column in range(frame):
            read = row - top + rows[0] in rows and column - left + columns[0] in columns
            inside = 0 <= row - top < height and 0 <= column - left < width
            parts.append(_cell(column, row, "read" if read else "unread" if inside else "outside"))
    parts.append(f'<rect class="field" x="{left}" y="{top}" width="{width}" height="{height}"/>')
    return _svg(parts, -0.1, frame + 0.1, -0.1, frame + 0.1, title)


def profile(weights: np.ndarray, axis: AxisPlan, frame: int, title: str) -> str:
    """The weights of one axis as bars, coloured by the phase of the output that each of them feeds.

    Kernels in frames of the same width, at least the longest one's, are drawn to one scale: a weight of 1 is as high as
    a third of it.
    """
    phase = {tap.kernel: tap.phase for tap in axis.taps}
    unit, left = frame / 3, (frame - len(weights)) / 2
    parts = []
    for k, weight in enumerate(weights.tolist()):
        height = abs(weight) * unit
        x, y = left + k + 0.1, -height if weight > 0 else 0.0
        parts.append(f'<rect class="phase{phase[k]}" x="{x:g}" y="{y:.3f}" width=".8" height="{height:.3f}"/>')
    parts.append(f'<path class="ground" d="M{left:g} 0h{len(weights)}"/>')
    return _svg(parts, 0, frame, -1.05 * unit, 0.2 * unit, title)


def numbers(values: np.ndarray, title: str, hue: np.ndarray | None = None, blank: np.ndarray | None = None) -> str:
    """A matrix of numbers. `hue` colours each by a kernel index, -1 for none; `blank` marks those that are padding."""
    parts = []
    for (row, column), value in np.ndenumerate(values):
        index = -1 if hue is None else int(hue[row, column])
        empty = blank is not None and bool(blank[row, column])
        parts.append(_cell(column, row, "padding" if empty else f"hue{index}" if index >= 0 else "plain"))
        parts.append(_text(column + 0.5, row + 0.66, f"{value:g}", faint=empty))
    rows, columns = values.shape
    return _svg(parts, -0.1, columns + 0.1, -0.1, rows + 0.1, title, unit=CELL)


def tap_matrix(index: np.ndarray, kernel: np.ndarray, title: str) -> str:
    """A layer as a matrix: outputs down, inputs across, each cell the weight that joins them, or nothing."""
    weights = kernel.ravel()
    parts = []
    for (row, column), k in np.ndenumerate(index):
        parts.append(_cell(column, row, f"hue{k}" if k >= 0 else "outside"))
        if k >= 0:
            parts.append(_text(column + 0.5, row + 0.68, f"{weights[k]:g}"))
    rows, columns = index.shape
    return _svg(parts, -0.1, columns + 0.1, -0.1, rows + 0.1, title, unit=CELL)


def _holes(places: list[float], step: int) -> Iterable[float]:
    for place in places[:-1]:
        yield from (place + skipped for skipped in range(1, step))


def _svg(parts: list[str], left: float, right: float, top: float, bottom: float, title: str, unit: int = STEP) -> str:
    width, height = right - left, bottom - top
    box = f"{left:.3f} {top:.3f} {width:.3f} {height:.3f}"
    size = f'width="{width * unit:.0f}" height="{height * unit:.0f}"'
    label = escape(title, quote=True)
    return f'<svg viewBox="{box}" {size} role="img" aria-label="{label}">{"".join(parts)}</svg>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<path class="{kind}" d="M{x1:g} {y1:g}L{x2:g} {y2:g}"/>'


def _dot(x: float, y: float, kind: str) -> str:
    return f'<circle class="{kind}" cx="{x:g}" cy="{y:g}" r=".32"/>'


def _cell(column: int, row: int, kind: str) -> str:
    return f'<rect class="{kind}" x="{column + 0.04:g}" y="{row + 0.04:g}" width=".92" height=".92"/>'


def _text(x: float, y: float, text: str, anchor: str = "middle", faint: bool = False) -> str:
    kind = ' class="faint"' if faint else ""
    return f'<text{kind} x="{x:.3f}" y="{y:.3f}" text-anchor="{anchor}">{text}</text>'
