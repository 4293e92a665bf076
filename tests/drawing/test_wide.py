"""Trees of stacks that see too much for nodes."""

from __future__ import annotations

import numpy as np
import pytest

from trous import Conv, TrousError
from trous.drawing.scene import Circle, Line, Rect, Text
from trous.drawing.wide import draw_wide


def causal(kernel: int, *dilations: int) -> list[Conv]:
    return [Conv(kernel, dilation=d, padding="causal") for d in dilations]


def test_every_row_says_how_many_samples_are_read() -> None:
    """By the definition: sums of multiples of the dilations."""
    dilations = [1, 2, 4, 8, 3, 5]
    drawing = draw_wide("six", causal(3, *dilations))
    counts, sums = [1], {0}
    for d in reversed(dilations):
        sums = {a + tap * d for a in sums for tap in range(3)}
        counts.append(len(sums))
    texts = [shape.text for shape in drawing.background if isinstance(shape, Text)]
    assert [text for text in texts if text.endswith(" read")] == [f"{n} read" for n in reversed(counts)]
    field = 1 + 2 * sum(dilations)
    assert (
        drawing.frames[0].caption == f"the last output reads {len(sums)} of the {field} inputs in its receptive field"
    )


def test_strokes_stand_where_something_is_read() -> None:
    drawing = draw_wide("gaps", causal(2, 100, 10))
    strokes = [shape for shape in drawing.background if isinstance(shape, Rect)]
    rows = {y: sorted(s.x for s in strokes if s.y == y) for y in {s.y for s in strokes}}
    assert [len(rows[y]) for y in sorted(rows)] == [1, 2, 4]
    lowest, unit = rows[max(rows)], 860 / 111
    np.testing.assert_allclose(np.diff(lowest) / unit, [10, 90, 10], atol=2 / unit)
    assert not any(isinstance(shape, Circle) for shape in drawing.background)


def test_milliseconds_are_those_of_the_rate() -> None:
    drawing = draw_wide("ms", causal(2, *(2**n for n in range(10))), 1000)
    assert drawing.frames[0].caption.endswith("1,024 inputs in its receptive field, 1024.0 ms")
    # At 1 kHz both rulers have the same places.
    places = {}
    for shape in drawing.background:
        if isinstance(shape, Text) and shape.text.replace("−", "").isdigit():
            places.setdefault(shape.text, []).append(shape.x)
    for number, xs in places.items():
        assert max(xs) - min(xs) < 1e-6, number
    assert any(len(xs) == 2 for xs in places.values())


def test_of_many_lines_some_are_drawn() -> None:
    drawing = draw_wide("many", causal(3, *[2**n for n in range(10)] * 2))
    lines = [shape for shape in drawing.background if isinstance(shape, Line)]
    assert len(lines) < 20 * 60 * 3 + 40


def test_layers_keep_the_size() -> None:
    with pytest.raises(TrousError, match="specs must keep the size of the signal"):
        draw_wide("no", [Conv(3)])
