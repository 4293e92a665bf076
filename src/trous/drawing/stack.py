"""Layers in sequence: a tree of nodes for one axis, receptive fields as nested windows for two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise, product

import numpy as np

from trous.drawing.canvas import GAP, Panel, cell_size, compose
from trous.drawing.palette import HUES
from trous.drawing.scene import Circle, Drawing, Line, Links, Shape, Text, text_width
from trous.drawing.subject import Layer, check_cells
from trous.drawing.values import reached
from trous.plan.grid import Grid
from trous.plan.reach import reads_through

_WORDS = 24  #: pixels from a line of the legend to the next
_ROW = 66  #: pixels from a row of nodes to the next
_NODE = 30  #: pixels from a node to the next, where the closest stand


def draw_tree(title: str, layers: Sequence[Layer]) -> Drawing:
    """Rows of nodes, inputs below, a line for every tap; a frame for each output lights all that it depends on."""
    bounds = [layer.bound for layer in layers]
    sizes = [bounds[0].input_size[0], *(bound.output_size[0] for bound in bounds)]
    units = [1.0]
    for bound in bounds:
        units.append(units[-1] * float(Grid(bound.axes[0]).spacing))
    names = ["input", *(layer.brief for layer in layers)]
    room = max(text_width(name, 12) for name in names) + 20
    widest = max(unit * (n - 1) for unit, n in zip(units, sizes, strict=True))
    closest = min(_NODE, 900 / max(widest / min(units), 1))
    scale, radius = closest / min(units), min(7.0, closest * 0.3)
    middle = room + radius + widest * scale / 2
    depth = len(bounds)

    def spot(row: int, node: int) -> tuple[float, float]:
        """Rows are centred over each other: an output stands over the middle of what it belongs to."""
        return middle + scale * units[row] * (node - (sizes[row] - 1) / 2), _ROW * (depth - row) + radius

    def lines(row: int, nodes: Iterable[int], style: str) -> list[Line]:
        """From nodes of this row to what they read of the one below."""
        grid = Grid(bounds[row - 1].axes[0])
        return [Line(*spot(row, o), *spot(row - 1, i), style) for o in nodes for i in grid.taps(o).values()]

    rows = range(1, depth + 1)
    links: list[Shape] = [line for row in rows for line in lines(row, range(sizes[row]), "link")]
    kinds = {0: "input", depth: "output"}
    nodes: list[Shape] = [
        Circle(*spot(row, node), radius, "node", (kinds[row], node) if row in kinds else None)
        for row, n in enumerate(sizes)
        for node in range(n)
    ]
    labels: list[Shape] = [Text(0, spot(row, 0)[1], name, "label", "start") for row, name in enumerate(names)]
    frames, taps, counts = [], [], []
    for output in range(sizes[-1]):
        lit = [set(np.flatnonzero(ways).tolist()) for ways in reached(bounds, (output,))]
        shapes: list[Shape] = []
        for row in rows:
            shapes += lines(row, sorted(lit[row]), f"line{(row - 1) % len(HUES)}")
        for row, chosen in enumerate(lit):
            style = f"hue{max(row - 1, 0) % len(HUES)}"
            shapes += [Circle(*spot(row, node), radius, style) for node in sorted(chosen)]
        count, field = len(lit[0]), len(_field(layers, 0, output))
        taps += [(output, source, 0) for source in sorted(lit[0])]
        counts.append(count)
        frames.append((shapes, f"output {output} reads {count} of the {field} inputs in its receptive field"))
    most = max(range(sizes[-1]), key=lambda o: (counts[o], -abs(o - (sizes[-1] - 1) / 2)))
    found = Links(tuple(taps), (sizes[-1],), (sizes[0],), ())
    return compose(title, [*links, *nodes, *labels], frames, still=most, links=found)


def draw_windows(title: str, layers: Sequence[Layer]) -> Drawing:
    """What an output after the first layer reads of the input, after the second, and so on: windows in windows.

    The outputs are chosen one inside the other, the last in the middle. A frame adds a layer; cells have the colour of
    the first that reads them, and a cross where the largest window leaves them out.
    """
    size, depth = layers[0].bound.input_size, len(layers)
    chosen = _centres(layers)
    windows = []
    for row, (y, x) in enumerate(chosen):
        windows.append((_field(layers[: row + 1], 0, y), _field(layers[: row + 1], 1, x)))
    read = [reached([layer.bound for layer in layers[: row + 1]], chosen[row])[0] > 0 for row in range(depth)]
    rows, columns = (_hull(range(size[axis]), *(window[axis] for window in windows)) for axis in (0, 1))
    check_cells(len(rows), len(columns))
    cell = cell_size(len(rows), len(columns))
    panel = Panel(0, max(0, _WORDS * depth - cell * len(rows)) / 2, cell, rows, columns)
    cells: list[Shape] = []
    for place in product(rows, columns):
        inside = all(0 <= at < n for at, n in zip(place, size, strict=True))
        cells.append(panel.rect(place, "input" if inside else "padding"))
    background: list[Shape] = sorted(cells, key=lambda shape: shape.style, reverse=True)
    background.append(panel.below(f"input {size[0]}×{size[1]}"))

    left = panel.width + GAP / 2
    fields = ["×".join(str(len(interval)) for interval in window) for window in windows]
    frames = []
    for upto in range(1, depth + 1):
        shapes: list[Shape] = []
        fresh = np.full(size, -1)
        for row in reversed(range(upto)):
            fresh[read[row]] = row
        colours = {(y, x): int(fresh[y, x]) for y, x in np.argwhere(fresh >= 0).tolist()}
        shapes += [panel.rect(place, f"hue{row % len(HUES)}") for place, row in colours.items()]
        holes = [(y, x) for y, x in product(*windows[upto - 1]) if 0 <= y < size[0] and 0 <= x < size[1]]
        holes = [place for place in holes if place not in colours]
        shapes += [line for place in holes for line in panel.cross(place)]
        for row, window in enumerate(windows[:upto]):
            shapes.append(panel.window(*window, "window", inset=3 * windows[:row].count(window)))
        for row in range(upto):
            level = panel.y + panel.height / 2 + _WORDS * (row - (depth - 1) / 2)
            swatch = Panel(left, level - 7, 14, range(1), range(1))
            words = f"after layer {row + 1} ({layers[row].brief}): {fields[row]}"
            shapes += [swatch.rect((0, 0), f"hue{row % len(HUES)}"), Text(left + 22, level, words, "label", "start")]
        named = "1 layer" if upto == 1 else f"{upto} layers"
        count = np.count_nonzero(read[upto - 1])
        frames.append((shapes, f"after {named} the field is {fields[upto - 1]}, and {count} inputs are read"))
    return compose(title, background, frames, still=depth - 1)


def _centres(layers: Sequence[Layer]) -> list[tuple[int, ...]]:
    """An output of each layer, that of the last in the middle, the others in the middle of what is read of them."""
    last = layers[-1].bound.output_size
    chosen = [tuple(n // 2 for n in last)]
    for below, above in reversed(list(pairwise(layers))):
        places = []
        for axis, o in enumerate(chosen[0]):
            interval = reads_through([above.bound.plan.axes[axis]], range(o, o + 1)) or range(o, o + 1)
            middle = (interval[0] + interval[-1]) // 2
            places.append(min(max(middle, 0), below.bound.output_size[axis] - 1))
        chosen.insert(0, tuple(places))
    return chosen


def _field(layers: Sequence[Layer], axis: int, output: int) -> range:
    return reads_through([layer.bound.plan.axes[axis] for layer in layers], range(output, output + 1))


def _hull(*intervals: range) -> range:
    filled = [interval for interval in intervals if interval]
    return range(min(i.start for i in filled), max(i.stop for i in filled))
