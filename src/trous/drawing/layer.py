"""A layer of two or three axes at work: input with its holes and padding, kernel, output; one frame for each output.

The input stands on the grid of `trous.plan.grid`, where the kernel is a window. Cells that a tap reads have the colour
of its phase; those of the window that keep their own are holes and padding, which nothing is multiplied with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

import numpy as np

from trous.drawing.canvas import LABEL, Panel, arrow, beside, cell_size, compose
from trous.drawing.palette import HUES
from trous.drawing.scene import Drawing, Links, Shape, Text
from trous.drawing.values import kernel_size, shown, taps
from trous.errors import TrousError
from trous.plan import IDENTITY, BoundAxis, BoundPlan, Plan, Tap
from trous.plan.grid import Grid

Index = tuple[int, ...]
_TERMS = 9
_SLICES = 16


class Numbers:
    """What numbers stand in the cells: `x`, `weight` and `y` with three axes."""

    def __init__(self, x: np.ndarray, weight: np.ndarray, y: np.ndarray):
        self.x, self.weight, self.y = (a.reshape((1,) * (3 - a.ndim) + a.shape) for a in (x, weight, y))

    @property
    def texts(self) -> list[str]:
        return [shown(value) for array in (self.x, self.weight, self.y) for value in array.ravel().tolist()]

    @staticmethod
    def sentence(caption: str, terms: Sequence[str], total: float) -> str:
        """The sum as it is written, where it is short enough to be read."""
        if 0 < len(terms) <= _TERMS:
            return f"{' + '.join(terms)} = {shown(total)}"
        return f"{caption}; their sum is {shown(total)}"


def draw_layer(title: str, bound: BoundPlan, numbers: Numbers | None = None) -> Drawing:
    """The picture of a bound plan of two axes, or of three as slices along the first.

    Raises TrousError for more slices than can be seen.
    """
    flat = bound.plan.ndim == 2
    if flat:
        identity = Plan((IDENTITY,)).bind(1)
        sliced = BoundPlan(Plan((IDENTITY, *bound.plan.axes)), (*identity.axes, *bound.axes))
    else:
        sliced = bound
        slices = max(bound.input_size[0], bound.output_size[0])
        if slices > _SLICES:
            raise TrousError("size", f"must give at most {_SLICES} slices along the first axis to be seen", slices)
    picture = _Layer(sliced, numbers, 2 if flat else 3)
    outputs = list(np.ndindex(sliced.output_size))
    frames = [(list(picture.frame(output)), picture.caption(output)) for output in outputs]
    links = Links(tuple(sorted(taps(bound))), bound.output_size, bound.input_size, kernel_size(bound))
    return compose(title, picture.background(), frames, still=most_telling(bound), links=links)


def most_telling(bound: BoundPlan) -> int:
    """The output with the most taps, of several the one nearest to the middle: flat."""
    grids = [Grid(axis) for axis in bound.axes]

    def worth(output: Index) -> tuple[int, float]:
        number = prod(len(grid.taps(o)) for grid, o in zip(grids, output, strict=True))
        away = sum((o - (n - 1) / 2) ** 2 for o, n in zip(output, bound.output_size, strict=True))
        return number, -away

    outputs = list(np.ndindex(bound.output_size))
    return outputs.index(max(outputs, key=worth))


def output_hue(axes: Sequence[BoundAxis], output: Index) -> int:
    """The number of the colour of an output, which is that of its phase."""
    return hue(axes, tuple(Grid(axis).phase(o) for axis, o in zip(axes, output, strict=True)))


def hue(axes: Sequence[BoundAxis], phases: Index) -> int:
    """The number of the colour of a phase, one number for each axis; with one phase there is one colour."""
    return int(np.ravel_multi_index(phases, [axis.plan.up for axis in axes])) % len(HUES)


def tap_caption(axes: Sequence[BoundAxis], output: Index) -> str:
    """How many of the kernel's taps an output has, and where the others fall."""
    every = prod(len(axis.plan.taps) for axis in axes)
    own = prod(len(axis.plan.by_phase[Grid(axis).phase(o)]) for axis, o in zip(axes, output, strict=True))
    inside = prod(len(Grid(axis).taps(o)) for axis, o in zip(axes, output, strict=True))
    place = output if len(output) > 1 else output[0]
    text = f"output {place}: {inside} of {every} taps"
    text += f", {every - own} on holes" if own < every else ""
    return text + (f", {own - inside} on padding" if inside < own else "")


