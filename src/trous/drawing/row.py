"""A layer of one axis at work: outputs above, inputs with their holes and padding below, a line for every tap.

The kernel slides beneath the inputs. Rows stand so that the middle of the outputs is over the middle of the inputs.
"""

from __future__ import annotations

from collections.abc import Iterator

from trous.drawing.canvas import Panel, cell_size, compose
from trous.drawing.layer import Numbers, hue, most_telling, output_hue, tap_caption
from trous.drawing.scene import Drawing, Line, Links, Shape, Text, text_width
from trous.drawing.values import kernel_size, shown, taps
from trous.plan import BoundPlan
from trous.plan.grid import Grid

_BETWEEN = 96  #: pixels from the outputs to the inputs, which the lines have for themselves
_NAMES = ("output", "input", "kernel")


def draw_row(title: str, bound: BoundPlan, numbers: Numbers | None = None) -> Drawing:
    """The picture of a bound plan of one axis; one frame for each output."""
    row = _Row(bound, numbers)
    outputs = range(bound.output_size[0])
    frames = [(list(row.frame(o)), row.caption(o)) for o in outputs]
    links = Links(tuple(sorted(taps(bound))), bound.output_size, bound.input_size, kernel_size(bound))
    return compose(title, list(row.background()), frames, still=most_telling(bound), links=links)


class _Row:
    def __init__(self, bound: BoundPlan, numbers: Numbers | None):
        self.axis, self.numbers = bound.axes[0], numbers
        self.grid = grid = Grid(self.axis)
        self.cell = cell = cell_size(len(grid.places), texts=numbers.texts if numbers else (), most=760)
        last = grid.place(self.axis.output_size - 1)
        self.shift = (grid.inputs[-1] - last) / 2  # of the outputs on the grid, in cells
        self.left = max(text_width(name, 12) for name in _NAMES) + 12
        self.left += cell * max(0.0, grid.places[0] - self.shift)
        self.top = cell + _BETWEEN
        self.inputs = Panel(self.left, self.top, cell, range(1), grid.places)

    def background(self) -> Iterator[Shape]:
        cell, inputs = self.cell, self.grid.inputs
        middles = cell / 2, self.top + cell / 2, self.top + 2 * cell + 8 + cell / 2
        for name, y in zip(_NAMES, middles, strict=True):
            yield Text(0, y, name, "label", "start")
        for o in range(self.axis.output_size):
            yield from (self._line(o, i, "link") for i in self.grid.taps(o).values())
        for place in self.grid.places:
            if place not in inputs:
                yield self.inputs.rect((0, place), "hole" if 0 <= place <= inputs[-1] else "padding")
        for i, place in enumerate(inputs):
            yield self.inputs.rect((0, place), "input", ("input", i))
            if self.numbers:
                yield from self.inputs.text((0, place), shown(self.numbers.x[0, 0, i]), "value")
        for o in range(self.axis.output_size):
            yield self._output(o).rect((0, 0), f"tint{self._hue(o)}", ("output", o))
            if self.numbers:
                yield from self._output(o).text((0, 0), shown(self.numbers.y[0, 0, o]), "value")

    def frame(self, o: int) -> Iterator[Shape]:
        colour, found, place = self._hue(o), self.grid.taps(o), self.grid.place(o)
        for i in found.values():
            yield self._line(o, i, f"line{colour}")
        texts: list[Text] = []
        for i in found.values():
            yield self.inputs.rect((0, self.grid.inputs[i]), f"hue{colour}")
            if self.numbers:
                texts += self.inputs.text((0, self.grid.inputs[i]), shown(self.numbers.x[0, 0, i]), "on-hue")
        window = range(place + self.grid.window[0], place + self.grid.window[-1] + 1)
        kernel = Panel(self.inputs.x, self.top + self.cell + 8 + self.cell, self.cell, range(1), self.grid.places)
        read = {tap.kernel for tap in found}
        for at in window:
            if at - place not in self.grid.kernel.values():
                yield kernel.rect((0, at), "hole")
        for tap in sorted(self.axis.plan.taps, key=lambda tap: tap.kernel in read):
            at = place + self.grid.kernel[tap.kernel]
            lit = tap.kernel in read
            yield kernel.rect((0, at), f"hue{colour}" if lit else f"tint{hue((self.axis,), (tap.phase,))}")
            weight = shown(self.numbers.weight[0, 0, tap.kernel]) if self.numbers else f"w{tap.kernel}"
            texts += kernel.text((0, at), weight, "on-hue" if lit else "value")
        yield self.inputs.window(range(1), window, "window")
        yield self._output(o).rect((0, 0), f"hue{colour}")
        yield self._output(o).rect((0, 0), "chosen")
        if self.numbers:
            texts += self._output(o).text((0, 0), shown(self.numbers.y[0, 0, o]), "on-hue")
        yield from texts

    def caption(self, o: int) -> str:
        text = tap_caption((self.axis,), (o,))
        if not self.numbers:
            return text
        weight, x, y = (a[0, 0] for a in (self.numbers.weight, self.numbers.x, self.numbers.y))
        found = sorted((tap.kernel, i) for tap, i in self.grid.taps(o).items())
        terms = [f"{shown(weight[k])}·{shown(x[i])}" for k, i in found]
        return self.numbers.sentence(text, terms, y[o])

    def _hue(self, o: int) -> int:
        return output_hue((self.axis,), (o,))

    def _output(self, o: int) -> Panel:
        x = self.left + self.cell * (self.grid.place(o) + self.shift - self.grid.places[0])
        return Panel(x, 0, self.cell, range(1), range(1))

    def _line(self, o: int, i: int, style: str) -> Line:
        x = self.inputs.rect((0, self.grid.inputs[i]), "input").x + self.cell / 2
        return Line(self._output(o).x + self.cell / 2, self.cell, x, self.top, style)
