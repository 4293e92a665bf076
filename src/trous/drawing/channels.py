"""Channels and groups: which input channels each output channel reads, and where one of its outputs does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from trous.drawing.canvas import Panel, Place, compose
from trous.drawing.layer import most_telling
from trous.drawing.palette import HUES
from trous.drawing.scene import Drawing, Line, Shape, Text
from trous.drawing.subject import Layer
from trous.drawing.values import kernel_size
from trous.errors import TrousError
from trous.plan.grid import Grid
from trous.spec import integers

_MOST = 16
_SMALL = 7  #: a side in pixels below which a channel is one area
_BETWEEN = 190
_APART = 16


def draw_channels(layer: Layer, channels: Sequence[int]) -> Drawing:
    """Input channels on the left, output channels on the right, a frame for each of the latter; colours are groups.

    Raises TrousError for `channels` that are not two numbers (in, out) that the groups divide, and for more than can be
    seen.
    """
    pair = integers("channels", channels, 1)
    if isinstance(pair, int) or len(pair) != 2:
        raise TrousError("channels", "must be two numbers, (in, out)", channels)
    if any(n % layer.groups for n in pair):
        raise TrousError("channels", f"must be divisible by groups ({layer.groups})", channels)
    if max(pair) > _MOST:
        raise TrousError("channels", f"must be at most {_MOST}, so that they can be seen", channels)

    bound = layer.bound
    spans = [[range(n) for n in ((1, *size)[-2:])] for size in (bound.input_size, bound.output_size)]
    cell = min(16.0, max(4.0, 120 / max(len(span) for side in spans for span in side)))
    heights = [cell * len(rows) + _APART for rows, _ in spans]
    tall = max(n * height for n, height in zip(pair, heights, strict=True))
    left = 30.0
    sides: list[list[Panel]] = []
    x = left
    for n, height, (rows, columns) in zip(pair, heights, spans, strict=True):
        top = (tall - n * height) / 2 + 26
        sides.append([Panel(x, top + height * c, cell, rows, columns) for c in range(n)])
        x += cell * len(columns) + _BETWEEN
    inputs, outputs = sides

    def group(side: int, channel: int) -> int:
        return channel // (pair[side] // layer.groups)

    def link(source: int, channel: int, style: str) -> Line:
        a, b = inputs[source], outputs[channel]
        return Line(a.x + a.width + 4, a.y + a.height / 2, b.x - 4, b.y + b.height / 2, style)

    pairs = [(i, o) for i, o in product(range(pair[0]), range(pair[1])) if group(0, i) == group(1, o)]
    background: list[Shape] = [link(i, o, "link") for i, o in pairs]
    for side, panels in enumerate(sides):
        for channel, panel in enumerate(panels):
            style = f"tint{group(side, channel) % len(HUES)}"
            if cell < _SMALL:
                background.append(panel.window(panel.rows, panel.columns, style))
            else:
                background += [panel.rect(place, style) for place in product(panel.rows, panel.columns)]
            middle = panel.y + panel.height / 2
            if side == 0:
                background.append(Text(panel.x - 10, middle, str(channel), "label", "end"))
            else:
                background.append(Text(panel.x + panel.width + 10, middle, str(channel), "label", "start"))
    for name, panels in (("input channels", inputs), ("output channels", outputs)):
        background.append(Text(panels[0].x, panels[0].y - 14, name, "label", "start"))

    place = list(product(*map(range, bound.output_size)))[most_telling(bound)]
    read = product(*(sorted(Grid(axis).taps(o).values()) for axis, o in zip(bound.axes, place, strict=True)))
    cells = [_cell(index) for index in read]
    frames = []
    for channel in range(pair[1]):
        own = [i for i, o in pairs if o == channel]
        number = group(1, channel) % len(HUES)
        shapes: list[Shape] = [link(i, channel, f"line{number}") for i in own]
        shapes += [inputs[i].rect(at, f"hue{number}") for i in own for at in cells]
        shapes.append(outputs[channel].rect(_cell(place), f"hue{number}"))
        weights = "×".join(map(str, kernel_size(bound)))
        frames.append((shapes, f"output channel {channel} reads {_named(own)}: {len(own)} × {weights} weights"))
    return compose(layer.title, background, frames)


def _cell(index: tuple[int, ...]) -> Place:
    return (0, *index)[-2], index[-1]


def _named(channels: Sequence[int]) -> str:
    if len(channels) == 1:
        return f"input channel {channels[0]}"
    return f"input channels {channels[0]} to {channels[-1]}"