class _Layer:
    def __init__(self, bound: BoundPlan, numbers: Numbers | None, ndim: int):
        self.bound, self.axes, self.numbers, self.ndim = bound, bound.axes, numbers, ndim
        self.grids = [Grid(axis) for axis in bound.axes]
        self.kernels = kernel_size(bound)
        rows, columns = self.grids[1], self.grids[2]
        kernel_depths = sorted(self.grids[0].kernel, key=self.grids[0].kernel.__getitem__)
        depths = range(self.axes[0].input_size), kernel_depths, range(self.axes[0].output_size)
        spans = (
            (rows.places, columns.places),
            (rows.window, columns.window),
            (range(self.axes[1].output_size), range(self.axes[2].output_size)),
        )
        self.cell = cell_size(
            *(len(span) for pair in spans for span in pair),
            texts=numbers.texts if numbers else (),
            most=460 if ndim == 2 else 200,
        )
        self.names = [
            f"{name} {'×'.join(map(str, size[-ndim:]))}"
            for name, size in zip(
                ("input", "kernel", "output"), (bound.input_size, self.kernels, bound.output_size), strict=True
            )
        ]
        extents = [(self.cell * len(c), self.cell * len(r)) for r, c in spans]
        self.panels: list[dict[int, Panel]] = []  # of input, kernel and output, by the index of the slice
        if ndim == 2:
            corners = beside(extents, self.names)
            for (x, y), (r, c) in zip(corners, spans, strict=True):
                self.panels.append({0: Panel(x, y, self.cell, r, c)})
        else:
            y = 0.0
            for slices, (r, c), (width, height) in zip(depths, spans, extents, strict=True):
                step = max(width + 14, 60.0)
                self.panels.append({z: Panel(n * step, y + LABEL, self.cell, r, c) for n, z in enumerate(slices)})
                y += height + 2 * LABEL + 22

    def background(self) -> list[Shape]:
        inputs, kernels, outputs = self.panels
        shapes: list[Shape] = []
        for z, panel in inputs.items():
            shapes += self._input_cells(z, panel)
        for z, panel in kernels.items():
            shapes += self._kernel_cells(z, panel)
        for z, panel in outputs.items():
            shapes += self._output_cells(z, panel)
        for name, row in zip(self.names, self.panels, strict=True):
            if self.ndim == 2:
                shapes.append(row[0].below(name))
            else:
                first = next(iter(row.values()))
                shapes.append(Text(first.x, first.y - LABEL / 2, name, "label", "start"))
                shapes += [panel.below(f"slice {z}") for z, panel in row.items()]
        if self.ndim == 2:
            left, right = kernels[0].x + kernels[0].width, outputs[0].x
            shapes += arrow(left, right, outputs[0].y + outputs[0].height / 2)
        return shapes

    def _input_cells(self, z: int, panel: Panel) -> Iterator[Shape]:
        rows, columns = self.grids[1].inputs, self.grids[2].inputs
        cells = list(product(panel.rows, panel.columns))

        def kind(row: int, column: int) -> str:
            if row in rows and column in columns:
                return "input"
            return "hole" if 0 <= row <= rows[-1] and 0 <= column <= columns[-1] else "padding"

        for wanted in ("padding", "hole", "input"):
            for row, column in cells:
                if kind(row, column) == wanted:
                    index = (z, rows.index(row), columns.index(column)) if wanted == "input" else None
                    key = ("input", self._flat(index, self.bound.input_size)) if index else None
                    yield panel.rect((row, column), wanted, key)
        if self.numbers:
            for y, x in product(range(len(rows)), range(len(columns))):
                yield from panel.text((rows[y], columns[x]), shown(self.numbers.x[z, y, x]), "value")

    def _kernel_cells(self, z: int, panel: Panel) -> Iterator[Shape]:
        rows, columns = self.grids[1].kernel, self.grids[2].kernel
        for row, column in product(panel.rows, panel.columns):
            if row not in rows.values() or column not in columns.values():
                yield panel.rect((row, column), "hole")
        phases = [{tap.kernel: tap.phase for tap in axis.plan.taps} for axis in self.axes]
        for y, x in product(rows, columns):
            tint = hue(self.axes, (phases[0][z], phases[1][y], phases[2][x]))
            key = ("kernel", self._flat((z, y, x), self.kernels))
            yield panel.rect((rows[y], columns[x]), f"tint{tint}", key)
        for y, x in product(rows, columns):
            yield from panel.text((rows[y], columns[x]), self._weight((z, y, x)), "value")

    def _output_cells(self, z: int, panel: Panel) -> Iterator[Shape]:
        cells = list(product(panel.rows, panel.columns))
        for y, x in cells:
            key = ("output", self._flat((z, y, x), self.bound.output_size))
            yield panel.rect((y, x), f"tint{output_hue(self.axes, (z, y, x))}", key)
        if self.numbers:
            for y, x in cells:
                yield from panel.text((y, x), shown(self.numbers.y[z, y, x]), "value")

    def frame(self, output: Index) -> Iterator[Shape]:
        """The window over the input, what its taps read, the weights that they carry, and the output."""
        colour = output_hue(self.axes, output)
        found = list(self._taps(output))
        at = [grid.place(o) for grid, o in zip(self.grids, output, strict=True)]
        rows, columns = (_shifted(self.grids[a].window, at[a]) for a in (1, 2))
        inputs, kernels, outputs = self.panels
        lit: list[Shape] = []
        texts: list[Shape] = []
        weights: list[Shape] = []
        for kernel, source in found:
            place = self.grids[1].inputs[source[1]], self.grids[2].inputs[source[2]]
            cell = inputs[source[0]]
            lit.append(cell.rect(place, f"hue{colour}"))
            text = shown(self.numbers.x[source]) if self.numbers else self._weight(kernel)
            texts += cell.text(place, text, "on-hue")
            place = self.grids[1].kernel[kernel[1]], self.grids[2].kernel[kernel[2]]
            weights.append(kernels[kernel[0]].rect(place, f"hue{colour}"))
            texts += kernels[kernel[0]].text(place, self._weight(kernel), "on-hue")
        yield from lit
        for z in sorted(self.grids[0].taps(output[0]).values()):
            yield inputs[z].window(rows, columns, "window")
        yield from weights
        panel = outputs[output[0]]
        own = output[1], output[2]
        yield panel.rect(own, f"hue{colour}")
        yield panel.rect(own, "chosen")
        if self.numbers:
            texts += panel.text(own, shown(self.numbers.y[output]), "on-hue")
        yield from texts

    def caption(self, output: Index) -> str:
        text = tap_caption(self.axes[-self.ndim :], output[-self.ndim :])
        if not self.numbers:
            return text
        found = sorted(self._taps(output))
        terms = [f"{shown(self.numbers.weight[k])}·{shown(self.numbers.x[i])}" for k, i in found]
        return self.numbers.sentence(text, terms, self.numbers.y[output])

    def _taps(self, output: Index) -> Iterator[tuple[Index, Index]]:
        """Kernel index and input of every tap of an output that lands inside."""
        each = [grid.taps(o).items() for grid, o in zip(self.grids, output, strict=True)]
        for pairs in product(*each):
            chosen: list[tuple[Tap, int]] = list(pairs)
            yield tuple(tap.kernel for tap, _ in chosen), tuple(i for _, i in chosen)

    def _weight(self, kernel: Index) -> str:
        """The number of a weight, or its name."""
        return shown(self.numbers.weight[kernel]) if self.numbers else f"w{self._flat(kernel, self.kernels)}"

    @staticmethod
    def _flat(index: Index, size: Index) -> int:
        return int(np.ravel_multi_index(index, size))


def _shifted(interval: range, by: int) -> range:
    return range(interval.start + by, interval.stop + by)
